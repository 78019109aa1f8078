"""The batch consumer of one service: reads, decides, stores, publishes; starts over from the database when in doubt.

While the database thread stores one batch, the loop decodes the next one and the one before is being published. The
next is decided only when the one before is committed, so that memory never holds what the database may still refuse.
Memory and whatever was fetched are dropped and read again after every failure; dropping is always safe, because the
position, the states and the outbox were committed together.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from services.kit import metrics
from services.kit.asides import Limits
from services.kit.batch import Batch, Entry, Pack, TaskId
from services.kit.clock import Clock
from services.kit.cluster import topic_ids
from services.kit.database import PostgresDatabase, SqliteDatabase, open_database
from services.kit.deadlines import Deadlines
from services.kit.deciding import Decider, Doubtful, claims_wanted
from services.kit.door import Deadline
from services.kit.effect_queue import EffectQueue
from services.kit.failures import Fatal, Fenced, Overtaken, TooManyUnexpected, Transient
from services.kit.fetching import PageConsumer, Taken
from services.kit.ids import moment_in
from services.kit.reading import DEAD_LETTER_SOURCE, Item, Reader, Wanted, want
from services.kit.records import StoredRecord
from services.kit.references import References
from services.kit.relay import Relay
from services.kit.settings import Settings
from services.kit.store import Claimed, Store
from services.kit.task import Task
from services.kit.telling import Telling
from services.kit.wiring import Wiring

log = structlog.get_logger()

_MOST_UNSENT = 20_000
_POLL_MS = 1000
_FIRST_POLL_MS = 50
_QUIET = 0.2
"""After so many seconds without anything to do, what waited for a batch to go with is stored by itself."""

_GATHER = 0.05
_LONGEST_IGNORED = 1.0
_PARK_CHECK = 60.0
_BATCHES_BETWEEN_COLLECTIONS = 500
_BETWEEN_WHOLE_COLLECTIONS = 60.0
"""Seconds. A whole collection walks the caches."""


class Runner:
    """Runs one service until it is told to stop. `ready` and `paused` tell its health."""

    def __init__(self, wiring: Wiring, settings: Settings, clock: Clock | None = None) -> None:
        self._wiring = wiring
        self._settings = settings
        self._clock = clock or Clock()
        self._name = wiring.service.name
        self._database: SqliteDatabase | PostgresDatabase = open_database(
            settings.database_for(self._name), self._name, settings.page_cache_mb
        )
        self._store = Store(self._database, wiring.service.aggregates)
        self._tasks: dict[TaskId, Task] = {}
        self._positions: dict[tuple[str, int], int] = {}
        self._context = wiring.service.context()
        self._limits = Limits(settings.park_limit, settings.unexpected_per_minute)
        self._reader = Reader(wiring, self._tasks)
        self._decider = Decider(wiring, self._tasks, self._context, self._limits)
        self._wake = asyncio.Event()
        self._relay = Relay(settings.bootstrap_servers, f"{self._name}-relay")
        self._effects = EffectQueue(
            wiring, self._clock, self._store, self._database, self._tasks, self._reader,
            settings.effect_concurrency, self._wake.set,
        )  # fmt: skip
        self._deadlines = Deadlines(wiring, self._clock, self._tasks, self._positions)
        self._telling = Telling(self._name, self._tasks, self._positions, self._relay)
        self._references = References(
            settings.bootstrap_servers, f"{self._name}-references", wiring.references, self._context
        )
        self._topic_ids: dict[str, str] = {}
        self._stopping = False
        self._reclaim = True
        self._assignments = 0
        self._storing: asyncio.Task[None] | None = None
        self._fetch: asyncio.Task[list[Taken]] | None = None
        self._woken: asyncio.Task[Any] | None = None
        self._ignored: list[Item] = []
        self._ignored_since = 0.0
        self._awaited: set[tuple[TaskId, str]] = set()
        self._redecided = 0
        self._uncertain = 0
        self._next_park_check = 0.0
        self._batches = 0
        # Services of one machine that were started together should not all stand still at once.
        self._next_whole_collection = time.monotonic() + _BETWEEN_WHOLE_COLLECTIONS * random.uniform(0.5, 1.0)
        self.ready = False
        self.paused: str | None = None
        self.last_turn = time.monotonic()

    # Life

    async def run(self) -> None:
        """Run until `stop`; raises Fatal when going on would lose something."""
        if isinstance(self._database, SqliteDatabase):
            self._database.lock()
        pause = 0.2
        try:
            while not self._stopping:
                started = time.monotonic()
                try:
                    await self._session()
                except Fenced as fenced:
                    metrics.FENCED.labels(self._name).inc()
                    log.warning("lost a task to another worker; joining again", reason=str(fenced))
                except (Transient, KafkaError, OSError) as failure:
                    if isinstance(failure, OffsetOutOfRangeError):
                        raise Fatal(_OUT_OF_RANGE.format(service=self._name, detail=failure)) from failure
                    metrics.TRANSIENT.labels(self._name).inc()
                    log.warning("waiting for broker or database", error=repr(failure), pause_s=round(pause, 1))
                except TooManyUnexpected as failure:
                    await self._pause(str(failure))
                # A client refers to itself, and holds what it had fetched: without this, 25 MB a session would stay.
                gc.collect()
                pause = 0.2 if time.monotonic() - started > 30 else min(pause * 2, 10.0)
                if not self._stopping:
                    await asyncio.sleep(pause * random.uniform(0.7, 1.3))
        finally:
            self.ready = False
            await self._relay.stop()
            await self._references.stop()
            await self._database.stop()

    def stop(self) -> None:
        """Ask the runner to end after the batch that is under way."""
        self._stopping = True
        self._wake.set()

    async def _pause(self, reason: str) -> None:
        """Stand still, and say so, until somebody restarts the service: it is a bad release or a bad machine."""
        self.paused, self.ready = reason, False
        metrics.PAUSED.labels(self._name).set(1)
        log.error(
            "paused: too many unexpected failures within a minute; nothing is lost. Correct the cause and restart",
            reason=reason,
        )
        while not self._stopping:
            self._wake.clear()
            self.last_turn = time.monotonic()
            try:
                await asyncio.wait_for(self._wake.wait(), 5)
            except TimeoutError:
                continue

    async def _session(self) -> None:
        """One life of the consumer, from joining to leaving."""
        if not self._topic_ids:
            self._topic_ids = await asyncio.to_thread(
                topic_ids,
                self._settings.bootstrap_servers,
                {n: i.topic.partitions for n, i in self._wiring.inlets.items()},
            )
            await self._references.start()
        consumer = PageConsumer(
            bootstrap_servers=self._settings.bootstrap_servers,
            client_id=self._name,
            group_id=self._name,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.session_timeout_ms // 4,
            rebalance_timeout_ms=max(self._settings.session_timeout_ms, 10_000),
            max_poll_interval_ms=300_000,
            max_partition_fetch_bytes=6 * 1024 * 1024,
            fetch_max_wait_ms=500,
        )
        self._reclaim = True
        try:
            await consumer.start()
            if isinstance(self._database, SqliteDatabase):
                consumer.assign(
                    [TopicPartition(n, p) for n, i in self._wiring.inlets.items() for p in range(i.topic.partitions)]
                )
            else:
                consumer.subscribe(list(self._wiring.inlets), listener=_Listener(self, consumer))
            pause = 0.2
            while not self._stopping:
                try:
                    if self._reclaim:
                        await self._take_over(consumer)
                    else:
                        await self._turn(consumer)
                        pause = 0.2
                except Transient as failure:
                    pause = min(pause * 2, 10.0)
                    await self._wait_out(consumer, failure, pause * random.uniform(0.7, 1.3))
            await self._finish_storing()
            await self._rest()
            await self._finish_storing()
        finally:
            await self._drop_everything()
            await asyncio.wait_for(consumer.stop(), 15)

    async def _wait_out(self, consumer: PageConsumer, failure: Transient, seconds: float) -> None:
        """The database can't do it now: hold the partitions still, stay in the group, and start over a little later."""
        metrics.TRANSIENT.labels(self._name).inc()
        log.warning("waiting for the database", error=str(failure), pause_s=round(seconds, 1))
        self._reclaim, self.ready = True, False
        await self._drop_everything()
        consumer.pause(*consumer.assignment())
        await consumer.getpages(0, self._settings.batch_size)
        await asyncio.sleep(seconds)
        self.last_turn = time.monotonic()

    def revoked(self, consumer: PageConsumer) -> None:
        """The group takes partitions away: stop deciding for them."""
        self._reclaim = True
        self._assignments += 1
        self._wake.set()

    def assigned(self, consumer: PageConsumer) -> None:
        """The group gave partitions: hold them still until their tasks are claimed and their states are known."""
        consumer.pause(*consumer.assignment())
        self._reclaim = True
        self._assignments += 1
        self._wake.set()

    # Taking tasks over

    async def _take_over(self, consumer: PageConsumer) -> None:
        await self._drop_everything()
        generation = self._assignments
        places = consumer.assignment()
        if not places:
            self._wake.clear()
            if generation == self._assignments:
                await self._sleep_until_woken(1.0)
            return
        tasks = {TaskId(self._wiring.inlets[place.topic].aggregate, place.partition) for place in places}
        ids = {(place.topic, place.partition): self._topic_ids[place.topic] for place in places}
        claimed = await self._database.run(self._store.claim, sorted(tasks), ids)
        if generation != self._assignments:
            return
        await self._check_positions(consumer, claimed)
        if generation != self._assignments:
            return
        try:
            for place in places:
                consumer.seek(place, claimed.positions[place.topic, place.partition][0])
            consumer.resume(*places)
        except IllegalStateError:
            return
        for task, epoch in claimed.epochs.items():
            self._tasks[task] = Task(epoch, self._settings.cache_entries, parked=claimed.parked.get(task, {}))
        self._positions.update({place: offset for place, (offset, _) in claimed.positions.items()})
        self._relay.publish(claimed.unsent)
        self._awaited = {(task, key) for task, keys in claimed.parked.items() for key in keys}
        self._deadlines.next_ms = await self._database.run(self._store.next_due, list(self._tasks))
        self._effects.next_ms = 0
        self._reclaim = generation != self._assignments
        metrics.TASKS.labels(self._name).set(len(self._tasks))
        log.info("tasks claimed", tasks=len(self._tasks), unsent=len(claimed.unsent))

    async def _check_positions(self, consumer: PageConsumer, claimed: Claimed) -> None:
        """A topic made anew, or records gone that were never applied: a person has to decide what to do about it."""
        for (topic, _), (_, stored_id) in claimed.positions.items():
            if stored_id != self._topic_ids[topic]:
                raise Fatal(
                    f"{topic} was deleted and made anew (its id is {self._topic_ids[topic]}, the database of "
                    f"{self._name} knows {stored_id}): its offsets mean other records now. Restore the topic, or give "
                    f"{self._name} a new database and let `kouan rebuild {self._name}` fill it"
                )
        places = [TopicPartition(*place) for place in claimed.positions]
        first, last = await asyncio.gather(consumer.beginning_offsets(places), consumer.end_offsets(places))
        for place in places:
            offset = claimed.positions[place.topic, place.partition][0]
            # A topic that begins later than 0 when it is read for the first time has lost records as well.
            if not first[place] <= offset <= last[place]:
                held = f"{place.topic}[{place.partition}] holds {first[place]} to {last[place]}"
                detail = f"{held}, the next to apply is {offset}"
                raise Fatal(_OUT_OF_RANGE.format(service=self._name, detail=detail))

    async def _drop_everything(self) -> None:
        """Forget what is in memory and under way; what counts is in the database."""
        fetch, self._fetch = self._fetch, None
        storing, self._storing = self._storing, None
        woken, self._woken = self._woken, None
        for task in (fetch, storing, woken):
            if task is not None:
                task.cancel()
                await asyncio.wait([task], timeout=5)
        await self._effects.forget()
        await self._relay.forget()
        self._tasks.clear()
        self._positions.clear()
        self._ignored.clear()
        self._awaited.clear()
        self._deadlines.forget()

    # One turn of the loop

    async def _turn(self, consumer: PageConsumer) -> None:
        """Wait for something to do, decode it while the batch before is stored, decide it, and hand it on."""
        if self._fetch is None:
            self._begin_fetch(consumer)
        quiet = await self._wait_for_work()
        self.last_turn = time.monotonic()
        if self._reclaim or self._stopping:
            return
        # Nowhere else: whatever is let go later than this, or from under a batch that is decided again, would be
        # missing when the items are decided.
        if not self._uncertain:
            for owned in self._tasks.values():
                owned.trim()
        redecided = self._redecided
        wanted: Wanted = {}
        items = self._fetched(consumer, wanted)
        internal = await self._internal(consumer)
        if self._reclaim:
            return
        want(internal, self._tasks, wanted)
        items += internal
        if items and not self._put_off(items):
            items, self._ignored = self._ignored + items, []
            await self._relay.room(_MOST_UNSENT)
            await self._pipeline(items, wanted, redecided)
        elif quiet:
            await self._rest()
        self._telling.now_and_then(consumer)

    def _begin_fetch(self, consumer: PageConsumer) -> None:
        # The first poll makes the service ready, also where nothing is there to be read.
        wait_ms = _POLL_MS if self.ready else _FIRST_POLL_MS
        self._fetch = asyncio.create_task(consumer.getpages(wait_ms, self._settings.batch_size), name="fetch")

    async def _wait_for_work(self) -> bool:
        """Wait until there may be something to do; True where nothing happened for so long that the service rests."""
        assert self._fetch is not None
        if self._fetch.done() or self._awaited:
            await asyncio.sleep(0)
            return False
        quiet = False
        if not self._effects.results:
            if self._woken is None:
                self._woken = asyncio.create_task(self._wake.wait(), name="wake")
            waits: set[asyncio.Future[Any]] = {self._fetch, self._woken}
            if self._storing is not None:
                waits.add(self._storing)
            left = self._relay.confirmed or self._ignored
            soon = left or self._deadlines.near(_POLL_MS) or self._effects.near(_POLL_MS)
            done, _ = await asyncio.wait(waits, timeout=_QUIET if soon else 1.0, return_when=asyncio.FIRST_COMPLETED)
            quiet = not done
            if self._woken is not None and self._woken.done():
                self._woken = None
                self._wake.clear()
            if self._storing is not None and self._storing.done():
                await self._finish_storing()
        if self._effects.results and not self._fetch.done():
            # A transaction for each would cost more than the mail did: those that end soon after come along.
            await asyncio.wait({self._fetch}, timeout=_GATHER)
        return quiet

    def _put_off(self, items: list[Item]) -> bool:
        """Whether items, none of which anything of this service asks for, were laid by for the next batch.

        All that is stored of them is the position behind them, which may as well move with what comes next: a
        transaction, with its write to the disk, for each of them is what most of them would cost. When the worker dies
        they are read again.
        """
        if len(self._ignored) + len(items) >= self._settings.batch_size or not all(map(is_ignored, items)):
            return False
        now = time.monotonic()
        if not self._ignored:
            self._ignored_since = now
        elif now > self._ignored_since + _LONGEST_IGNORED:
            return False
        self._ignored += items
        return True

    def _fetched(self, consumer: PageConsumer, wanted: Wanted) -> list[Item]:
        """Items of what the fetch brought, and the keys whose states they need; the next fetch begins at once."""
        assert self._fetch is not None
        if not self._fetch.done():
            return []
        fetch, self._fetch = self._fetch, None
        try:
            taken = fetch.result()
        except NoOffsetForPartitionError:
            # Between joining and seeking the client may look for a committed offset, which we do not use.
            return []
        self.ready = True
        self._begin_fetch(consumer)
        items: list[Item] = []
        for place, page, found, records in taken:
            if (place.topic, place.partition) not in self._positions:
                continue
            if page is not None:
                items += self._reader.read_page(page, found, wanted)
            else:
                items += self._reader.read(place.topic, place.partition, records, wanted)
        return items

    async def _internal(self, consumer: PageConsumer) -> list[Item]:
        """Items that do not come from a topic: effects' results, parked inputs, deadlines that fell due."""
        items = self._effects.take_results()
        if self._awaited:
            await self._finish_storing()
            awaited, self._awaited = self._awaited, set()
            patience = self._clock.now_ms() - self._settings.park_hours * 3_600_000
            for task, key in sorted(awaited):
                for _, _, since, record in await self._database.run(self._store.parked, task, key):
                    items += self._reader.unpark(task, [StoredRecord(*record)], expired=since < patience)
        items += await self._due(consumer)
        if self._effects.due:
            await self._finish_storing()
            await self._effects.poll()
        await self._look_for_parked()
        return items

    async def _pipeline(self, items: list[Item], keys: Wanted, redecided: int) -> None:
        """Load what the items need behind the batch that is being stored, then decide and store them.

        `keys` are those whose states memory did not hold when `redecided` stood at this number.
        """
        claims = self._claims_wanted(items)
        # What comes out of the database or round again may have been taken in before; fresh records hardly ever were.
        again = [item for item in items if item.parked or item.redrives is not None]
        idents = _idents(again) if again else []
        loading = self._load(keys, claims, idents) if keys or claims or idents else None
        await self._finish_storing()
        if redecided != self._redecided:
            # The batch in front of this one was decided again: what was loaded stood there before it was really stored.
            keys = {}
            want(items, self._tasks, keys)
            loading = self._load(keys, claims, idents) if keys or claims or idents else None
        holders: dict[str, dict[str, str]] = {}
        seen: dict[tuple[str, str], tuple[int, int]] = {}
        if loading is not None:
            states, holders, seen = await loading
            self._remember(keys, states)
        if self._reclaim:
            return
        self._begin(items, holders, seen)

    def _load(self, keys: Wanted, claims: dict[str, list[str]], idents: list[tuple[str, str]]) -> Any:
        plain = {name: list(wanted_keys) for name, wanted_keys in keys.items()}
        return asyncio.wrap_future(self._database.submit(self._store.load, plain, claims, idents))

    def _remember(self, keys: Wanted, states: dict[str, dict[str, Entry]]) -> None:
        """Put loaded states into memory. What has no row is not kept: no state is what is taken where none is known."""
        for name, found in states.items():
            tasks = keys[name]
            for key, entry in found.items():
                if (owned := self._tasks.get(tasks[key])) is not None:
                    owned.cache[key] = entry

    def _claims_wanted(self, items: Sequence[Item]) -> dict[str, list[str]]:
        found: dict[str, dict[str, None]] = {}
        for item in items:
            aggregate = self._wiring.aggregates[item.task.aggregate]
            if aggregate.claims_wanted is not None and item.decide is not None and item.event is not None:
                for text in claims_wanted(aggregate, item.event):
                    found.setdefault(aggregate.name, {})[text] = None
        return {name: list(texts) for name, texts in found.items()}

    def _begin(
        self, items: list[Item], holders: dict[str, dict[str, str]], seen: dict[tuple[str, str], tuple[int, int]]
    ) -> None:
        """Decide and start storing; the database's work is queued before anything else can be."""
        try:
            batch = self._decide(items, holders, seen, certain=False)
        except Doubtful as doubt:
            # Most often a repeat met a state that has moved on since. Only what fails as something new is a failure.
            self._storing = asyncio.create_task(self._again(items, doubt.batch), name="store")
            return
        confirmed = self._take_confirmed()
        future = self._database.submit(self._store.store, batch, confirmed)
        self._storing = asyncio.create_task(self._stored(items, batch, future, confirmed), name="store")

    def _decide(
        self,
        items: list[Item],
        holders: dict[str, dict[str, str]],
        seen: dict[tuple[str, str], tuple[int, int]],
        *,
        certain: bool = True,
    ) -> Batch:
        batch = self._decider.decide(items, holders, seen, self._clock.now_ms(), certain=certain)
        self._place(batch)
        return batch

    def _place(self, batch: Batch) -> None:
        for place, (_, after) in batch.positions.items():
            batch.positions[place] = (self._positions[place], after)
        self._effects.lease(batch)

    def _take_confirmed(self) -> list[int]:
        confirmed, self._relay.confirmed = self._relay.confirmed, []
        return confirmed

    async def _finish_storing(self) -> None:
        storing, self._storing = self._storing, None
        if storing is not None:
            await storing

    async def _stored(self, items: list[Item], batch: Batch, future: Any, confirmed: list[int]) -> None:
        """Wait for the commit, then let the outside know; what can't be committed as it is gets decided again."""
        started = time.perf_counter()
        try:
            packs = await asyncio.wrap_future(future)
        except (Fenced, Transient):
            raise
        except Overtaken:
            self._relay.confirmed += confirmed
            await self._again(items, batch)
            return
        except Exception as failure:
            self._relay.confirmed += confirmed
            await self._bisect(items, batch, failure)
            return
        metrics.BATCH_SECONDS.labels(self._name).observe(time.perf_counter() - started)
        self._committed(items, batch, packs)

    async def _again(self, items: list[Item], batch: Batch) -> None:
        """Something exists that was taken as new: look everything up and decide once more."""
        with self._redeciding():
            await self._decide_again(items, batch)

    @contextmanager
    def _redeciding(self) -> Iterator[None]:
        """What is read or loaded meanwhile knows nothing of what comes of it, and has to be loaded anew afterwards."""
        self._redecided += 1
        self._uncertain += 1
        try:
            yield
        finally:
            self._redecided += 1
            self._uncertain -= 1

    async def _decide_again(self, items: list[Item], batch: Batch) -> None:
        for attempt in range(5):
            self._forget_states(batch)
            holders, seen = await self._look_up(items)
            batch = self._decide(items, holders, seen)
            try:
                packs = await self._database.run(self._store.store, batch, [])
            except Overtaken:
                log.debug("overtaken again", attempt=attempt)
                continue
            except (Fenced, Transient):
                raise
            except Exception as failure:
                await self._halve(items, batch, failure)
                return
            self._committed(items, batch, packs)
            return
        raise Transient("other workers keep claiming what this batch claims")

    async def _look_up(
        self, items: list[Item]
    ) -> tuple[dict[str, dict[str, str]], dict[tuple[str, str], tuple[int, int]]]:
        keys: Wanted = {}
        want(items, self._tasks, keys)
        states, holders, seen = await self._load(keys, self._claims_wanted(items), _idents(items))
        self._remember(keys, states)
        return holders, seen

    async def _bisect(self, items: list[Item], batch: Batch, failure: Exception) -> None:
        """The database refuses a batch for good: find the input that it refuses, and let the others pass."""
        with self._redeciding():
            await self._halve(items, batch, failure)

    async def _halve(self, items: list[Item], batch: Batch, failure: Exception) -> None:
        self._forget_states(batch)
        if len(items) == 1:
            log.error("the database refuses an input", error=repr(failure))
            _, seen = await self._look_up(items)
            dead = self._decider.fail(items[0], failure, seen)
            self._place(dead)
            self._committed(items, dead, await self._database.run(self._store.store, dead, []))
            return
        log.warning("the database refuses a batch; halving it", inputs=len(items), error=repr(failure)[:500])
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            holders, seen = await self._look_up(half)
            part = self._decide(half, holders, seen)
            try:
                packs = await self._database.run(self._store.store, part, [])
            except (Fenced, Transient):
                raise
            except Overtaken as overtaken:
                raise Transient(f"overtaken while a batch was halved: {overtaken}") from overtaken
            except Exception as deeper:
                await self._halve(half, part, deeper)
            else:
                self._committed(half, part, packs)

    def _forget_states(self, batch: Batch) -> None:
        """What a batch that was not committed changed in memory."""
        self._effects.dropped(batch)
        for name, entries in batch.states.items():
            for task, owned in self._tasks.items():
                if task.aggregate == name:
                    for key in entries:
                        owned.cache.pop(key, None)
        for (task, key), counts in batch.parked_before.items():
            if counts:
                self._tasks[task].parked[key] = dict(counts)
            else:
                self._tasks[task].parked.pop(key, None)

    def _committed(self, items: list[Item], batch: Batch, packs: list[tuple[int, Pack]]) -> None:
        """The batch is in the database: positions move, packs go out, effects begin."""
        for place, (_, after) in batch.positions.items():
            self._positions[place] = after
        self._relay.publish(packs)
        self._telling.committed(batch, len(items), packs)
        self._deadlines.committed(batch)
        self._effects.committed(batch)
        for task, key in batch.awaited:
            if key in self._tasks[task].parked:
                self._awaited.add((task, key))
        self._collect_garbage()

    def _collect_garbage(self) -> None:
        """Automatic collection would walk the caches at every few thousand allocations; between batches it is cheap.

        What outlived a few collections and is let go later, such as clients whose line broke, only a whole one finds.
        """
        self._batches += 1
        if gc.isenabled():
            return
        if (now := time.monotonic()) > self._next_whole_collection:
            self._next_whole_collection = now + _BETWEEN_WHOLE_COLLECTIONS
            gc.collect()
        elif self._batches % _BATCHES_BETWEEN_COLLECTIONS == 0:
            gc.collect(1)

    async def _rest(self) -> None:
        """Nothing comes: move on past what was ignored, and let the outbox shrink.

        Confirmed rows go with the next batch as long as there is one. A transaction of their own after each batch would
        double the number of transactions of a service that takes one event at a time.
        """
        if self._storing is not None:
            return
        if self._ignored:
            items, self._ignored = self._ignored, []
            self._begin(items, {}, {})
        elif self._relay.confirmed:
            await self._flush()

    async def _flush(self) -> None:
        epochs = {task: owned.epoch for task, owned in self._tasks.items()}
        await self._database.run(self._store.flush, epochs, self._take_confirmed())

    # Deadlines

    async def _due(self, consumer: PageConsumer) -> list[Item]:
        """Deadlines whose tasks have read past them on all their topics: what came in time is applied before."""
        horizons = self._deadlines.horizons(consumer)
        if not horizons:
            return []
        await self._finish_storing()
        if self._awaited:
            # What was just stored lets early inputs go on. They came before the deadline fell due, so they go first.
            return []
        rows = await self._database.run(self._store.due, horizons, self._settings.batch_size)
        items = [
            self._reader.deadline(task, key, name, Deadline(name, moment_in(due)), due)
            for task, key, name, due in rows
            if task in self._tasks
        ]
        if not items:
            self._deadlines.next_ms = await self._database.run(self._store.next_due, list(self._tasks))
        return items

    # Parked inputs

    async def _look_for_parked(self) -> None:
        """Now and then: inputs that waited longer than they may are tried for the last time."""
        if time.monotonic() < self._next_park_check:
            return
        self._next_park_check = time.monotonic() + _PARK_CHECK
        before = self._clock.now_ms() - self._settings.park_hours * 3_600_000
        if any(owned.parked for owned in self._tasks.values()):
            await self._finish_storing()
            rows = await self._database.run(self._store.parked_since, list(self._tasks), before, 500)
            self._awaited.update(rows)

    async def _sleep_until_woken(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            self.last_turn = time.monotonic()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Told of rebalances. aiokafka logs and swallows what it raises, so it only takes notes; the loop acts on them."""

    def __init__(self, runner: Runner, consumer: PageConsumer) -> None:
        self._runner = runner
        self._consumer = consumer

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._runner.revoked(self._consumer)

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._runner.assigned(self._consumer)


def is_ignored(item: Item) -> bool:
    """Whether an item is a record in its place that nothing of the service asks for: only the position moves."""
    return item.decide is None and item.error is None and not item.misplaced and item.origin is not None


def _idents(items: Sequence[Item]) -> list[tuple[str, str]]:
    """What the inbox may know of items: their sources and ids, and those of the dead letters they were."""
    idents = [(item.event.source, item.event.id) for item in items if item.event is not None and item.known]
    return idents + [(DEAD_LETTER_SOURCE, item.redrives) for item in items if item.redrives is not None]


_OUT_OF_RANGE = (
    "the broker no longer has the records that {service} has to apply next ({detail}). Nothing was skipped. Restore "
    "the records, or rebuild {service} from its own topic and decide with the publishers what has to be sent again"
)
