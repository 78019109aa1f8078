"""Joint screening while opinions are awaited or a conference sits: drafts, reminders, more time, both headquarters.

Days are Chinese working days. A hold stops every clock named here; the release says how long the one that was running
goes on (`screening.released.v1`).
"""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic import AwareDatetime, Field

from schemas.envelope import Payload
from schemas.opinion import (
    CASE_ID,
    GIVEN_BY,
    ON_BEHALF_OF,
    OPINION_ID,
    SUPPORT_EXAMPLE,
    VERDICT,
    ConferenceOutcome,
    EventId,
    ExtensionCode,
    OpinionReason,
    Verdict,
)
from schemas.scoring import LANE
from schemas.screening import DEADLINE, PROVISIONAL, REMIND_AT
from schemas.values import Lane, LongText, PersonId, ReasonCode, ReferralId, Side, unit

_SIDE: Final = Field(description="Side concerned", examples=["bank"])
_MISSING: Final = Field(min_length=1, description="Sides whose opinion is not on record yet", examples=[["bank"]])
_UNCHECKED: Final = Field(description="Those of them whose opinion waits for its checker", examples=[["bank"]])
_REASONS: Final = Field(description="Why, as given", examples=[SUPPORT_EXAMPLE])


class ScreeningOpinionDrafted(Payload):
    """A side's opinion waits for its checker; until another person of the side confirms it, it does not count."""

    TYPE: ClassVar[str] = "screening.opinion_drafted.v1"

    referral_id: ReferralId = CASE_ID
    side: Side = _SIDE
    opinion_id: EventId = OPINION_ID
    verdict: Verdict = VERDICT
    reasons: tuple[OpinionReason, ...] = _REASONS
    given_by: PersonId = GIVEN_BY
    on_behalf_of: PersonId | None = ON_BEHALF_OF
    given_at: AwareDatetime = Field(
        description="Time at which the draft was given, with offset", examples=["2020-04-08T15:20:00+08:00"]
    )


class ScreeningOpinionReturned(Payload):
    """The checker sent a draft back to its maker; the side may give another opinion."""

    TYPE: ClassVar[str] = "screening.opinion_returned.v1"

    referral_id: ReferralId = CASE_ID
    side: Side = _SIDE
    opinion_id: EventId = OPINION_ID
    given_by: PersonId = GIVEN_BY
    returned_by: PersonId = Field(description="Id of the person who checked the opinion", examples=["exim-nmg-02"])
    text: LongText = Field(
        description="What is to be changed, in the checker's words", examples=["请补充抵押物的最新评估情况。"]
    )
    returned_at: AwareDatetime = Field(
        description="Time at which it was sent back, with offset", examples=["2020-04-08T16:05:00+08:00"]
    )


class ScreeningReminded(Payload):
    """The deadline is near and an opinion is missing."""

    TYPE: ClassVar[str] = "screening.reminded.v1"

    referral_id: ReferralId = CASE_ID
    lane: Lane = LANE
    missing: tuple[Side, ...] = _MISSING
    unchecked: tuple[Side, ...] = _UNCHECKED
    deadline: AwareDatetime = DEADLINE
    deadline_provisional: bool = PROVISIONAL
    reminded_at: AwareDatetime = Field(
        description="When the reminder fell due, with offset", examples=["2020-04-14T23:59:59+08:00"]
    )


class ScreeningEscalated(Payload):
    """The deadline has passed and an opinion is missing: both headquarters are told, and a last grace begins."""

    TYPE: ClassVar[str] = "screening.escalated.v1"

    referral_id: ReferralId = CASE_ID
    lane: Lane = LANE
    missing: tuple[Side, ...] = _MISSING
    unchecked: tuple[Side, ...] = _UNCHECKED
    deadline: AwareDatetime = DEADLINE
    working_days: int = Field(
        ge=1, description="Length of the grace", examples=[3], json_schema_extra=unit("working days")
    )
    grace_until: AwareDatetime = Field(
        description="Last second in which an opinion counts; then the case expires, or is declined if a side opposes",
        examples=["2020-04-21T23:59:59+08:00"],
    )
    grace_provisional: bool = PROVISIONAL


