"""All that stands on the topics, read by a client of its own: what the books at the end are made from."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from topics.definition import Catalogue

STALLED_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Record:
    """One record where it stands; `time_ms` is the broker's timestamp in milliseconds."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset


class TopicsStalled(Exception):
    """The broker stopped answering while the topics were being read."""


class TopicsLog:
    """Every record of every topic of the catalogue, as far as read."""

    def __init__(self, bootstrap_servers: str, catalogue: Catalogue) -> None:
        logging.getLogger("kafka").setLevel(logging.ERROR)
        self._consumer: Any = KafkaConsumer(
            bootstrap_servers=bootstrap_servers.split(","),
            client_id="kouan-demo",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            max_partition_fetch_bytes=6 * 1024 * 1024,
            fetch_max_wait_ms=100,
        )
        self._places = [
            TopicPartition(topic.name, number)
            for topic in catalogue.topics.values()
            for number in range(topic.partitions)
        ]
        self._consumer.assign(self._places)
        self._consumer.seek_to_beginning(*self._places)
        self.records: dict[str, list[Record]] = {name: [] for name in catalogue.topics}

    def ends(self) -> dict[tuple[str, int], int]:
        """Where each partition ends at this moment: the offset that the next record will get."""
        return {tuple(place): end for place, end in self._consumer.end_offsets(self._places).items()}

    def catch_up(self) -> dict[tuple[str, int], int]:
        """Read on to where the topics end at this moment; returns those ends.

        Raises:
            TopicsStalled: nothing came for `STALLED_SECONDS` though something stands there.
        """
        ends = self.ends()
        heard = time.monotonic()
        while any(self._consumer.position(place) < ends[tuple(place)] for place in self._places):
            batches = self._consumer.poll(timeout_ms=500, max_records=5000)
            for batch in batches.values():
                heard = time.monotonic()
                self._keep(batch)
            if time.monotonic() - heard > STALLED_SECONDS:
                raise TopicsStalled(f"nothing came from the topics for {STALLED_SECONDS} s")
        return ends

    def _keep(self, batch: Iterable[Any]) -> None:
        for record in batch:
            headers = tuple((name, value) for name, value in record.headers if value is not None)
            kept = Record(
                record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, headers
            )
            self.records[record.topic].append(kept)

    def close(self) -> None:
        """Close the connection; what was read stays."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
