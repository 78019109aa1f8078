"""Cursors: places in the feed as parties keep them. Opaque to them, and durable: they name a number in the database."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from services.gateway.problems import Problem

START = "start"
NOW = "now"
_BYTES = 12


@dataclass(frozen=True, slots=True)
class Head:
    """How far the feed reaches: `name` tells this feed from one made anew, up to `floor` it was forgotten."""

    name: str
    last: int
    floor: int


def cursor_of(head: Head, seq: int) -> str:
    """The cursor after the event with this number."""
    return base64.urlsafe_b64encode(bytes.fromhex(head.name) + seq.to_bytes(8, "big")).decode()


def seq_of(cursor: str, head: Head) -> int:
    """The number after which a cursor asks, or `start` (all that is kept) or `now` (only what comes).

    Raises:
        Problem: 400 for what is no cursor, 410 for one of a feed that was made anew, or whose events are gone.
    """
    if cursor == START:
        return head.floor
    if cursor == NOW:
        return head.last
    try:
        raw = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _unknown() from None
    name, seq = raw[:4].hex(), int.from_bytes(raw[4:], "big")
    if len(raw) != _BYTES:
        raise _unknown()
    if name != head.name:
        raise _gone(
            "游标属于已重建的事件流；请用 after=start 从头读取，并按事件 id 去重。",
            "The cursor is of a feed that was made anew since; read from after=start and drop repeats by event id.",
        )
    if seq > head.last:
        raise _unknown()
    if seq < head.floor:
        raise _gone(
            "游标之后的部分事件已超过保留期；请用 after=start 从现存最早的事件读取，缺失的情况请查询 /cases/{id}。",
            "Events after this cursor are past their retention; read from after=start, and ask /cases/{id} besides.",
        )
    return seq


def _unknown() -> Problem:
    return Problem(
        400,
        "cursor-unknown",
        ("游标无效", "Unknown cursor"),
        (
            "请原样使用上次回答中的 next 或流中的 id；首次读取用 after=start 或 after=now。",
            "Send `next` of the last answer, or the `id` of a stream, unchanged; begin with after=start or after=now.",
        ),
    )


def _gone(zh: str, en: str) -> Problem:
    return Problem(410, "cursor-gone", ("游标已失效", "The cursor is of no use any more"), (zh, en))
