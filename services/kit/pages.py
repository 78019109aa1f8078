"""A topic read a page at a time: what one fetch brings of a partition stays the bytes that came, until somebody wants
to know an event of it.

A client makes an object of every record and of all its headers; who folds millions of events wants the id, the key and
the body only. What events of one type have in front of their id (number of headers, source, type and the like) is the
same bytes in all of them, so it is taken apart once, in the first of them, and then recognised. What is not recognised,
is taken apart; pages that somebody else compressed or wrote in a transaction are left to the client's own reader.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, Generic, NamedTuple, TypeVar

from aiokafka import AIOKafkaClient, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, KafkaError, NoError, RecordTooLargeError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords
from crc32c import crc32c

from services.kit.record_batch import CRC_FROM, HEADER, MAGIC, NOT_COUNTED, bytes_at, headers_at, number_at
from services.kit.records import StoredRecord

T = TypeVar("T")

PAGE_BYTES: Final = 2 * 1024 * 1024
"""A fetch brings no more, but for a single larger batch."""

ENDLESS: Final = 1 << 62
"""An offset that no topic reaches, and more records than any page has."""

_FIRST_TIME: Final = 7
"""Which field of a batch's header is the time of its first record."""

_WAIT_MS: Final = 500
_RETRY_AFTER_S: Final = 0.2
_UNUSUAL: Final = 0b110111
"""Attributes of a batch that is compressed, part of a transaction, or a mark of one."""

_MOST_BEGINNINGS: Final = 200


class Beginnings(Generic[T]):
    """What the headers of a source's events begin with, from their number up to the length of the id, and what is known
    of events of that type: None where it is none of `kinds`."""

    def __init__(self, source: bytes, kinds: Mapping[bytes, T]) -> None:
        self.source = source
        self.kinds = kinds
        self.known: dict[bytes, tuple[int, T | None]] = {}

    def find(self, data: bytes, at: int) -> bytes:
        """What the headers at a place begin with; empty where that is not known and can't be learned."""
        for one in self.known:
            if data.startswith(one, at):
                return one
        return self._learn(data, at) if len(self.known) < _MOST_BEGINNINGS else b""

    def _learn(self, data: bytes, start: int) -> bytes:
        number, at = number_at(data, start)
        before: dict[bytes | None, bytes | None] = {}
        for _ in range(number):
            name, at = bytes_at(data, at)
            if name == b"ce_id":
                break
            before[name], at = bytes_at(data, at)
        else:
            return b""
        if before.get(b"ce_source") != self.source or b"ce_type" not in before:
            return b""
        length, at = number_at(data, at)
        if length < 0:
            return b""
        beginning = data[start:at]
        self.known[beginning] = (length, self.kinds.get(before[b"ce_type"] or b""))
        return beginning


class Batch(NamedTuple):
    """Where a batch stands on its page, its first offset and its last, how many records it has, and whether all are
    wanted."""

    at: int
    base: int
    last: int
    records: int
    whole: bool


class Unusual(Exception):
    """A page holds what is left to the client's own reader."""


Found = tuple[int, bytes | None, bytes | None, int, int]
"""A record on a page: its place, key, value, where its headers begin, and where it ends."""


