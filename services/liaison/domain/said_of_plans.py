"""What notices tell of zone plans, of enterprises that look for a zone, and of policy bulletins."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from schemas.bulletin import BulletinMatched
from schemas.cooperation import CooperationRefused
from schemas.matchmaking import MatchTakenUp, MatchTurnedDown, WishClosed, WishMatched, WishUnmatched
from schemas.plan import PlanItem, PlanLateMarked, PlanPartFact, PlanPartRecorded, PlanPartReplaced, PlanSignedOff
from schemas.values import FinancingNeed, Industry, KeyArea, Ownership, SizeClass
from schemas.work_plan import WorkPlanActionLate, WorkPlanOpened
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import label, label_of, listed, written_day, written_moment
from services.liaison.domain.lines import SHOWN, Facts, FactsOf, ValuesOf, refused, same

_ACTIONS_SHOWN: Final = 20
_LOOKED_AT: Final[Mapping[str, tuple[tuple[str, str], type[StrEnum] | None]]] = {
    "industry": (("行业", "industry"), Industry),
    "size_class": (("规模", "size"), SizeClass),
    "ownership": (("所有制", "owner"), Ownership),
    "province": (("省份", "province"), None),
    "zone": (("合作区", "zone"), None),
    "need": (("融资需求", "financing need"), FinancingNeed),
    "key_area": (("重点领域", "key area"), KeyArea),
    "for_all": (("适用范围", "whom it fits"), None),
}
"""What a bulletin looks at, what that is called, and which codes its values are."""


def _part(payload: PlanPartFact) -> Facts:
    yield "规划部分", "Part", label(payload.part)
    yield "版本", "Version", same(str(payload.version))
    yield "标题", "Title", same(payload.title)
    yield "内容摘要", "Summary", same(payload.summary)
    for document in payload.documents[:SHOWN]:
        yield "文件", "Document", same(document.uri)


def _replaced(payload: PlanPartReplaced) -> Facts:
    yield from _part(payload)
    if payload.voided:
        yield "须重新会签", "To sign again", listed(label(side) for side in payload.voided)


def _signed_off(payload: PlanSignedOff) -> Facts:
    for signed in payload.versions:
        part = label(signed.part)
        version = Pair(f"{part.zh}，第 {signed.version} 版", f"{part.en}, version {signed.version}")
        yield "已会签", "Signed off", version


def _late(payload: PlanLateMarked) -> Facts:
    yield "事项", "What is late", _item(payload.item)
    yield "应完成日期", "To be complete by", written_day(payload.complete_by)
    yield "完成程度", "Done", same(f"{payload.percent}%")


def _item(item: PlanItem) -> Pair:
    if item.part is not None:
        return label(item.part)
    return Pair(f"项目 {item.referral_id}", f"project {item.referral_id}")


def _opened(payload: WorkPlanOpened) -> Facts:
    for action in payload.plan.actions[:_ACTIONS_SHOWN]:
        day = written_day(action.due_on)
        yield (
            "事项",
            "Action",
            Pair(
                f"{action.action_id}：{action.text}（{action.owner}，{day.zh}前）",
                f"{action.action_id}: {action.text} ({action.owner}, by {day.en})",
            ),
        )


def _action_late(payload: WorkPlanActionLate) -> Facts:
    yield "事项", "Action", same(f"{payload.action_id}: {payload.text}")
    yield "责任人", "Owner", same(payload.owner)
    yield "应完成日期", "To be done by", written_day(payload.due_on)


def _matched(payload: WishMatched) -> Facts:
    yield "企业", "Enterprise", same(payload.enterprise)
    yield "行业", "Industry", label(payload.industry)
    for match in payload.matches[:SHOWN]:
        zh, en = "；".join(one.zh for one in match.reasons), "; ".join(one.en for one in match.reasons)
        yield "匹配合作区", "Zone that fits", Pair(f"{match.name_zh}：{zh}", f"{match.name_en}: {en}")


def _taken_up(payload: MatchTakenUp) -> Facts:
    yield "企业", "Enterprise", same(payload.enterprise)
    if payload.text is not None:
        yield "说明", "Explanation", same(payload.text)


def _turned_down(payload: MatchTurnedDown) -> Facts:
    yield "结果", "Outcome", Pair("合作区谢绝，继续匹配其他合作区", "Turned down by a zone; others are looked for")
    yield "合作区", "Zone", same(payload.zone)
    yield "理由代码", "Coded reason", same(payload.code)
    if payload.text is not None:
        yield "合作区说明", "The zone's words", same(payload.text)


def _unmatched(payload: WishUnmatched) -> Facts:
    yield "结果", "Outcome", Pair("首轮未匹配到合作区", "No zone fits in the first round")
    for one in payload.why[:SHOWN]:
        zones = ", ".join(one.zones)
        yield "原因", "Reason", Pair(f"{one.zh}：{zones}", f"{one.en}: {zones}")
    yield "下一轮", "Next round", written_moment(payload.next_round_at)


def _wish_closed(payload: WishClosed) -> Facts:
    yield "结果", "Outcome", Pair("意向已结束", "The wish is closed")
    yield "理由代码", "Coded reason", same(payload.code)


def _bulletin(payload: BulletinMatched) -> Facts:
    yield "公告编号", "Bulletin", same(payload.bulletin_id)
    yield "案件编号", "Case", same(payload.referral_id)
    if payload.valid_to is not None:
        yield "有效期至", "Holds until", written_day(payload.valid_to)
    for reason in payload.reasons:
        (zh, en), codes = _LOOKED_AT.get(reason.code, ((reason.code, reason.code), None))
        value = label_of(codes, reason.value) if codes is not None else same(reason.value)
        yield "适用理由", "Why it fits", Pair(f"{zh}：{value.zh}", f"{en}: {value.en}")


FACTS: Final[FactsOf] = {
    PlanPartRecorded: _part,
    PlanPartReplaced: _replaced,
    PlanSignedOff: _signed_off,
    PlanLateMarked: _late,
    WorkPlanOpened: _opened,
    WorkPlanActionLate: _action_late,
    WishMatched: _matched,
    WishUnmatched: _unmatched,
    MatchTakenUp: _taken_up,
    MatchTurnedDown: _turned_down,
    WishClosed: _wish_closed,
    BulletinMatched: _bulletin,
    CooperationRefused: refused,
}

VALUES: Final[ValuesOf] = {
    PlanPartRecorded: lambda payload: {"part": label(payload.part), "version": payload.version},
    PlanPartReplaced: lambda payload: {"part": label(payload.part), "version": payload.version},
    PlanLateMarked: lambda payload: {"item": _item(payload.item), "day": written_day(payload.complete_by)},
    WorkPlanActionLate: lambda payload: {"day": written_day(payload.due_on)},
    BulletinMatched: lambda payload: {"bulletin": Pair(payload.title_zh, payload.title_en)},
}
