"""Records as publishers sent them and as they stand on topics, by librdkafka: no code of the kit or the contracts."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""


@dataclass(slots=True)
class Sent:
    """One record that a publisher sent, and what it was told: `fate` is `acknowledged` or `unknown`.

    `poison` is the reason that its dead letter is expected to give, None for what is to be applied. The offset in
    `place` is None where the broker acknowledged a batch that it had already and did not say where.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    poison: str | None = None
    fate: str = "unknown"
    place: tuple[str, int, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """One record as it stands on a topic."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]

    @property
    def ident(self) -> tuple[str, str]:
        """Source and id, by which repeats are told."""
        return self.text("ce_source"), self.text("ce_id")

    @property
    def kind(self) -> str:
        return self.text("ce_type")

    @property
    def body(self) -> Any:
        return json.loads(self.value or b"null")

    def text(self, header: str) -> str:
        return self.headers.get(header, b"").decode("utf-8", "replace")


class Publisher:
    """Another system's publisher: librdkafka, placed as Java does, told of every record's fate."""

    def __init__(self, bootstrap_servers: str, **settings: Any) -> None:
        defaults = {
            "bootstrap.servers": bootstrap_servers,
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "message.max.bytes": 5_000_000,
            "message.timeout.ms": 30_000,
            "log_level": 0,
        }
        self._producer = Producer({**defaults, **settings})
        self.sent: list[Sent] = []

    def event(
        self,
        topic: str,
        kind: str,
        key: str,
        body: Mapping[str, Any],
        *,
        id: str | None = None,
        source: str = "//bank/exim-nmg",
        poison: str | None = None,
        headers: Mapping[str, bytes | None] | None = None,
        partition: int | None = None,
    ) -> Sent:
        """Send one CloudEvent; `headers` replaces some of its headers, or takes them out with None."""
        attributes: dict[str, bytes | None] = {
            "ce_specversion": b"1.0",
            "ce_id": (id or str(uuid.uuid4())).encode(),
            "ce_source": source.encode(),
            "ce_type": kind.encode(),
            "ce_time": datetime.now(UTC).isoformat().encode(),
            "ce_subject": key.encode(),
            "content-type": b"application/json",
            **(headers or {}),
        }
        given = [(name, value) for name, value in attributes.items() if value is not None]
        return self.record(topic, key.encode(), json.dumps(body).encode(), given, poison=poison, partition=partition)

    def record(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        poison: str | None = None,
        partition: int | None = None,
    ) -> Sent:
        """Send bytes as they are."""
        one = Sent(topic, key, value, list(headers), poison)
        where = {} if partition is None else {"partition": partition}

        def told(error: KafkaError | None, message: Any) -> None:
            one.fate = "acknowledged" if error is None else "unknown"
            if error is None:
                one.place = (message.topic(), message.partition(), message.offset())

        self.sent.append(one)
        self._producer.produce(topic, value=value, key=key, headers=one.headers, on_delivery=told, **where)
        self._producer.poll(0)
        return one

    def again(self, one: Sent) -> Sent:
        """Send the same record once more, as a publisher does who was told nothing."""
        return self.record(one.topic, one.key, one.value, one.headers, poison=one.poison)

    def redrive(self, topic: str, letter: Stored, value: bytes) -> Sent:
        """Send a dead letter round again with another value, as an operator does."""
        return self.record(topic, letter.key, value, list(letter.headers.items()))

    def flush(self, seconds: float = 30) -> None:
        """Wait until every record's fate is known."""
        left = self._producer.flush(seconds)
        assert left == 0, f"{left} records are not acknowledged after {seconds} s"


class Topics:
    """Reads topics from their beginning to their present end."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._settings = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"history-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": False,
            "fetch.wait.max.ms": 50,
        }

    def ends(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """The next offset of every partition."""
        with closing(Consumer(self._settings)) as consumer:
            return {
                (topic, number): consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
                for topic in topics
                for number in self._partitions(consumer, topic)
            }

    def read(self, topics: Iterable[str]) -> dict[str, list[Stored]]:
        """All records of topics, each topic's by partition and offset."""
        wanted = list(topics)
        found: dict[str, list[Stored]] = {topic: [] for topic in wanted}
        with closing(Consumer(self._settings)) as consumer:
            ends = {
                (topic, number): consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
                for topic in wanted
                for number in self._partitions(consumer, topic)
            }
            left = {place for place, end in ends.items() if end > 0}
            consumer.assign([TopicPartition(topic, number, 0) for topic, number in left])
            deadline = time.monotonic() + 60
            while left:
                assert time.monotonic() < deadline, f"could not read {left} to the end"
                for message in consumer.consume(5000, timeout=0.2):
                    assert message.error() is None, message.error()
                    place = (message.topic(), message.partition(), message.offset())
                    headers = dict(message.headers() or [])
                    found[place[0]].append(Stored(place, message.key(), message.value(), headers))
                positions = consumer.position([TopicPartition(*place) for place in left])
                left -= {
                    (one.topic, one.partition) for one in positions if one.offset >= ends[one.topic, one.partition]
                }
        for records in found.values():
            records.sort(key=lambda record: record.place)
        return found

    @staticmethod
    def _partitions(consumer: Consumer, topic: str) -> list[int]:
        return sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
