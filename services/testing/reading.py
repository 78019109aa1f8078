"""What stands on the topics: read once per session, shown to each test from where the topics ended when it began."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from schemas.codec import decode
from schemas.envelope import Event
from schemas.loading import load_contracts
from topics.definition import Catalogue, Topic, load_catalogue

STALLED_SECONDS = 30

Ends = Mapping[tuple[str, int], int]
"""Where partitions end: the offset that the next record will get."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record where it stands."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Topics:
    """The records that were written to the catalogue's topics since this was made."""

    def __init__(self, bootstrap_servers: str, catalogue: Catalogue | None = None) -> None:
        logging.getLogger("kafka").setLevel(logging.ERROR)
        self.catalogue = catalogue or load_catalogue()
        self._consumer: Any = KafkaConsumer(
            bootstrap_servers=bootstrap_servers.split(","),
            client_id="kouan-testing",
            group_id=None,
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            max_partition_fetch_bytes=6 * 1024 * 1024,
            fetch_max_wait_ms=50,
        )
        self._records: dict[str, list[Record]] = {name: [] for name in self.catalogue.topics}
        self.began: Ends = self.ends()
        self._next = dict(self.began)

    def ends(self) -> Ends:
        """Where all topics end at this moment."""
        places = [place for topic in self.catalogue.topics.values() for place in _places(topic)]
        return {tuple(place): end for place, end in self._consumer.end_offsets(places).items()}

    def read(self, name: str, since: Ends) -> list[Record]:
        """The records of a topic from `since` up to where it ends now; those of one key in the order they were written.

        Raises:
            LookupError: the catalogue has no such topic.
            TimeoutError: the broker gave nothing for `STALLED_SECONDS`.
        """
        topic = self.catalogue.topics.get(name)
        if topic is None:
            raise LookupError(f"目录中没有主题 {name} / no topic {name}; there are {', '.join(self.catalogue.topics)}")
        self._catch_up(topic)
        return [record for record in self._records[name] if record.offset >= since[name, record.partition]]

    def _catch_up(self, topic: Topic) -> None:
        places = _places(topic)
        ends = self._consumer.end_offsets(places)
        behind = [place for place in places if self._next[place] < ends[place]]
        if not behind:
            return
        self._consumer.assign(behind)
        for place in behind:
            self._consumer.seek(place, self._next[place])
        heard = time.monotonic()
        while any(self._consumer.position(place) < ends[place] for place in behind):
            batches = self._consumer.poll(timeout_ms=500)
            for place, batch in batches.items():
                heard = time.monotonic()
                self._records[topic.name] += map(_record, batch)
                self._next[tuple(place)] = batch[-1].offset + 1
            if time.monotonic() - heard > STALLED_SECONDS:
                raise TimeoutError(f"{topic.name}: the broker gave nothing for {STALLED_SECONDS} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


class Reading:
    """`kouan_read(topic, …)`: the events that were written to a topic since the test began."""

    def __init__(self, topics: Topics, since: Ends) -> None:
        self._topics = topics
        self._since = since

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue whose topics are read."""
        return self._topics.catalogue

    def __call__(self, topic: str, *, subject: str | None = None, type: str | None = None) -> list[Event[Any]]:
        """The events up to now, those of one subject in order; only of `subject` and `type` where these are given.

        Raises:
            schemas.codec.DecodeError, schemas.codec.PayloadError: a record is no event of ours; `kouan_check` says
                where it stands and all that is wrong with it.
        """
        load_contracts()
        events = (decode(record.key, record.value, record.headers) for record in self.records(topic))
        return [event for event in events if subject in (None, event.subject) and type in (None, event.type)]

    def records(self, topic: str) -> list[Record]:
        """The records as they stand there, whatever they are."""
        return self._topics.read(topic, self._since)


def _places(topic: Topic) -> Iterable[Any]:
    return [TopicPartition(topic.name, number) for number in range(topic.partitions)]


def _record(record: Any) -> Record:
    headers = tuple((name, value or b"") for name, value in record.headers)
    return Record(record.topic, record.partition, record.offset, record.key, record.value, headers)
