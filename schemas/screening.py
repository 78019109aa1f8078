"""Joint screening: what becomes of a case, from its opening to its decision.

A case is one referral; its id is the referral's id, the record key and the event's subject. Times carry an offset;
deadlines are the last second of a working day in China. What people say stands in `opinion.py`, what happens while
opinions are awaited or a conference sits in `deliberation.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AwareDatetime, Field, StringConstraints

from schemas.envelope import Model, Payload
from schemas.opinion import CASE_ID, GIVEN_BY, SUPPORT_EXAMPLE, VERDICT, EventId, Finality, OpinionReason, Verdict
from schemas.referral import WithdrawalCode
from schemas.risk import WarningLevel
from schemas.scoring import LANE, POLICY, REVISION, SCORE, PolicyVersion
from schemas.upcasting import upcaster
from schemas.values import KeyArea, Lane, LongText, PersonId, ReasonCode, ReferralId, Side, unit

EventType = Annotated[str, StringConstraints(min_length=1, max_length=100)]
"""CloudEvents type of another event."""

HoldId = Annotated[str, StringConstraints(pattern=r"^(case|zone):[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Name of one hold, as the risk monitor gave it."""


# --- codes ------------------------------------------------------------------------------------------------------------


class DeclineCause(StrEnum):
    """What declined a case."""

    HARD_STOP = "hard_stop"
    OPPOSED = "opposed"


class ConferenceResult(StrEnum):
    """How the conference of both headquarters ended."""

    AGREED = "agreed"
    DIFFERED = "differed"
    UNANSWERED = "unanswered"


class RefusalCode(StrEnum):
    """Why screening refused an input, as version 1 said it; since version 2 the codes are coded text."""

    ALREADY_OPEN = "already_open"
    ALREADY_HELD = "already_held"
    NOT_HELD = "not_held"
    SECOND_OPINION = "second_opinion"
    AFTER_DEADLINE = "after_deadline"
    WRONG_PARTY = "wrong_party"
    CLOSED = "closed"


# --- fields that many types have --------------------------------------------------------------------------------------

DEADLINE: Final = Field(
    description="Last second of the working day, in China, by which both sides are to have given their opinions",
    examples=["2020-04-16T23:59:59+08:00"],
)
PROVISIONAL: Final = Field(
    description="True where the deadline lies in a year whose official calendar is not yet known", examples=[False]
)
REMIND_AT: Final = Field(
    default=None,
    description="When those who have not spoken are reminded; absent where too little time is left for it",
    examples=["2020-04-14T23:59:59+08:00"],
)
_CONFERENCE: Final = Field(
    default=None,
    description="How the conference of both headquarters ended; absent where none was called",
    examples=["agreed"],
)
_HOLD_ID: Final = Field(description="The hold concerned, as the risk monitor named it", examples=["zone:manzhouli"])


# --- outputs ----------------------------------------------------------------------------------------------------------


class ScreeningOpened(Payload):
    """Joint screening of a registered referral begins; both sides are asked for their opinions."""

    TYPE: ClassVar[str] = "screening.opened.v1"

    referral_id: ReferralId = CASE_ID
    lane: Lane = LANE
    side: Side = Field(description="Side that referred the case", examples=["commerce"])
    opened_at: AwareDatetime = Field(
        description="Time of the registration, with offset", examples=["2020-04-01T09:30:00+08:00"]
    )
    working_days: int = Field(
        ge=1, description="Time allowed for the opinions", examples=[10], json_schema_extra=unit("working days")
    )
    deadline: AwareDatetime = DEADLINE
    deadline_provisional: bool = PROVISIONAL
    remind_at: AwareDatetime | None = REMIND_AT
    repairs: ReferralId | None = Field(
        default=None,
        description="The declined or expired case that this one repairs; it is asked which opinions stand",
        examples=["NMG-2020-000087"],
    )


