"""Liaison: notices to named persons of both sides, their delivery, acknowledgement and escalation.

A *file* is what notices belong to: a case (its key is the referral id), or whatever else is spoken of on the same
topics (a zone by its code, an enterprise by its credit code). The file's key is the record key of every event here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, StringConstraints

from schemas.directory import EmailAddress, EntryName, PersonRole
from schemas.envelope import Model, Payload
from schemas.values import (
    BranchCode,
    Lane,
    LongText,
    PartnerCode,
    PersonId,
    ProvinceCode,
    ReasonCode,
    ShortText,
    Side,
    ZoneCode,
    unit,
)

NoticeId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
"""Id of one notice to one person: a UUID made from what the notice is about and whom it goes to."""

FileKey = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""Referral id, zone code or other key of what the notices of a file are about.

Any key that an event can have: a referral may be rejected for the very form of its id, and its party is told so.
"""

NoticeText = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
"""Text of a notice in one language: paragraphs parted by empty lines."""

EntryKey = Annotated[str, StringConstraints(min_length=1, max_length=200)]
"""Version of a directory entry, `<kind>/<code>@<valid_from>`."""

_NOTICE_ID = "5d0c3c1e-6a55-5f0e-9a3f-0f6a0c0e4b11"


class FailureCode(StrEnum):
    """Why a notice did not reach anyone."""

    NO_LIAISON_PERSON = "no_liaison_person"
    MAIL_REFUSED = "mail_refused"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"


class EscalationCode(StrEnum):
    """Why a notice was handed up to the headquarters."""

    NOT_ACKNOWLEDGED = "not_acknowledged"
    NOT_DELIVERED = "not_delivered"


class NoticeRefusalCode(StrEnum):
    """Why an acknowledgement was not taken."""

    UNKNOWN_NOTICE = "unknown_notice"
    WRONG_PERSON = "wrong_person"
    WRONG_SIDE = "wrong_side"


class NoticeFact(Model):
    """One line of the facts beneath a notice's text, in both languages."""

    label_zh: ShortText = Field(description="What the line tells, in Chinese", examples=["合作区"])
    label_en: ShortText = Field(description="What the line tells, in English", examples=["Zone"])
    value_zh: LongText = Field(description="The value in Chinese", examples=["满洲里边境经济合作区"])
    value_en: LongText = Field(
        description="The value in English", examples=["Manzhouli Border Economic Cooperation Zone"]
    )


class NoticeFileOpened(Payload):
    """A case has its file: from now on notices about it know zone, province, branch and lane."""

    TYPE = "notice.file_opened.v1"

    name: ShortText = Field(description="Name of what is recommended", examples=["满洲里示例木业有限公司"])
    zone: ZoneCode = Field(description="Cooperation zone of the case", examples=["manzhouli"])
    province: ProvinceCode = Field(description="Province of the zone (GB/T 2260, two digits)", examples=["15"])
    branch: BranchCode = Field(description="Branch that serves the case", examples=["exim-nmg"])
    lane: Lane = Field(description="Lane of the case; it decides the time for acknowledging", examples=["ordinary"])
    side: Side = Field(description="Side that referred", examples=["commerce"])
    source: str = Field(
        description="CloudEvents source of the referring party", examples=["//commerce/15"], max_length=200
    )


_FILE: Final = Field(description="File it belongs to; also the record key", examples=["NMG-2020-000123"])
_ABOUT_ID: Final = Field(
    min_length=1,
    max_length=256,
    description="Id of the event it is about",
    examples=["0171c6f0-7d6c-7b1e-8a52-3f1c2f6f0a11"],
)
_ABOUT_TYPE: Final = Field(
    min_length=1,
    max_length=100,
    description="Type of the event it is about",
    examples=["referral.registered.v1"],
)
_OCCURRED_AT: Final = Field(
    description="When that happened, with offset; the date of the mail", examples=["2020-04-01T09:30:00+08:00"]
)
_SUBJECT_ZH: Final = Field(description="Subject line in Chinese", examples=["新登记案件：满洲里示例木业有限公司"])
_SUBJECT_EN: Final = Field(
    description="Subject line in English", examples=["New case registered: 满洲里示例木业有限公司"]
)
_TEXT_ZH: Final = Field(description="Text in Chinese", examples=["商务侧推荐的案件已登记，请双方联系人取得联系。"])
_TEXT_EN: Final = Field(
    description="Text in English",
    examples=["A case recommended by the commerce side is registered; please get in touch with your counterpart."],
)
_FACTS: Final = Field(
    max_length=30,
    description="Facts beneath the text, in the order in which they are shown",
    examples=[
        [
            {
                "label_zh": "合作区",
                "label_en": "Zone",
                "value_zh": "满洲里边境经济合作区",
                "value_en": "Manzhouli Border Economic Cooperation Zone",
            }
        ]
    ],
)


