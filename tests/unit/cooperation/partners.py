"""Builders of what reaches a consortium, and the desk as given–when–then sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from pydantic import TypeAdapter

from schemas.consent import ConsentRecorded
from schemas.cooperation import CooperationRefused
from schemas.directory import PartnerEntered
from schemas.envelope import Event, Payload
from schemas.json_schema import EXAMPLES
from schemas.loan import LoanContracted, LoanDisbursed, LoanPosition
from schemas.partner import ParticipationAnswered, PartnerLeft
from schemas.reference import CHINA_TIME, Directory
from schemas.referral import REFERRAL_EXAMPLE, Referral, ReferralAmended, ReferralRegistered
from schemas.referral_course import ReferralClosed
from schemas.screening import (
    ScreeningDeclined,
    ScreeningExpired,
    ScreeningHeld,
    ScreeningReleased,
    ScreeningShortlisted,
    ScreeningWithdrawn,
)
from services.cooperation.domain.consortium import RECORDS, Consortium, deadlines, evolve
from services.cooperation.domain.consortium_decisions import DUE, ROUTES
from services.cooperation.domain.modes import ModeRules
from services.cooperation.rulebook import load_mode_rules
from services.kit.door import Deadline, To
from services.kit.working_days import Overrides, WorkingDays

CASE = "NMG-2020-000123"
REGISTERED = datetime(2020, 4, 1, 9, 30, tzinfo=CHINA_TIME)
INTAKE = "//kouan/referral_intake"
LOANS = "//kouan/loan_desk"
SCREENING = "//kouan/screening"
RULES = load_mode_rules()
_CALENDAR = WorkingDays(Overrides())
_STATE: TypeAdapter[Consortium] = TypeAdapter(Consortium)


def after(days: float) -> datetime:
    """A moment so many calendar days after the registration."""
    return REGISTERED + timedelta(days=days)


SHORTLISTED = after(8)
ANSWERED = after(9)
SIGNED = after(40)
PAID = after(45)


def event(payload: Payload, at: datetime, source: str, id: str = "") -> Event[Any]:
    name = id or f"{payload.TYPE}/{source}/{at.isoformat()}"
    return Event(name, source, payload.TYPE, at, CASE, payload, CASE)


def referral(mode: str | None = None, **changes: Any) -> Referral:
    body = {**REFERRAL_EXAMPLE, "cooperation_mode": mode, **changes}
    return Referral.model_validate(body)


def large(mode: str | None = "syndicated_loan", amount: str = "80000000.00") -> Referral:
    return referral(mode, amount={"amount": amount, "currency": "CNY"}, need="plant_construction", term_months=60)


def registered(
    body: Referral | None = None, scopes: Iterable[str] = ("commerce", "bank", "partner"), at: datetime = REGISTERED
) -> Event[Any]:
    payload = ReferralRegistered(
        referral=body or referral(),
        side="commerce",
        source="//commerce/15",
        registered_at=at,
        directory_versions=(),
        consent_scopes=tuple(scopes),
    )
    return event(payload, at, INTAKE)


def amended(body: Referral, at: datetime = ANSWERED) -> Event[Any]:
    payload = ReferralAmended(
        referral=body, revision=2, changed=("/amount",), reason="调整。", amended_at=at, directory_versions=()
    )
    return event(payload, at, INTAKE)


def consent(*scopes: str, at: datetime = ANSWERED) -> Event[Any]:
    return event(ConsentRecorded(scopes=scopes, evidence="MZL-SQ-2020-0117", recorded_at=at), at, INTAKE)


def shortlisted(at: datetime = SHORTLISTED) -> Event[Any]:
    payload = ScreeningShortlisted(
        referral_id=CASE,
        lane="ordinary",
        revision=1,
        score=40,
        key_areas=("border_trade_chain",),
        policy_version="2020-03-23",
        decided_at=at,
    )
    return event(payload, at, SCREENING)


def withdrawn(at: datetime = ANSWERED) -> Event[Any]:
    payload = ScreeningWithdrawn(referral_id=CASE, code="financed_elsewhere", text="已获贷款。", withdrawn_at=at)
    return event(payload, at, SCREENING)


def screened_out(kind: type[ScreeningDeclined] | type[ScreeningExpired], at: datetime = ANSWERED) -> Event[Any]:
    """Joint screening ends the case, as the first example of the type has it."""
    example = sorted((EXAMPLES / kind.TYPE).glob("valid-*.json"))[0]
    return event(kind.model_validate_json(example.read_bytes()), at, SCREENING)


def held(*holds: str, at: datetime = ANSWERED) -> Event[Any]:
    """A hold was put on the case; all that stand on it now."""
    return _hold(ScreeningHeld, holds, at)


def released(*holds: str, at: datetime = ANSWERED) -> Event[Any]:
    """A hold was released; those that stand on the case still."""
    return _hold(ScreeningReleased, holds, at)


def _hold(kind: type[ScreeningHeld] | type[ScreeningReleased], holds: tuple[str, ...], at: datetime) -> Event[Any]:
    example = sorted((EXAMPLES / kind.TYPE).glob("valid-*.json"))[0]
    payload = kind.model_validate_json(example.read_bytes()).model_copy(update={"holds": holds})
    return event(payload, at, SCREENING)


def signed(mode: str, amount: str, at: datetime = SIGNED, currency: str = "CNY") -> Event[Any]:
    """The loan contract, as the loan desk tells of it."""
    return event(LoanContracted(loan=_loan(mode, amount, "0", currency), contract_number="DK-1"), at, LOANS)


def paid(mode: str, amount: str, part: str, so_far: str, at: datetime = PAID) -> Event[Any]:
    """A payment under a contract over `amount`; `so_far` includes this part."""
    payload = LoanDisbursed(loan=_loan(mode, amount, so_far, "CNY"), amount={"amount": part, "currency": "CNY"})
    return event(payload, at, LOANS)


def _loan(mode: str, amount: str, disbursed: str, currency: str) -> LoanPosition:
    example = EXAMPLES / LoanContracted.TYPE / "valid-contracted.json"
    told = LoanContracted.model_validate_json(example.read_bytes()).loan.model_dump()
    sums = {"contracted": amount, "approved": amount, "disbursed": disbursed, "outstanding": disbursed}
    return LoanPosition.model_validate({**told, **sums, "mode": mode, "currency": currency})


def closed(at: datetime = ANSWERED, by: str = "loan.settled.v1") -> Event[Any]:
    code = "loan_settled" if by.startswith("loan.") else "screening_declined"
    payload = ReferralClosed(code=code, zh="已结束。", en="Over.", repairable=False, by_type=by, closed_at=at)
    return event(payload, at, INTAKE)


def _said(partner: str, payload: Payload, at: datetime) -> Event[Any]:
    return event(payload, at, f"//partner/{partner}")


def takes(partner: str, percent: str, at: datetime = ANSWERED) -> Event[Any]:
    return _said(partner, ParticipationAnswered(referral_id=CASE, answer="takes_part", percent=percent), at)


def takes_sum(partner: str, amount: str, at: datetime = ANSWERED, currency: str = "CNY") -> Event[Any]:
    money = {"amount": amount, "currency": currency}
    return _said(partner, ParticipationAnswered(referral_id=CASE, answer="takes_part", amount=money), at)


def declines(partner: str, at: datetime = ANSWERED) -> Event[Any]:
    return _said(partner, ParticipationAnswered(referral_id=CASE, answer="declines", code="capacity_exhausted"), at)


def leaves(partner: str, at: datetime = ANSWERED) -> Event[Any]:
    return _said(partner, PartnerLeft(referral_id=CASE, code="capacity_exhausted"), at)


def partner(
    code: str, *modes: str, provinces: Iterable[str] = (), kind: str = "commercial_bank", since: str = "2020-01-01"
) -> Event[Any]:
    payload = PartnerEntered.model_validate(
        {
            "code": code,
            "kind": kind,
            "modes": modes,
            "provinces": list(provinces),
            "name_zh": "示例机构",
            "name_en": "Example",
            "valid_from": since,
        }
    )
    return Event(f"partner-{code}", "//bank/exim", payload.TYPE, REGISTERED, payload.entry_key, payload)


BANKS = tuple(partner(f"bank-{letter}", "syndicated_loan", "sme_on_lending") for letter in "abcd")
FUNDS = (
    partner("near-fund", "bank_guarantee", provinces=["15"], kind="guarantee_fund"),
    partner("wide-fund", "bank_guarantee", kind="guarantee_fund"),
    partner("far-fund", "bank_guarantee", provinces=["53"], kind="guarantee_fund"),
)


class Outlook:
    """What decisions look up."""

    def __init__(self, partners: Iterable[Event[Any]], rules: ModeRules = RULES) -> None:
        self.modes = rules
        self.working_days = _CALENDAR
        self.directory = Directory()
        for one in partners:
            self.directory.learn(one)


@dataclass
class Desk:
    """One consortium: tell it events, let time pass, look at what it says."""

    outlook: Outlook = field(default_factory=lambda: Outlook((*BANKS, *FUNDS)))
    state: Consortium | None = None
    told: list[To] = field(default_factory=list)
    said: list[Payload] = field(default_factory=list)

    def tell(self, *events: Event[Any]) -> list[Payload]:
        """Decide events in order, as the kit does; what is said of the case itself."""
        return [payload for one in events for payload in self._take(ROUTES[type(one.data)], one)]

    def pass_time(self, until: datetime) -> list[Payload]:
        """Let every deadline up to a moment fall due."""
        outputs: list[Payload] = []
        while due := [one for one in deadlines(self.state) if one.due <= until]:
            outputs += self._take(DUE, self._fired(due[0]))
        return outputs

    @property
    def now(self) -> Consortium:
        """The state; there has to be one."""
        assert self.state is not None
        return self.state

    def _fired(self, deadline: Deadline) -> Event[Any]:
        name = f"{CASE}/{deadline.name}/{deadline.due.isoformat()}"
        return Event(name, "//kouan/cooperation/deadlines", "deadline", deadline.due, CASE, deadline, CASE)

    def _take(self, decide: Any, one: Event[Any]) -> list[Payload]:
        own: list[Payload] = []
        for output in decide(self.state, one, self.outlook):
            if isinstance(output, To):
                self.told.append(output)
                continue
            if type(output) in RECORDS:
                self.state = stored_and_loaded(evolve(self.state, output))
            own.append(output)
        self.said += own
        return own


def stored_and_loaded(state: Consortium) -> Consortium:
    """The state as it comes back from the database."""
    written = orjson.dumps(state, default=lambda value: format(value, "f"))
    return _STATE.validate_python(orjson.loads(written))


def given(*events: Event[Any], partners: Iterable[Event[Any]] = (*BANKS, *FUNDS)) -> Desk:
    """A desk that has been told these events."""
    desk = Desk(Outlook(partners))
    desk.tell(*events)
    return desk


def kinds(payloads: Iterable[Payload]) -> list[str]:
    """The types of payloads without context and version: `mode_proposed`, `partner_invited` …"""
    return [payload.TYPE.split(".")[1] for payload in payloads]


def refusal(payloads: list[Payload]) -> str:
    """The code of the one refusal that payloads are."""
    (payload,) = payloads
    assert isinstance(payload, CooperationRefused)
    return payload.code