class Page:
    """Records of one partition in the bytes of the wire. `next` is the offset behind it, `next_fetch_offset`
    (the client's name for it) the one behind what was taken off it."""

    def __init__(self, place: TopicPartition, data: bytes, first: int, end: int = ENDLESS) -> None:
        """Records before the offset `first`, which their batch brought along, and from `end` on are left out.

        Raises:
            Unusual: a batch is compressed or of a transaction.
            CorruptRecordException: a checksum is wrong.
        """
        self.place = place
        self.next = self.next_fetch_offset = first
        self._data = data
        self._first = first
        self._end = end
        self._batches: list[Batch] = []
        at, size, view = 0, len(data), memoryview(data)
        while at + HEADER.size <= size and self.next < end:
            base, length, _, magic, crc, attributes, last, *_, count = HEADER.unpack_from(data, at)
            after = at + NOT_COUNTED + length
            if after > size:
                break
            if magic != MAGIC or attributes & _UNUSUAL:
                raise Unusual
            if crc32c(view[at + CRC_FROM : after]) != crc:
                raise CorruptRecordException(f"{place.topic}[{place.partition}]@{base}: the checksum is wrong")
            self._batches.append(Batch(at, base, base + last, count, first <= base and base + last < end))
            self.next = min(base + last + 1, end)
            at = after
        if not self._batches and size:
            raise RecordTooLargeError(f"{place.topic}[{place.partition}]@{first} does not fit into {PAGE_BYTES} bytes")
        # Where the next record is: in which batch, how many of that one were taken, and its place.
        self._batch = self._taken = 0
        self._at = HEADER.size

    @property
    def empty(self) -> bool:
        """Whether everything was taken."""
        return self._batch == len(self._batches)

    @property
    def data(self) -> bytes:
        """The bytes that places and headers of records are in."""
        return self._data

    def take(self, most: int) -> list[Found]:
        """The next records, so many at the most.

        Raises:
            CorruptRecordException: a record is longer than it says.
        """
        found: list[Found] = []
        while most > 0 and not self.empty:
            batch, before = self._batches[self._batch], len(found)
            number = min(most, batch.records - self._taken)
            self._at = self._walk(number, found)
            self._taken += number
            if self._taken < batch.records:
                self.next_fetch_offset = self._offset(batch, found[-1][0]) + 1
            else:
                self._batch, self._taken, self.next_fetch_offset = self._batch + 1, 0, min(batch.last + 1, self._end)
                self._at = 0 if self.empty else self._batches[self._batch].at + HEADER.size
            if not batch.whole:
                found[before:] = [one for one in found[before:] if self._wanted(batch, one[0])]
            most -= len(found) - before
        return found

    def _wanted(self, batch: Batch, at: int) -> bool:
        return self._first <= self._offset(batch, at) < self._end

    def _walk(self, number: int, found: list[Found]) -> int:
        """Add so many records of the batch that is at hand; returns the place behind them."""
        data, at, add = self._data, self._at, found.append
        key: bytes | None
        value: bytes | None
        for _ in range(number):
            place = at
            length, at = data[at], at + 1
            if length > 0x7F:
                # Hardly any number here has more than two bytes; those are read without a call.
                length, at = length & 0x7F | data[at] << 7, at + 1
                if data[at - 1] > 0x7F:
                    length, at = number_at(data, place)
                    length <<= 1
            after = at + (length >> 1)
            # Behind the attributes stand the times and places, counted from the batch's.
            at += 1
            while data[at] > 0x7F:
                at += 1
            at += 1
            while data[at] > 0x7F:
                at += 1
            at += 1
            length = data[at]
            if 0 < length <= 0x7F and not length & 1:
                begin = at + 1
                at = begin + (length >> 1)
                key = data[begin:at]
            else:
                key, at = bytes_at(data, at)
            length, more = data[at], data[at + 1]
            if length > 0x7F >= more and not length & 1:
                begin = at + 2
                at = begin + ((length & 0x7F | more << 7) >> 1)
                value = data[begin:at]
            else:
                value, at = bytes_at(data, at)
            if at >= after:
                raise CorruptRecordException(f"{self.place.topic}[{self.place.partition}]: a record ends too early")
            add((place, key, value, at, after))
            at = after
        return at

    def _offset(self, batch: Batch, at: int) -> int:
        """The offset of the record of a batch that stands at a place."""
        data = self._data
        while data[at] > 0x7F:
            at += 1
        at += 2
        while data[at] > 0x7F:
            at += 1
        return batch.base + number_at(data, at + 1)[0]

    def offset_at(self, at: int) -> int:
        """The offset of the record at a place."""
        return self._offset(self._batch_at(at), at)

    def _batch_at(self, at: int) -> Batch:
        return self._batches[bisect_right(self._batches, at, key=lambda one: one.at) - 1]

    def record_at(self, at: int) -> StoredRecord:
        """The whole record at a place."""
        batch = self._batch_at(at)
        _, at = number_at(self._data, at)
        later, at = number_at(self._data, at + 1)
        delta, at = number_at(self._data, at)
        key, at = bytes_at(self._data, at)
        value, at = bytes_at(self._data, at)
        headers = headers_at(self._data, at)
        time_ms = HEADER.unpack_from(self._data, batch.at)[_FIRST_TIME] + later
        place = self.place
        return StoredRecord(place.topic, place.partition, batch.base + delta, time_ms, key, value, headers)

    def events(self, known: Beginnings[T]) -> tuple[list[tuple[T | None, str, str, bytes, int]], int]:
        """Events of a source, as (what is known of their type, id, key, body, place), and how many others there are."""
        data, strangers = self._data, 0
        found: list[tuple[T | None, str, str, bytes, int]] = []
        add = found.append
        beginning, size, id_length, what = b"\0", 1, 0, None
        for place, key, value, at, _ in self.take(ENDLESS):
            if not data.startswith(beginning, at):
                beginning = known.find(data, at)
                if not beginning:
                    beginning = b"\0"
                    strangers += self._take_apart(place, known, found)
                    continue
                size, (id_length, what) = len(beginning), known.known[beginning]
            at += size
            add((what, data[at : at + id_length].decode(), (key or b"").decode(), value or b"", place))
        return found, strangers

    def _take_apart(self, place: int, known: Beginnings[T], found: list[tuple[T | None, str, str, bytes, int]]) -> int:
        """Add one event; returns how many strangers there are."""
        record = self.record_at(place)
        named = dict(record.headers)
        if named.get("ce_source") != known.source or "ce_id" not in named:
            return 1
        what = known.kinds.get(named.get("ce_type", b""))
        found.append((what, named["ce_id"].decode(), (record.key or b"").decode(), record.value or b"", place))
        return 0


