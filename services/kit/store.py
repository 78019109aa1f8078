"""What the kit says to the database: claim tasks, load states, and one transaction a batch.

Everything here runs on the database's thread. Each transaction asserts the epochs of the tasks that it writes for, so
that a worker which lost a task, however long it slept, can't write for it any more.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy import Table

from services.kit.batch import Batch, Entry, Pack, Target, TaskId
from services.kit.database import Database, kind_of
from services.kit.door import Aggregate
from services.kit.failures import Fenced, Overtaken
from services.kit.record_batch import count_of
from services.kit.tables import Claim, DeadlineRow, EffectRow, Inbox, Outbox, Parked

MARSHAL = 4
"""Format of parked records: stable since Python 3.4, and four times as fast as JSON with its base64."""


def table_of(cls: Any) -> Table:
    """The table behind a SQLModel class."""
    table: Table = cls.__table__
    return table


def dumps(rows: Any) -> bytes:
    """Rows as the JSON array that a wide statement takes; decimals go as text, exactly."""
    return orjson.dumps(rows, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    # Sums of money are what comes here most, and a look at the type is sooner done than one at its ancestors.
    if type(value) is Decimal:
        return str(value)
    return list(value) if isinstance(value, tuple | set | frozenset) else str(value)


class StateTable:
    """The state table of an aggregate: rows from states and states from rows."""

    def __init__(self, aggregate: Aggregate, database: Database) -> None:
        self.aggregate = aggregate
        self.table = table_of(aggregate.table)
        self.fields = [column.name for column in self.table.columns if column.name not in ("key", "version")]
        order = [column.name for column in self.table.columns]
        if order[:2] != ["key", "version"]:
            raise TypeError(f"{self.table.name}: the first columns must be key and version (StateRow has them)")
        self._json = [kind_of(self.table.columns[name]) == "json" for name in self.fields]
        getter = attrgetter(*self.fields)
        self.values = getter if len(self.fields) > 1 else lambda state: (getter(state),)
        self._adapter: TypeAdapter[Any] = TypeAdapter(aggregate.state)
        self.upsert = database.upsert(self.table, guard=f"{self.table.name}.version = excluded.version - 1")
        columns = ", ".join(order)
        self.select = f"SELECT {columns} FROM {self.table.name} WHERE key IN (SELECT c0 FROM {database.rows('text')})"
        self.select_all = f"SELECT {columns} FROM {self.table.name} ORDER BY key"

    def row(self, key: str, entry: Entry) -> tuple[Any, ...]:
        """One row, its columns in order."""
        return (key, entry.version, *self.values(entry.state))

    def entry(self, row: Sequence[Any]) -> tuple[str, Entry]:
        """Key and state of a row as the database gives it."""
        fields = {
            name: orjson.loads(value) if json and isinstance(value, str) else value
            for name, json, value in zip(self.fields, self._json, row[2:], strict=True)
        }
        return row[0], Entry(row[1], self._adapter.validate_python(fields))


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a worker finds when it takes tasks over: epochs, positions, unsent packs by their seq, numbers of
    parked inputs by key and topic."""

    epochs: dict[TaskId, int]
    positions: dict[tuple[str, int], tuple[int, str]]
    unsent: list[tuple[int, Pack]]
    parked: dict[TaskId, dict[str, dict[str, int]]]


