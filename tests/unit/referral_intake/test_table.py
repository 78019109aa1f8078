"""The table of transitions: every input in every state, and the state as it is stored."""

from __future__ import annotations

import orjson
import pytest
from pydantic import TypeAdapter

from schemas.consent import ConsentGiven, ConsentRecorded, ConsentRevoked
from schemas.envelope import Payload
from schemas.referral import (
    AmendmentSubmitted,
    ReferralAmended,
    ReferralRefused,
    ReferralRegistered,
    ReferralSubmitted,
    ReferralWithdrawn,
    WithdrawalSubmitted,
)
from schemas.referral_course import ReferralClosed
from schemas.resemblance import ResemblanceJudged
from services.referral_intake.domain.case import Case, Status, evolve
from services.referral_intake.domain.transitions import RECORDS
from tests.unit.referral_intake.builders import BANK, referral, submitted
from tests.unit.referral_intake.desk import (
    AGGREGATE,
    ROUTES,
    amendment,
    consent,
    in_state,
    judged,
    refusal_code,
    registered,
    revocation,
    when,
    withdrawal,
)

S = Status
INPUTS: dict[type[Payload], Payload] = {
    ReferralSubmitted: submitted(referral(term_months=9)),
    AmendmentSubmitted: amendment(),
    WithdrawalSubmitted: withdrawal(),
    ConsentGiven: consent("partner"),
    ConsentRevoked: revocation("commerce", "bank"),
    ResemblanceJudged: judged(same=False),
}
EXPECTED: dict[type[Payload], dict[Status | None, type[Payload] | str]] = {
    ReferralSubmitted: {
        None: ReferralRegistered,
        S.CONSENTED: ReferralRegistered,
        S.AWAITING_CONSENT: ReferralRegistered,
        S.REJECTED: ReferralRegistered,
        S.DUPLICATE: ReferralRegistered,
        S.REGISTERED: "id_in_use",
        S.WITHDRAWN: "withdrawn_before",
        S.CLOSED: "closed_before",
    },
    AmendmentSubmitted: {
        None: "unknown_case",
        S.CONSENTED: "unknown_case",
        S.AWAITING_CONSENT: "awaiting_consent",
        S.REJECTED: "not_registered",
        S.DUPLICATE: "not_registered",
        S.REGISTERED: ReferralAmended,
        S.WITHDRAWN: "withdrawn_before",
        S.CLOSED: "closed_before",
    },
    WithdrawalSubmitted: {
        None: "unknown_case",
        S.CONSENTED: "unknown_case",
        S.AWAITING_CONSENT: ReferralClosed,
        S.REJECTED: "not_registered",
        S.DUPLICATE: "not_registered",
        S.REGISTERED: ReferralWithdrawn,
        S.WITHDRAWN: "withdrawn_before",
        S.CLOSED: "closed_before",
    },
    ConsentGiven: dict.fromkeys((None, *Status), ConsentRecorded),
    ConsentRevoked: {
        None: "unknown_case",
        S.CONSENTED: ConsentRecorded,
        S.AWAITING_CONSENT: "consent_unchanged",
        S.REJECTED: ConsentRecorded,
        S.DUPLICATE: ConsentRecorded,
        S.REGISTERED: ReferralWithdrawn,
        S.WITHDRAWN: ConsentRecorded,
        S.CLOSED: ConsentRecorded,
    },
    ResemblanceJudged: {
        None: "unknown_case",
        S.CONSENTED: "unknown_case",
        S.AWAITING_CONSENT: "awaiting_consent",
        S.REJECTED: "not_registered",
        S.DUPLICATE: "not_registered",
        S.REGISTERED: "not_flagged",
        S.WITHDRAWN: "withdrawn_before",
        S.CLOSED: "closed_before",
    },
}


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize("kind", list(INPUTS))
def test_referring_side_is_answered_by_the_table(kind: type[Payload], status: Status | None) -> None:
    outputs = when(in_state(status), INPUTS[kind])
    expected = EXPECTED[kind][status]
    if isinstance(expected, str):
        assert refusal_code(outputs) == expected
        assert isinstance(outputs[0], ReferralRefused)
        assert outputs[0].refused_type == kind.TYPE
    else:
        assert type(outputs[-1]) is expected


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("kind", [kind for kind in INPUTS if kind is not ResemblanceJudged])
def test_other_side_is_refused_whatever_the_state(kind: type[Payload], status: Status) -> None:
    assert refusal_code(when(in_state(status), INPUTS[kind], source=BANK)) == "wrong_party"


def test_every_input_of_a_side_stands_in_the_expectations() -> None:
    assert set(INPUTS) == {kind for kind in ROUTES if kind.TYPE.startswith("referral.")}
    assert all(set(states) == {None, *Status} for states in EXPECTED.values())


@pytest.mark.parametrize("status", list(Status))
def test_state_survives_being_stored_and_read_back(status: Status) -> None:
    case = in_state(status)
    assert TypeAdapter(Case).validate_json(orjson.dumps(case)) == case


def test_state_table_has_a_column_for_every_field_of_the_state() -> None:
    columns = set(AGGREGATE.table.__table__.columns.keys())
    assert columns == {"key", "version", *Case.__dataclass_fields__}


@pytest.mark.parametrize("payload", [withdrawal(), amendment()])
def test_event_that_is_no_record_does_not_evolve(payload: Payload) -> None:
    with pytest.raises(TypeError):
        evolve(registered(), payload)


def test_case_cannot_begin_with_its_withdrawal() -> None:
    (withdrawn,) = when(registered(), withdrawal())
    with pytest.raises(TypeError):
        evolve(None, withdrawn)


def test_record_of_the_case_is_all_but_refusals() -> None:
    assert ReferralRefused not in RECORDS
