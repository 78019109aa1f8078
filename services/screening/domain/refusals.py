"""Refusals of screening: the codes, and what each says to people."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from schemas.envelope import Event
from schemas.screening import ScreeningRefused
from schemas.values import side_of


class Code(StrEnum):
    """Why screening refuses an input."""

    ALREADY_OPEN = "already_open"
    ALREADY_HELD = "already_held"
    NOT_HELD = "not_held"
    WRONG_PARTY = "wrong_party"
    SAME_PERSON = "same_person"
    PERSON_ABSENT = "person_absent"
    NOT_DEPUTY = "not_deputy"
    DRAFT_WAITS = "draft_waits"
    NO_SUCH_DRAFT = "no_such_draft"
    SECOND_OPINION = "second_opinion"
    AFTER_DEADLINE = "after_deadline"
    ALREADY_EXTENDED = "already_extended"
    CLOCK_STOPPED = "clock_stopped"
    NOT_AWAITED = "not_awaited"
    SECOND_OUTCOME = "second_outcome"
    NOT_IN_CONFERENCE = "not_in_conference"
    CLOSED = "closed"


_TEXTS: Final[Mapping[Code, tuple[str, str]]] = {
    Code.ALREADY_OPEN: (
        "该推荐已进入共同筛选，不能重复开始；如需变更请提交修改。",
        "This referral is already in joint screening; it cannot be opened again. Submit an amendment to change it.",
    ),
    Code.ALREADY_HELD: (
        "该冻结已对本案生效，无需重复。",
        "This hold already stands on the case; it need not be set again.",
    ),
    Code.NOT_HELD: (
        "本案没有这项冻结，无需解除。",
        "This hold does not stand on the case; there is nothing to release.",
    ),
    Code.WRONG_PARTY: (
        "来源或人员不属于可以办理此事的一方；意见由本方人员发表，会商结果由双方总部系统报送。",
        "This source or person is not of the party that may do this: opinions come from a side's own persons, "
        "conference outcomes from the systems of the two headquarters.",
    ),
    Code.SAME_PERSON: (
        "意见须由本方另一人复核，发表人不能复核自己的意见。",
        "Another person of your side has to check the opinion; its maker cannot.",
    ),
    Code.PERSON_ABSENT: (
        "名录显示该人员当日外出；请由其代理人办理，并在 on_behalf_of 中注明。",
        "The directory says that this person is away on that day; have the deputy do it and name the person in "
        "on_behalf_of.",
    ),
    Code.NOT_DEPUTY: (
        "名录未登记其当日代理该人员；请由登记的代理人办理，或先更新名录。",
        "The directory does not name this person as the other's deputy on that day; have the deputy do it, or enter "
        "the absence first.",
    ),
    Code.DRAFT_WAITS: (
        "本方已有一份意见待复核；请先确认或退回，再发表新的意见。",
        "An opinion of your side waits for its checker; confirm or return it before giving another.",
    ),
    Code.NO_SUCH_DRAFT: (
        "本方没有这份待复核的意见；请核对意见编号，它可能已确认、已退回或未被受理。",
        "No such opinion of your side waits for a checker; look at the opinion's id: it may have been confirmed, "
        "returned or refused.",
    ),
    Code.SECOND_OPINION: (
        "本方已就本案发表意见，不能再次发表。",
        "This side has already given its opinion on the case; it cannot give another.",
    ),
    Code.AFTER_DEADLINE: (
        "已过截止时间，不予采纳；可在修复后重新推荐。",
        "This came after the deadline and does not count; the matter may be referred again.",
    ),
    Code.ALREADY_EXTENDED: (
        "本案期限已延长过一次，不能再次延长；请在截止时间前发表意见。",
        "The time for this case was extended once already; give the opinion by the deadline.",
    ),
    Code.CLOCK_STOPPED: (
        "本案冻结期间不计时，无需延期；解除冻结后如仍需要再申请。",
        "While the case is held no time runs; ask again after the release if more is still needed.",
    ),
    Code.NOT_AWAITED: (
        "双方意见均已提交，无需延期。",
        "Both sides have spoken; there is nothing to wait for longer.",
    ),
    Code.SECOND_OUTCOME: (
        "本方总部已报送会商结果，不能再次报送。",
        "This headquarters has already given its outcome of the conference; it cannot give another.",
    ),
    Code.NOT_IN_CONFERENCE: (
        "本案未提请总部会商，或会商已结束，不受理会商结果。",
        "No conference sits on this case, or it is over; an outcome cannot be taken.",
    ),
    Code.CLOSED: (
        "本案的共同筛选已结束，不再受理；可重新推荐。",
        "Joint screening of this case has ended; nothing more can be done to it here. It may be referred again.",
    ),
}


def refuse(event: Event[Any], code: Code) -> ScreeningRefused:
    """The answer to an input that the case, or the party, does not allow."""
    zh, en = _TEXTS[code]
    return ScreeningRefused(
        referral_id=event.subject,
        refused_type=event.type,
        refused_id=event.id,
        side=side_of(event.source),
        code=code,
        zh=zh,
        en=en,
        refused_at=event.time,
    )
