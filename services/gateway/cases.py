"""`GET /cases/{id}`: where a case stands, and everything that was said of it that the caller may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Response

from schemas.chronology import Place, in_order
from services.gateway.access import name_of
from services.gateway.cursors import cursor_of
from services.gateway.feed import Caller, answered, reader_of
from services.gateway.feed_store import Told, read_case
from services.gateway.problems import Problem
from services.kit.database import Database

_STAGES: Final[Mapping[str, tuple[str, str]]] = {
    "rejected": ("已退回", "Rejected"),
    "duplicate": ("重复推荐", "Duplicate"),
    "registered": ("已登记", "Registered"),
    "screening": ("共同筛选中", "In joint screening"),
    "shortlisted": ("已列入拟支持名单", "Shortlisted"),
    "declined": ("未通过筛选", "Declined"),
    "expired": ("筛选逾期", "Expired"),
    "withdrawn": ("已撤回", "Withdrawn"),
    "not_financed": ("未获贷款", "Not financed"),
    "financed": ("已放款", "Financed"),
    "written_off": ("已核销", "Written off"),
    "closed": ("已结清", "Closed"),
    "unknown": ("情况不明", "Not known"),
}
"""Stages of a case, and what they are called."""

_STAGE_AFTER: Final[Mapping[str, str]] = {
    "referral.rejected": "rejected",
    "referral.duplicate_found": "duplicate",
    "referral.registered": "registered",
    "referral.withdrawn": "withdrawn",
    "screening.opened": "screening",
    "screening.shortlisted": "shortlisted",
    "screening.declined": "declined",
    "screening.expired": "expired",
    "screening.withdrawn": "withdrawn",
    "loan.declined": "not_financed",
    "loan.disbursed": "financed",
    "loan.written_off": "written_off",
    "loan.settled": "closed",
}
_BEFORE_A_CASE: Final = frozenset({"unknown", "rejected", "duplicate"})
_WARNINGS: Final = frozenset({"risk.warning_raised", "risk.warning_raised_further"})


def router(database: Database) -> APIRouter:
    """`GET /cases/{id}`, answered from a database whose thread may be waited for."""
    routes = APIRouter(tags=["outcomes"])

    @routes.get(
        "/cases/{case_id}",
        summary="查询案件 · Ask for a case",
        responses={404: {"description": "没有这个案件，或无权查看 · There is none, or it is not yours to see"}},
    )
    async def case(
        party: Caller,
        case_id: Annotated[str, Path(max_length=256, description="案件编号，即推荐编号 · the referral's id")],
    ) -> Response:
        """案件目前的状态，以及全部可见的结果事件，按发生先后。`next` 是此刻的游标，可用于 `/feed`。

        Where a case stands and its whole time line, in order. `next` is the cursor of this moment: go on from it with
        `/feed` and miss nothing.
        """
        head, told = await answered(database.run(read_case, database, reader_of(party), case_id))
        if not told:
            raise Problem(
                404,
                "case-unknown",
                ("没有这个案件", "There is no such case"),
                (
                    "没有此编号的案件，或贵方不是其参与方。请核对编号（区分大小写）；刚提交的推荐请稍后再查。",
                    "There is no case with this id, or you take no part in it. Check the id (capitals matter); "
                    "a referral sent a moment ago needs a little time.",
                ),
            )
        steps = steps_of(told)
        answer = {
            "case": case_id,
            "status": status_of([event for _, event in steps]),
            "time_line": [orjson.Fragment(one.event) for one, _ in steps],
            "next": cursor_of(head, head.last),
        }
        return Response(orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"})

    return routes


def steps_of(told: Sequence[Told]) -> list[tuple[Told, dict[str, Any]]]:
    """What was told, with each event parsed, in order of time, causes before what they caused."""
    return in_order(((one, orjson.loads(one.event)) for one in told), _place)


def _place(step: tuple[Told, Mapping[str, Any]]) -> Place:
    one, event = step
    moment = datetime.fromisoformat(one.time)
    return Place(moment, one.source, one.id, event.get("causationid"), one.topic, one.partition, one.offset)


def status_of(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where a case stands after these events, in order: stage, what it is about, holds, warning, loans."""
    stage, since, referral, level = "unknown", None, None, None
    holds: dict[str, None] = {}
    loans: dict[str, Any] = {}
    for event in events:
        name, data = name_of(event["type"]), event["data"]
        after = _STAGE_AFTER.get(name, stage)
        # Once there is a case, another referral that bears its id, and is turned back, says nothing about it.
        if after not in _BEFORE_A_CASE or stage in _BEFORE_A_CASE:
            since = event["time"] if after != stage else since
            stage = after
        referral = data.get("referral", referral) if name in ("referral.registered", "referral.amended") else referral
        if name == "risk.held":
            holds[data["hold_id"]] = None
        elif name == "risk.released":
            holds.pop(data["hold_id"], None)
        elif name in _WARNINGS:
            level = data["level"]
        elif name == "risk.warning_cleared":
            level = None
        elif name.startswith("loan.") and isinstance(data.get("loan"), dict):
            loans[data["loan"]["loan_id"]] = data["loan"]
    zh, en = _STAGES[stage]
    return {
        "stage": stage,
        "zh": zh,
        "en": en,
        "since": since,
        "name": (referral or {}).get("name"),
        "held_by": list(holds),
        "warning": level,
        "loans": list(loans.values()),
    }
