"""Refusals of cooperation: what each code says to people."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from schemas.cooperation import CooperationRefused
from schemas.envelope import Event
from schemas.values import side_of


class Code(StrEnum):
    """Why cooperation refuses an input."""

    OTHER_KIND = "other_kind"
    OTHER_ZONE = "other_zone"
    UNKNOWN_ZONE = "unknown_zone"
    WRONG_PARTY = "wrong_party"
    NOT_CONCERNED = "not_concerned"
    VERSION_IN_USE = "version_in_use"


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
    Code.VERSION_IN_USE: (
        "该部分的这一版本已在案，请以下一版本号提交新内容。",
        "This version of the part is on record already; submit what is new under the next version.",
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