class NoticeQueued(Payload):
    """A notice to one person is ready to be sent; it carries all that the mail needs."""

    TYPE = "notice.queued.v1"

    notice_id: NoticeId = Field(description="Id of the notice", examples=[_NOTICE_ID])
    file: FileKey = _FILE
    about_id: str = _ABOUT_ID
    about_type: str = _ABOUT_TYPE
    occurred_at: AwareDatetime = _OCCURRED_AT
    template: ReasonCode = Field(description="Name of the text's template", examples=["case_registered"])
    level: int = Field(
        ge=0,
        le=1,
        description="0: to the persons in charge, 1: handed up to the headquarters",
        examples=[0],
        json_schema_extra=unit("steps up"),
    )
    person_id: PersonId = Field(description="Whom it goes to", examples=["zone-manzhouli"])
    person_entry: EntryKey = Field(
        description="Version of the directory entry that was used", examples=["person/zone-manzhouli@2020-01-01"]
    )
    side: Side = Field(description="Side of the person", examples=["commerce"])
    role: PersonRole = Field(description="Kind of unit the person stands for", examples=["zone"])
    name_zh: EntryName = Field(description="Name of the person in Chinese", examples=["高原"])
    name_en: EntryName = Field(description="Name of the person in English", examples=["Gao Yuan"])
    email: EmailAddress = Field(description="Address it goes to", examples=["manzhouli@zones.liaison.example"])
    acknowledge_by: AwareDatetime | None = Field(
        default=None,
        description="By when it has to be acknowledged, with offset; absent: it need not be",
        examples=["2020-04-03T09:30:00+08:00"],
    )
    provisional: bool = Field(
        default=False,
        description="True where that moment was counted without an official calendar of working days",
        examples=[False],
    )
    subject_zh: ShortText = _SUBJECT_ZH
    subject_en: ShortText = _SUBJECT_EN
    text_zh: NoticeText = _TEXT_ZH
    text_en: NoticeText = _TEXT_EN
    facts: tuple[NoticeFact, ...] = _FACTS


class PartnerNoticeQueued(Payload):
    """A notice to a partner is ready to be sent. It carries no more of the enterprise than the invitation does."""

    TYPE = "notice.partner_queued.v1"

    notice_id: NoticeId = Field(description="Id of the notice", examples=[_NOTICE_ID])
    file: FileKey = _FILE
    about_id: str = _ABOUT_ID
    about_type: str = _ABOUT_TYPE
    occurred_at: AwareDatetime = _OCCURRED_AT
    template: ReasonCode = Field(description="Name of the text's template", examples=["partner_invited"])
    partner: PartnerCode = Field(description="Whom it goes to", examples=["frontier-guarantee"])
    partner_entry: EntryKey = Field(
        description="Version of the directory entry that was used",
        examples=["partner/frontier-guarantee@2020-01-01"],
    )
    name_zh: EntryName = Field(description="Name of the partner in Chinese", examples=["边疆融资担保基金"])
    name_en: EntryName = Field(description="Name of the partner in English", examples=["Frontier Guarantee Fund"])
    email: EmailAddress = Field(description="Address it goes to", examples=["desk@guarantee.example"])
    subject_zh: ShortText = _SUBJECT_ZH
    subject_en: ShortText = _SUBJECT_EN
    text_zh: NoticeText = _TEXT_ZH
    text_en: NoticeText = _TEXT_EN
    facts: tuple[NoticeFact, ...] = _FACTS


class PartnerNoticeFailed(Payload):
    """A partner was not reached: the directory has no address for it, or the mail was refused for good."""

    TYPE = "notice.partner_failed.v1"

    notice_id: NoticeId = Field(description="Id of the notice", examples=[_NOTICE_ID])
    partner: PartnerCode = Field(description="Partner that should have been told", examples=["frontier-guarantee"])
    code: ReasonCode = Field(
        description="Coded reason: no_address, mail_refused or attempts_exhausted", examples=["no_address"]
    )
    zh: LongText = Field(
        description="What is wrong and what to do, in Chinese",
        examples=["名录中没有该合作机构的邮箱地址，请分行以其他方式告知。"],
    )
    en: LongText = Field(
        description="What is wrong and what to do, in English",
        examples=["The directory has no address of this partner; the branch should tell it by other means."],
    )
    attempts: int = Field(
        default=0, ge=0, description="How often sending was tried", examples=[0], json_schema_extra=unit("attempts")
    )
    answer: str = Field(
        default="", max_length=500, description="What the mail server answered", examples=["550 no such mailbox"]
    )


