"""How a worker tells how it goes: metrics, and the group's committed offsets, which serve the usual tools."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError

from services.kit import metrics
from services.kit.batch import Batch, Pack, TaskId
from services.kit.relay import Relay
from services.kit.task import Task

log = structlog.get_logger()

_EVERY = 5.0


class Telling:
    """The figures of one service's worker. Nothing in the kit reads them."""

    def __init__(
        self, name: str, tasks: Mapping[TaskId, Task], positions: Mapping[tuple[str, int], int], relay: Relay
    ) -> None:
        self._name = name
        self._tasks = tasks
        self._positions = positions
        self._relay = relay
        self._next = 0.0

    def committed(self, batch: Batch, inputs: int, packs: list[tuple[int, Pack]]) -> None:
        """Count what a batch of so many inputs came to, and log what a person should know of it."""
        for _, pack in packs:
            metrics.OUTPUTS.labels(self._name, pack.target.topic).inc(pack.number)
        metrics.INPUTS.labels(self._name, "applied").inc(batch.applied)
        for outcome, number in batch.counts.items():
            metrics.INPUTS.labels(self._name, outcome).inc(number)
        metrics.BATCH_INPUTS.labels(self._name).observe(inputs)
        for text, fields in batch.notes:
            log.warning(text, **fields)

    def now_and_then(self, consumer: AIOKafkaConsumer) -> None:
        """Every few seconds: lag, what waits, and the offsets."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        metrics.UNSENT.labels(self._name).set(self._relay.unsent)
        metrics.PARKED.labels(self._name).set(sum(len(owned.parked) for owned in self._tasks.values()))
        offsets = {}
        for (topic, partition), offset in self._positions.items():
            place = TopicPartition(topic, partition)
            metrics.POSITION.labels(self._name, topic, partition).set(offset)
            try:
                end = consumer.highwater(place)
            except (AssertionError, IllegalStateError):
                continue
            offsets[place] = offset
            if end is not None:
                metrics.LAG.labels(self._name, topic, partition).set(max(0, end - offset))
        if offsets:
            asyncio.create_task(_commit_quietly(consumer, offsets), name="telemetry")  # noqa: RUF006


async def _commit_quietly(consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
    try:
        await asyncio.wait_for(consumer.commit(offsets), 5)
    except Exception as error:
        log.debug("offsets not told to the group", error=repr(error))