class ScreeningOpinionRecorded(Payload):
    """A side's opinion is on record."""

    TYPE: ClassVar[str] = "screening.opinion_recorded.v1"

    referral_id: ReferralId = CASE_ID
    side: Side = Field(description="Side whose opinion it is", examples=["bank"])
    verdict: Verdict = VERDICT
    reasons: tuple[OpinionReason, ...] = Field(description="Why, as given", examples=[SUPPORT_EXAMPLE])
    given_by: PersonId = GIVEN_BY
    given_at: AwareDatetime = Field(
        description="Time at which the opinion was given, with offset", examples=["2020-04-08T15:20:00+08:00"]
    )
    checked_by: PersonId | None = Field(
        default=None,
        description="Id of the person who checked it; absent in events from before opinions were checked",
        examples=["exim-nmg-02"],
    )
    checked_at: AwareDatetime | None = Field(
        default=None,
        description="Time at which it was checked, from which on it counts",
        examples=["2020-04-08T16:05:00+08:00"],
    )
    on_behalf_of: PersonId | None = Field(
        default=None,
        description="Id of the absent person for whom the maker stood in",
        examples=["exim-nmg-03"],
    )
    carried_from: ReferralId | None = Field(
        default=None,
        description="The forerunner from which a supporting opinion was taken over; absent where given on this case",
        examples=["NMG-2020-000087"],
    )


class ScreeningShortlisted(Payload):
    """Both sides support the case: it is on the shortlist."""

    TYPE: ClassVar[str] = "screening.shortlisted.v1"

    referral_id: ReferralId = CASE_ID
    lane: Lane = LANE
    revision: int = REVISION
    score: int = SCORE
    key_areas: tuple[KeyArea, ...] = Field(
        description="Key areas that the policy finds in the case", examples=[["border_trade_chain"]]
    )
    policy_version: PolicyVersion = POLICY
    decided_at: AwareDatetime = Field(
        description="Time of the opinion, release or conference outcome that completed the decision",
        examples=["2020-04-09T10:05:00+08:00"],
    )
    conference: ConferenceResult | None = _CONFERENCE


class DeclineReason(Model):
    """One reason for which a case was declined, and what would repair it."""

    code: ReasonCode = Field(
        description="Code of the hard stop, or of the side's reason", examples=["collateral_insufficient"]
    )
    finality: Finality = Field(description="Whether it can be repaired", examples=["repairable"])
    zh: LongText = Field(description="The reason in Chinese", examples=["担保不足"])
    en: LongText = Field(description="The reason in English", examples=["Security is insufficient"])
    side: Side | None = Field(default=None, description="Side that gave it; absent for a hard stop", examples=["bank"])
    text: LongText | None = Field(
        default=None,
        description="The side's own words; absent for a hard stop",
        examples=["抵押物评估值低于贷款金额。"],
    )
    remedy_zh: LongText | None = Field(
        default=None, description="What would repair it, in Chinese", examples=["增加抵质押物后重新推荐。"]
    )
    remedy_en: LongText | None = Field(
        default=None, description="What would repair it, in English", examples=["Add security and refer again."]
    )


class ScreeningDeclined(Payload):
    """A hard stop of the policy declined the case at once, or a side opposes and no conference outweighed it."""

    TYPE: ClassVar[str] = "screening.declined.v1"

    referral_id: ReferralId = CASE_ID
    cause: DeclineCause = Field(description="What declined it", examples=["opposed"])
    finality: Finality = Field(description="Final if any reason is; repairable otherwise", examples=["repairable"])
    reasons: tuple[DeclineReason, ...] = Field(
        min_length=1,
        description="All reasons, those of the commerce side before those of the bank",
        examples=[
            [
                {
                    "code": "collateral_insufficient",
                    "finality": "repairable",
                    "zh": "担保不足",
                    "en": "Security is insufficient",
                    "side": "bank",
                    "text": "抵押物评估值低于贷款金额。",
                }
            ]
        ],
    )
    opposed_by: tuple[Side, ...] = Field(
        default=(), description="Sides that oppose; empty for a hard stop", examples=[["bank"]]
    )
    policy_version: PolicyVersion = POLICY
    decided_at: AwareDatetime = Field(
        description="Time of what completed the decision, or of the deadline", examples=["2020-04-09T10:05:00+08:00"]
    )
    conference: ConferenceResult | None = _CONFERENCE


class ScreeningExpired(Payload):
    """Time ran out, the grace after the deadline included, without the opinions that a decision needs."""

    TYPE: ClassVar[str] = "screening.expired.v1"

    referral_id: ReferralId = CASE_ID
    missing: tuple[Side, ...] = Field(
        min_length=1, description="Sides that did not give their opinion", examples=[["bank"]]
    )
    deadline: AwareDatetime = DEADLINE
    deadline_provisional: bool = PROVISIONAL
    unchecked: tuple[Side, ...] = Field(
        default=(), description="Those of them whose opinion waited for its checker", examples=[["bank"]]
    )
    grace_until: AwareDatetime | None = Field(
        default=None,
        description="End of the grace after the deadline; absent in events from before there was one",
        examples=["2020-04-21T23:59:59+08:00"],
    )


