"""Advice: a question of a zone or an enterprise to the bank, routed, answered in time, on record.

A question's id is the record key and the event's subject. The commerce side asks; the branch to which the question was
routed answers, or the bank's headquarters. A further question is the next round under the same id. Deadlines are the
last second of a working day in China.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AwareDatetime, Field, JsonValue

from schemas.consent import CONSENT_EXAMPLE, Consent
from schemas.document import DOCUMENT_EXAMPLE, Document
from schemas.envelope import Model, Payload
from schemas.values import (
    AdviceId,
    BranchCode,
    CreditCode,
    LongText,
    PersonId,
    ReasonCode,
    ReferralId,
    ShortText,
    ZoneCode,
    unit,
)


class AdviceTopic(StrEnum):
    """What a question is about; decides whether a branch or the bank's headquarters is asked."""

    LOAN_PRODUCTS = "loan_products"
    TRADE_FINANCE = "trade_finance"
    CROSS_BORDER_SETTLEMENT = "cross_border_settlement"
    GUARANTEE_INSURANCE = "guarantee_insurance"
    PROJECT_FINANCING = "project_financing"
    CREDIT_POLICY = "credit_policy"
    INDUSTRY_PLANNING = "industry_planning"
    OUTBOUND_INVESTMENT = "outbound_investment"


class AdviceClosureCode(StrEnum):
    """Why the asking side closes a question."""

    SETTLED = "settled"
    REFERRED = "referred"
    NO_LONGER_NEEDED = "no_longer_needed"


Round = Annotated[int, Field(ge=1, le=100, strict=True)]
"""Which question under one id: the first is 1, each further one is one more."""

_ZONE: Final = Field(description="Zone for which, or for an enterprise of which, is asked", examples=["manzhouli"])
_TOPIC: Final = Field(description="What the question is about", examples=["trade_finance"])
_QUESTION: Final = Field(
    description="The question, without personal data", examples=["进口原木采用信用证结算，可否办理进口押汇？"]
)
_ANSWER: Final = Field(
    description="The answer, without personal data", examples=["可以。凭进口合同和代收单据办理，期限一般不超过 90 天。"]
)
_DOCUMENTS: Final = Field(
    default=(), max_length=50, description="Documents as references", examples=[[DOCUMENT_EXAMPLE]]
)
_ASKED_BY: Final = Field(description="Id of the person who asks", examples=["liaison-manzhouli"])
_GIVEN_BY: Final = Field(description="Id of the person who answers", examples=["exim-nmg-01"])
_ROUND: Final = Field(
    description="Which question under this id: the first is 1", examples=[1], json_schema_extra=unit("questions")
)

ASKING_ENTERPRISE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "credit_code": "91330100799655058B",
    "name": "满洲里示例木业有限公司",
}


class AskingEnterprise(Model):
    """The enterprise for which somebody asks."""

    credit_code: CreditCode = Field(
        description="Unified social credit code (GB 32100-2015)", examples=["91330100799655058B"]
    )
    name: ShortText = Field(description="Registered name", examples=["满洲里示例木业有限公司"])


_ENTERPRISE: Final = Field(
    default=None,
    description="The enterprise for which is asked; absent where the zone itself asks",
    examples=[ASKING_ENTERPRISE_EXAMPLE],
)


# --- inputs -----------------------------------------------------------------------------------------------------------


class AdviceQuestionAsked(Payload):
    """The commerce side asks the bank, for a zone or for an enterprise that consents."""

    TYPE: ClassVar[str] = "advice.question_asked.v1"

    zone: ZoneCode = _ZONE
    enterprise: AskingEnterprise | None = _ENTERPRISE
    consent: Consent | None = Field(
        default=None,
        description="The enterprise's consent to share its data with the bank; needed where it is asked for one",
        examples=[CONSENT_EXAMPLE],
    )
    topic: AdviceTopic = _TOPIC
    branch: BranchCode | None = Field(
        default=None,
        description="Branch that is asked, where several serve the province; absent: the first of them",
        examples=["exim-nmg"],
    )
    question: LongText = _QUESTION
    documents: tuple[Document, ...] = _DOCUMENTS
    asked_by: PersonId = _ASKED_BY


class AdviceFurtherQuestionAsked(Payload):
    """The asking side asks on, after an answer."""

    TYPE: ClassVar[str] = "advice.further_question_asked.v1"

    question: LongText = _QUESTION
    documents: tuple[Document, ...] = _DOCUMENTS
    asked_by: PersonId = _ASKED_BY


class AdviceAnswerGiven(Payload):
    """The bank answers: the branch to which the question was routed, or the headquarters."""

    TYPE: ClassVar[str] = "advice.answer_given.v1"

    round: Round = _ROUND
    answer: LongText = _ANSWER
    documents: tuple[Document, ...] = _DOCUMENTS
    given_by: PersonId = _GIVEN_BY


