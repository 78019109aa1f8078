"""Outcomes for parties without Kafka: page by page with a durable cursor, waiting where asked to, or as a stream."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from typing import Annotated, Final, TypeVar

import structlog
from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse
from prometheus_client import Gauge
from starlette.types import Message, Receive, Scope, Send

from services.gateway.cursors import NOW, START, Head, cursor_of, seq_of
from services.gateway.feed_store import Item, Page, Reader
from services.gateway.hub import Hub
from services.gateway.outcome_settings import OutcomeSettings
from services.gateway.parties import Party, authenticated
from services.gateway.problems import Problem, unavailable
from services.kit.failures import Transient

T = TypeVar("T")

log = structlog.get_logger()

_CHUNK: Final = 64 * 1024
_TYPES_LIMIT: Final = 50
_SEATS = Gauge("kouan_gateway_seats", "Open streams and waiting requests")
_EXAMPLE: Final = {"events": [{"specversion": "1.0", "id": "…", "type": "referral.registered.v1"}], "next": "…"}

Caller = Annotated[Party, Depends(authenticated)]
After = Annotated[
    str | None,
    Query(max_length=64, description="游标：上次的 next 或流的 id；或 start、now · cursor, or start, or now"),
]
Types = Annotated[
    str,
    Query(
        max_length=2000,
        description="逗号分隔的事件类型或其前缀 · types or their beginnings: loan, loan.disbursed, loan.disbursed.v1",
    ),
]


class Seats:
    """How many streams and waiting requests are open, in all and of each party."""

    def __init__(self, settings: OutcomeSettings) -> None:
        self._settings = settings
        self._taken: Counter[str] = Counter()

    def take(self, party: Party) -> None:
        """Take a seat for a party. Raises Problem (429 or 503) where none is left."""
        if self._taken[party.source] >= self._settings.stream_seats_per_party:
            limit = self._settings.stream_seats_per_party
            raise Problem(
                429,
                "too-many-streams",
                ("打开的连接过多", "Too many open streams"),
                (
                    f"每一方最多同时打开 {limit} 个流或等待中的请求；请先关闭其中一个。",
                    f"A party may have {limit} streams and waiting requests open at once; close one first.",
                ),
                headers={"Retry-After": "10"},
            )
        if self._taken.total() >= self._settings.stream_seats:
            raise Problem(
                503,
                "no-seat",
                ("暂时无法打开更多的流", "No more streams can be opened at present"),
                ("请稍后重试，或改用 GET /feed。", "Try again later, or use GET /feed without wait."),
                headers={"Retry-After": "30"},
            )
        self._taken[party.source] += 1
        _SEATS.set(self._taken.total())

    def leave(self, party: Party) -> None:
        """Give a seat back."""
        self._taken[party.source] -= 1
        if not self._taken[party.source]:
            del self._taken[party.source]
        _SEATS.set(self._taken.total())


class _Stream(StreamingResponse):
    """Server-Sent Events that give their seat back, and end when the other side takes nothing for too long."""

    def __init__(self, frames: AsyncIterator[bytes], seats: Seats, party: Party, stall_s: float) -> None:
        # Proxies such as nginx would hold events back until a buffer is full.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(frames, headers=headers, media_type="text/event-stream")
        self._seats = seats
        self._party = party
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._stall_s):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except* TimeoutError:
            log.info("closed a stream whose reader took nothing", source=self._party.source)
        finally:
            self._seats.leave(self._party)


def router(hub: Hub, settings: OutcomeSettings) -> APIRouter:
    """`GET /feed` and `GET /feed/stream`."""
    routes = APIRouter(tags=["outcomes"])
    seats = Seats(settings)

    @routes.get(
        "/feed",
        summary="读取结果事件 · Read outcomes",
        responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}},
    )
    async def feed(
        party: Caller,
        after: After = None,
        limit: Annotated[int | None, Query(ge=1, le=1000, description="最多多少个事件 · events at the most")] = None,
        types: Types = "",
        wait: Annotated[float, Query(ge=0, le=30, description="没有新事件时最多等待的秒数 · seconds to wait")] = 0,
    ) -> Response:
        """游标之后的事件，按先后排列，每个事件一次；`next` 是下次的 `after`。

        The events after a cursor, in order, each once. `next` is the `after` of the next request; it stays good across
        restarts of the gateway. With `wait`, the answer comes as soon as there is an event, or empty after so long.
        """
        reader = reader_of(party, types)
        position = seq_of(after or START, hub.head)
        count = limit or settings.feed_page
        page = await answered(hub.page(reader, position, count))
        if wait and not page.items:
            page = await answered(_page_in_time(hub, seats, party, reader, page.reached, count, wait))
        return _answer(page, hub.head)

    @routes.get(
        "/feed/stream",
        summary="以 SSE 接收结果事件 · Receive outcomes as Server-Sent Events",
        status_code=200,
        response_class=_Stream,
        responses={200: {"content": {"text/event-stream": {"example": "id: …\ndata: {…}\n\n"}}}},
    )
    async def stream(
        party: Caller,
        after: After = None,
        types: Types = "",
        last_event_id: Annotated[str | None, Header(max_length=64)] = None,
    ) -> Response:
        """事件流：`data` 为 CloudEvent，`id` 为游标；断开后以 `Last-Event-ID` 续接。不给游标则从现在开始。

        A stream of CloudEvents; `id` is the cursor. Goes on from `Last-Event-ID`, else from `after`, else from now. It
        is closed after a while, or if its reader takes nothing: connect again, as browsers do by themselves.
        """
        reader = reader_of(party, types)
        position = seq_of(last_event_id or after or NOW, hub.head)
        seats.take(party)
        return _Stream(_frames(hub, reader, position, settings), seats, party, settings.stream_stall_seconds)

    return routes


async def answered(asked: Awaitable[T]) -> T:
    """What the database answers. Raises Problem (503) where it does not."""
    try:
        return await asked
    except Transient as failure:
        log.warning("outcomes could not be read", error=str(failure))
        raise unavailable(
            ("数据库暂时没有应答，请稍后重试。", "The database does not answer at present; try again later.")
        ) from failure


def reader_of(party: Party, types: str = "") -> Reader:
    """Whose eyes a party has. Raises Problem (400) for types that can't be meant."""
    wanted = tuple(dict.fromkeys(kind.strip() for kind in types.split(",") if kind.strip()))
    if len(wanted) > _TYPES_LIMIT or not all(kind.replace(".", "").replace("_", "").isalnum() for kind in wanted):
        raise Problem(
            400,
            "bad-types",
            ("types 有误", "The types are faulty"),
            (
                f"types 是以逗号分隔的事件类型或前缀，最多 {_TYPES_LIMIT} 个，例如 loan,screening.declined。",
                f"types is a list of at most {_TYPES_LIMIT} types or beginnings, like loan,screening.declined.",
            ),
        )
    return party.reader(wanted)


