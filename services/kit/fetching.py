"""aiokafka's consumer, which hands out pages of records in place of an object for each record and its headers.

Membership, assignment, fetching ahead and errors are the client's own. Only the last step differs: what a fetch brought
of a partition is kept as the bytes that came, and whoever reads takes off it as many records as he wants. What a page
can't hold (compressed batches, transactions) comes as the client's own records.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError
from aiokafka.protocol.fetch import FetchRequest

from services.kit.pages import Found, Page, Unusual
from services.kit.records import Record
from services.kit.sessions import Session

LITTLE = 64 * 1024
"""Bytes. Where an answer brought less, records come one by one and are read as fast as they come."""

GAP = 0.02
"""Seconds between such an answer and the next request, so that what comes meanwhile comes together."""


class Taken(NamedTuple):
    """What is to be read of one partition: records found on a page, or records as the client made them."""

    place: TopicPartition
    page: Page | None
    found: Sequence[Found]
    records: Sequence[Record]


class PageConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer with `getpages` beside `getmany`; one of them may be used, not both."""

    async def start(self) -> None:
        """Connect, and listen to what fetches bring."""
        await super().start()
        self._answers = _Answers(self._client, self._subscription)
        # Nothing is assigned yet, so nothing was fetched.
        self._fetcher._client = self._answers

    async def getpages(self, timeout_ms: int, most: int) -> list[Taken]:
        """What was fetched, up to so many records; waits for it as long as that if nothing is there yet.

        As with `getmany`, positions move with what is handed out, and the next fetch of a partition begins when all of
        the one before was taken.

        Raises:
            KafkaError: what the broker says of a partition, or of the group.
        """
        if self._closed:
            raise ConsumerStoppedError
        self._coordinator.check_errors()
        with self._subscription.fetch_context():
            return await self._fetched(timeout_ms, most)

    async def _fetched(self, timeout_ms: int, most: int) -> list[Taken]:
        end = time.monotonic() + timeout_ms / 1000
        while True:
            # What was fetched before a rebalance is over may not be this member's any more.
            if self._subscription.reassignment_in_progress:
                await self._subscription.wait_for_assignment()
            taken = self._take(most)
            left = end - time.monotonic()
            if taken or left <= 0:
                return taken
            waiter = self._fetcher._create_fetch_waiter()
            done, _ = await asyncio.wait([waiter], timeout=left)
            if not done or self._fetcher._closed:
                waiter.cancel()
                return []
            # An error of the group's is told here.
            waiter.result()

    def _take(self, most: int) -> list[Taken]:
        fetched = self._fetcher._records
        taken: list[Taken] = []
        for place in list(fetched):
            result = fetched[place]
            if type(result) is not FetchResult:
                if taken:
                    # What came goes first; the error is told at the next call.
                    break
                self._let_go(place)
                result.check_raise()
            one = self._take_of(place, result, most)
            if not result.has_more():
                self._let_go(place)
            if one is not None:
                taken.append(one)
                most -= len(one.found) + len(one.records)
                if most <= 0:
                    break
        # What came after its partition was taken away is nobody's.
        for place in self._answers.of.keys() - fetched.keys():
            del self._answers.of[place]
        return taken

    def _let_go(self, place: TopicPartition) -> None:
        """The partition may be fetched again."""
        del self._fetcher._records[place]
        self._fetcher._notify(self._fetcher._wait_consume_future)

    def _take_of(self, place: TopicPartition, result: Any, most: int) -> Taken | None:
        if not result.has_more() or not result.check_assignment(place):
            return None
        page = result._partition_records
        if not isinstance(page, Page):
            answer = self._answers.of.pop(place, None)
            made = None if answer is None else _page_of(place, *answer, page.next_fetch_offset)
            if made is None:
                records = result.getall(most)
                return Taken(place, None, (), records) if records else None
            page = result._partition_records = made
        found = page.take(most)
        result._update_position()
        if page.empty:
            result._partition_records = None
        return Taken(place, page, found, ()) if found else None


def _page_of(place: TopicPartition, first: int, data: bytes, wanted: int) -> Page | None:
    """The page of what a fetch brought, None where only the client can read it, or where it is not what was wanted."""
    try:
        return Page(place, data, first) if first == wanted else None
    except Unusual:
        return None


class _Answers:
    """The client as its fetcher sees it: fetches within sessions, and keeps the bytes that they bring, with the offset
    that they were asked from, by partition."""

    def __init__(self, client: Any, subscription: Any) -> None:
        self._client = client
        self._subscription = subscription
        self._sessions: dict[int, Session] = {}
        self._assignment: Any = None
        self._not_before: dict[int, float] = {}
        self.of: dict[TopicPartition, tuple[int, bytes]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any) -> Any:
        """What the client does; between its answer and the fetcher's use of it nothing else can happen."""
        if not isinstance(request, FetchRequest):
            return await self._client.send(node_id, request)
        await self._let_some_come(node_id)
        self._begin_anew_after_a_rebalance()
        session = self._sessions.setdefault(node_id, Session())
        try:
            response = await self._client.send(node_id, session.request(request))
        except BaseException:
            session.broken()
            raise
        session.answered(response)
        asked = {TopicPartition(topic, number): first for topic, parts in request.topics for number, first, _ in parts}
        told = set()
        size = 0
        for topic, parts in response.topics:
            for number, code, *_, data in parts:
                place = TopicPartition(topic, number)
                told.add(place)
                if code == 0 and data:
                    self.of[place] = (asked[place], data)
                    size += len(data)
        if 0 < size < LITTLE:
            self._not_before[node_id] = time.monotonic() + GAP
        if not getattr(response, "error_code", 0):
            self._note_unchanged({place: asked[place] for place in asked.keys() - told})
        return response

    async def _let_some_come(self, node_id: int) -> None:
        """Ask again at once where a lot came, or nothing, and a little later where little did.

        A request, a batch and a transaction for each event cost far more than the event does, here and at the broker:
        under a steady flow of single events the machine would be full of them, and everything late.
        """
        pause = self._not_before.pop(node_id, 0.0) - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)

    def _begin_anew_after_a_rebalance(self) -> None:
        """A new assignment knows nothing of its partitions, and has to be told of them, also where nothing changed."""
        subscription = self._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is not self._assignment:
            self._assignment = assignment
            self._sessions.clear()

    def _note_unchanged(self, asked: Mapping[TopicPartition, int]) -> None:
        """What the broker does not mention is now as it was: so the fetcher would have noted it, had it been told."""
        now_ms = int(time.time() * 1000)
        for place, first in asked.items():
            state = None if self._assignment is None else self._assignment.state_value(place)
            if state is not None and state.has_valid_position and state.position == first:
                state.timestamp = now_ms