class Store:
    """The statements of one service, derived once from its tables."""

    def __init__(self, database: Database, aggregates: Iterable[Aggregate]) -> None:
        self.database = database
        self.states = {aggregate.name: StateTable(aggregate, database) for aggregate in aggregates}
        rows = database.rows
        self._fence = (
            "UPDATE kit_task SET epoch = kit_task.epoch FROM "
            f"{rows('text', 'bigint', 'bigint')} WHERE kit_task.aggregate = r.c0 AND kit_task.partition = r.c1 "
            "AND kit_task.epoch = r.c2"
        )
        self._advance = (
            f"UPDATE kit_position SET next_offset = r.c3 FROM {rows('text', 'bigint', 'bigint', 'bigint')} "
            "WHERE kit_position.topic = r.c0 AND kit_position.partition = r.c1 AND kit_position.next_offset = r.c2"
        )
        self._take_in = f"{database.insert(table_of(Inbox))} ON CONFLICT DO NOTHING"
        self._redrive = (
            f"UPDATE kit_inbox SET outcome = 1, digest = r.c2 FROM {rows('text', 'text', 'bigint')} "
            "WHERE kit_inbox.source = r.c0 AND kit_inbox.id = r.c1 AND kit_inbox.outcome = 2"
        )
        self._seen = (
            "SELECT i.source, i.id, i.digest, i.outcome FROM kit_inbox i JOIN "
            f"{rows('text', 'text')} ON i.source = r.c0 AND i.id = r.c1"
        )
        self._sent = f"DELETE FROM kit_outbox WHERE seq IN (SELECT c0 FROM {rows('bigint')})"
        self._set_deadlines = database.upsert(table_of(DeadlineRow))
        self._end_deadlines = (
            "DELETE FROM kit_deadline WHERE (aggregate, key, name) IN "
            f"(SELECT c0, c1, c2 FROM {rows('text', 'text', 'text')})"
        )
        self._fire_deadlines = (
            "DELETE FROM kit_deadline WHERE (aggregate, key, name, due_ms) IN "
            f"(SELECT c0, c1, c2, c3 FROM {rows('text', 'text', 'text', 'bigint')})"
        )
        self._open_effects = f"{database.insert(table_of(EffectRow))} ON CONFLICT DO NOTHING"
        self._close_effects = (
            "DELETE FROM kit_effect WHERE (aggregate, name, id) IN "
            f"(SELECT c0, c1, c2 FROM {rows('text', 'text', 'text')})"
        )
        self._unpark = (
            "DELETE FROM kit_parked WHERE (topic, partition, record_offset) IN "
            f"(SELECT c0, c1, c2 FROM {rows('text', 'bigint', 'bigint')})"
        )
        self._make_claims = f"{database.insert(table_of(Claim))} ON CONFLICT DO NOTHING"
        self._free_claims = (
            f"DELETE FROM kit_claim WHERE (aggregate, claim) IN (SELECT c0, c1 FROM {rows('text', 'text')})"
        )
        self._holders = (
            f"SELECT claim, key FROM kit_claim WHERE aggregate = ? AND claim IN (SELECT c0 FROM {rows('text')})"
        )

    @cached_property
    def _park(self) -> str:
        columns = [column.name for column in table_of(Parked).columns]
        marks = ", ".join("?" for _ in columns)
        return f"INSERT INTO kit_parked ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"

    # Taking tasks over

    def claim(self, tasks: Iterable[TaskId], places: Mapping[tuple[str, int], str]) -> Claimed:
        """Raise the epochs of tasks, which shuts their former owners out, and read what they left.

        `places` are the topic partitions of the tasks, with the topic's id. A place without a row starts at offset 0.
        """
        with self.database.transaction():
            epochs = {}
            for task in sorted(tasks):
                ((epoch,),) = self.database.query(
                    "INSERT INTO kit_task (aggregate, partition, epoch) VALUES (?, ?, 1) "
                    "ON CONFLICT (aggregate, partition) DO UPDATE SET epoch = kit_task.epoch + 1 RETURNING epoch",
                    task,
                )
                epochs[task] = epoch
            positions = {}
            for (topic, partition), topic_id in sorted(places.items()):
                self.database.execute(
                    "INSERT INTO kit_position (topic, partition, next_offset, topic_id) VALUES (?, ?, 0, ?) "
                    "ON CONFLICT DO NOTHING",
                    (topic, partition, topic_id),
                )
                ((offset, stored_id),) = self.database.query(
                    "SELECT next_offset, topic_id FROM kit_position WHERE topic = ? AND partition = ?",
                    (topic, partition),
                )
                positions[topic, partition] = (offset, stored_id)
            parked: dict[TaskId, dict[str, dict[str, int]]] = {}
            for aggregate, partition, key, topic, number in self.database.query(
                "SELECT p.aggregate, p.partition, p.key, p.topic, count(*) FROM kit_parked p JOIN "
                f"{self.database.rows('text', 'bigint')} ON p.aggregate = r.c0 AND p.partition = r.c1 "
                "GROUP BY p.aggregate, p.partition, p.key, p.topic",
                (dumps(list(epochs)),),
            ):
                parked.setdefault(TaskId(aggregate, partition), {}).setdefault(key, {})[topic] = number
            # Whether a former owner's attempts reached the outside is not known: they are made again at once.
            self.database.execute(
                f"UPDATE kit_effect SET next_ms = 0 FROM {self.database.rows('text', 'bigint')} "
                "WHERE kit_effect.aggregate = r.c0 AND kit_effect.partition = r.c1",
                (dumps(list(epochs)),),
            )
            return Claimed(epochs, positions, self.unsent(epochs), parked)

    def unsent(self, tasks: Iterable[TaskId]) -> list[tuple[int, Pack]]:
        """What is committed and not confirmed, oldest first."""
        return [
            (seq, Pack(TaskId(aggregate, partition), Target(topic, target), bytes(records), count_of(records)))
            for seq, aggregate, partition, topic, target, records in self.database.query(
                "SELECT o.seq, o.aggregate, o.partition, o.topic, o.target, o.records FROM kit_outbox o JOIN "
                f"{self.database.rows('text', 'bigint')} ON o.aggregate = r.c0 AND o.partition = r.c1 ORDER BY o.seq",
                (dumps(list(tasks)),),
            )
        ]

    # Looking things up

    def load(
        self, keys: Mapping[str, Sequence[str]], claims: Mapping[str, Sequence[str]], inputs: Sequence[tuple[str, str]]
    ) -> tuple[dict[str, dict[str, Entry]], dict[str, dict[str, str]], dict[tuple[str, str], tuple[int, int]]]:
        """States of keys and holders of claims, both by aggregate, and what the inbox knows of inputs.

        Without a transaction: what another worker writes between two of these reads is found when the batch is stored.
        """
        states = {
            name: dict(map(self.states[name].entry, self.database.query(self.states[name].select, (wrap(wanted),))))
            for name, wanted in keys.items()
        }
        holders = {
            name: dict(self.database.query(self._holders, (name, wrap(wanted)))) for name, wanted in claims.items()
        }
        return states, holders, self.seen(inputs) if inputs else {}

    def seen(self, inputs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
        """Digest and outcome of those inputs, given as (source, id), that were taken in before."""
        rows = self.database.query(self._seen, (dumps(inputs),))
        return {(source, id): (digest, outcome) for source, id, digest, outcome in rows}

    # One transaction a batch

    def store(self, batch: Batch, confirmed: Sequence[int]) -> list[tuple[int, Pack]]:
        """Write a batch and delete what the broker confirmed of earlier ones; returns the batch's packs by their seqs.

        Raises:
            Fenced: a task is not this worker's any more, or a position or state moved beneath it.
            Overtaken: an input or a claim that was taken as new exists already.
            Transient: the database can't do it now.
        """
        execute = self.database.execute
        with self.database.transaction():
            self._assert_epochs(batch.epochs)
            if batch.positions:
                moves = [(topic, part, *move) for (topic, part), move in sorted(batch.positions.items())]
                _expect(execute(self._advance, (dumps(moves),)), len(moves), Fenced, "a stored position moved")
            if batch.inbox:
                taken = execute(self._take_in, (dumps(batch.inbox),))
                _expect(taken, len(batch.inbox), Overtaken, "an input was taken in before")
            if batch.redriven:
                moved = execute(self._redrive, (dumps(batch.redriven),))
                _expect(moved, len(batch.redriven), Overtaken, "a dead letter was redriven before")
            if batch.claims_freed:
                execute(self._free_claims, (dumps(batch.claims_freed),))
            if batch.claims_made:
                made = execute(self._make_claims, (dumps(batch.claims_made),))
                _expect(made, len(batch.claims_made), Overtaken, "a claim is held by another")
            for name, entries in batch.states.items():
                self._write_states(name, entries)
            self._write_timers(batch)
            self._write_parked(batch)
            if confirmed:
                execute(self._sent, (wrap(confirmed),))
            return [
                self._pack(Pack(task, target, one.build(batch.now_ms), one.count))
                for (task, target), batches in batch.packs.items()
                for one in batches
            ]

    def flush(self, epochs: Mapping[TaskId, int], confirmed: Sequence[int]) -> None:
        """Delete what the broker confirmed when there is no batch to do it with."""
        with self.database.transaction():
            self._assert_epochs(epochs)
            self.database.execute(self._sent, (wrap(confirmed),))

    def _assert_epochs(self, epochs: Mapping[TaskId, int]) -> None:
        rows = [(*task, epoch) for task, epoch in sorted(epochs.items())]
        _expect(
            self.database.execute(self._fence, (dumps(rows),)), len(rows), Fenced, "another worker took a task over"
        )

    def _write_states(self, name: str, entries: Mapping[str, Entry]) -> None:
        table = self.states[name]
        values = table.values
        rows = [(key, entry.version, *values(entry.state)) for key, entry in entries.items()]
        _expect(self.database.execute(table.upsert, (dumps(rows),)), len(rows), Fenced, "a state moved")

    def _write_timers(self, batch: Batch) -> None:
        execute = self.database.execute
        if batch.deadlines_fired:
            fired = execute(self._fire_deadlines, (dumps(batch.deadlines_fired),))
            _expect(fired, len(batch.deadlines_fired), Fenced, "a deadline was fired before")
        if batch.deadlines_gone:
            execute(self._end_deadlines, (dumps(batch.deadlines_gone),))
        if batch.deadlines_set:
            execute(self._set_deadlines, (dumps(batch.deadlines_set),))
        if batch.effects_opened:
            execute(self._open_effects, (dumps(batch.effects_opened),))
        if batch.effects_closed:
            execute(self._close_effects, (dumps(batch.effects_closed),))

    def _write_parked(self, batch: Batch) -> None:
        if batch.unparked:
            self.database.execute(self._unpark, (dumps(batch.unparked),))
        for row in batch.parked:
            self.database.execute(self._park, row)

    def _pack(self, pack: Pack) -> tuple[int, Pack]:
        ((seq,),) = self.database.query(
            f"INSERT INTO {table_of(Outbox).name} (aggregate, partition, topic, target, records) "
            "VALUES (?, ?, ?, ?, ?) RETURNING seq",
            (*pack.task, *pack.target, pack.records),
        )
        return int(seq), pack

    # Timers, effects, parked inputs

    def due(self, horizons: Mapping[TaskId, int], limit: int) -> list[tuple[TaskId, str, str, int]]:
        """Deadlines that fell due up to each task's horizon (ms), earliest first, as (task, key, name, due in ms)."""
        return [
            (TaskId(aggregate, partition), key, name, due)
            for aggregate, partition, key, name, due in self.database.query(
                "SELECT d.aggregate, d.partition, d.key, d.name, d.due_ms FROM kit_deadline d JOIN "
                f"{self.database.rows('text', 'bigint', 'bigint')} ON d.aggregate = r.c0 AND d.partition = r.c1 "
                "AND d.due_ms <= r.c2 ORDER BY d.due_ms, d.key, d.name LIMIT ?",
                (dumps([(*task, horizon) for task, horizon in horizons.items()]), limit),
            )
        ]

    def next_due(self, tasks: Sequence[TaskId]) -> int | None:
        """When the earliest deadline of these tasks falls due, in milliseconds, None where there is none."""
        ((due,),) = self.database.query(
            "SELECT min((SELECT min(d.due_ms) FROM kit_deadline d WHERE d.aggregate = r.c0 AND d.partition = r.c1)) "
            f"FROM {self.database.rows('text', 'bigint')}",
            (dumps(list(tasks)),),
        )
        return None if due is None else int(due)

    def next_effect(self, tasks: Sequence[TaskId]) -> int | None:
        """When the earliest attempt of these tasks' open effects is due, in milliseconds, None where there is none."""
        ((due,),) = self.database.query(
            "SELECT min((SELECT min(e.next_ms) FROM kit_effect e WHERE e.aggregate = r.c0 AND e.partition = r.c1)) "
            f"FROM {self.database.rows('text', 'bigint')}",
            (dumps(list(tasks)),),
        )
        return None if due is None else int(due)

    def effects_due(self, tasks: Sequence[TaskId], now_ms: int, furthest_ms: int, limit: int) -> list[dict[str, Any]]:
        """Open effects whose next attempt is due, or further away than any can be, as rows by column name."""
        columns = [column.name for column in table_of(EffectRow).columns]
        return [
            dict(zip(columns, row, strict=True))
            for row in self.database.query(
                f"SELECT {', '.join('e.' + name for name in columns)} FROM kit_effect e JOIN "
                f"{self.database.rows('text', 'bigint')} ON e.aggregate = r.c0 AND e.partition = r.c1 "
                "WHERE e.next_ms <= ? OR e.next_ms > ? ORDER BY e.next_ms LIMIT ?",
                (dumps(list(tasks)), now_ms, furthest_ms, limit),
            )
        ]

    def attempt(self, epochs: Mapping[TaskId, int], effects: Sequence[tuple[str, str, str, int, int]]) -> None:
        """Record attempts before they are made: (aggregate, name, id, attempts, next attempt in ms) each."""
        with self.database.transaction():
            self._assert_epochs(epochs)
            self.database.execute(
                "UPDATE kit_effect SET attempts = r.c3, next_ms = r.c4 FROM "
                f"{self.database.rows('text', 'text', 'text', 'bigint', 'bigint')} WHERE kit_effect.aggregate = r.c0 "
                "AND kit_effect.name = r.c1 AND kit_effect.id = r.c2",
                (dumps(effects),),
            )

    def parked(self, task: TaskId, key: str) -> list[tuple[tuple[str, int, int], str, int, tuple[Any, ...]]]:
        """What is parked under a key, in the order of each topic: (place, reason, since in ms, record)."""
        return [
            ((topic, partition, offset), reason, since, marshal.loads(record))
            for topic, partition, offset, reason, since, record in self.database.query(
                "SELECT topic, partition, record_offset, reason, since_ms, record FROM kit_parked "
                "WHERE aggregate = ? AND partition = ? AND key = ? ORDER BY topic, record_offset",
                (task.aggregate, task.partition, key),
            )
        ]

    def parked_since(self, tasks: Sequence[TaskId], before_ms: int, limit: int) -> list[tuple[TaskId, str]]:
        """Tasks and keys whose oldest parked input waits since before a moment."""
        return [
            (TaskId(aggregate, partition), key)
            for aggregate, partition, key in self.database.query(
                "SELECT p.aggregate, p.partition, p.key FROM kit_parked p JOIN "
                f"{self.database.rows('text', 'bigint')} ON p.aggregate = r.c0 AND p.partition = r.c1 "
                "GROUP BY p.aggregate, p.partition, p.key HAVING min(p.since_ms) < ? LIMIT ?",
                (dumps(list(tasks)), before_ms, limit),
            )
        ]


def wrap(values: Iterable[Any]) -> bytes:
    """Single values as the one-column rows that a wide statement takes."""
    return dumps([(value,) for value in values])


def _expect(got: int, wanted: int, failure: type[Exception], text: str) -> None:
    if got != wanted:
        raise failure(f"{text}: {got} of {wanted} rows")
