"""Open effects between database and performers: none is leased for which nobody has room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from services.kit import effects
from services.kit.batch import Batch, TaskId
from services.kit.clock import Clock
from services.kit.database import open_database
from services.kit.door import Done
from services.kit.effect_queue import EffectQueue
from services.kit.migrate import migrate
from services.kit.reading import Reader
from services.kit.store import Store
from services.kit.task import Task
from services.kit.wiring import wire
from tests.support.ledger import build, catalogue

TASK = TaskId("account", 0)
LEFT_BEHIND = 50
LETTER = '{"letter_id": "x", "text": "x"}'


def row(number: int, *, attempts: int, next_ms: int) -> tuple[Any, ...]:
    return (
        "account",
        "letter",
        f"letter-{number}",
        0,
        "a1",
        f"event-{number}",
        LETTER,
        "a1",
        "00-",
        0,
        attempts,
        next_ms,
    )


def play(tmp_path: Path, scene: Callable[[EffectQueue, Store], Awaitable[None]]) -> None:
    """A queue over a database in which effects wait that a former owner left."""
    service = build()
    wiring = wire(service, catalogue())
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    migrate(url, service.name, service.migrations)

    async def run() -> None:
        database = open_database(url, service.name)
        store = Store(database, service.aggregates)
        tasks: dict[TaskId, Task] = {}
        try:
            claimed = await database.run(store.claim, [TASK], {})
            tasks[TASK] = Task(claimed.epochs[TASK], 100)
            left = [row(number, attempts=1, next_ms=0) for number in range(LEFT_BEHIND)]
            await database.run(store.store, Batch(epochs=claimed.epochs, effects_opened=left), [])
            queue = EffectQueue(wiring, Clock(), store, database, tasks, Reader(wiring, tasks), 1, lambda: None)
            queue.next_ms = 0
            await scene(queue, store)
            await queue.forget()
        finally:
            await database.stop()

    asyncio.run(run())


async def attempts_of(store: Store) -> set[int]:
    rows = await store.database.run(store.database.query, "SELECT DISTINCT attempts FROM kit_effect")
    return {attempts for (attempts,) in rows}


def test_what_a_former_owner_left_is_leased_and_performed(tmp_path: Path) -> None:
    async def scene(queue: EffectQueue, store: Store) -> None:
        assert queue.due
        await queue.poll()
        assert await attempts_of(store) == {2}

    play(tmp_path, scene)


def test_nothing_is_leased_once_a_batch_has_taken_the_room(tmp_path: Path, monkeypatch: Any) -> None:
    """The batch in front may be committed between asking whether effects are due and looking for them."""

    async def scene(queue: EffectQueue, store: Store) -> None:
        batch = Batch(epochs={})
        batch.effects_opened = [
            row(1000 + number, attempts=0, next_ms=0)[:-2] for number in range(effects.MOST_WAITING)
        ]
        queue.lease(batch)
        assert queue.due
        queue.committed(batch)
        await queue.poll()
        assert await attempts_of(store) == {1}
        assert queue.next_ms == 0

    async def never(payload: object, attempt: int) -> Done:
        await asyncio.sleep(3600)
        return Done()

    monkeypatch.setattr("tests.support.ledger.write_letter", never)
    play(tmp_path, scene)


def test_what_a_clock_that_was_ahead_put_off_is_performed_as_soon_as_it_is_right(tmp_path: Path) -> None:
    async def scene(queue: EffectQueue, store: Store) -> None:
        in_an_hour = Clock().now_ms() + 3_600_000
        await store.database.run(store.database.execute, "UPDATE kit_effect SET next_ms = ?", (in_an_hour,))
        queue.next_ms = in_an_hour
        assert queue.due
        await queue.poll()
        assert await attempts_of(store) == {2}

    play(tmp_path, scene)


def test_what_was_put_off_for_a_quarter_of_an_hour_waits_for_it(tmp_path: Path) -> None:
    async def scene(queue: EffectQueue, store: Store) -> None:
        later = Clock().now_ms() + 15 * 60_000
        await store.database.run(store.database.execute, "UPDATE kit_effect SET next_ms = ?", (later,))
        queue.next_ms = later
        assert not queue.due
        assert await store.database.run(store.effects_due, [TASK], later - 1, later + 1, 10) == []

    play(tmp_path, scene)