async def _page_in_time(
    hub: Hub, seats: Seats, party: Party, reader: Reader, after: int, limit: int, seconds: float
) -> Page:
    seats.take(party)
    try:
        end = asyncio.get_running_loop().time() + seconds
        page = Page((), after)
        # What came for the unit need not be of a type that was asked for.
        while not page.items and await hub.wait(
            reader, page.reached, max(0.0, end - asyncio.get_running_loop().time())
        ):
            page = await hub.page(reader, page.reached, limit)
        return page
    finally:
        seats.leave(party)


def _answer(page: Page, head: Head) -> Response:
    events = b",".join(item.event for item in page.items)
    body = b'{"events":[' + events + b'],"next":"' + cursor_of(head, page.reached).encode() + b'"}'
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


async def _frames(hub: Hub, reader: Reader, position: int, settings: OutcomeSettings) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    # Not all at once: streams that were opened together should not come back together.
    end = loop.time() + settings.stream_minutes * 60 * random.uniform(0.9, 1.0)
    yield _heartbeat(hub.head, position)
    while loop.time() < end:
        try:
            page = await hub.page(reader, position, settings.feed_page)
        except Transient as failure:
            log.warning("closed a stream: the feed could not be read", error=str(failure))
            return
        for chunk in _chunks(page, hub.head):
            yield chunk
        position = page.reached
        if not page.items and not await hub.wait(reader, position, settings.stream_heartbeat_seconds):
            if hub.stopping:
                return
            yield _heartbeat(hub.head, position)


def _chunks(page: Page, head: Head) -> list[bytes]:
    chunks: list[bytes] = []
    gathered: list[bytes] = []
    size = 0
    for item in page.items:
        frame = _frame(item, head)
        gathered.append(frame)
        size += len(frame)
        if size >= _CHUNK:
            chunks.append(b"".join(gathered))
            gathered, size = [], 0
    if gathered:
        chunks.append(b"".join(gathered))
    return chunks


def _frame(item: Item, head: Head) -> bytes:
    return b"id: " + cursor_of(head, item.seq).encode() + b"\ndata: " + item.event + b"\n\n"


def _heartbeat(head: Head, position: int) -> bytes:
    # An id without data is remembered by the receiver and shown to nobody: so a quiet stream's cursor stays young too.
    return b"id: " + cursor_of(head, position).encode() + b"\n: heartbeat\n\n"