class AdviceClosureSubmitted(Payload):
    """The asking side needs no more."""

    TYPE: ClassVar[str] = "advice.closure_submitted.v1"

    code: AdviceClosureCode = Field(description="Coded reason", examples=["settled"])
    referral_id: ReferralId | None = Field(
        default=None, description="The referral that came of it, where one did", examples=["NMG-2020-000123"]
    )
    closed_by: PersonId = Field(
        description="Id of the person who answers for the closing", examples=["liaison-manzhouli"]
    )


# --- outputs ----------------------------------------------------------------------------------------------------------


class AdviceFact(Payload):
    """What all that is said of a question has in common."""

    advice_id: AdviceId = Field(description="The question; also the record key", examples=["MZL-ZX-2020-0007"])
    zone: ZoneCode = _ZONE
    routed_to: BranchCode = Field(
        description="Unit of the bank that has the question: a branch, or exim, the headquarters",
        examples=["exim-nmg"],
    )
    round: Round = _ROUND


class AdviceTerm(AdviceFact):
    """A question with the time for its answer."""

    question: LongText = _QUESTION
    documents: tuple[Document, ...] = _DOCUMENTS
    asked_by: PersonId = _ASKED_BY
    working_days: int = Field(
        ge=1, description="Time allowed for the answer", examples=[5], json_schema_extra=unit("working days")
    )
    remind_at: AwareDatetime = Field(
        description="When the bank is reminded if it has not answered by then", examples=["2020-05-11T23:59:59+08:00"]
    )
    deadline: AwareDatetime = Field(
        description="Last second of the working day, in China, by which the answer is to be given",
        examples=["2020-05-13T23:59:59+08:00"],
    )
    deadline_provisional: bool = Field(
        description="True where the deadline lies in a year whose official calendar is not yet known", examples=[False]
    )
    asked_at: AwareDatetime = Field(
        description="Time of the question, with offset", examples=["2020-05-06T10:00:00+08:00"]
    )


class AdviceRouted(AdviceTerm):
    """A question is on record and goes to the branch that serves the province, or to the bank's headquarters."""

    TYPE: ClassVar[str] = "advice.routed.v1"

    source: Annotated[str, Field(max_length=200)] = Field(
        description="CloudEvents source of the asking party's system", examples=["//commerce/manzhouli"]
    )
    topic: ReasonCode = _TOPIC
    enterprise: AskingEnterprise | None = _ENTERPRISE
    consent: Consent | None = Field(
        default=None, description="The enterprise's consent, as it was given", examples=[CONSENT_EXAMPLE]
    )


class AdviceFurtherRouted(AdviceTerm):
    """A further question goes to the unit that has the first."""

    TYPE: ClassVar[str] = "advice.further_routed.v1"


class AdviceReminded(AdviceFact):
    """The time for the answer is nearly over."""

    TYPE: ClassVar[str] = "advice.reminded.v1"

    deadline: AwareDatetime = Field(
        description="When the time is over, with offset", examples=["2020-05-13T23:59:59+08:00"]
    )
    reminded_at: AwareDatetime = Field(
        description="Time of the reminder, with offset", examples=["2020-05-11T23:59:59+08:00"]
    )


class AdviceEscalated(AdviceFact):
    """The time for the answer is over: the bank's headquarters has to see to it, and may answer itself."""

    TYPE: ClassVar[str] = "advice.escalated.v1"

    escalated_at: AwareDatetime = Field(
        description="The deadline that passed, with offset", examples=["2020-05-13T23:59:59+08:00"]
    )


class AdviceAnswered(AdviceFact):
    """The answer is on record. The question is closed by itself if nobody asks on."""

    TYPE: ClassVar[str] = "advice.answered.v1"

    source: Annotated[str, Field(max_length=200)] = Field(
        description="CloudEvents source of the answering party's system", examples=["//bank/exim-nmg"]
    )
    answer: LongText = _ANSWER
    documents: tuple[Document, ...] = _DOCUMENTS
    given_by: PersonId = _GIVEN_BY
    late: bool = Field(description="Whether it came after the deadline", examples=[False])
    closes_at: AwareDatetime = Field(
        description="When the question is closed if nobody asks on", examples=["2020-06-09T23:59:59+08:00"]
    )
    answered_at: AwareDatetime = Field(
        description="Time of the answer, with offset", examples=["2020-05-11T15:20:00+08:00"]
    )


class AdviceClosed(AdviceFact):
    """The question is closed."""

    TYPE: ClassVar[str] = "advice.closed.v1"

    code: ReasonCode = Field(
        description="Coded reason: settled, referred, no_longer_needed; not_asked_on where the time for that was over",
        examples=["settled"],
    )
    referral_id: ReferralId | None = Field(
        default=None, description="The referral that came of it, where one did", examples=["NMG-2020-000123"]
    )
    answered: bool = Field(description="Whether the last question was answered", examples=[True])
    closed_at: AwareDatetime = Field(
        description="Time of the closing, with offset", examples=["2020-05-14T09:00:00+08:00"]
    )
