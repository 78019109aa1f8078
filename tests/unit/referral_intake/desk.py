"""Referral intake as given–when–then sees it: what it answers to an input, and the states from which it starts."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.consent import Consent, ConsentGiven, ConsentRevoked
from schemas.envelope import Event, Payload
from schemas.faults import faults_of
from schemas.opinion import Finality
from schemas.referral import (
    AmendmentSubmitted,
    Referral,
    ReferralRefused,
    ReferralRejected,
    WithdrawalCode,
    WithdrawalSubmitted,
)
from schemas.resemblance import ResemblanceJudged
from schemas.screening import ScreeningDeclined
from services.kit.door import Deadline, Malformed, Route, Service
from services.referral_intake.domain.case import Case, Status, deadlines
from services.referral_intake.domain.scopes import seek
from services.referral_intake.service import build
from tests.unit.referral_intake.builders import (
    DAY,
    consented,
    folded,
    moment,
    outlook,
    referral,
    said,
    submitted,
)

SERVICE: Service = build()
AGGREGATE = SERVICE.aggregates[0]
ROUTES = AGGREGATE.routes
KNOWN = outlook()
OTHER = "MZL-2019-0009"
OURS = "//kouan/screening"


def when(case: Case | None, payload: Any, **said_how: Any) -> list[Payload]:
    """What is answered to an input."""
    route = ROUTES[type(payload)]
    decide = route.decide if isinstance(route, Route) else route
    return list(decide(case, said(payload, **said_how), KNOWN))  # type: ignore[arg-type]


def when_broken(case: Case | None, kind: type[Payload], body: Any, **said_how: Any) -> list[Payload]:
    """What is answered to an input of this type whose body breaks its schema."""
    route = ROUTES[kind]
    assert isinstance(route, Route)
    assert route.malformed is not None
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(body)
    event = said(Malformed(body, faults_of(caught.value)), **said_how)
    event.type = kind.TYPE
    return list(route.malformed(case, event, KNOWN))  # type: ignore[arg-type]


def when_due(case: Case) -> list[Payload]:
    """What comes of the case's deadline."""
    (deadline,) = deadlines(case)
    assert AGGREGATE.due is not None
    event: Event[Deadline] = Event("due", OURS, "deadline", deadline.due, "MZL-2020-0001", deadline)
    return list(AGGREGATE.due(case, event, KNOWN))  # type: ignore[arg-type]


def then(case: Case | None, payload: Any, **said_how: Any) -> Case:
    """The case after an input."""
    after = folded(when(case, payload, **said_how), case)
    assert after is not None
    return after


def registered(body: Referral | None = None, consent: Consent | None = None, **said_how: Any) -> Case:
    """A case that was registered."""
    case = then(None, submitted(body, consent or consented()), **said_how)
    assert case.status is Status.REGISTERED
    return case


def awaiting(*scopes: str, body: Referral | None = None) -> Case:
    """A case that waits for consent, with this part of it."""
    case = then(None, submitted(body, consented(*scopes) if scopes else None))
    assert case.status is Status.AWAITING_CONSENT
    return case


def in_state(status: Status | None) -> Case | None:
    """A case in this state, of the commerce side."""
    match status:
        case None:
            return None
        case Status.CONSENTED:
            return then(None, consent("commerce"))
        case Status.AWAITING_CONSENT:
            return awaiting()
        case Status.REJECTED:
            return then(in_state(Status.CONSENTED), submitted(referral(zone="nowhere")))
        case Status.DUPLICATE:
            return then(in_state(Status.CONSENTED), submitted(), holders={exact_claims()[0]: OTHER})
        case Status.WITHDRAWN:
            return then(registered(), withdrawal())
        case Status.CLOSED:
            return then(registered(), declined(), source=OURS)
    return registered()


def exact_claims(body: Referral | None = None, time: str = DAY) -> tuple[str, ...]:
    """The claims of a referral by which it is a duplicate."""
    found = seek(KNOWN.scopes, body or referral(), moment(time))
    return tuple(claim for sought in found if sought.scope.rule is not None for claim in sought.claims)


def near_claim(scope: str, body: Referral | None = None) -> str:
    """The claim of a referral in a scope by which it only resembles others."""
    (claim,) = (
        sought.claims[0] for sought in seek(KNOWN.scopes, body or referral(), moment(DAY)) if sought.scope.name == scope
    )
    return claim


def withdrawal() -> WithdrawalSubmitted:
    """The enterprise got its money elsewhere."""
    return WithdrawalSubmitted(code=WithdrawalCode.FINANCED_ELSEWHERE, reason="已获其他贷款。")


def amendment(**changes: Any) -> AmendmentSubmitted:
    """A shorter term, and whatever else changes."""
    return AmendmentSubmitted(referral=referral(**{"term_months": 9, **changes}), reason="期限调整。")


def consent(*scopes: str, given_on: str = "2020-04-01") -> ConsentGiven:
    """The enterprise agrees."""
    return ConsentGiven.model_validate({"scopes": scopes, "given_on": given_on, "evidence": "SQ-2"})


def revocation(*scopes: str) -> ConsentRevoked:
    """The enterprise takes its agreement back."""
    return ConsentRevoked.model_validate({"scopes": scopes, "revoked_on": "2020-05-06", "evidence": "CX-1"})


def judged(same: bool, other: str = OTHER) -> ResemblanceJudged:
    """A person has looked at two cases."""
    return ResemblanceJudged(other=other, same=same, judged_by="mzl-clerk-1", text="已核对营业执照。")


def declined(finality: Finality = Finality.REPAIRABLE) -> ScreeningDeclined:
    """Joint screening declines."""
    reason = {"code": "collateral_insufficient", "finality": finality, "zh": "担保不足", "en": "Too little security"}
    return ScreeningDeclined.model_validate(
        {
            "referral_id": "MZL-2020-0001",
            "cause": "opposed",
            "finality": finality,
            "reasons": [reason],
            "opposed_by": ["bank"],
            "policy_version": "2020-03-23",
            "decided_at": "2020-04-09T10:00:00+08:00",
        }
    )


def refusal_code(outputs: list[Payload]) -> str:
    """The code of the refusal that is the only answer."""
    (refused,) = outputs
    assert isinstance(refused, ReferralRefused)
    return refused.code


def fault_places(outputs: list[Payload]) -> list[tuple[str, str]]:
    """Code and place of the faults in the only answer."""
    (rejected,) = outputs
    assert isinstance(rejected, ReferralRejected | ReferralRefused)
    return [(fault.code, fault.pointer) for fault in rejected.faults]