class NoticeDelivered(Payload):
    """The mail server took the notice."""

    TYPE = "notice.delivered.v1"

    notice_id: NoticeId = Field(description="Id of the notice", examples=[_NOTICE_ID])
    attempts: int = Field(
        ge=1, description="How often sending was tried", examples=[1], json_schema_extra=unit("attempts")
    )
    answer: str = Field(default="", max_length=500, description="What the mail server answered", examples=["250 OK"])


class NoticeFailed(Payload):
    """A notice reaches nobody: there is no person to send it to, or the mail was refused for good."""

    TYPE = "notice.failed.v1"

    notice_id: NoticeId = Field(
        description="Id of the notice; made from the unit where there is no person", examples=[_NOTICE_ID]
    )
    code: FailureCode = Field(description="Coded reason", examples=["no_liaison_person"])
    zh: LongText = Field(
        description="What is wrong and what to do, in Chinese",
        examples=["名录中没有合作区 manzhouli 的联系人，请总部补充。"],
    )
    en: LongText = Field(
        description="What is wrong and what to do, in English",
        examples=["The directory has no liaison person for zone manzhouli; the headquarters should enter one."],
    )
    side: Side = Field(description="Side that should have been told", examples=["commerce"])
    role: PersonRole = Field(description="Kind of unit that should have been told", examples=["zone"])
    unit_code: str = Field(
        default="",
        max_length=64,
        description="Code of that unit; empty for the headquarters, or where no unit is known",
        examples=["manzhouli"],
    )
    person_id: PersonId | None = Field(
        default=None, description="Whom the mail was for; absent where nobody was found", examples=["zone-manzhouli"]
    )
    attempts: int = Field(
        default=0, ge=0, description="How often sending was tried", examples=[0], json_schema_extra=unit("attempts")
    )
    answer: str = Field(
        default="", max_length=500, description="What the mail server answered", examples=["550 no such mailbox"]
    )


class NoticeAcknowledged(Payload):
    """The person confirmed to have taken note."""

    TYPE = "notice.acknowledged.v1"

    notice_id: NoticeId = Field(description="Id of the notice", examples=[_NOTICE_ID])
    person_id: PersonId = Field(description="Who acknowledged", examples=["zone-manzhouli"])
    side: Side = Field(description="Side of the person", examples=["commerce"])
    acknowledged_at: AwareDatetime = Field(description="When, with offset", examples=["2020-04-02T10:05:00+08:00"])
    late: bool = Field(description="True where it had been handed up to the headquarters before", examples=[False])


class NoticeEscalated(Payload):
    """Nobody acknowledged in time, or the mail was refused: the headquarters of both sides are told."""

    TYPE = "notice.escalated.v1"

    notice_id: NoticeId = Field(description="Id of the notice", examples=[_NOTICE_ID])
    person_id: PersonId = Field(description="Who should have acknowledged", examples=["zone-manzhouli"])
    side: Side = Field(description="Side of the person", examples=["commerce"])
    code: EscalationCode = Field(description="Coded reason", examples=["not_acknowledged"])
    acknowledge_by: AwareDatetime | None = Field(
        default=None,
        description="By when it should have been acknowledged, with offset; absent: it need not be",
        examples=["2020-04-03T09:30:00+08:00"],
    )
    to: tuple[PersonId, ...] = Field(
        max_length=100,
        description="Persons at the headquarters who are told; empty where the directory has none",
        examples=[["hq-bank", "hq-commerce"]],
    )


class NoticeRefused(Payload):
    """An acknowledgement was not taken. Nothing has changed."""

    TYPE = "notice.refused.v1"

    notice_id: NoticeId = Field(description="Id of the notice as given", examples=[_NOTICE_ID])
    person_id: PersonId = Field(description="Person as given", examples=["zone-heihe"])
    code: NoticeRefusalCode = Field(description="Coded reason", examples=["wrong_person"])
    zh: LongText = Field(
        description="What is wrong and what to do, in Chinese",
        examples=["该通知发给了其他联系人，请由收件人本人确认。"],
    )
    en: LongText = Field(
        description="What is wrong and what to do, in English",
        examples=["The notice went to another person; only its recipient can acknowledge it."],
    )


class NoticeAcknowledgementSubmitted(Payload):
    """A person confirms to have taken note. The source's side must be the person's; the record key is the file's."""

    TYPE = "notice.acknowledgement_submitted.v1"

    notice_id: NoticeId = Field(description="Id of the notice, as the mail gives it", examples=[_NOTICE_ID])
    person_id: PersonId = Field(description="Who acknowledges", examples=["zone-manzhouli"])
