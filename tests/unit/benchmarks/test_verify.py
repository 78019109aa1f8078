"""The check of what contestants write finds what is missing, what is too many, and what is wrong."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.benchmarks.peers.verify import Given, Record, faults_in

GIVEN = {
    "R1": Given("id-1", Decimal("5000.00"), 12, "manzhouli", "trace1", 2),
    "R2": Given("id-2", Decimal("7000.00"), 36, "manzhouli", "trace1", 1),
}


def output(subject: str, **body: Any) -> Record:
    """What follows from the input with that subject."""
    given = GIVEN[subject]
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"out-{given.id}",
        "ce_source": "//kouan/hop",
        "ce_type": "hop.scored.v1",
        "ce_time": "2026-01-05T08:00:00+08:00",
        "ce_subject": subject,
        "ce_correlationid": subject,
        "ce_causationid": given.id,
        "content-type": "application/json",
        "traceparent": "00-trace1-any-01",
    }
    usual = {
        "referral_id": subject,
        "eligible": True,
        "score": given.term,
        "amount_cny": str(given.amount),
        "zone": given.zone,
    }
    return Record(subject, headers, {**usual, **body})


def test_one_output_for_each_input_is_right() -> None:
    assert faults_in([output("R2"), output("R1")], GIVEN, drops_repeats=True) == []


def test_without_state_a_repeat_has_to_come_out_again() -> None:
    assert faults_in([output("R1"), output("R1"), output("R2")], GIVEN, drops_repeats=False) == []
    assert faults_in([output("R1"), output("R2")], GIVEN, drops_repeats=False) == ["R1: written 1 times instead of 2"]


def test_a_lost_input_is_found() -> None:
    assert faults_in([output("R1")], GIVEN, drops_repeats=True) == ["R2: written 0 times instead of 1"]


def test_a_repeat_that_was_applied_is_found() -> None:
    assert faults_in([output("R1"), output("R1"), output("R2")], GIVEN, drops_repeats=True) == [
        "R1: the id out-id-1 stands there twice",
        "R1: written 2 times instead of 1",
    ]


def test_an_output_without_input_is_found() -> None:
    stray = output("R1")
    stray = replace(stray, headers={**stray.headers, "ce_subject": "R9"})
    assert "'R9' was not among the inputs" in faults_in([stray, output("R1"), output("R2")], GIVEN, drops_repeats=True)


@pytest.mark.parametrize("wrong", [{"score": 13}, {"amount_cny": "5000.01"}, {"eligible": False}, {"zone": "erenhot"}])
def test_a_wrong_field_is_found(wrong: dict[str, Any]) -> None:
    [fault] = faults_in([output("R1", **wrong), output("R2")], GIVEN, drops_repeats=True)
    assert fault.startswith("R1: the body is")


@pytest.mark.parametrize("name", sorted(output("R1").headers))
def test_a_missing_header_is_found(name: str) -> None:
    whole = output("R1")
    bare = replace(whole, headers={other: text for other, text in whole.headers.items() if other != name})
    assert faults_in([bare, output("R2")], GIVEN, drops_repeats=True) != []
