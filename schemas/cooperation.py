"""Cooperation: what all that it answers has in common."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime, Field

from schemas.envelope import Payload
from schemas.opinion import EventId
from schemas.screening import EventType
from schemas.values import LongText, ReasonCode, ReferralId, Side, ZoneCode


class CooperationRefused(Payload):
    """Something asked of cooperation cannot be done now, or not by this party. Nothing has changed."""

    TYPE: ClassVar[str] = "cooperation.refused.v1"

    zone: ZoneCode | None = Field(
        default=None, description="Zone concerned; absent where none is known", examples=["manzhouli"]
    )
    refused_type: EventType = Field(
        description="Type of the event that was refused", examples=["plan.part_submitted.v1"]
    )
    refused_id: EventId = Field(description="Id of the event that was refused", examples=["mofcom-15-000007"])
    source: str = Field(
        max_length=200,
        description="CloudEvents source of the system that sent it",
        examples=["//commerce/15"],
    )
    side: Side | None = Field(
        default=None, description="Side that sent it; absent where it is neither", examples=["commerce"]
    )
    referral_id: ReferralId | None = Field(
        default=None,
        description="Case concerned, where the subject of the event is something else",
        examples=["NMG-2020-000123"],
    )
    code: ReasonCode = Field(description="Coded reason", examples=["unknown_zone"])
    zh: LongText = Field(
        description="What is wrong and what to do, in Chinese", examples=["名录中当日没有该合作区，请核对代码。"]
    )
    en: LongText = Field(
        description="What is wrong and what to do, in English",
        examples=["The directory knows no such zone on that day; check the code."],
    )
    refused_at: AwareDatetime = Field(
        description="Time of the refused event, with offset", examples=["2020-05-06T10:00:00+08:00"]
    )