class ScreeningExtended(Payload):
    """A side asked for more time and gave a reason: both sides have a new deadline. There is no second extension."""

    TYPE: ClassVar[str] = "screening.extended.v1"

    referral_id: ReferralId = CASE_ID
    side: Side = Field(description="Side that asked for it", examples=["bank"])
    code: ExtensionCode = Field(description="Coded reason, as given", examples=["site_visit"])
    text: LongText = Field(description="The reason in the side's words", examples=["需到企业现场核实生产情况。"])
    asked_by: PersonId = Field(description="Id of the person who asked", examples=["exim-nmg-01"])
    working_days: int = Field(
        ge=1, description="Time that was added", examples=[5], json_schema_extra=unit("working days")
    )
    deadline: AwareDatetime = DEADLINE
    deadline_provisional: bool = PROVISIONAL
    remind_at: AwareDatetime | None = REMIND_AT
    extended_at: AwareDatetime = Field(
        description="Time at which it was asked for, with offset", examples=["2020-04-13T10:00:00+08:00"]
    )


class ScreeningConferenceCalled(Payload):
    """One side supports the case, the other opposes it: both headquarters are to confer and say what becomes of it."""

    TYPE: ClassVar[str] = "screening.conference_called.v1"

    referral_id: ReferralId = CASE_ID
    lane: Lane = LANE
    supported_by: Side = Field(description="Side that supports", examples=["commerce"])
    opposed_by: Side = Field(description="Side that opposes", examples=["bank"])
    reasons: tuple[OpinionReason, ...] = Field(
        min_length=1,
        description="Why that side opposes",
        examples=[[{"code": "collateral_insufficient", "text": "抵押物评估值低于贷款金额。"}]],
    )
    working_days: int = Field(
        ge=1, description="Time allowed for the conference", examples=[5], json_schema_extra=unit("working days")
    )
    deadline: AwareDatetime = Field(
        description="Last second of the working day, in China, by which both headquarters are to have answered",
        examples=["2020-04-16T23:59:59+08:00"],
    )
    deadline_provisional: bool = PROVISIONAL
    called_at: AwareDatetime = Field(
        description="Time of the opinion that made the disagreement known", examples=["2020-04-09T10:05:00+08:00"]
    )


class ScreeningConferenceOutcomeRecorded(Payload):
    """What a headquarters wants to become of the case is on record."""

    TYPE: ClassVar[str] = "screening.conference_outcome_recorded.v1"

    referral_id: ReferralId = CASE_ID
    side: Side = Field(description="Side whose headquarters it is", examples=["bank"])
    outcome: ConferenceOutcome = Field(description="What is to become of the case", examples=["shortlist"])
    text: LongText = Field(description="Why, as given", examples=["担保机构承担七成风险，双方同意列入名单。"])
    given_by: PersonId = Field(description="Id of the person who answers for it", examples=["hq-01"])
    given_at: AwareDatetime = Field(
        description="Time at which it was given, with offset", examples=["2020-04-14T11:00:00+08:00"]
    )


class ScreeningPrecedentWeighed(Payload):
    """A repaired referral met its forerunner: which opinions are taken over, and if none, why."""

    TYPE: ClassVar[str] = "screening.precedent_weighed.v1"

    referral_id: ReferralId = CASE_ID
    forerunner: ReferralId = Field(description="The case that this one repairs", examples=["NMG-2020-000087"])
    carried: tuple[Side, ...] = Field(
        description="Sides whose supporting opinion is taken over; the others are asked", examples=[["commerce"]]
    )
    code: ReasonCode | None = Field(
        default=None, description="Why nothing is taken over; absent otherwise", examples=["terms_grown"]
    )
    weighed_at: AwareDatetime = Field(
        description="Time of the new case's registration, with offset", examples=["2020-05-06T09:30:00+08:00"]
    )
