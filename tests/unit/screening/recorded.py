"""What intake and screening put on record, for tests that read it back; and policies to read it by."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as some

from schemas.envelope import Event
from schemas.reference import china_date
from schemas.referral import REFERRAL_EXAMPLE, Referral, ReferralAmended, ReferralRegistered
from schemas.values import COUNTRIES, Currency, FinancingNeed, Industry, KeyArea, Lane, Ownership, SizeClass
from services.screening.domain.outlook import scored as score_payload
from services.screening.policy import POLICIES, Policies
from tests.unit.screening.builders import OPENED

DRAFT = "draft"


def registered(case: str, referral: Referral, at: datetime = OPENED) -> Event[Any]:
    payload = ReferralRegistered(
        referral=referral, side="commerce", source="//commerce/15", registered_at=at, directory_versions=()
    )
    return Event(f"{case}/1", "//kouan/referral_intake", payload.TYPE, at, case, payload, case)


def amended(case: str, referral: Referral, revision: int = 2, at: datetime = OPENED + timedelta(days=2)) -> Event[Any]:
    payload = ReferralAmended(
        referral=referral,
        revision=revision,
        changed=("/term_months",),
        reason="企业调整了期限。",
        amended_at=at,
        directory_versions=(),
    )
    return Event(f"{case}/{revision}", "//kouan/referral_intake", payload.TYPE, at, case, payload, case)


def scored(policies: Policies, event: Event[Any], **changes: Any) -> Event[Any]:
    """The score that screening puts on record for a registration or an amendment."""
    referral, revision = event.data.referral, getattr(event.data, "revision", 1)
    scoring = policies.in_force(china_date(event.time)).score(referral)
    payload = score_payload(scoring, referral, event.subject, revision, event.time).model_copy(update=changes)
    return Event(
        f"{event.id}/scored", "//kouan/screening", payload.TYPE, event.time, event.subject, payload, event.subject
    )


def with_draft(folder: Path, **points: int) -> Path:
    """The shipped versions and a draft of the later one: other points by code, and nobody stopped for a long term."""
    for path in POLICIES.glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    text = yaml.safe_load((POLICIES / "2024-07-01.yaml").read_bytes())
    text |= {"version": DRAFT, "effective_from": date(2031, 1, 1)}
    text["tilt"] = [{**rule, "points": points.get(rule["code"], rule["points"])} for rule in text["tilt"]]
    text["hard_stops"] = [rule for rule in text["hard_stops"] if rule["code"] != "working_capital_term_too_long"]
    (folder / f"{DRAFT}.yaml").write_text(yaml.safe_dump(text, allow_unicode=True), "utf-8")
    return folder


def _optional(strategy: Any) -> Any:
    return some.none() | strategy


_AMOUNTS = some.builds(
    lambda units, currency: {"amount": f"{units}.00", "currency": currency},
    some.integers(1, 10**9),
    some.sampled_from(Currency),
)
_ENTERPRISES = some.builds(
    lambda **given: {**REFERRAL_EXAMPLE["enterprise"], **given},  # type: ignore[dict-item]
    size_class=some.sampled_from(SizeClass),
    ownership=some.sampled_from(Ownership),
    industry=some.sampled_from(Industry),
    employees=_optional(some.integers(0, 5000)),
    revenue_10k_cny=_optional(some.integers(0, 10**6)),
)
_PROJECTS = some.builds(lambda total: {"name": "木材加工二期", "total_investment": total}, _AMOUNTS)

REFERRALS: some.SearchStrategy[Referral] = some.builds(
    lambda **given: Referral.model_validate({**REFERRAL_EXAMPLE, **given}),
    subject_kind=some.sampled_from(("enterprise", "project", "zone_plan")),
    enterprise=_optional(_ENTERPRISES),
    project=_optional(_PROJECTS),
    key_area=some.sampled_from(KeyArea),
    lane=some.sampled_from(Lane),
    need=some.sampled_from(FinancingNeed),
    amount=_AMOUNTS,
    term_months=some.integers(1, 360),
    country=_optional(some.sampled_from(sorted(COUNTRIES))),
)
"""Referrals of all kinds, those that leave open what intake would ask for included."""
