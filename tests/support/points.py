"""Faults that strike a worker at a named point of what it does, when it gets there for the nth time.

A fault is named `<how>-<point>:<nth>`: `kill-before-commit:3` ends the process (SIGKILL) when the third transaction
that applies inputs has all its statements behind it and is not committed, `stop-after-send:2` stops it (SIGSTOP) when
the broker has confirmed the second send and the worker does not know yet; `refuse` lets the database fail there, `cut`
ends its connections. Points are found by the statements that the
worker says to its database and by the calls that it makes to the Kafka client, not by names within the kit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from sqlalchemy import event
from sqlalchemy.engine import Engine

from services.kit.batch import Batch, Pack
from services.kit.database import PostgresDatabase, SqliteDatabase
from services.kit.failures import Transient
from services.kit.store import Store
from tests.support.postgres import end_connections

LINGER_SECONDS = 1.5
"""How long a fault between decision and sending waits, so that whatever is done too early is done before it strikes."""

Strike = Callable[[], None]

# How the statements begin by which transactions are told.
_POSITIONS = "UPDATE kit_position"
_DEADLINE = "DELETE FROM kit_deadline WHERE (aggregate, key, name, due_ms)"
_REDRIVE = "UPDATE kit_inbox SET outcome"
_RESULT = "DELETE FROM kit_effect"
_ATTEMPT = "UPDATE kit_effect SET attempts"
_CLAIM = "INSERT INTO kit_task"
_CONFIRMED = "DELETE FROM kit_outbox"


def strike(how: signal.Signals = signal.SIGKILL) -> None:
    """End or stop this process on the spot, as if from outside."""
    os.kill(os.getpid(), how)
    # Which thread takes the signal is the kernel's choice: this one goes no further before it took effect.
    time.sleep(0.2)


def refuse() -> None:
    raise Transient("the database is gone for a moment")


def cut() -> None:
    """Let PostgreSQL end all connections to this process's database, whatever they are at."""
    end_connections(os.environ["KOUAN_DATABASE_URL"])


HOW: Mapping[str, Strike] = {"kill": strike, "stop": lambda: strike(signal.SIGSTOP), "refuse": refuse, "cut": cut}


# In the database


def after_statement(start: str, do: Strike, nth: int) -> None:
    """Strike at the first statement that follows the nth one that begins like this."""
    seen = 0

    def struck(whole: Callable[[], Any], sql: str) -> Any:
        nonlocal seen
        if seen == nth:
            seen += 1
            do()
        answer = whole()
        seen += sql.startswith(start)
        return answer

    _around_statements(struck)


def before_commit(start: str, do: Strike, nth: int) -> None:
    """Strike when the nth transaction with such a statement has said all and is not committed."""
    _around_transactions(start, nth, do, nothing)


def after_commit(start: str, do: Strike, nth: int) -> None:
    """Strike when the nth transaction with such a statement is committed, and nobody was told."""
    _around_transactions(start, nth, nothing, do)


def _around_statements(struck: Callable[[Callable[[], Any], str], Any]) -> None:
    def wrapped(whole: Callable[..., Any]) -> Callable[..., Any]:
        def run(self: Any, sql: str, parameters: Any = ()) -> Any:
            return struck(lambda: whole(self, sql, parameters), sql)

        return run

    for cls in (SqliteDatabase, PostgresDatabase):
        cls.execute = wrapped(cls.execute)  # type: ignore[method-assign]
        cls.query = wrapped(cls.query)  # type: ignore[method-assign]


