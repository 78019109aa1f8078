"""Refusals of screening: what each code says to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.envelope import Event
from schemas.screening import RefusalCode, ScreeningRefused
from schemas.values import side_of

_TEXTS: Final[Mapping[RefusalCode, tuple[str, str]]] = {
    RefusalCode.ALREADY_OPEN: (
        "该推荐已进入共同筛选，不能重复开始；如需变更请提交修改。",
        "This referral is already in joint screening; it cannot be opened again. Submit an amendment to change it.",
    ),
    RefusalCode.ALREADY_HELD: (
        "该冻结已对本案生效，无需重复。",
        "This hold already stands on the case; it need not be set again.",
    ),
    RefusalCode.NOT_HELD: (
        "本案没有这项冻结，无需解除。",
        "This hold does not stand on the case; there is nothing to release.",
    ),
    RefusalCode.SECOND_OPINION: (
        "本方已就本案发表意见，不能再次发表。",
        "This side has already given its opinion on the case; it cannot give another.",
    ),
    RefusalCode.AFTER_DEADLINE: (
        "意见在截止时间之后发表，不予采纳；可在修复后重新推荐。",
        "The opinion was given after the deadline and does not count; the matter may be referred again.",
    ),
    RefusalCode.WRONG_PARTY: (
        "名录显示发表人属于另一方；请由本方人员发表意见。",
        "The directory names this person for the other side; have a person of your own side give the opinion.",
    ),
    RefusalCode.CLOSED: (
        "本案的共同筛选已结束，不再受理；可重新推荐。",
        "Joint screening of this case has ended; nothing more can be done to it here. It may be referred again.",
    ),
}


def refuse(event: Event[Any], code: RefusalCode) -> ScreeningRefused:
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
