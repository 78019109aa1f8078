"""Reference topics: read to their end before anything is decided, then followed; every process knows all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.codec import DecodeError, PayloadError, decode
from schemas.envelope import payload_class
from services.kit import metrics
from services.kit.door import Context
from topics.definition import Topic

log = structlog.get_logger()


class References:
    """Feeds a service's context from its reference topics.

    A record that can't be learnt is logged with its place and counted, and stays on its topic for good: it is not a
    dead letter, because every process of every service reads it, and none of them owns it.
    """

    def __init__(self, bootstrap_servers: str, client_id: str, topics: Sequence[Topic], context: Context) -> None:
        self._bootstrap = bootstrap_servers
        self._client_id = client_id
        self._topics = {topic.name: topic for topic in topics}
        self._known = {
            topic.name: {kind: cls for kind in topic.events if (cls := payload_class(kind)) is not None}
            for topic in topics
        }
        self._context = context
        self._consumer: AIOKafkaConsumer | None = None
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read everything up to the present end, then go on in the background."""
        if not self._topics:
            return
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await self._consumer.start()
        places = [
            TopicPartition(name, number) for name, topic in self._topics.items() for number in range(topic.partitions)
        ]
        self._consumer.assign(places)
        ends = await self._consumer.end_offsets(places)
        await self._consumer.seek_to_beginning(*places)
        for place in places:
            while await self._consumer.position(place) < ends[place]:
                self._learn(await self._consumer.getmany(place, timeout_ms=500))
        self._following = asyncio.create_task(self._follow(), name="reference topics")

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following], timeout=5)
        if self._consumer is not None:
            await self._consumer.stop()

    async def _follow(self) -> None:
        assert self._consumer is not None
        while True:
            try:
                self._learn(await self._consumer.getmany(timeout_ms=1000))
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("reading reference topics failed; trying again", error=repr(error))
                await asyncio.sleep(1)

    def _learn(self, fetched: dict[TopicPartition, list[Any]]) -> None:
        for place, records in fetched.items():
            topic = self._topics[place.topic]
            for record in records:
                try:
                    event = decode(record.key, record.value, record.headers, self._known[topic.name])
                    if not topic.accepts_source(event.source):
                        raise DecodeError("wrong-source", f"source {event.source!r} may not write {topic.name}")
                except (DecodeError, PayloadError) as error:
                    metrics.REFERENCE_INVALID.labels(topic.name).inc()
                    log.error(
                        "reference record can't be used; its writer has to send a corrected one",
                        topic=place.topic, partition=place.partition, offset=record.offset, reason=str(error)[:2000],
                    )  # fmt: skip
                else:
                    self._context.learn(event)
