"""Notices to partners, at the one address that the directory has of each.

They have no liaison persons and acknowledge nothing. Where a partner can't be reached by mail, the branch of the case
is told: it knows the partner and can call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.envelope import Event, Payload
from schemas.liaison import NoticeDelivered, PartnerNoticeFailed
from schemas.reference import Directory
from schemas.values import Lane
from services.kit.door import Done, EffectResult
from services.liaison.domain.context import LiaisonContext, Pair
from services.liaison.domain.escalation import PARTNER_NOT_REACHED, unnamed
from services.liaison.domain.follow_up import ANSWER_LIMIT, GAVE_UP
from services.liaison.domain.labels import TITLES
from services.liaison.domain.lines import Line, facts_from, same
from services.liaison.domain.notices import Draft, notice_id, queued, queued_for_partner
from services.liaison.domain.recipients import Place, Unit, place_of_case, resolve
from services.liaison.domain.state import File

_FAILURES: Final = {
    "no_address": Pair(
        "名录中没有该合作机构的邮箱地址。",
        "The directory has no address of this partner.",
    ),
    "mail_refused": Pair(
        "邮件被拒收，请核对名录中该合作机构的邮箱地址。",
        "The mail was refused; check the partner's address in the directory.",
    ),
    "attempts_exhausted": Pair(
        "多次尝试后邮件仍未送出，请检查邮件服务。",
        "The mail could not be sent after several attempts; check the mail service.",
    ),
}


class _About(NamedTuple):
    """What the partner was to be told of."""

    partner: str
    template: str
    id: str
    type: str


def tell_partners(
    draft: Draft, partners: Iterable[str], state: File | None, context: LiaisonContext
) -> Iterator[Payload]:
    """One notice to each partner; where the directory has no address of it, one to the branch instead."""
    for code in partners:
        entry = context.directory.partner(code, draft.occurred_at)
        if entry is not None and entry.email is not None:
            yield queued_for_partner(draft, entry, entry.email)
            continue
        id = notice_id(draft.origin, f"partner/{code}")
        yield _failed(id, code, "no_address")
        about = _About(code, draft.template, draft.about_id, draft.about_type)
        yield from _branch_instead(id, about, "no_address", draft.file, draft.occurred_at, state, context)


def decide_partner_sent(state: File | None, event: Event[EffectResult], context: LiaisonContext) -> Iterator[Payload]:
    """The mail server took a notice to a partner; or it never will, and then the branch hears of it."""
    id, outcome, attempts = event.data.effect_id, event.data.outcome, event.data.attempts
    notice = state.partner_notices.get(id) if state is not None else None
    if isinstance(outcome, Done):
        yield NoticeDelivered(notice_id=id, attempts=attempts, answer=outcome.detail[:ANSWER_LIMIT])
    elif notice is not None:
        code = "attempts_exhausted" if outcome.code == GAVE_UP else "mail_refused"
        yield _failed(id, notice.partner, code, attempts, outcome.detail[:ANSWER_LIMIT])
        about = _About(notice.partner, notice.template, notice.about, notice.about_type)
        yield from _branch_instead(id, about, code, event.subject, event.time, state, context)


def _failed(id: str, partner: str, code: str, attempts: int = 0, answer: str = "") -> PartnerNoticeFailed:
    text = _FAILURES[code]
    return PartnerNoticeFailed(
        notice_id=id, partner=partner, code=code, zh=text.zh, en=text.en, attempts=attempts, answer=answer
    )


def _branch_instead(
    id: str, about: _About, code: str, file: str, at: datetime, state: File | None, context: LiaisonContext
) -> Iterator[Payload]:
    case = state.facts if state is not None else None
    place = place_of_case(case) if case is not None else Place()
    persons, missing = resolve((Unit.BRANCH,), place, at, context.directory)
    partner = partner_name(about.partner, at, context.directory)
    values: dict[str, Any] = {
        "file": file,
        "name": same(case.name if case is not None else file),
        "urgent": case is not None and case.lane is Lane.RESUMPTION,
        "title": TITLES[PARTNER_NOT_REACHED],
        "partner": partner,
    }
    lines: list[Line] = [
        ("合作机构", "Partner", partner),
        ("所涉事项", "About", TITLES[about.template]),
        ("原因", "Reason", _FAILURES[code]),
        ("案件编号", "Case", same(file)),
    ]
    draft = Draft(
        origin=f"partner not reached {id}",
        file=file,
        about_id=about.id,
        about_type=about.type,
        occurred_at=at,
        template=PARTNER_NOT_REACHED,
        texts=context.render(PARTNER_NOT_REACHED, values),
        facts=facts_from(lines),
    )
    yield from queued(draft, persons)
    yield from unnamed(draft, missing, case, context)


def partner_name(code: str, on: datetime, directory: Directory) -> Pair:
    """The names of a partner; its code where the directory does not know it."""
    known = directory.partner(code, on)
    return Pair(known.name_zh, known.name_en) if known is not None else same(code)
