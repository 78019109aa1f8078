"""`kouan queue` folds the topics, and tells of cases whose beginning they no longer hold what is known of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from schemas.envelope import Event, Payload
from schemas.screening import ScreeningOpened
from services.cli import queue
from tests.unit.screening import builders as told
from tests.unit.screening.builders import CASE, Desk, after

WAITING = (told.registered(), told.supports(told.BANK, after(1)))
OVER = (*WAITING, told.withdrawn())


def recorded(payloads: Iterable[Payload], key: str = CASE) -> list[Event[Any]]:
    return [
        Event(f"{key}/{number}", "//kouan/screening", payload.TYPE, after(number), key, payload, key)
        for number, payload in enumerate(payloads)
    ]


def without_opening(payloads: Iterable[Payload], key: str = CASE) -> list[Event[Any]]:
    return recorded((one for one in payloads if not isinstance(one, ScreeningOpened)), key)


def test_a_case_whose_opening_is_gone_is_told_by_what_was_said_last() -> None:
    fragments: dict[str, Event[Any]] = {}
    assert queue.undecided(without_opening(Desk().tell(*WAITING)), fragments) == {}
    (one,) = queue.incomplete(fragments, {CASE: told.referral()})
    assert (one["referral_id"], one["zone"], one["incomplete"]) == (CASE, told.referral().zone, True)
    assert one["last_type"] == "screening.opinion_recorded.v1"


def test_a_case_whose_opening_is_gone_and_that_was_decided_waits_for_nobody() -> None:
    fragments: dict[str, Event[Any]] = {}
    events = without_opening(Desk().tell(*OVER))
    assert queue.undecided([*events, *events], fragments) == {}
    assert fragments == {}


def test_other_cases_are_told_in_full_beside_it() -> None:
    fragments: dict[str, Event[Any]] = {}
    said = Desk().tell(*WAITING)
    whole = queue.undecided([*without_opening(said, "LOST"), *recorded(said, "WHOLE")], fragments)
    assert (set(whole), set(fragments)) == ({"WHOLE"}, {"LOST"})


def test_a_case_of_which_no_zone_is_known_is_left_out_where_one_is_asked_for() -> None:
    fragments: dict[str, Event[Any]] = {}
    queue.undecided(without_opening(Desk().tell(*WAITING)), fragments)
    assert [one["zone"] for one in queue.incomplete(fragments, {})] == [""]
    assert queue.incomplete(fragments, {}, "manzhouli") == []


def test_the_table_marks_it_and_says_where_to_look(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    fragments: dict[str, Event[Any]] = {}
    queue.undecided(without_opening(Desk().tell(*WAITING)), fragments)
    queue._show_table(queue.incomplete(fragments, {CASE: told.referral()}), None)
    shown = capsys.readouterr().out
    for text in (CASE, "incomplete", "1 件 cases", "kouan case ID"):
        assert text in shown
