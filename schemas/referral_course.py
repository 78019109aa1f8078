"""What else befalls a referral between its submission and its end: it waits for consent, is repeated, is closed."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime, Field

from schemas.consent import CONSENT_EXAMPLE, Consent, ConsentScope
from schemas.envelope import Payload
from schemas.referral import CLAIMS, REFERRAL_EXAMPLE, SIDE, SOURCE, Referral
from schemas.resemblance import RESEMBLANCE_EXAMPLE, Resemblance
from schemas.upcasting import upcaster
from schemas.values import LongText, ReasonCode, ReferralId, Side, unit


class Awaited(Payload):
    """What both versions say of a referral that waits for consent."""

    consent_scopes: tuple[ConsentScope, ...] = Field(
        description="With whom the data may be shared so far", examples=[["commerce"]]
    )
    missing: tuple[ConsentScope, ...] = Field(
        min_length=1, description="For whom consent is needed and not on record", examples=[["bank"]]
    )
    until: AwareDatetime = Field(
        description="End of the day by which it has to come, with offset", examples=["2020-04-16T23:59:59+08:00"]
    )
    until_provisional: bool = Field(
        description="Whether that lies in a year whose official calendar is not known yet", examples=[False]
    )
    side: Side = SIDE
    source: str = SOURCE
    submitted_at: AwareDatetime = Field(
        description="Time of the submission, with offset", examples=["2020-04-01T09:30:00+08:00"]
    )


class ConsentAwaitedV1(Awaited):
    """The referral is sound but lacks the enterprise's consent. Version 1: with the referral, which nobody but the side
    that made it may see yet."""

    TYPE: ClassVar[str] = "referral.consent_awaited.v1"

    referral: Referral = Field(description="The whole referral", examples=[REFERRAL_EXAMPLE])
    consent: Consent | None = Field(
        default=None, description="The consent that came with it and does not reach", examples=[CONSENT_EXAMPLE]
    )
    claims: tuple[str, ...] | None = CLAIMS


class ConsentAwaited(Awaited):
    """The referral is sound but lacks the enterprise's consent; once that comes in time, it is registered.

    Until then nobody but the side that made it is told what is in it.
    """

    TYPE: ClassVar[str] = "referral.consent_awaited.v2"

    referral: Referral | None = Field(
        default=None,
        description="Never written: the referral, where this was read from an event of version 1",
        examples=[REFERRAL_EXAMPLE],
    )
    claims: tuple[str, ...] | None = Field(
        default=None,
        description="Never written: the referral's claims, where this was read from an event of version 1",
        examples=[["same_project:385f18d2ca1c5e0aa9eab04524a7045f"]],
    )


@upcaster(ConsentAwaitedV1, ConsentAwaited)
def _with_what_the_first_version_told(told: ConsentAwaitedV1) -> ConsentAwaited:
    return ConsentAwaited(**{name: value for name, value in told if name != "consent"})


class ReferralKept(Payload):
    """What intake keeps to itself of a referral that waits for consent, until it is registered."""

    TYPE: ClassVar[str] = "referral.kept.v1"

    referral: Referral = Field(description="The whole referral", examples=[REFERRAL_EXAMPLE])
    consent: Consent | None = Field(
        default=None, description="The consent that came with it and does not reach", examples=[CONSENT_EXAMPLE]
    )
    claims: tuple[str, ...] = Field(
        description="Digests of the matters that no other open case may be about, each after its scope's name",
        examples=[["same_project:385f18d2ca1c5e0aa9eab04524a7045f"]],
    )
    resembles: tuple[Resemblance, ...] = Field(
        default=(),
        description="Cases that it resembles, of which a person is told when it is registered",
        examples=[[RESEMBLANCE_EXAMPLE]],
    )
    kept_at: AwareDatetime = Field(
        description="Time of the submission, with offset", examples=["2020-04-01T09:30:00+08:00"]
    )


class ReferralRepeated(Payload):
    """The same referral came again, under its own id: it is the case that is known already, and nothing has changed."""

    TYPE: ClassVar[str] = "referral.repeated.v1"

    status: ReasonCode = Field(description="Where the case stands", examples=["registered"])
    revision: int = Field(
        ge=0,
        description="Version of the referral that it equals; 0 while it is not registered",
        examples=[1],
        json_schema_extra=unit("versions"),
    )
    repeated_at: AwareDatetime = Field(
        description="Time of the repeated submission, with offset", examples=["2020-04-01T09:40:00+08:00"]
    )


class ReferralClosed(Payload):
    """The case is over. Others may refer the same matter from now on; this one may be repaired under a new id."""

    TYPE: ClassVar[str] = "referral.closed.v1"

    code: ReasonCode = Field(description="What ended it", examples=["screening_declined"])
    zh: LongText = Field(description="What ended it, in Chinese", examples=["共同筛选未通过。"])
    en: LongText = Field(description="What ended it, in English", examples=["Joint screening declined it."])
    repairable: bool = Field(
        description="Whether it may be referred anew under a new id that names this one in `repairs`", examples=[True]
    )
    by_type: str = Field(
        description="Type of the event that ended it, or of the deadline's",
        examples=["screening.declined.v1"],
        max_length=100,
    )
    duplicate_of: ReferralId | None = Field(
        default=None, description="The case that a person judged it to repeat", examples=["MZL-2020-0042"]
    )
    source: str | None = Field(
        default=None,
        max_length=200,
        description="CloudEvents source of the referring party's system, which alone is told before registration",
        examples=["//commerce/15"],
    )
    closed_at: AwareDatetime = Field(
        description="Time of what ended it, with offset", examples=["2020-04-09T10:05:00+08:00"]
    )