class HoldChange(Payload):
    """What the two changes of a hold have in common."""

    referral_id: ReferralId = CASE_ID
    hold_id: HoldId = _HOLD_ID
    level: WarningLevel = Field(description="Level of the warning behind the hold", examples=["red"])
    code: ReasonCode = Field(description="Coded reason, from the risk monitor", examples=["zone_warning_red"])
    zh: LongText = Field(description="The reason in Chinese", examples=["合作区处于红色预警。"])
    en: LongText = Field(description="The reason in English", examples=["The zone is under a red warning."])


class ScreeningHeld(HoldChange):
    """A hold stands on the case: nothing is decided until all its holds are released. Opinions are still recorded."""

    TYPE: ClassVar[str] = "screening.held.v1"

    holds: tuple[HoldId, ...] = Field(
        min_length=1, description="All holds that now stand on the case", examples=[["zone:manzhouli"]]
    )
    working_days_left: int | None = Field(
        default=None,
        ge=0,
        description="Whole working days that were left when the clock stopped; absent once the case is decided",
        examples=[6],
        json_schema_extra=unit("working days"),
    )
    held_at: AwareDatetime = Field(description="Time of the hold, with offset", examples=["2020-04-08T09:00:00+08:00"])


class ScreeningReleased(HoldChange):
    """A hold on the case was released; with the last one the clock runs again."""

    TYPE: ClassVar[str] = "screening.released.v1"

    holds: tuple[HoldId, ...] = Field(
        description="Holds that still stand on the case", examples=[["case:NMG-2020-000123"]]
    )
    deadline: AwareDatetime | None = Field(
        default=None,
        description="New end of what the hold stopped: the deadline, the grace after it, or the conference's deadline; "
        "absent while other holds stand, and once the case is decided",
        examples=["2020-04-24T23:59:59+08:00"],
    )
    deadline_provisional: bool = PROVISIONAL
    remind_at: AwareDatetime | None = REMIND_AT
    released_at: AwareDatetime = Field(
        description="Time of the release, with offset", examples=["2020-04-16T09:00:00+08:00"]
    )


class ScreeningWithdrawn(Payload):
    """The referral was withdrawn: the case is closed."""

    TYPE: ClassVar[str] = "screening.withdrawn.v1"

    referral_id: ReferralId = CASE_ID
    code: WithdrawalCode = Field(description="Coded reason, from the referrer", examples=["financed_elsewhere"])
    text: LongText = Field(description="The referrer's own words", examples=["企业已从其他银行获得贷款。"])
    withdrawn_at: AwareDatetime = Field(
        description="Time of the withdrawal, with offset", examples=["2020-04-10T16:00:00+08:00"]
    )


class Refusal(Payload):
    """What both versions of a refusal have in common."""

    referral_id: ReferralId = CASE_ID
    refused_type: EventType = Field(description="Type of the event that was refused", examples=["opinion.given.v1"])
    refused_id: EventId = Field(description="Id of the event that was refused", examples=["mofcom-15-000981"])
    side: Side | None = Field(
        default=None, description="Side that sent it; absent where it is one of our own services", examples=["commerce"]
    )
    zh: LongText = Field(
        description="What is wrong and what to do, in Chinese", examples=["本方已发表意见，不能重复发表。"]
    )
    en: LongText = Field(
        description="What is wrong and what to do, in English",
        examples=["This side has already given its opinion; it cannot give another."],
    )
    refused_at: AwareDatetime = Field(
        description="Time of the refused event, with offset", examples=["2020-04-09T11:00:00+08:00"]
    )


class ScreeningRefusedV1(Refusal):
    """Something asked of screening cannot be done. Version 1: a closed list of codes."""

    TYPE: ClassVar[str] = "screening.refused.v1"

    code: RefusalCode = Field(description="Coded reason", examples=["second_opinion"])


class ScreeningRefused(Refusal):
    """Something asked of screening cannot be done to this case now, or not by this party. Nothing has changed."""

    TYPE: ClassVar[str] = "screening.refused.v2"

    code: ReasonCode = Field(description="Coded reason", examples=["second_opinion"])


@upcaster(ScreeningRefusedV1, ScreeningRefused)
def _with_coded_text(told: ScreeningRefusedV1) -> ScreeningRefused:
    return ScreeningRefused(**dict(told))
