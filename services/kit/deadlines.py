"""When a deadline may fire: once its task has read past the due time on all its topics, so that what came in time, and
waits behind an outage, is applied before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError

from services.kit.batch import Batch, TaskId
from services.kit.clock import Clock
from services.kit.task import Task
from services.kit.wiring import Wiring


class Deadlines:
    """What this worker knows of its tasks' deadlines. `next_ms` is the earliest one's due time; the rows are in the
    database, and none of them is due where it is None."""

    def __init__(
        self, wiring: Wiring, clock: Clock, tasks: Mapping[TaskId, Task], positions: Mapping[tuple[str, int], int]
    ) -> None:
        self._wiring = wiring
        self._clock = clock
        self._tasks = tasks
        self._positions = positions
        self._read_past: dict[tuple[str, int], int] = {}
        self._checkpoints: dict[tuple[str, int], tuple[int, int]] = {}
        self.next_ms: int | None = None

    def forget(self) -> None:
        """How far the topics were read is found out anew with the next owner's consumer."""
        self._read_past.clear()
        self._checkpoints.clear()

    def committed(self, batch: Batch) -> None:
        """Take note of the deadlines that a batch set."""
        if batch.deadlines_set:
            earliest = min(row[4] for row in batch.deadlines_set)
            self.next_ms = earliest if self.next_ms is None else min(self.next_ms, earliest)

    def near(self, within_ms: int) -> bool:
        """Whether one falls due so soon, or is due."""
        return self.next_ms is not None and self.next_ms <= self._clock.now_ms() + within_ms

    def horizons(self, consumer: AIOKafkaConsumer) -> dict[TaskId, int]:
        """Tasks of which the earliest deadline may fire, with the moment (ms) up to which theirs may."""
        now = self._clock.now_ms()
        if self.next_ms is None or self.next_ms > now:
            return {}
        if any(moment > now for moment in self._noted()):
            # Noted by a clock that was ahead and was set back: nobody knows any more what was read by now.
            self.forget()
        self._note_progress(consumer)
        found = {}
        for task in self._tasks:
            topics = self._wiring.topics_of(task.aggregate)
            read = min((self._read_past.get((topic, task.partition), 0) for topic in topics), default=0)
            if min(read, now) >= self.next_ms:
                found[task] = min(read, now)
        return found

    def _noted(self) -> Iterator[int]:
        yield from self._read_past.values()
        yield from (moment for _, moment in self._checkpoints.values())

    def _note_progress(self, consumer: AIOKafkaConsumer) -> None:
        """How far in time each topic is read: up to the moment at which its end was where we now stand."""
        for topic, partition in self._positions:
            place = (topic, partition)
            checkpoint = self._checkpoints.get(place)
            if checkpoint is None:
                try:
                    end = consumer.last_stable_offset(TopicPartition(topic, partition))
                    polled = consumer.last_poll_timestamp(TopicPartition(topic, partition))
                except (AssertionError, IllegalStateError):
                    continue
                if end is None or polled is None or end < 0:
                    continue
                checkpoint = self._checkpoints[place] = (end, self._clock.of_machine(polled))
            if self._positions[place] >= checkpoint[0]:
                self._read_past[place] = checkpoint[1]
                del self._checkpoints[place]
