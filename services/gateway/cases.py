"""`GET /cases/{id}`: where a case stands, and everything that was said of it that the caller may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Response

from schemas.chronology import Place, in_order
from services.gateway.cursors import cursor_of
from services.gateway.feed import Caller, answered, reader_of
from services.gateway.feed_store import Told, read_case
from services.gateway.problems import Problem
from services.gateway.standing import status_of
from services.kit.database import Database
from topics.titles import title_of


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
        """案件目前的状态，以及全部可见的结果事件，按发生先后。`titles` 是各类事件的名称。

        `next` 是此刻的游标，可用于 `/feed`。

        Where a case stands and its whole time line, in order; `titles` says what each type of event is called. `next`
        is the cursor of this moment: go on from it with `/feed` and miss nothing.
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
            "titles": {kind: title_of(kind)._asdict() for kind in sorted({one.type for one, _ in steps})},
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
