"""What can still be read of a referral whose body breaks its schema, so that all its faults are found in one go."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from schemas.consent import Scopes
from schemas.document import Document
from schemas.envelope import Model
from schemas.referral import ChainLink, Employees, OutboundDirection, TenThousandCny
from schemas.values import (
    BranchCode,
    CooperationMode,
    CountryCode,
    CreditCode,
    Day,
    FinancingNeed,
    Industry,
    KeyArea,
    Money,
    PlanId,
    ProvinceCode,
    ReferralId,
    ShortText,
    SizeClass,
    SubjectKind,
    ZoneCode,
)

T = TypeVar("T")


def _or_nothing(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return None


Seen = Annotated[T | None, WrapValidator(_or_nothing)]
"""The value if it is there and sound, else None."""


class EnterpriseGlimpse(Model):
    """The sound fields of an enterprise."""

    credit_code: Seen[CreditCode] = None
    size_class: Seen[SizeClass] = None
    industry: Seen[Industry] = None
    employees: Seen[Employees] = None
    revenue_10k_cny: Seen[TenThousandCny] = None
    assets_10k_cny: Seen[TenThousandCny] = None


class ProjectGlimpse(Model):
    """The sound fields of a project."""

    total_investment: Seen[Money] = None


class ReferralGlimpse(Model):
    """The sound fields of a referral, as far as rules between fields ask for them."""

    subject_kind: Seen[SubjectKind] = None
    enterprise: Seen[EnterpriseGlimpse] = None
    project: Seen[ProjectGlimpse] = None
    zone: Seen[ZoneCode] = None
    province: Seen[ProvinceCode] = None
    branch: Seen[BranchCode] = None
    key_area: Seen[KeyArea] = None
    need: Seen[FinancingNeed] = None
    amount: Seen[Money] = None
    term_months: Seen[int] = None
    cooperation_mode: Seen[CooperationMode] = None
    country: Seen[CountryCode] = None
    goods: Seen[ShortText] = None
    direction: Seen[OutboundDirection] = None
    outbound_approval: Seen[ShortText] = None
    zone_plan: Seen[PlanId] = None
    chain: Seen[ChainLink] = None
    repairs: Seen[ReferralId] = None
    documents: Seen[tuple[Document, ...]] = None


class ConsentGlimpse(Model):
    """The sound fields of a consent."""

    scopes: Seen[Scopes] = None
    given_on: Seen[Day] = None


def referral_in(body: object) -> ReferralGlimpse:
    """What is sound in the `referral` of a body that is any JSON value."""
    return ReferralGlimpse.model_validate(_part(body, "referral"))


def consent_in(body: object) -> ConsentGlimpse:
    """What is sound in the `consent` of a body that is any JSON value."""
    return ConsentGlimpse.model_validate(_part(body, "consent"))


def _part(body: object, name: str) -> dict[str, Any]:
    part = body.get(name) if isinstance(body, dict) else None
    return part if isinstance(part, dict) else {}
