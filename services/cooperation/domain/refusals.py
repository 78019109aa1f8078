"""Refusals of cooperation: what each code says to people."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from schemas.cooperation import CooperationRefused
from schemas.envelope import Event
from schemas.values import side_of
from services.kit.transitions import Wrong


class Code(StrEnum):
    """Why cooperation refuses an input."""

    OTHER_KIND = "other_kind"
    OTHER_ZONE = "other_zone"
    UNKNOWN_ZONE = "unknown_zone"
    WRONG_PARTY = "wrong_party"
    NOT_CONCERNED = "not_concerned"
    WRONG_PERSON = "wrong_person"
    WRONG_STATE = "wrong_state"
    VERSION_IN_USE = "version_in_use"
    VERSION_SKIPPED = "version_skipped"
    SUPERSEDED_VERSION = "superseded_version"
    SIGNED_BEFORE = "signed_before"
    NOT_IN_PLAN = "not_in_plan"
    NO_PLAN = "no_plan"
    NO_VERSION = "no_version"
    NO_WORK_PLAN = "no_work_plan"
    NO_QUESTION = "no_question"
    FUTURE_DAY = "future_day"
    OLDER_REPORT = "older_report"
    NOTHING_CHANGED = "nothing_changed"
    UNKNOWN_ACTION = "unknown_action"
    NOT_OWNERS_SIDE = "not_owners_side"
    DONE_BEFORE = "done_before"
    CONSENT_MISSING = "consent_missing"
    BRANCH_ELSEWHERE = "branch_elsewhere"
    NOT_ROUTED_TO_YOU = "not_routed_to_you"
    EARLIER_QUESTION = "earlier_question"
    ANSWERED_BEFORE = "answered_before"
    NOT_MATCHED = "not_matched"
    ZONE_ANSWERED = "zone_answered"


TEXTS: Final[Mapping[Code, tuple[str, str]]] = {
    Code.OTHER_KIND: (
        "该编号已用于另一类事项，请另取编号后重新提交。",
        "This id belongs to another kind of thing already; submit under an id of its own.",
    ),
    Code.OTHER_ZONE: (
        "该编号下的事项属于另一合作区，请核对合作区或编号。",
        "What stands under this id is of another zone; check the zone or the id.",
    ),
    Code.UNKNOWN_ZONE: (
        "名录中当日没有该合作区，请核对代码，或请商务部先行登记。",
        "The directory knows no such zone on that day; check the code, or have the ministry enter it first.",
    ),
    Code.WRONG_PARTY: (
        "该事项不由贵方办理，请由有权的一方提交。",
        "This is not for your party to do; have the party that may do it submit it.",
    ),
    Code.NOT_CONCERNED: (
        "贵单位与该合作区无对口关系；请由该合作区、其所在省、服务该省的分行或总部提交。",
        "Your unit has no part in this zone; the zone, its province, a branch that serves it or a headquarters may.",
    ),
    Code.WRONG_PERSON: (
        "名录显示该人员属于另一方；请由本方人员办理。",
        "The directory names this person for the other side; have a person of your own side do it.",
    ),
    Code.WRONG_STATE: (
        "该事项目前的状态不允许此操作；请先查看最新记录。",
        "This cannot be done to it as things stand; see what was last said of it.",
    ),
    Code.VERSION_IN_USE: (
        "该部分的这一版本已在案，请以下一版本号提交新内容。",
        "This version of the part is on record already; submit what is new under the next version.",
    ),
    Code.VERSION_SKIPPED: (
        "版本号不连续：首个版本为 1，此后逐一递增；请更正版本号。",
        "A version is left out: the first is 1 and each later one is one more; correct the number.",
    ),
    Code.SUPERSEDED_VERSION: (
        "该部分已有更新的版本，请审阅并会签最新版本。",
        "This part has a newer version; read that one and sign it off.",
    ),
    Code.SIGNED_BEFORE: (
        "本方已会签该部分的这一版本，无需重复。",
        "This side has signed this version of the part already; it need not sign again.",
    ),
    Code.NOT_IN_PLAN: (
        "该规划没有这一部分或项目；请核对，或先提交该部分、从该规划推荐该项目。",
        "The plan has no such part or project; check it, or submit the part or refer the project from the plan first.",
    ),
    Code.NO_PLAN: (
        "所指规划一直没有提交：请合作区或商务主管部门先提交规划的任一部分，再重新会签；推荐的案件请修改推荐，再次指明该规划。",
        "The plan was never submitted: its zone or commerce department has to submit a part of it first. Then sign "
        "again; a case is to be amended once more, naming the plan.",
    ),
    Code.NO_VERSION: (
        "所会签的版本一直没有提交：请合作区或商务主管部门提交该版本后重新会签，或会签最新版本。",
        "The version that was signed was never submitted: its zone or commerce department has to submit it, then it is "
        "to be signed again; or sign the latest one.",
    ),
    Code.NO_WORK_PLAN: (
        "该工作方案一直没有提交：请制定方的一方先提交方案，再重新报送行动完成情况；或核对编号。",
        "The work plan was never submitted: the side that draws it up has to submit it, and then the action is to be "
        "reported again; or check the id.",
    ),
    Code.NO_QUESTION: (
        "所答复的问题一直没有提出：请核对编号和第几问；须由商务方先提问，再行答复。",
        "The question that was answered was never asked: check its id and round; the commerce side has to ask first.",
    ),
    Code.FUTURE_DAY: (
        "所报日期晚于报送当日，请更正。",
        "The day told lies after the day of the report; correct it.",
    ),
    Code.OLDER_REPORT: (
        "已有截至更晚日期的报告在案；请报送此后的情况。",
        "A report of a later day is on record; report what is the case since.",
    ),
    Code.NOTHING_CHANGED: (
        "修订内容与在案内容相同，无需提交。",
        "The revision says what is on record already; it need not be submitted.",
    ),
    Code.UNKNOWN_ACTION: (
        "工作方案中没有该项行动，请核对编号或先修订方案。",
        "The work plan has no such action; check its id, or revise the plan first.",
    ),
    Code.NOT_OWNERS_SIDE: (
        "该项行动由另一方负责，请由负责方报送完成情况。",
        "The other side has to do this action; have that side report that it is done.",
    ),
    Code.DONE_BEFORE: (
        "该项行动已报送完成，无需重复。",
        "This action was reported as done already; it need not be reported again.",
    ),
    Code.CONSENT_MISSING: (
        "代企业咨询须附该企业同意向银行提供资料的授权；请取得授权后以新编号重新提出。",
        "To ask for an enterprise needs its consent to share its data with the bank; obtain it and ask under a new id.",
    ),
    Code.BRANCH_ELSEWHERE: (
        "所指分行当日不服务该合作区所在省份，请更正或不指定分行。",
        "The branch named does not serve the zone's province on that day; name another, or none.",
    ),
    Code.NOT_ROUTED_TO_YOU: (
        "该咨询未转交贵行；请由承办分行或总行答复。",
        "The question was not routed to your unit; the branch that has it, or the headquarters, may answer.",
    ),
    Code.EARLIER_QUESTION: (
        "该答复针对此前的问题；请答复最新一问。",
        "The answer is to an earlier question; answer the latest one.",
    ),
    Code.ANSWERED_BEFORE: (
        "该问题已答复在案；如有补充，请待对方追问后答复。",
        "This question is answered already; what there is to add can answer a further question.",
    ),
    Code.NOT_MATCHED: (
        "该意向尚未匹配到该合作区，无须答复。",
        "The wish was not matched with this zone; no answer is needed.",
    ),
    Code.ZONE_ANSWERED: (
        "该合作区已就此意向作答，不能再次作答。",
        "The zone has answered this wish already and cannot answer again.",
    ),
}


def refuse(event: Event[Any], code: Code, zone: str | None = None) -> CooperationRefused:
    """The answer to an input that the state of things, or the party, does not allow."""
    zh, en = TEXTS[code]
    return CooperationRefused(
        zone=zone,
        refused_type=event.type,
        refused_id=event.id,
        source=event.source,
        side=side_of(event.source),
        code=code,
        zh=zh,
        en=en,
        refused_at=event.time,
    )


_OF_THE_TABLE: Final = {Wrong.PARTY: Code.WRONG_PARTY, Wrong.STATE: Code.WRONG_STATE}


def refuse_by_table(event: Event[Any], state: Any, why: Wrong) -> CooperationRefused:
    """The answer where the table of transitions has no such row; `state` is what stands under the id, if anything."""
    return refuse(event, _OF_THE_TABLE[why], getattr(state, "zone", None))
