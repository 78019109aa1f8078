"""The runner's own books, with a real database and no broker: what it does when a batch can't be committed as it is."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.kit.failures import Transient
from services.kit.migrate import migrate
from services.kit.reading import Item, Wanted, want
from services.kit.records import StoredRecord
from services.kit.runner import Runner
from services.kit.settings import Settings
from services.kit.task import Task
from tests.support.ledger import PARTITIONS, EntryMade
from tests.unit.kit.builders import Desk, Record, opened


class Workbench:
    """A runner that owns all tasks and is handed records; what it publishes is kept, not sent."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.desk = Desk()
        self._settings = Settings(data_dir=folder, **settings)
        self.published: list[int] = []
        migrate(self._settings.database_for("ledger"), "ledger", "tests.support.ledger.migrations")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Workbench]:
        self.runner = Runner(self.desk.wiring, self._settings)
        self.runner._relay.publish = lambda packs: self.published.extend(seq for seq, _ in packs)  # type: ignore[method-assign]
        self.runner._limits.unexpected_per_minute = 5
        places = {(name, number): f"id of {name}" for name in self.desk.wiring.inlets for number in range(PARTITIONS)}
        claimed = await self.runner._database.run(self.runner._store.claim, sorted(self.desk.tasks), places)
        for task, epoch in claimed.epochs.items():
            self.runner._tasks[task] = Task(epoch, self._settings.cache_entries, parked=claimed.parked.get(task, {}))
        self.runner._positions.update({place: offset for place, (offset, _) in claimed.positions.items()})
        self.runner._reclaim = False
        try:
            yield self
        finally:
            await self.runner._database.stop()

    async def take(self, *records: Record) -> None:
        """Hand records over as one batch, and go on while it is stored."""
        items = [item for one in records for item in self.runner._reader.read(one.topic, one.partition, [one], {})]
        await self._pipeline(items)

    async def turn(self, *records: Record, quiet: bool = False) -> None:
        """One turn of the loop, for which these records were fetched; `quiet`: after a wait in which nothing came."""
        runner = self.runner
        items = [item for one in records for item in runner._reader.read(one.topic, one.partition, [one], {})]

        def fetched(_: object, wanted: Wanted) -> list[Item]:
            want(items, runner._tasks, wanted)
            return items

        async def waited() -> bool:
            return quiet

        runner._begin_fetch = lambda _: None  # type: ignore[method-assign]
        runner._fetched = fetched  # type: ignore[method-assign,assignment]
        runner._wait_for_work = waited  # type: ignore[method-assign]
        runner._telling.now_and_then = lambda _: None  # type: ignore[method-assign]
        await runner._turn(_NoConsumer())  # type: ignore[arg-type]
        await runner._finish_storing()

    async def _pipeline(self, items: list[Item]) -> None:
        wanted: Wanted = {}
        want(items, self.runner._tasks, wanted)
        await self.runner._pipeline(items, wanted, self.runner._redecided)

    async def unpark(self) -> None:
        """Try once more whatever waits and may be due, as the loop would."""
        await self.runner._finish_storing()
        items = await self.runner._internal(_NoConsumer())  # type: ignore[arg-type]
        if items:
            await self._pipeline(items)
        await self.runner._finish_storing()

    async def stored(self) -> None:
        await self.runner._finish_storing()

    async def query(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.runner._database.run(self.runner._database.query, sql)


class _NoConsumer:
    """Nothing is read, so no time passes on any topic."""

    def last_stable_offset(self, place: object) -> None:
        return None

    def last_poll_timestamp(self, place: object) -> None:
        return None


Bench = Callable[[Callable[[Workbench], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def on_bench(tmp_path: Path, settings: dict[str, Any]) -> Bench:
    def run(scene: Callable[[Workbench], Coroutine[Any, Any, None]]) -> None:
        async def opened_bench() -> None:
            async with Workbench(tmp_path, **settings).open() as bench:
                await scene(bench)

        asyncio.run(opened_bench())

    return run


def test_a_parked_repeat_of_what_was_applied_is_left_out_and_does_not_stop_the_service(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        await bench.take(desk.record(EntryMade(amount=5), id="entry"))
        await bench.stored()
        # The repeat is read while its original waits, and the account opens before either is tried again.
        await bench.take(desk.record(opened()), desk.record(EntryMade(amount=5), id="entry"))
        await bench.stored()
        rows = await bench.query("SELECT record_offset FROM kit_parked ORDER BY record_offset")
        assert rows == [(0,), (1,)]
        await bench.runner._database.run(_hide_second, bench.runner)
        await bench.unpark()
        await bench.runner._database.run(_show_second, bench.runner)
        bench.runner._awaited = {(desk.task("a1"), "a1"): False}
        bench.runner._tasks[desk.task("a1")].parked = {"a1": {"ledger.entries": 1}}
        await bench.unpark()

        assert await bench.query("SELECT balance FROM ledger_account") == [(5,)]
        assert await bench.query("SELECT count(*) FROM kit_parked") == [(0,)]
        assert bench.runner._tasks[desk.task("a1")].parked == {}

    on_bench(scene)


def _hide_second(runner: Runner) -> None:
    with runner._database.transaction():
        runner._database.execute("CREATE TABLE hidden AS SELECT * FROM kit_parked WHERE record_offset = 1")
        runner._database.execute("DELETE FROM kit_parked WHERE record_offset = 1")


def _show_second(runner: Runner) -> None:
    with runner._database.transaction():
        runner._database.execute("INSERT INTO kit_parked SELECT * FROM hidden")


def test_what_the_broker_confirmed_leaves_the_outbox_though_the_batch_after_it_was_overtaken(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        await bench.take(desk.record(opened(), id="first"))
        await bench.stored()
        (sent,) = bench.published
        bench.runner._relay.confirmed = [sent]
        # The repeat is taken as new, found to be none, and the batch is decided again.
        await bench.take(desk.record(opened(), id="first"), desk.record(EntryMade(amount=5)))
        await bench.stored()
        if bench.runner._relay.confirmed:
            await bench.runner._flush()

        assert await bench.query(f"SELECT count(*) FROM kit_outbox WHERE seq = {sent}") == [(0,)]

    on_bench(scene)


@pytest.mark.parametrize("settings", [{"cache_entries": 100}])
def test_a_state_that_memory_let_go_while_the_next_batch_was_read_is_loaded_again(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        neighbours = [f"b{number}" for number in range(800) if desk.task(f"b{number}") == desk.task("a1")]
        await bench.take(desk.record(opened()))
        await bench.stored()
        # This batch makes memory too full, and the account is the oldest in it.
        await bench.take(*(desk.record(opened(key), key=key) for key in neighbours))
        await bench.take(desk.record(EntryMade(amount=5)))
        await bench.stored()

        assert await bench.query("SELECT balance FROM ledger_account WHERE key = 'a1'") == [(5,)]
        assert await bench.query("SELECT count(*) FROM kit_parked") == [(0,)]

    on_bench(scene)


@pytest.mark.parametrize("settings", [{"page_cache_mb": 3}])
def test_no_more_of_the_sqlite_file_is_kept_in_memory_than_is_allowed(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        # SQLite's way to say KiB.
        assert await bench.query("PRAGMA cache_size") == [(-3 * 1024,)]

    on_bench(scene)


def test_a_batch_that_is_decided_again_is_seen_by_the_one_that_was_read_behind_it(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        await bench.take(desk.record(opened(), id="first"))
        await bench.stored()
        bench.runner._tasks[desk.task("a1")].cache.clear()
        await bench.take(desk.record(opened(), id="first"), desk.record(EntryMade(amount=5)))
        bench.runner._tasks[desk.task("a1")].cache.clear()
        await bench.take(desk.record(EntryMade(amount=6)))
        await bench.stored()

        assert await bench.query("SELECT balance, entries, version FROM ledger_account") == [(11, 2, 3)]

    on_bench(scene)


def test_what_is_read_while_a_batch_is_decided_again_sees_what_comes_of_it(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk, runner = bench.desk, bench.runner
        await bench.take(desk.record(opened(), id="first"))
        await bench.stored()
        looking, go_on = asyncio.Event(), asyncio.Event()
        look_up = runner._look_up

        async def slow(items: list[Item]) -> Any:
            looking.set()
            await go_on.wait()
            return await look_up(items)

        runner._look_up = slow  # type: ignore[method-assign]
        await bench.take(desk.record(opened(), id="first"), desk.record(EntryMade(amount=5)))
        await looking.wait()
        # Memory holds nothing of the account now, and the database what stood there before.
        behind = asyncio.create_task(bench.take(desk.record(EntryMade(amount=6))))
        for _ in range(5):
            await asyncio.sleep(0)
        await runner._database.run(lambda: None)
        go_on.set()
        await behind
        await bench.stored()

        assert await bench.query("SELECT balance, entries, version FROM ledger_account") == [(11, 2, 3)]

    on_bench(scene)


@pytest.mark.parametrize("settings", [{"park_hours": 1}])
def test_an_input_is_given_up_when_it_waited_long_enough_itself_not_when_one_before_it_did(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk, runner = bench.desk, bench.runner
        await bench.take(desk.record(EntryMade(amount=1), id="old"))
        await bench.stored()
        runner._clock.offset_ms = 50 * 60_000
        await bench.take(desk.record(EntryMade(amount=2), id="young"))
        await bench.stored()
        runner._clock.offset_ms = 70 * 60_000
        runner._next_park_check = 0.0
        await runner._look_for_parked()
        await bench.unpark()

        dead = await bench.query("SELECT id FROM kit_inbox WHERE outcome = 2 AND source LIKE '//%'")
        assert dead == [("old",)]
        assert await bench.query("SELECT count(*) FROM kit_parked") == [(1,)]

    on_bench(scene)


def test_an_input_that_the_database_refuses_is_a_dead_letter_and_the_others_pass(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        await bench.take(*(desk.record(opened(f"k{number}"), key=f"k{number}") for number in range(10)))
        await bench.stored()
        # No database has an integer so large, and nothing in the ledger looks at it.
        amounts = [2**80 if number == 6 else 1 for number in range(13)]
        await bench.take(
            *(
                desk.record(EntryMade(amount=amount), key=f"k{number % 10}", id=f"e{number}")
                for number, amount in enumerate(amounts)
            )
        )
        await bench.stored()

        assert await bench.query("SELECT count(*), sum(entries), sum(balance) FROM ledger_account") == [(10, 12, 12)]
        dead = await bench.query("SELECT id FROM kit_inbox WHERE outcome = 2 AND source LIKE '//%'")
        assert dead == [("e6",)]

    on_bench(scene)


def test_a_repeat_that_fails_when_it_is_decided_is_a_repeat_and_no_failure(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk, runner = bench.desk, bench.runner
        await bench.take(desk.record(opened()), desk.record(EntryMade(amount=666), id="bad"))
        await bench.stored()
        assert len(runner._limits.failures) == 1
        # More of them than the minute has failures left, so that the service would pause.
        for number in range(10):
            again = desk.record(EntryMade(amount=666), id="bad")
            await bench.take(again, desk.record(EntryMade(amount=1), id=f"good-{number}"))
        await bench.stored()

        assert len(runner._limits.failures) == 1
        assert await bench.query("SELECT count(*) FROM kit_inbox WHERE outcome = 2 AND source LIKE '//%'") == [(1,)]
        assert await bench.query("SELECT balance FROM ledger_account WHERE key = 'a1'") == [(10,)]

    on_bench(scene)


def test_what_waited_is_tried_again_with_a_batch_that_has_to_be_decided_again(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk, runner = bench.desk, bench.runner
        await bench.take(desk.record(opened("b1"), key="b1", id="known"), desk.record(EntryMade(amount=1), id="early"))
        await bench.take(desk.record(opened()))
        await bench.stored()
        # A fresh repeat and what waited meet in one batch; the database knows the repeat.
        items = runner._reader.read("ledger.accounts", desk.task("b1").partition, [_repeat(desk)], {})
        rows = await runner._database.run(runner._store.parked, desk.task("a1"), "a1")
        runner._awaited.clear()
        items += runner._reader.unpark(desk.task("a1"), [StoredRecord(*record) for *_, record in rows], expired=False)
        await bench._pipeline(items)
        await bench.stored()

        assert await bench.query("SELECT balance FROM ledger_account WHERE key = 'a1'") == [(1,)]
        assert await bench.query("SELECT count(*) FROM kit_parked") == [(0,)]
        assert runner._tasks[desk.task("a1")].parked == {}

    on_bench(scene)


def _repeat(desk: Desk) -> Record:
    return desk.record(opened("b1"), key="b1", id="known")


def _asks_for_no_entries(desk: Desk) -> None:
    inlet = desk.wiring.inlets["ledger.entries"]
    inlet.decides.clear()  # type: ignore[attr-defined]
    inlet.routes.clear()  # type: ignore[attr-defined]


async def _entries_position(bench: Workbench) -> int:
    ((offset,),) = await bench.query("SELECT max(next_offset) FROM kit_position WHERE topic = 'ledger.entries'")
    return int(offset)


def test_what_nobody_asks_for_goes_past_with_the_next_batch(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        _asks_for_no_entries(desk)
        await bench.turn(desk.record(EntryMade(amount=5)))
        assert await _entries_position(bench) == 0
        await bench.turn(desk.record(EntryMade(amount=6)))
        await bench.turn(desk.record(opened()))

        assert await _entries_position(bench) == 2
        assert await bench.query("SELECT count(*) FROM ledger_account") == [(1,)]

    on_bench(scene)


def test_what_nobody_asks_for_goes_past_when_nothing_comes_any_more(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        _asks_for_no_entries(desk)
        await bench.turn(desk.record(EntryMade(amount=5)))
        await bench.turn(quiet=True)

        assert await _entries_position(bench) == 1

    on_bench(scene)


@pytest.mark.parametrize("settings", [{"batch_size": 3}])
def test_no_more_of_what_nobody_asks_for_is_kept_than_a_batch_takes(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        _asks_for_no_entries(desk)
        for amount in (5, 6):
            await bench.turn(desk.record(EntryMade(amount=amount)))
        assert await _entries_position(bench) == 0
        await bench.turn(desk.record(EntryMade(amount=7)))

        assert await _entries_position(bench) == 3

    on_bench(scene)


def test_what_nobody_asks_for_does_not_wait_for_long_where_nothing_else_comes(
    on_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        _asks_for_no_entries(desk)
        await bench.turn(desk.record(EntryMade(amount=5)))
        monkeypatch.setattr("services.kit.runner._LONGEST_IGNORED", -1.0)
        await bench.turn(desk.record(EntryMade(amount=6)))

        assert await _entries_position(bench) == 2

    on_bench(scene)


def test_confirmed_rows_wait_for_a_batch_to_go_with_until_the_service_rests(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        desk = bench.desk
        await bench.turn(desk.record(opened()))
        bench.runner._relay.confirmed = list(bench.published)
        await bench.turn()
        assert await bench.query("SELECT count(*) FROM kit_outbox") == [(1,)]
        await bench.turn(quiet=True)

        assert await bench.query("SELECT count(*) FROM kit_outbox") == [(0,)]

    on_bench(scene)


class _SelfReferring:
    """As clients are, which only the collector ends."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def no_automatic_collection() -> Iterator[None]:
    """The collector as a worker has it, and as it was afterwards."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _grown_old() -> tuple[_SelfReferring, weakref.ref[_SelfReferring]]:
    """Something that outlived the collections of the young, so that only a whole one finds it when it is let go."""
    client = _SelfReferring()
    gc.collect(1)
    gc.collect(1)
    return client, weakref.ref(client)


@pytest.mark.usefixtures("no_automatic_collection")
def test_what_a_session_leaves_is_collected(on_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(bench: Workbench) -> None:
        runner, left = bench.runner, []

        async def session() -> None:
            assert [ref() for ref in left] == [None] * len(left)
            client, ref = _grown_old()
            left.append(ref)
            if len(left) == 2:
                runner.stop()
            raise Transient(f"the line of {client} broke")

        async def not_yet() -> None:
            """The database is the bench's to stop."""

        with monkeypatch.context() as patched:
            patched.setattr(runner, "_session", session)
            patched.setattr(runner._database, "stop", not_yet)
            await runner.run()

        assert [ref() for ref in left] == [None] * 2

    on_bench(scene)


@pytest.mark.usefixtures("no_automatic_collection")
def test_what_grew_old_is_collected_once_a_minute(on_bench: Bench) -> None:
    async def scene(bench: Workbench) -> None:
        runner, desk = bench.runner, bench.desk
        await bench.take(desk.record(opened()))
        await runner._finish_storing()
        client, ref = _grown_old()
        del client
        await bench.take(desk.record(EntryMade(amount=5)))
        await runner._finish_storing()
        assert ref() is not None
        runner._next_whole_collection -= 61
        await bench.take(desk.record(EntryMade(amount=6)))
        await runner._finish_storing()

        assert ref() is None

    on_bench(scene)