def _around_transactions(start: str, nth: int, before: Strike, after: Strike) -> None:
    said = False
    seen = 0

    def note(whole: Callable[[], Any], sql: str) -> Any:
        nonlocal said
        said = said or sql.startswith(start)
        return whole()

    def wrapped(whole: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @contextmanager
        def run(self: Any) -> Iterator[None]:
            nonlocal said, seen
            said = False
            with whole(self):
                yield
                counted = said
                seen += counted
                if counted and seen == nth:
                    before()
            if counted and seen == nth:
                after()

        return run

    _around_statements(note)
    for cls in (SqliteDatabase, PostgresDatabase):
        cls.transaction = wrapped(cls.transaction)  # type: ignore[method-assign]


def around_store(concerns: Callable[[Batch], bool], nth: int, before: Strike, after: Strike) -> None:
    """Do something right before and right after the nth transaction of a kind of batch."""
    whole = Store.store
    begun = committed = 0

    def struck(self: Store, batch: Batch, confirmed: list[int]) -> list[tuple[int, Pack]]:
        nonlocal begun, committed
        counted = concerns(batch)
        begun += counted
        if counted and begun == nth:
            before()
        answer = whole(self, batch, confirmed)
        committed += counted
        if counted and committed == nth:
            after()
        return answer

    Store.store = struck  # type: ignore[assignment,method-assign]


def before_attempt(do: Strike, nth: int) -> None:
    """Strike before the nth transaction that records attempts of effects begins."""
    whole = Store.attempt
    seen = 0

    def struck(self: Store, *arguments: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == nth:
            do()
        whole(self, *arguments)

    Store.attempt = struck  # type: ignore[method-assign]


def in_migration(start: str, do: Strike, nth: int) -> None:
    """Strike before the nth statement of the migrations that begins like this."""
    seen = 0

    @event.listens_for(Engine, "before_cursor_execute")
    def struck(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        nonlocal seen
        seen += statement.strip().startswith(start)
        if seen == nth and statement.strip().startswith(start):
            do()


# At the broker


def before_send(topic: str, do: Strike, nth: int) -> None:
    """Strike some time after the nth batch for a topic was committed, and before it is sent."""
    sent = 0

    async def struck(whole: Callable[[], Any], to: str) -> Any:
        nonlocal sent
        sent += to.endswith(topic)
        if sent >= nth:
            await asyncio.sleep(LINGER_SECONDS)
            do()
        return await whole()

    _around_sends(struck)


def after_send(topic: str, do: Strike, nth: int) -> None:
    """Strike when the broker has confirmed the nth send to a topic, and the relay was not told."""
    sent = 0

    async def struck(whole: Callable[[], Any], to: str) -> Any:
        nonlocal sent
        confirmed = await whole()
        sent += to.endswith(topic)
        if sent == nth:
            await asyncio.shield(confirmed)
            do()
        return confirmed

    _around_sends(struck)


def before_send_of(start: str, do: Strike, nth: int) -> None:
    """Strike before anything is sent after the nth transaction with such a statement was committed."""
    committed = False

    def note() -> None:
        nonlocal committed
        committed = True

    async def struck(whole: Callable[[], Any], to: str) -> Any:
        if committed:
            do()
        return await whole()

    after_commit(start, note, nth)
    _around_sends(struck)


def _around_sends(struck: Callable[[Callable[[], Any], str], Any]) -> None:
    whole = AIOKafkaProducer.send_batch

    async def send(self: AIOKafkaProducer, batch: Any, to: str, *, partition: int) -> Any:
        return await struck(lambda: whole(self, batch, to, partition=partition), to)

    AIOKafkaProducer.send_batch = send


def in_rebalance(do: Strike, nth: int) -> None:
    """Strike when partitions were taken away for the nth time, and the group was not told that they are free."""
    whole = AIOKafkaConsumer.subscribe
    seen = 0

    def subscribe(self: AIOKafkaConsumer, topics: Any = (), pattern: Any = None, listener: Any = None) -> Any:
        told = listener.on_partitions_revoked

        def revoked(places: Any) -> Any:
            nonlocal seen
            answer = told(places)
            seen += bool(places)
            if places and seen == nth:
                do()
            return answer

        listener.on_partitions_revoked = revoked
        return whole(self, topics, pattern, listener)

    AIOKafkaConsumer.subscribe = subscribe


# Outside


def after_letter(do: Strike, nth: int) -> None:
    """Strike when the nth letter was written and its result is not known to the kit."""
    from tests.support import ledger

    whole = ledger.post
    seen = 0

    def post(payload: Any) -> None:
        nonlocal seen
        whole(payload)
        seen += 1
        if seen == nth:
            do()

    ledger.post = post


def nothing() -> None:
    """Nothing is done at this side of the point."""


def _has_inputs(batch: Batch) -> bool:
    return bool(batch.positions)


def _has_dead_letter(batch: Batch) -> bool:
    return any(target.topic.endswith("dead-letters") for _, target in batch.packs)


POINTS: Mapping[str, Callable[[Strike, int], None]] = {
    # The migrations, and the first steps of a worker.
    "in-migration": lambda do, nth: in_migration("CREATE", do, nth),
    "between-migrations": lambda do, nth: in_migration("INSERT INTO alembic_version", do, nth),
    "before-claim": lambda do, nth: before_commit(_CLAIM, do, nth),
    "after-claim": lambda do, nth: after_commit(_CLAIM, do, nth),
    # A batch: its transaction, its sends, and what is noted of them.
    "before-transaction": lambda do, nth: around_store(_has_inputs, nth, do, nothing),
    "after-positions": lambda do, nth: after_statement(_POSITIONS, do, nth),
    "before-commit": lambda do, nth: before_commit(_POSITIONS, do, nth),
    "after-commit": lambda do, nth: after_commit(_POSITIONS, do, nth),
    "before-send": lambda do, nth: before_send("events", do, nth),
    "after-send": lambda do, nth: after_send("events", do, nth),
    "before-mark": lambda do, nth: before_commit(_CONFIRMED, do, nth),
    "after-mark": lambda do, nth: after_commit(_CONFIRMED, do, nth),
    # Dead letters, on their way there and back.
    "after-dead-letter": lambda do, nth: around_store(_has_dead_letter, nth, nothing, do),
    "after-redrive-statement": lambda do, nth: after_statement(_REDRIVE, do, nth),
    "before-redrive": lambda do, nth: before_commit(_REDRIVE, do, nth),
    "after-redrive": lambda do, nth: after_commit(_REDRIVE, do, nth),
    "before-send-of-redrive": lambda do, nth: before_send_of(_REDRIVE, do, nth),
    # Deadlines.
    "after-deadline": lambda do, nth: after_statement(_DEADLINE, do, nth),
    "before-deadline": lambda do, nth: before_commit(_DEADLINE, do, nth),
    "after-deadline-commit": lambda do, nth: after_commit(_DEADLINE, do, nth),
    "before-send-of-deadline": lambda do, nth: before_send_of(_DEADLINE, do, nth),
    # Effects: attempt recorded, letter written, result stored, result sent.
    "before-attempt": before_attempt,
    "after-attempt": lambda do, nth: after_commit(_ATTEMPT, do, nth),
    "after-letter": after_letter,
    "after-result-statement": lambda do, nth: after_statement(_RESULT, do, nth),
    "before-result": lambda do, nth: before_commit(_RESULT, do, nth),
    "after-result": lambda do, nth: after_commit(_RESULT, do, nth),
    "before-send-of-result": lambda do, nth: before_send_of(_RESULT, do, nth),
    # Rebuilding: accounts are being written into the new database, and are being compared.
    "in-rebuild": lambda do, nth: after_statement("INSERT INTO ledger_account", do, nth),
    # The group.
    "in-rebalance": in_rebalance,
}


def lay(fault: str) -> None:
    """Lay the fault of that name; `none` lays none."""
    if fault == "none":
        return
    name, _, nth = fault.partition(":")
    how, _, point = name.partition("-")
    POINTS[point](_once(HOW[how]), int(nth or 1))


def _once(do: Strike) -> Strike:
    """A worker that was stopped and goes on is not stopped again by what was on its way to the same point."""
    done = False

    def strike_once() -> None:
        nonlocal done
        if not done:
            done = True
            do()

    return strike_once
