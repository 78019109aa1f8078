"""Notices: one to each person who is to be told, and what is recorded where there is nobody to tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from schemas.directory import PartnerEntered, PersonEntered, PersonRole
from schemas.envelope import Payload
from schemas.liaison import FailureCode, NoticeFact, NoticeFailed, NoticeQueued, PartnerNoticeQueued
from services.liaison.domain.context import Pair, Texts
from services.liaison.domain.labels import label
from services.liaison.domain.recipients import Address

_NAMESPACE: Final = UUID("8a4d5e5c-5a0e-5a7b-9c39-0d1f2f8f7c11")
_SUBJECT_LIMIT: Final = 200
_TEXT_LIMIT: Final = 4000


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice before it has a recipient. `origin` is what its id is made from, beside the person's id."""

    origin: str
    file: str
    about_id: str
    about_type: str
    occurred_at: datetime
    template: str
    texts: Texts
    facts: tuple[NoticeFact, ...]
    level: int = 0
    acknowledge_by: datetime | None = None
    provisional: bool = False


def notice_id(origin: str, recipient: str) -> str:
    """The id of the notice about `origin` to a person (or unit): the same again whenever it is made again."""
    return str(uuid5(_NAMESPACE, f"{origin} {recipient}"))


def queued(draft: Draft, persons: Iterable[PersonEntered]) -> Iterator[Payload]:
    """One notice to each person. The headquarters are never asked to acknowledge: nobody stands above them."""
    for person in persons:
        asked = person.role is not PersonRole.HEADQUARTERS
        yield NoticeQueued(
            notice_id=notice_id(draft.origin, person.code),
            file=draft.file,
            about_id=draft.about_id,
            about_type=draft.about_type,
            occurred_at=draft.occurred_at,
            template=draft.template,
            level=draft.level,
            person_id=person.code,
            person_entry=person.entry_key,
            side=person.side,
            role=person.role,
            name_zh=person.name_zh,
            name_en=person.name_en,
            email=person.email,
            acknowledge_by=draft.acknowledge_by if asked else None,
            provisional=draft.provisional and asked,
            subject_zh=_one_line(draft.texts.subject.zh),
            subject_en=_one_line(draft.texts.subject.en),
            text_zh=_fit(draft.texts.text.zh, _TEXT_LIMIT),
            text_en=_fit(draft.texts.text.en, _TEXT_LIMIT),
            facts=draft.facts,
        )


def queued_for_partner(draft: Draft, partner: PartnerEntered, email: str) -> PartnerNoticeQueued:
    """The notice to a partner, at its address."""
    return PartnerNoticeQueued(
        notice_id=notice_id(draft.origin, f"partner/{partner.code}"),
        file=draft.file,
        about_id=draft.about_id,
        about_type=draft.about_type,
        occurred_at=draft.occurred_at,
        template=draft.template,
        partner=partner.code,
        partner_entry=partner.entry_key,
        name_zh=partner.name_zh,
        name_en=partner.name_en,
        email=email,
        subject_zh=_one_line(draft.texts.subject.zh),
        subject_en=_one_line(draft.texts.subject.en),
        text_zh=_fit(draft.texts.text.zh, _TEXT_LIMIT),
        text_en=_fit(draft.texts.text.en, _TEXT_LIMIT),
        facts=draft.facts,
    )


def unreachable(origin: str, address: Address) -> NoticeFailed:
    """The record of a notice that has nobody to go to."""
    where = unit_name(address)
    return NoticeFailed(
        notice_id=notice_id(origin, f"{address.side}/{address.role}/{address.code}"),
        code=FailureCode.NO_LIAISON_PERSON,
        zh=f"名录中没有{where.zh}的联系人，请该侧总部在名录中补充。",
        en=f"The directory names no liaison person for {where.en}; the headquarters of that side should enter one.",
        side=address.side,
        role=address.role,
        unit_code=address.code,
    )


def unit_name(address: Address) -> Pair:
    """A unit in words: 商务侧合作区 manzhouli / commerce side, zone manzhouli."""
    side, role = label(address.side), label(address.role)
    code = f" {address.code}" if address.code else ""
    return Pair(f"{side.zh}{role.zh}{code}", f"the {side.en}, {role.en}{code}")


def _one_line(text: str) -> str:
    return _fit(" ".join(text.split()), _SUBJECT_LIMIT)


def _fit(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