class Records(NamedTuple):
    """Records as the client reads them, for a page that is not taken apart here. `next` is the offset behind them."""

    records: list[Any]
    next: int


class Pages:
    """Fetches one partition after the other; while a page is in use the next is under way."""

    def __init__(self, bootstrap_servers: str, client_id: str) -> None:
        self._client = AIOKafkaClient(bootstrap_servers=bootstrap_servers, client_id=client_id)
        self._ahead: tuple[TopicPartition, int, int, asyncio.Task[Page | Records]] | None = None

    async def start(self, topics: list[str]) -> None:
        await self._client.bootstrap()
        await self._client.set_topics(topics)

    async def stop(self) -> None:
        await self._forget()
        await self._client.close()

    async def page(self, place: TopicPartition, first: int, end: int) -> Page | Records:
        """Records from the offset `first` on, as many as one fetch brings, and none from `end` on.

        Raises:
            KafkaError: the broker refuses, or what it gave is damaged.
        """
        if self._ahead is None or self._ahead[:3] != (place, first, end):
            await self._forget()
            self._ahead = self._begin(place, first, end)
        page = await self._ahead[3]
        self._ahead = self._begin(place, page.next, end) if page.next < end else None
        return page

    def _begin(self, place: TopicPartition, first: int, end: int) -> tuple[Any, ...]:
        return place, first, end, asyncio.create_task(self._fetch(place, first, end), name="page")

    async def _forget(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead[3].cancel()
            with suppress(asyncio.CancelledError, KafkaError):
                await ahead[3]

    async def _fetch(self, place: TopicPartition, first: int, end: int) -> Page | Records:
        request = FetchRequest(
            _WAIT_MS, 1, PAGE_BYTES, READ_COMMITTED, [(place.topic, [(place.partition, first, PAGE_BYTES)])]
        )
        while True:
            leader = self._client.cluster.leader_for_partition(place)
            if leader is not None and leader >= 0:
                response = await self._client.send(leader, request)
                ((_, ((_, code, _, *others),)),) = response.topics
                error = for_code(code)
                if error is NoError and others[-1]:
                    # Version 11 has the replica to read from between the aborted transactions and the records.
                    aborted = others[-3 if response.API_VERSION >= 11 else -2]
                    return _page(place, others[-1], aborted, first, end)
                if error is not NoError and not error.retriable:
                    raise error(f"{place.topic}[{place.partition}]@{first}")
                if error is NoError:
                    continue
            self._client.force_metadata_update()
            await asyncio.sleep(_RETRY_AFTER_S)


def _page(place: TopicPartition, data: bytes, aborted: Any, first: int, end: int) -> Page | Records:
    try:
        return Page(place, data, first, end)
    except Unusual:
        records = PartitionRecords(place, MemoryRecords(data), aborted, first, None, None, True, READ_COMMITTED)
        wanted = [record for record in records if record.offset < end]
        # Where a partition ends with marks of transactions, the position gets there without a record.
        return Records(wanted, min(records.next_fetch_offset, end))
