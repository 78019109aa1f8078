"""The file: what liaison has to remember of one case (or zone) to tell people about it and to hear them.

Settled notices are counted and forgotten, but for who acknowledged which one: a repeat must be known as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from schemas.directory import PersonRole
from schemas.envelope import Payload
from schemas.liaison import (
    NoticeAcknowledged,
    NoticeDelivered,
    NoticeEscalated,
    NoticeFailed,
    NoticeFileOpened,
    NoticeQueued,
    PartnerNoticeFailed,
    PartnerNoticeQueued,
)
from schemas.values import Lane, Side
from services.kit.door import Deadline

_DEADLINE = "acknowledgement:"


class Stage(StrEnum):
    """How far a notice that is still remembered has come."""

    WAITING = "waiting"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What registration said about the case."""

    name: str
    zone: str
    province: str
    branch: str
    lane: Lane
    side: Side
    source: str


@dataclass(frozen=True, slots=True)
class OpenNotice:
    """A notice whose mail is on its way, or whose acknowledgement is wanted (`due` set), or both."""

    person: str
    side: Side
    role: PersonRole
    template: str
    about: str
    about_type: str
    level: int
    due: datetime | None
    sent: bool = False
    stage: Stage = Stage.WAITING

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come: the mail's fate is known, and an acknowledgement wanted has been given."""
        return self.sent and (self.due is None or self.stage is Stage.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class PartnerNotice:
    """A notice to a partner whose mail is on its way."""

    partner: str
    template: str
    about: str
    about_type: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many notices of the file came how far."""

    queued: int = 0
    delivered: int = 0
    failed: int = 0
    acknowledged: int = 0
    escalated: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """One case, zone, plan or question: `facts` where it is a case, `notices` and `partner_notices` not settled yet,
    `acknowledged` notice id → person id.
    """

    facts: CaseFacts | None = None
    notices: dict[str, OpenNotice] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    partner_notices: dict[str, PartnerNotice] = field(default_factory=dict)


def evolve(state: File | None, payload: Payload) -> File:
    """The file after one of its own records."""
    file = state if state is not None else File()
    match payload:
        case NoticeFileOpened():
            return replace(file, facts=case_from(payload))
        case NoticeQueued():
            return _queued(file, payload)
        case PartnerNoticeQueued():
            return _queued_for_partner(file, payload)
        case NoticeDelivered():
            return _with(_without(file, payload.notice_id), payload.notice_id, sent=True, delivered=1)
        case PartnerNoticeFailed():
            return _with(_without(file, payload.notice_id), payload.notice_id, failed=1)
        case NoticeFailed():
            return _with(file, payload.notice_id, sent=True, failed=1)
        case NoticeEscalated():
            return _with(file, payload.notice_id, stage=Stage.ESCALATED, escalated=1)
        case NoticeAcknowledged():
            known = {**file.acknowledged, payload.notice_id: payload.person_id}
            after = _with(file, payload.notice_id, stage=Stage.ACKNOWLEDGED, acknowledged=1)
            return replace(after, acknowledged=known)
        case _:
            return file


def deadlines(state: File) -> Iterable[Deadline]:
    """One deadline for each event whose notices wait to be acknowledged: the headquarters are told once of each."""
    waiting = {notice.about: notice.due for notice in state.notices.values() if is_waiting(notice)}
    return [Deadline(f"{_DEADLINE}{about}", due) for about, due in waiting.items() if due is not None]


def is_waiting(notice: OpenNotice) -> bool:
    """Whether the acknowledgement of this notice is wanted and its time has not run out."""
    return notice.due is not None and notice.stage is Stage.WAITING


def waiting_for(state: File, deadline: Deadline) -> dict[str, OpenNotice]:
    """The notices whose time ran out with this deadline, by notice id."""
    about = deadline.name.removeprefix(_DEADLINE)
    return {id: notice for id, notice in state.notices.items() if is_waiting(notice) and notice.about == about}


def case_from(opened: NoticeFileOpened) -> CaseFacts:
    """The case as its file keeps it."""
    return CaseFacts(
        name=opened.name,
        zone=opened.zone,
        province=opened.province,
        branch=opened.branch,
        lane=opened.lane,
        side=opened.side,
        source=opened.source,
    )


def _queued(file: File, queued: NoticeQueued) -> File:
    notice = OpenNotice(
        person=queued.person_id,
        side=queued.side,
        role=queued.role,
        template=queued.template,
        about=queued.about_id,
        about_type=queued.about_type,
        level=queued.level,
        due=queued.acknowledge_by,
    )
    tally = replace(file.tally, queued=file.tally.queued + 1)
    return replace(file, notices={**file.notices, queued.notice_id: notice}, tally=tally)


def _queued_for_partner(file: File, queued: PartnerNoticeQueued) -> File:
    notice = PartnerNotice(queued.partner, queued.template, queued.about_id, queued.about_type)
    tally = replace(file.tally, queued=file.tally.queued + 1)
    return replace(file, partner_notices={**file.partner_notices, queued.notice_id: notice}, tally=tally)


def _without(file: File, notice_id: str) -> File:
    """The file once the fate of a notice to a partner is known."""
    if notice_id not in file.partner_notices:
        return file
    return replace(file, partner_notices={id: one for id, one in file.partner_notices.items() if id != notice_id})


def _with(
    file: File,
    notice_id: str,
    *,
    sent: bool = False,
    stage: Stage | None = None,
    delivered: int = 0,
    failed: int = 0,
    acknowledged: int = 0,
    escalated: int = 0,
) -> File:
    tally = Tally(
        file.tally.queued,
        file.tally.delivered + delivered,
        file.tally.failed + failed,
        file.tally.acknowledged + acknowledged,
        file.tally.escalated + escalated,
    )
    notice = file.notices.get(notice_id)
    if notice is None:
        return replace(file, tally=tally)
    after = replace(notice, sent=notice.sent or sent, stage=stage or notice.stage)
    others = {id: one for id, one in file.notices.items() if id != notice_id}
    return replace(file, notices=others if after.settled else {**file.notices, notice_id: after}, tally=tally)
