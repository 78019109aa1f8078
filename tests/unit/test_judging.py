"""The judge of whole runs catches a case that came further than what was said of it allows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.judging import Said, skipped

CASE = "MZL-1"
CONSENT = {"scopes": ["commerce", "bank"]}


def of(kind: str, **body: Any) -> Said:
    return Said(CASE, kind, body)


def opinion(side: str, verdict: str = "support", checked_by: str | None = "checker") -> Said:
    return of("screening.opinion_recorded", side=side, verdict=verdict, given_by="maker", checked_by=checked_by)


def outcome(side: str, wanted: str) -> Said:
    return of("screening.conference_outcome_recorded", side=side, outcome=wanted)


SUBMITTED = of("referral.submitted", consent=CONSENT)
REGISTERED = of("referral.registered")
SHORTLISTED = of("screening.shortlisted")
CONFERRED = [opinion("commerce"), opinion("bank", "oppose"), outcome("commerce", "shortlist")]


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([SUBMITTED], [REGISTERED, opinion("commerce"), opinion("bank"), SHORTLISTED]),
        ([of("referral.submitted"), of("referral.consent_given", **CONSENT)], [REGISTERED]),
        ([SUBMITTED], [*CONFERRED, outcome("bank", "shortlist"), SHORTLISTED]),
        ([], [of("screening.declined"), of("referral.closed", by_type="screening.declined.v1")]),
    ],
)
def test_a_case_that_nobody_was_skipped_on_is_left_alone(inputs: list[Said], outputs: list[Said]) -> None:
    assert skipped(inputs, outputs) == []


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        ([of("cooperation.partner_invited")], "without the enterprise's consent"),
        ([opinion("bank", checked_by=None)], "checked by None"),
        ([opinion("bank", checked_by="maker")], "checked by maker"),
        ([opinion("bank"), SHORTLISTED], "opinions of ['bank'] alone"),
        ([*CONFERRED, SHORTLISTED], "without both headquarters"),
        ([*CONFERRED, outcome("bank", "decline"), SHORTLISTED], "without both headquarters"),
        ([of("referral.closed", by_type="loan.settled.v1")], "which nobody said"),
    ],
)
def test_a_step_that_was_skipped_is_told(outputs: list[Said], told: str) -> None:
    [fault] = skipped([SUBMITTED], outputs)
    assert told in fault


def test_a_case_registered_without_consent_of_both_sides_is_told() -> None:
    [fault] = skipped([of("referral.submitted", consent={"scopes": ["bank"]})], [REGISTERED])
    assert "only to ['bank']" in fault
