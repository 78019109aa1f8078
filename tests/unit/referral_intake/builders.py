"""Referrals, events and a directory to test intake with: sound unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from schemas.consent import Consent, ConsentScope
from schemas.directory import BranchEntered, ZoneEntered
from schemas.envelope import Event, Payload
from schemas.reference import Directory
from schemas.referral import Enterprise, Project, Referral, ReferralSubmitted
from schemas.values import (
    Currency,
    FinancingNeed,
    Industry,
    KeyArea,
    Lane,
    Money,
    Ownership,
    SizeClass,
    SubjectKind,
)
from services.kit.working_days import Overrides, WorkingDays
from services.referral_intake.domain.case import Case, evolve
from services.referral_intake.domain.outlook import Outlook
from services.referral_intake.settings_files import load_limits, load_scopes

DAY = "2020-04-01T09:30:00+08:00"
COMMERCE = "//commerce/15"
BANK = "//bank/exim-nmg"


def moment(text: str = DAY) -> datetime:
    """A time with offset, from its ISO form."""
    return datetime.fromisoformat(text)


def money(amount: str, currency: str = "CNY") -> Money:
    """A sum of money."""
    return Money.model_validate({"amount": amount, "currency": Currency(currency)})


def enterprise(**changes: Any) -> Enterprise:
    """A small private sawmill."""
    sound = {
        "credit_code": "91330100799655058B",
        "name": "满洲里示例木业有限公司",
        "size_class": SizeClass.SMALL,
        "ownership": Ownership.PRIVATE,
        "industry": Industry.MANUFACTURING,
        "employees": 126,
        "revenue_10k_cny": 4200,
    }
    return Enterprise.model_validate({**sound, **changes})


def project(**changes: Any) -> Project:
    """An extension of the sawmill."""
    return Project.model_validate({"name": "精深加工二期", "total_investment": money("36000000.00"), **changes})


def referral(**changes: Any) -> Referral:
    """The sawmill needs working capital."""
    sound = {
        "subject_kind": SubjectKind.ENTERPRISE,
        "name": "满洲里示例木业有限公司",
        "enterprise": enterprise(),
        "zone": "manzhouli",
        "province": "15",
        "branch": "exim-nmg",
        "key_area": KeyArea.BORDER_TRADE_CHAIN,
        "lane": Lane.ORDINARY,
        "need": FinancingNeed.WORKING_CAPITAL,
        "amount": money("5000000.00"),
        "term_months": 12,
        "purpose": "采购进口原木。",
    }
    return Referral.model_validate({**sound, **changes})


def consented(*scopes: str) -> Consent:
    """The enterprise's consent, by default for both sides."""
    given = scopes or (ConsentScope.COMMERCE, ConsentScope.BANK)
    return Consent.model_validate(
        {"scopes": given, "given_by": "legal_representative", "given_on": "2020-03-30", "evidence": "SQ-1"}
    )


BOTH_SIDES = consented()


def submitted(body: Referral | None = None, consent: Consent | None = BOTH_SIDES) -> ReferralSubmitted:
    """A side refers the sawmill, with consent unless told otherwise."""
    return ReferralSubmitted(referral=body or referral(), consent=consent)


def said(
    payload: Any,
    source: str = COMMERCE,
    subject: str = "MZL-2020-0001",
    time: str = DAY,
    holders: Mapping[str, str] | None = None,
) -> Event[Any]:
    """An event as it reaches intake."""
    kind = getattr(payload, "TYPE", "referral.submitted.v1")
    event = Event(f"{subject}-{kind}-{time}", source, kind, moment(time), subject, payload)
    if holders is not None:
        event.holders = holders
    return event


def directory() -> Directory:
    """Manzhouli and Dongxing with a branch each, and a zone that begins in 2024."""
    known = Directory()
    entries: tuple[tuple[str, ZoneEntered | BranchEntered], ...] = (
        ("//commerce/mofcom", _zone("manzhouli", "15", "RU")),
        ("//commerce/mofcom", _zone("dongxing", "45", "VN")),
        ("//commerce/mofcom", _zone("erenhot_zamyn_uud", "15", "MN", exists_from=date(2024, 3, 19))),
        ("//bank/exim", _branch("exim-nmg", "15")),
        ("//bank/exim", _branch("exim-gx", "45")),
    )
    for source, entry in entries:
        known.learn(Event(entry.entry_key, source, entry.TYPE, moment("2020-01-01T00:00:00+08:00"), "", entry))
    return known


def outlook() -> Outlook:
    """Directory, calendar, and the limits and scopes that come with the service."""
    return Outlook(directory(), WorkingDays(Overrides()), load_limits(), load_scopes())


def folded(payloads: Iterable[Payload], case: Case | None = None) -> Case | None:
    """The case after these events."""
    for payload in payloads:
        case = evolve(case, payload)
    return case


def _zone(code: str, province: str, neighbour: str, exists_from: date | None = None) -> ZoneEntered:
    return ZoneEntered(
        valid_from=date(2020, 1, 1),
        name_zh=code,
        name_en=code,
        code=code,
        kind="border",
        province=province,
        neighbours=(neighbour,),
        exists_from=exists_from,
    )


def _branch(code: str, province: str) -> BranchEntered:
    return BranchEntered(valid_from=date(2020, 1, 1), name_zh=code, name_en=code, code=code, provinces=(province,))
