"""Waiting in tests: as short as possible, and with a message that says what was seen."""

from __future__ import annotations

import itertools

import pytest

from services.testing.waiting import Eventually


def test_the_first_truthy_answer_is_given_back() -> None:
    answers = iter([[], None, ["found"]])

    assert Eventually(10)(lambda: next(answers)) == ["found"]


def test_an_assertion_that_fails_is_asked_again() -> None:
    numbers = itertools.count()

    def look() -> bool:
        assert next(numbers) >= 2, "too early"
        return True

    assert Eventually(10)(look)


def test_any_other_error_is_raised_at_once() -> None:
    def look() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Eventually(10)(look)


def test_the_message_names_the_question_and_the_last_answer() -> None:
    counted: list[int] = []

    with pytest.raises(AssertionError) as late:
        Eventually(0)(lambda: counted)
    assert "lambda: counted" in str(late.value)
    assert "last answer: []" in str(late.value)

    with pytest.raises(AssertionError, match="the books are balanced"):
        Eventually(0)(lambda: None, "the books are balanced")
