"""One reader of what is new in the feed, for all who wait for it: it keeps the newest events and rings for their units.

Who waits keeps nothing but a number. A reader who is slow falls behind what is kept here and goes on from the database,
so that memory does not grow with the number of readers or with their pace.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from typing import Final

import structlog
from prometheus_client import Gauge

from services.gateway.cursors import Head
from services.gateway.feed_store import Item, Page, Reader, read_head, read_new, read_page
from services.gateway.problems import unavailable
from services.kit.database import Database
from services.kit.failures import Transient

log = structlog.get_logger()

KEPT_BYTES: Final = 8 * 1024 * 1024
"""So many bytes of the newest events are kept in memory."""

_BEHIND: Final = 1000
_EVERYONE: Final = ""

_HEAD = Gauge("kouan_gateway_feed_head", "Number of the newest event in the feed")


class Hub:
    """Made on the loop; `run` has to run. `stopping` ends every wait."""

    def __init__(self, database: Database, poll_s: float, stopping: asyncio.Event) -> None:
        self._head: Head | None = None
        self._database = database
        self._poll_s = poll_s
        self._stopping = stopping
        self._newest: list[tuple[Item, frozenset[str]]] = []
        self._newest_bytes = 0
        self._kept_from = 0
        self._lasts: dict[str, int] = {}
        self._bells: dict[str, asyncio.Event] = {}

    @property
    def stopping(self) -> bool:
        """Whether everything is to end."""
        return self._stopping.is_set()

    @property
    def head(self) -> Head:
        """How far the feed reaches. Raises Problem (503) as long as that is not known."""
        if self._head is None:
            raise unavailable(("结果事件流尚未就绪，请稍后重试。", "The feed is not ready yet; try again later."))
        return self._head

    async def run(self) -> None:
        """Look for new events again and again; runs until `stopping`, and then lets nobody wait any more."""
        while not self._stopping.is_set():
            try:
                await self._look()
            except Transient as failure:
                log.warning("the feed could not be read", error=str(failure))
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._stopping.wait()
            except TimeoutError:
                continue
        self._ring_all()

    async def page(self, reader: Reader, after: int, limit: int) -> Page:
        """The next events for a reader: from memory if they are kept, else from the database."""
        if after < self._kept_from:
            return await self._database.run(read_page, self._database, reader, after, limit)
        reached = self.head.last
        items: list[Item] = []
        begin = bisect_right(self._newest, after, key=lambda kept: kept[0].seq)
        for index in range(begin, len(self._newest)):
            item, units = self._newest[index]
            if not reader.asks_for(item.type) or not reader.is_among(units):
                continue
            items.append(item)
            if len(items) == limit:
                reached = item.seq
                break
        return Page(items, max(after, reached))

    async def wait(self, reader: Reader, after: int, seconds: float) -> bool:
        """Wait until something for the reader's unit may have come after a number; False when nothing did in time."""
        unit = _EVERYONE if reader.unit is None else reader.unit
        end = asyncio.get_running_loop().time() + seconds
        while self._lasts.get(unit, self._kept_from) <= after:
            if self._stopping.is_set():
                return False
            bell = self._bells.setdefault(unit, asyncio.Event())
            try:
                async with asyncio.timeout_at(end):
                    await bell.wait()
            except TimeoutError:
                return False
        return True

    async def _look(self) -> None:
        head = await self._database.run(read_head, self._database)
        known = self._head
        new = []
        if known is not None and 0 < head.last - known.last <= _BEHIND:
            new = await self._database.run(read_new, self._database, known.last, head.last)
        self._head = head
        if new:
            self._keep(new)
        elif known is None or head.last > known.last:
            self._skip_to(head.last)
        _HEAD.set(head.last)

    def _skip_to(self, last: int) -> None:
        """Too much came at once to be kept: everybody goes on from the database."""
        self._newest.clear()
        self._newest_bytes = 0
        self._kept_from = last
        self._lasts.clear()
        self._ring_all()

    def _keep(self, new: list[tuple[Item, frozenset[str]]]) -> None:
        for item, units in new:
            self._newest.append((item, units))
            self._newest_bytes += len(item.event)
            for unit in (_EVERYONE, *units):
                self._lasts[unit] = item.seq
                bell = self._bells.pop(unit, None)
                if bell is not None:
                    bell.set()
        dropped = 0
        while self._newest_bytes > KEPT_BYTES:
            item, _ = self._newest[dropped]
            self._newest_bytes -= len(item.event)
            self._kept_from = item.seq
            dropped += 1
        del self._newest[:dropped]

    def _ring_all(self) -> None:
        bells, self._bells = self._bells, {}
        for bell in bells.values():
            bell.set()
