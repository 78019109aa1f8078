"""Builders of what reaches joint screening, and the desk as given–when–then sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from pydantic import TypeAdapter

from schemas.directory import AbsenceEntered, PersonEntered
from schemas.envelope import Event, Payload
from schemas.opinion import (
    ConferenceOutcomeGiven,
    OpinionConfirmed,
    OpinionExtensionAsked,
    OpinionGiven,
    OpinionReturned,
)
from schemas.precedent import PrecedentAnswered, PrecedentAsked
from schemas.reference import CHINA_TIME
from schemas.referral import REFERRAL_EXAMPLE, Referral, ReferralAmended, ReferralRegistered, ReferralWithdrawn
from schemas.risk import RiskHeld, RiskReleased
from schemas.screening import ScreeningRefused
from services.kit.door import Deadline, To
from services.kit.working_days import Overrides, WorkingDays
from services.screening.domain.case import Case, deadlines
from services.screening.domain.evolving import evolve
from services.screening.domain.outlook import terms_of
from services.screening.policy import load_policies
from services.screening.service import ScreeningContext, build

CASE = "NMG-2020-000123"
OPENED = datetime(2020, 4, 1, 9, 30, tzinfo=CHINA_TIME)
REMINDER = datetime(2020, 4, 14, 23, 59, 59, tzinfo=CHINA_TIME)
DEADLINE = datetime(2020, 4, 16, 23, 59, 59, tzinfo=CHINA_TIME)
GRACE = datetime(2020, 4, 21, 23, 59, 59, tzinfo=CHINA_TIME)
COMMERCE = "//commerce/15"
BANK = "//bank/exim-nmg"
MOFCOM = "//commerce/mofcom"
EXIM = "//bank/exim"
ZONE_HOLD = "zone:manzhouli"
CASE_HOLD = f"case:{CASE}"


def after(days: float) -> datetime:
    """A moment so many calendar days after the opening."""
    return OPENED + timedelta(days=days)


AMENDED = after(2)
HELD = after(5)
WITHDRAWN = after(9)
RELEASED = after(12)

_POLICIES = load_policies()
_CALENDAR = WorkingDays(Overrides())
_AGGREGATE = build().aggregates[0]
_STATE: TypeAdapter[Case] = TypeAdapter(Case)


def event(payload: Payload, at: datetime, source: str, id: str = "") -> Event[Any]:
    name = id or f"{payload.TYPE}/{source}/{at.isoformat()}"
    return Event(name, source, payload.TYPE, at, CASE, payload, CASE)


def referral(**changes: Any) -> Referral:
    return Referral.model_validate({**REFERRAL_EXAMPLE, **changes})


def outbound(country: str | None) -> Referral:
    return referral(need="outbound_investment", key_area="two_way_investment", country=country)


def registered(body: Referral | None = None, at: datetime = OPENED) -> Event[Any]:
    payload = ReferralRegistered(
        referral=body or referral(), side="commerce", source=COMMERCE, registered_at=at, directory_versions=()
    )
    return event(payload, at, "//kouan/referral_intake")


def amended(body: Referral | None = None, at: datetime = AMENDED, revision: int = 2) -> Event[Any]:
    payload = ReferralAmended(
        referral=body or referral(lane="resumption"),
        revision=revision,
        changed=("/lane",),
        reason="企业急需复工。",
        amended_at=at,
        directory_versions=(),
    )
    return event(payload, at, "//kouan/referral_intake")


def withdrawn(at: datetime = WITHDRAWN) -> Event[Any]:
    payload = ReferralWithdrawn(code="financed_elsewhere", reason="企业已从其他银行获得贷款。", withdrawn_at=at)
    return event(payload, at, "//kouan/referral_intake")


def supports(source: str, at: datetime, given_by: str = "clerk-1", checked_by: str | None = "clerk-2") -> Event[Any]:
    payload = OpinionGiven(referral_id=CASE, verdict="support", given_by=given_by, checked_by=checked_by)
    return event(payload, at, source)


def opposes(source: str, at: datetime, *codes: str, checked_by: str | None = "clerk-2") -> Event[Any]:
    reasons = [{"code": code, "text": "详见附件。"} for code in codes or ("collateral_insufficient",)]
    payload = OpinionGiven(
        referral_id=CASE, verdict="oppose", reasons=reasons, given_by="clerk-1", checked_by=checked_by
    )
    return event(payload, at, source)


def drafted(source: str, at: datetime, **fields: Any) -> Event[Any]:
    """An opinion that nobody has checked yet."""
    payload = OpinionGiven(**{"referral_id": CASE, "verdict": "support", "given_by": "clerk-1", **fields})
    return event(payload, at, source)


def confirmed(draft: Event[Any], at: datetime, by: str = "clerk-2", on_behalf_of: str | None = None) -> Event[Any]:
    payload = OpinionConfirmed(referral_id=CASE, opinion_id=draft.id, confirmed_by=by, on_behalf_of=on_behalf_of)
    return event(payload, at, draft.source)


def returned(draft: Event[Any], at: datetime, by: str = "clerk-2") -> Event[Any]:
    payload = OpinionReturned(referral_id=CASE, opinion_id=draft.id, returned_by=by, text="请补充抵押物评估情况。")
    return event(payload, at, draft.source)


def extension(source: str, at: datetime, by: str = "clerk-1") -> Event[Any]:
    payload = OpinionExtensionAsked(referral_id=CASE, code="site_visit", text="需到企业现场核实。", asked_by=by)
    return event(payload, at, source)


def outcome(source: str, at: datetime, which: str = "shortlist", by: str = "hq-1") -> Event[Any]:
    payload = ConferenceOutcomeGiven(referral_id=CASE, outcome=which, text="双方总部商定。", given_by=by)
    return event(payload, at, source)


def asked_by(case: str, body: Referral | None = None, at: datetime = OPENED) -> Event[Any]:
    """The question of another case that repairs this one."""
    payload = PrecedentAsked(referral_id=CASE, asked_by=case, terms=terms_of(body or referral()), asked_at=at)
    return event(payload, at, "//kouan/screening")


def answered(payload: PrecedentAnswered, at: datetime = OPENED) -> Event[Any]:
    return event(payload, at, "//kouan/screening")


def _hold(kind: type[RiskHeld] | type[RiskReleased], hold_id: str, at: datetime) -> Event[Any]:
    payload = kind(
        referral_id=CASE,
        hold_id=hold_id,
        cause=hold_id.partition(":")[0],
        level="red",
        code="zone_warning_red",
        zh="合作区处于红色预警。",
        en="The zone is under a red warning.",
        rules="2023-07-01",
    )
    return event(payload, at, "//kouan/risk_monitor", id=f"{kind.TYPE}/{hold_id}/{at.isoformat()}")


def held(at: datetime = HELD, hold_id: str = ZONE_HOLD) -> Event[Any]:
    return _hold(RiskHeld, hold_id, at)


def released(at: datetime = RELEASED, hold_id: str = ZONE_HOLD) -> Event[Any]:
    return _hold(RiskReleased, hold_id, at)


def absence(code: str, side: str, deputy: str, first: datetime, last: datetime) -> Event[Any]:
    payload = AbsenceEntered(code=code, side=side, deputy=deputy, valid_from=first.date(), valid_to=last.date())
    hq = MOFCOM if side == "commerce" else EXIM
    return Event(f"absence-{code}", hq, payload.TYPE, OPENED, payload.entry_key, payload)


def person(code: str, side: str) -> Event[Any]:
    place = {"role": "department", "province": "15"} if side == "commerce" else {"role": "branch", "branch": "exim-nmg"}
    payload = PersonEntered.model_validate(
        {
            "code": code,
            "side": side,
            "name_zh": "示例",
            "name_en": "Example",
            "valid_from": date(2020, 1, 1).isoformat(),
            "email": "someone@liaison.example",
            **place,
        }
    )
    hq = MOFCOM if side == "commerce" else EXIM
    return Event(f"person-{code}", hq, payload.TYPE, OPENED, f"{code}@2020-01-01", payload)


@dataclass
class Desk:
    """Joint screening of one case: tell it events, let time pass, look at what it says."""

    case: Case | None = None
    said: list[Payload] = field(default_factory=list)
    sent: list[To] = field(default_factory=list)
    context: ScreeningContext = field(default_factory=lambda: ScreeningContext(_POLICIES, _CALENDAR))

    def tell(self, *events: Event[Any]) -> list[Payload]:
        """Decide events in order, as the kit does; what they lead to."""
        return [output for one in events for output in self._take(_AGGREGATE.routes[type(one.data)], one)]

    def pass_time(self, until: datetime) -> list[Payload]:
        """Let every deadline up to a moment fall due."""
        outputs: list[Payload] = []
        while due := sorted((one for one in deadlines(self.case) if one.due <= until), key=lambda one: one.due):
            outputs += self._take(_AGGREGATE.due, self._fired(due[0]))
        return outputs

    def _fired(self, deadline: Deadline) -> Event[Any]:
        name = f"{CASE}/{deadline.name}/{deadline.due.isoformat()}"
        return Event(name, "//kouan/screening/deadlines", "deadline", deadline.due, CASE, deadline, CASE)

    def _take(self, decide: Any, one: Event[Any]) -> list[Payload]:
        made = list(decide(self.case, one, self.context))
        self.sent += [output for output in made if isinstance(output, To)]
        outputs: list[Payload] = [output for output in made if not isinstance(output, To)]
        for output in outputs:
            if type(output) in _AGGREGATE.records:
                self.case = stored_and_loaded(evolve(self.case, output))
        self.said += outputs
        return outputs


def stored_and_loaded(case: Case) -> Case:
    """The case as it comes back from the database."""
    return _STATE.validate_python(orjson.loads(orjson.dumps(case)))


def given(*events: Event[Any], until: datetime | None = None) -> Desk:
    """A desk that has been told these events and has forgotten what it said."""
    desk = Desk()
    desk.tell(*events)
    if until is not None:
        desk.pass_time(until)
    desk.said.clear()
    return desk


def kinds(payloads: Iterable[Payload]) -> list[str]:
    """The types of payloads without context and version: `opened`, `scored` …"""
    return [payload.TYPE.split(".")[1] for payload in payloads]


def refusal(payloads: list[Payload]) -> str:
    """The code of the one refusal that payloads are."""
    (payload,) = payloads
    assert isinstance(payload, ScreeningRefused)
    return payload.code
