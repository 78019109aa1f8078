"""Handing up: what the headquarters are told when a notice found nobody, did not arrive or was not acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from schemas.directory import PersonEntered
from schemas.envelope import Event, Payload
from schemas.liaison import EscalationCode, NoticeEscalated
from schemas.values import Lane
from services.kit.door import Deadline, EffectResult
from services.liaison.domain.context import LiaisonContext, Pair
from services.liaison.domain.labels import TITLES, label, listed, written_deadline
from services.liaison.domain.lines import Line, facts_from, same, zone_name
from services.liaison.domain.notices import Draft, queued, unit_name, unreachable
from services.liaison.domain.recipients import Address, Place, Unit, headquarters, present, resolve
from services.liaison.domain.state import CaseFacts, File, OpenNotice, waiting_for

NO_LIAISON_PERSON: Final = "no_liaison_person"
NOT_DELIVERED: Final = "not_delivered"
NOT_ACKNOWLEDGED: Final = "not_acknowledged"
PARTNER_NOT_REACHED: Final = "partner_not_reached"
TEMPLATES: Final = (NO_LIAISON_PERSON, NOT_DELIVERED, NOT_ACKNOWLEDGED, PARTNER_NOT_REACHED)
"""Templates beside those of the routing table."""

_BOTH: Final = (Unit.COMMERCE_HQ, Unit.BANK_HQ)
_NOWHERE: Final = Place()


def unnamed(draft: Draft, missing: list[Address], case: CaseFacts | None, context: LiaisonContext) -> Iterator[Payload]:
    """Units that name nobody: recorded as such; the headquarters of their side get the notice instead."""
    yield from (unreachable(draft.origin, address) for address in missing)
    leaderless = [address for address in missing if address == headquarters(address.side)]
    sides = sorted({address.side for address in missing if address not in leaderless})
    for side in sides:
        units = listed(unit_name(address) for address in missing if address.side is side)
        values = _values(case, draft.file, NO_LIAISON_PERSON, units=units)
        up = replace(
            draft,
            origin=f"unnamed {draft.origin}",
            template=NO_LIAISON_PERSON,
            texts=context.render(NO_LIAISON_PERSON, values),
            facts=(*facts_from([("缺少联系人", "Nobody is named for", units)]), *draft.facts)[:30],
            level=1,
            acknowledge_by=None,
            provisional=False,
        )
        at_headquarters = context.directory.headquarters(side, draft.occurred_at)
        leaders = present(at_headquarters, draft.occurred_at, context.directory)
        yield from queued(up, leaders)
        if not leaders and headquarters(side) not in leaderless:
            yield unreachable(up.origin, headquarters(side))


def not_delivered(state: File, id: str, event: Event[EffectResult], context: LiaisonContext) -> Iterator[Payload]:
    """A mail was refused for good: both headquarters are told."""
    notice = state.notices[id]
    return _hand_up(state, {id: notice}, event, f"not delivered {id}", EscalationCode.NOT_DELIVERED, context)


def not_acknowledged(state: File, event: Event[Deadline], context: LiaisonContext) -> Iterator[Payload]:
    """Time ran out: every notice of one event that nobody acknowledged goes up; both headquarters are told once."""
    late = waiting_for(state, event.data)
    if not late:
        return iter(())
    origin = f"not acknowledged {event.data.name}"
    return _hand_up(state, late, event, origin, EscalationCode.NOT_ACKNOWLEDGED, context)


def _hand_up(
    state: File,
    notices: dict[str, OpenNotice],
    event: Event[Any],
    origin: str,
    code: EscalationCode,
    context: LiaisonContext,
) -> Iterator[Payload]:
    leaders, missing = resolve(_BOTH, _NOWHERE, event.time, context.directory)
    for id, notice in notices.items():
        yield _escalated(id, notice, code, leaders)
    first = next(iter(notices.values()))
    names = [_person(notice, event.time, context) for notice in notices.values()]
    draft = Draft(
        origin=origin,
        file=event.subject,
        about_id=first.about,
        about_type=first.about_type,
        occurred_at=event.time,
        template=code.value,
        texts=context.render(code.value, _values(state.facts, event.subject, code.value, persons=listed(names))),
        facts=facts_from(_lines(state.facts, event, first, names, context)),
        level=1,
    )
    yield from queued(draft, leaders)
    yield from (unreachable(origin, address) for address in missing)


def _escalated(id: str, notice: OpenNotice, code: EscalationCode, leaders: Iterable[PersonEntered]) -> NoticeEscalated:
    return NoticeEscalated(
        notice_id=id,
        person_id=notice.person,
        side=notice.side,
        code=code,
        acknowledge_by=notice.due,
        to=tuple(leader.code for leader in leaders),
    )


def _values(case: CaseFacts | None, file: str, template: str, **more: Pair) -> dict[str, object]:
    return {
        "file": file,
        "name": same(case.name if case is not None else file),
        "urgent": case is not None and case.lane is Lane.RESUMPTION,
        "title": TITLES[template],
        **more,
    }


def _lines(
    case: CaseFacts | None, event: Event[Any], notice: OpenNotice, names: list[Pair], context: LiaisonContext
) -> Iterator[Line]:
    yield "联系人", "Liaison persons", listed(names)
    yield "所涉事项", "About", TITLES[notice.template]
    if notice.due is not None:
        yield "确认截止", "Acknowledgement was due", written_deadline(notice.due, provisional=False)
    yield "档案编号", "File", same(event.subject)
    if case is not None:
        yield "名称", "Name", same(case.name)
        yield "合作区", "Zone", zone_name(case.zone, event.time, context.directory)
        yield "通道", "Lane", label(case.lane)


def _person(notice: OpenNotice, on: datetime, context: LiaisonContext) -> Pair:
    side, role = label(notice.side), label(notice.role)
    known = context.directory.person(notice.person, on)
    name = Pair(known.name_zh, known.name_en) if known is not None else same(notice.person)
    return Pair(f"{name.zh}（{side.zh}·{role.zh}）", f"{name.en} ({side.en}, {role.en})")
