"""Folding a service's record topic with `evolve` into the state tables of a new database, and last what it kept apart.

Decoding and folding happen on the caller's thread; what is called `look_up`, `write` and `settle` talks to the database
and runs on its thread. States that are not at hand are in the new database, so that memory stays bounded however many
keys there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from schemas.envelope import Payload, payload_class
from schemas.upcasting import newest, reader_of
from services.kit.database import Database
from services.kit.door import Aggregate, Effect
from services.kit.failures import Fatal
from services.kit.ids import in_ms
from services.kit.pages import Beginnings, Page
from services.kit.portions import Found, Portion, Reading, States, Step, Taker, TopicRecord
from services.kit.store import dumps, table_of, wrap
from services.kit.tables import Claim, DeadlineRow, EffectRow
from services.kit.wiring import Wiring
from topics.definition import Topic
from topics.partitioning import partition_of

MOST_STATES = 200_000
"""States of one aggregate in memory at the most; the others wait in the new database."""

_ROWS = 5_000
"""Rows in one statement at the most."""

EffectIdent = tuple[str, str, str]


class Fold:
    """The fold of one service's record topic, and of the topics `apart` from it, and what was counted on the way.

    `events` are the service's own records, repeats among them; `repeats` those that came before under the same id;
    `others` its events that change no state; `strangers` the records that other sources wrote, which nobody may.
    """

    def __init__(
        self,
        wiring: Wiring,
        topic: Topic,
        database: Database,
        most_states: int = MOST_STATES,
        apart: Sequence[Topic] = (),
    ) -> None:
        self._topic = topic
        self._kinds = frozenset[str]().union(*(one.events for one in (topic, *apart)))
        self._source = wiring.source.encode()
        self._database = database
        self._most = most_states
        self._partitions = wiring.partitions
        self._portions = 0
        self.states = [States(aggregate, database) for aggregate in wiring.service.aggregates]
        self.effects: dict[EffectIdent, tuple[Any, ...]] = {}
        self.events = self.repeats = self.others = self.strangers = 0
        _check_effects(wiring, topic)
        self._known = Beginnings(self._source, dict(self._readings_of(wiring)))
        rows = database.rows
        self._note = f"INSERT INTO rebuild_seen (id, portion) SELECT c0, c1 FROM {rows('text', 'bigint')} WHERE true"
        self._note += " ON CONFLICT DO NOTHING"
        self._noted = f"SELECT id FROM rebuild_seen WHERE portion < ? AND id IN (SELECT c0 FROM {rows('text')})"

    def _readings_of(self, wiring: Wiring) -> Iterable[tuple[bytes, Reading]]:
        for kind in sorted(self._kinds):
            written = payload_class(kind)
            if written is None:
                raise Fatal(f"the catalogue has {kind} under {wiring.source}, which no payload class has as its TYPE")
            cls = newest(written)
            takers = tuple(
                Taker(
                    states,
                    one.owns,
                    one.evolve if cls in one.records else None,
                    wiring.opens[one.name].get(cls),
                    wiring.closes[one.name].get(cls, ()),
                )
                for states, one in ((states, states.aggregate) for states in self.states)
                if cls in one.records or cls in wiring.opens[one.name] or cls in wiring.closes[one.name]
            )
            if takers:
                yield kind.encode(), Reading(reader_of(written), takers)

    # Decoding and folding

    def read(self, records: Page | Sequence[TopicRecord]) -> Portion:
        """Decode records.

        Bodies are validated, because that is how payloads are made of them. Envelopes are not: only this service may
        write its topics, its kit made them, and the fold needs nothing of them but source, type, id and key.

        Raises:
            Fatal: an event of the service itself can't be read with this release's contracts.
        """
        if isinstance(records, Page):
            events, strangers = records.events(self._known)
            portion = Portion(self._portions, records.record_at)
        else:
            events = self._events(records)
            strangers = len(records) - len(events)
            portion = Portion(self._portions, records.__getitem__)
        self._portions += 1
        portion.ids = [event[1] for event in events]
        add = portion.steps.append
        for reading, id, key, body, place in events:
            if reading is None:
                continue
            validate, takers = reading
            try:
                add((id, takers, key, validate(body), place))
            except ValueError as error:
                record = portion.record_at(place)
                raise Fatal(
                    f"{_place(record)}, {dict(record.headers)['ce_type'].decode()} {id}, does not fit the contracts of "
                    f"this release: {error}. Rebuild with a release that reads all that stands on {record.topic}"
                ) from error
        self.events += len(events)
        self.others += len(events) - len(portion.steps)
        self.strangers += strangers
        return portion

    def _events(self, records: Sequence[TopicRecord]) -> list[tuple[Reading | None, str, str, bytes, int]]:
        """The service's own events as `Page.events` gives them; their places are their numbers."""
        kinds, events = self._known.kinds, []
        for number, record in enumerate(records):
            named = dict(record.headers)
            if named.get("ce_source") == self._source and "ce_id" in named:
                reading = kinds.get(named.get("ce_type", b""))
                key = (record.key or b"").decode()
                events.append((reading, named["ce_id"].decode(), key, record.value or b"", number))
        return events

    def note_absent(self, portion: Portion) -> None:
        """Note which states the portion needs that are not at hand now and may be in the database."""
        for states in self.states:
            if states.elsewhere:
                at_hand = states.at_hand
                keys = {
                    key: None
                    for _, takers, key, _, _ in portion.steps
                    if key not in at_hand and any(taker.states is states for taker in takers)
                }
                if keys:
                    portion.absent[states.aggregate.name] = list(keys)

    def apply(self, portion: Portion, found: Found) -> None:
        """Fold a portion, leaving out what came before.

        Raises:
            Fatal: `evolve` does not take what the topic holds.
        """
        for states in self.states:
            loaded = found.states.get(states.aggregate.name)
            if loaded:
                states.at_hand.update(loaded)
                states.stored.update(loaded)
        steps = portion.steps
        new = len(set(portion.ids))
        if found.repeats or new < len(portion.ids):
            self.repeats += len(portion.ids) - new + len(found.repeats)
            steps = list(_once(steps, found.repeats))
        for id, takers, key, payload, place in steps:
            for states, owns, evolve, opens, closes in takers:
                if not owns(payload):
                    continue
                if evolve is not None:
                    at_hand = states.at_hand
                    try:
                        at_hand[key] = evolve(at_hand.get(key), payload)
                    except Exception as error:
                        raise Fatal(
                            f"{_place(portion.record_at(place))}: {states.aggregate.name} {key!r} can't take "
                            f"{payload.TYPE} {id}: {error!r}. Either events of this key are missing before it, or "
                            "evolve changed since it was written"
                        ) from error
                    states.changed[key] = None
                if opens is not None:
                    self._open(states.aggregate.name, opens, id, key, payload, portion.record_at(place))
                for effect in closes:
                    self.effects.pop((states.aggregate.name, effect.name, effect.identify(payload)), None)

    def _open(self, aggregate: str, effect: Effect, id: str, key: str, payload: Any, record: TopicRecord) -> None:
        """The row of an effect as the kit writes it, but for its attempts: how many there were no topic tells."""
        named = dict(record.headers)
        effect_id = effect.identify(payload)
        partition = partition_of(key.encode(), self._partitions[aggregate])
        value = (record.value or b"").decode()
        time_ms = in_ms(datetime.fromisoformat(named["ce_time"].decode()))
        correlation, trace = named["ce_correlationid"].decode(), named["traceparent"].decode()
        row = (aggregate, effect.name, effect_id, partition, key, id, value, correlation, trace, time_ms, 0, 0)
        self.effects.setdefault((aggregate, effect.name, effect_id), row)

    # On the database's thread

    def prepare(self) -> None:
        """Make the place in which ids are remembered: a temporary table, because memory may not hold them all."""
        self._database.execute("CREATE TEMPORARY TABLE rebuild_seen (id TEXT PRIMARY KEY, portion INTEGER NOT NULL)")

    def look_up(self, portion: Portion) -> Found:
        """Remember a portion's ids; returns those that were known, and the states that are not at hand."""
        distinct = list(dict.fromkeys(portion.ids))
        new = self._database.execute(self._note, (dumps([(id, portion.number) for id in distinct]),)) if distinct else 0
        known: frozenset[str] = frozenset()
        if new < len(distinct):
            known = frozenset(id for (id,) in self._database.query(self._noted, (portion.number, wrap(distinct))))
        loaded: dict[str, dict[str, Any]] = {}
        for states in self.states:
            keys = portion.absent.get(states.aggregate.name)
            if keys:
                entries = map(states.rows.entry, self._database.query(states.rows.select, (wrap(keys),)))
                loaded[states.aggregate.name] = {key: entry.state for key, entry in entries}
        return Found(known, loaded)

    def write(self, states: States, new: Sequence[tuple[Any, ...]], changed: Sequence[tuple[Any, ...]]) -> None:
        """Write state rows.

        Raises:
            Fatal: a key that should be new is there: it stands in several partitions, so its order is not known.
        """
        table = states.rows.table
        insert = f"{self._database.insert(table)} ON CONFLICT DO NOTHING"
        for rows in _sliced(new):
            if self._database.execute(insert, (dumps(rows),)) < len(rows):
                raise Fatal(
                    f"keys of {states.aggregate.name} stand in several partitions of {self._topic.name}: in which "
                    "order their events happened can't be told. Was the topic's number of partitions changed?"
                )
        upsert = self._database.upsert(table)
        for rows in _sliced(changed):
            self._database.execute(upsert, (dumps(rows),))

    def settle(self) -> None:
        """Write what follows from the final states, deadlines and claims, and the effects that are open."""
        for states in self.states:
            aggregate = states.aggregate
            if aggregate.deadlines is not None or aggregate.claims is not None:
                for page in self._pages(states):
                    self._settle_page(aggregate, page)
        insert = self._database.insert(table_of(EffectRow))
        for rows in _sliced(list(self.effects.values())):
            self._database.execute(insert, (dumps(rows),))

    def _pages(self, states: States) -> Iterable[list[tuple[str, Any]]]:
        columns = ", ".join(column.name for column in states.rows.table.columns)
        select = f"SELECT {columns} FROM {states.rows.table.name} WHERE key > ? ORDER BY key LIMIT {_ROWS}"
        after = ""
        while page := self._database.query(select, (after,)):
            yield [(key, entry.state) for key, entry in map(states.rows.entry, page)]
            after = page[-1][0]

    def _settle_page(self, aggregate: Aggregate, page: list[tuple[str, Any]]) -> None:
        name, partitions = aggregate.name, self._partitions[aggregate.name]
        if aggregate.deadlines is not None:
            due = {
                (key, one.name): (name, key, one.name, partition_of(key.encode(), partitions), in_ms(one.due))
                for key, state in page
                for one in aggregate.deadlines(state)
            }
            if due:
                self._database.execute(self._database.insert(table_of(DeadlineRow)), (dumps(list(due.values())),))
        if aggregate.claims is not None:
            claims = [(name, text, key) for key, state in page for text in sorted(set(aggregate.claims(state)))]
            if claims:
                # Two states that claim the same are a difference: the database in use can hold one of them only.
                self._database.execute(
                    f"{self._database.insert(table_of(Claim))} ON CONFLICT DO NOTHING", (dumps(claims),)
                )

    # Memory

    def begin(self, *, fresh: bool) -> None:
        """What comes next has keys that never came before (`fresh`), or may have states in the database."""
        for states in self.states:
            states.elsewhere = not fresh

    def overflowing(self) -> list[States]:
        """Aggregates with more states at hand than there may be."""
        return [states for states in self.states if len(states.at_hand) > self._most]

    def hand_over(self, states: States, most: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """The rows to `write` of an aggregate; afterwards only `most` of its states are at hand."""
        rows = states.rows_to_write()
        states.keep(most)
        states.elsewhere = True
        return rows

    @property
    def half(self) -> int:
        """How many states stay at hand when there were too many."""
        return self._most // 2


def _check_effects(wiring: Wiring, topic: Topic) -> None:
    """Open effects can be found only if all that opens and closes them stands on the record topic."""
    kinds: set[type[Payload]] = set()
    for aggregate in wiring.service.aggregates:
        for effect in aggregate.effects:
            kinds |= {effect.opened_by, *effect.closed_by}
    elsewhere = sorted(kind.TYPE for kind in kinds if kind.TYPE not in topic.events)
    if elsewhere:
        raise Fatal(f"effects are opened or closed by {', '.join(elsewhere)}, which {topic.name} does not carry")


def _place(record: TopicRecord) -> str:
    if record.offset < 0:
        return f"{record.topic}[{record.partition}], not yet published"
    return f"{record.topic}[{record.partition}]@{record.offset}"


def _once(steps: Iterable[Step], known: Iterable[str]) -> Iterable[Step]:
    """Those whose id is not known and did not come before."""
    seen = set(known)
    for step in steps:
        if step[0] not in seen:
            seen.add(step[0])
            yield step


def _sliced(rows: Sequence[tuple[Any, ...]]) -> Iterable[Sequence[tuple[Any, ...]]]:
    return (rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))
