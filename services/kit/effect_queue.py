"""Open effects between the database and those who perform them: leased with their batch, found again, postponed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from schemas.envelope import Event
from services.kit.batch import Batch, TaskId
from services.kit.clock import Clock
from services.kit.database import Database
from services.kit.door import EffectResult
from services.kit.effects import FURTHEST_MS, LEASE_MS, Attempt, Performer
from services.kit.failures import Fenced, Transient
from services.kit.reading import Item, Reader
from services.kit.store import Store
from services.kit.task import Task
from services.kit.wiring import Wiring

log = structlog.get_logger()

_AT_ONCE = 200


class EffectQueue:
    """The effects of the tasks that this worker owns. `next_ms` is when a row of them is to be looked for, None for
    never; `results` are those that ended and are not decided yet."""

    def __init__(
        self,
        wiring: Wiring,
        clock: Clock,
        store: Store,
        database: Database,
        tasks: Mapping[TaskId, Task],
        reader: Reader,
        concurrency: int,
        wake: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._database = database
        self._tasks = tasks
        self._reader = reader
        self._wake = wake
        self._performer = Performer(wiring, clock, concurrency, self._ended, self._postpone)
        self._reserved = 0
        self.results: list[Item] = []
        self.next_ms: int | None = None

    async def forget(self) -> None:
        """Stop what runs and drop what waits: the rows are in the database."""
        self._reserved = 0
        await self._performer.forget()
        self.results.clear()

    def near(self, within_ms: int) -> bool:
        """Whether rows are to be looked for so soon, or now."""
        now = self._clock.now_ms()
        return self.next_ms is not None and not now + within_ms < self.next_ms <= now + FURTHEST_MS

    def take_results(self) -> list[Item]:
        """What ended since the last time, of tasks that are still owned."""
        items = [item for item in self.results if item.task in self._tasks]
        self.results.clear()
        return items

    # With a batch

    def lease(self, batch: Batch) -> None:
        """First attempts are recorded with the effects, as many as there is room for; the others wait in their rows."""
        if not batch.effects_opened:
            return
        room = max(0, self._performer.room - self._reserved)
        lease = self._clock.now_ms() + LEASE_MS
        rows = batch.effects_opened
        batch.effects_opened = [(*row, 1, lease) for row in rows[:room]] + [(*row, 0, 0) for row in rows[room:]]
        batch.leased = min(room, len(rows))
        self._reserved += batch.leased

    def dropped(self, batch: Batch) -> None:
        """The batch was not committed: its leases are void."""
        self._reserved -= batch.leased

    def committed(self, batch: Batch) -> None:
        """Perform what the batch opened and leased; what it closed is settled."""
        if batch.effects_opened:
            self._opened(batch)
        for ident in batch.effects_closed:
            self._performer.settled(ident)

    def _opened(self, batch: Batch) -> None:
        closed = set(batch.effects_closed)
        attempts = []
        self._reserved -= batch.leased
        for row in batch.effects_opened:
            aggregate, name, id, partition, key, event_id, payload, correlation, trace, time_ms, count, _ = row
            if count and (aggregate, name, id) not in closed:
                task = TaskId(aggregate, partition)
                attempts.append(Attempt(task, name, id, key, event_id, payload, correlation, trace, time_ms, count))
        self._look_at(self._clock.now_ms() + LEASE_MS)
        if batch.leased < len(batch.effects_opened):
            self.next_ms = 0
        self._performer.perform(attempts)

    # From the database

    @property
    def due(self) -> bool:
        """Whether rows are to be looked for now, and there is room for what is found."""
        return self._performer.any and self.near(0) and self._performer.room >= _AT_ONCE

    async def poll(self) -> None:
        """Effects in the database whose next attempt is due: left by a former owner, postponed, or too many at once."""
        if not self.due:
            # The batch that was just stored took the room: what was leased now would wait for its lease to end.
            return
        now = self._clock.now_ms()
        rows = await self._database.run(self._store.effects_due, list(self._tasks), now, now + FURTHEST_MS, _AT_ONCE)
        attempts = [
            Attempt(
                TaskId(row["aggregate"], row["partition"]), row["name"], row["id"], row["key"], row["event_id"],
                row["payload"], row["correlation"], row["traceparent"], row["time_ms"], row["attempts"] + 1,
            )
            for row in rows
        ]  # fmt: skip
        attempts = [one for one in attempts if not self._performer.holds(one.ident) and one.task in self._tasks]
        if attempts:
            records = [(*one.ident, one.attempts, now + LEASE_MS) for one in attempts]
            epochs = {one.task: self._tasks[one.task].epoch for one in attempts}
            await self._database.run(self._store.attempt, epochs, records)
            self._performer.perform(attempts)
        if len(rows) < _AT_ONCE:
            self.next_ms = await self._database.run(self._store.next_effect, list(self._tasks))

    # From those who perform

    def _ended(self, task: TaskId, name: str, result: EffectResult, event: Event[Any]) -> None:
        self.results.append(self._reader.effect(task, name, result, event))
        self._wake()

    async def _postpone(self, attempt: Attempt, next_ms: int) -> None:
        owned = self._tasks.get(attempt.task)
        if owned is None:
            return
        row = (*attempt.ident, attempt.attempts, next_ms)
        try:
            await self._database.run(self._store.attempt, {attempt.task: owned.epoch}, [row])
        except (Fenced, Transient) as failure:
            # The lease of the attempt that is recorded brings it back.
            log.warning("postponing an effect failed", effect_id=attempt.id, error=repr(failure))
        self._look_at(next_ms)

    def _look_at(self, ms: int) -> None:
        self.next_ms = ms if self.next_ms is None else min(self.next_ms, ms)
