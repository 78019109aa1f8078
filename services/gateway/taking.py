"""Outcomes into the feed: what the subscriber hands over becomes rows, in the transaction that moves its place.

Numbers are given out under the lock of one row (`gateway_head`), which is held until the commit: whoever has seen a
number will never meet a smaller one later, even if two gateways should write at once.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Final

import orjson
from sqlalchemy import Connection, bindparam, text

from schemas.codec import attributes_of
from services.client.receiving import Received, sort_out
from services.gateway.access import (
    LEFT_OUT,
    Audience,
    Case,
    audience_of,
    case_from,
    name_of,
    unit_from,
)
from services.gateway.places import Directory, Unit
from topics.definition import OUTCOMES, Catalogue, is_for_the_gateway

_CASES: Final = text(
    "SELECT case_id, referrer, zone, province, branch FROM gateway_case WHERE case_id IN :keys"
).bindparams(bindparam("keys", expanding=True))
_WAITING: Final = text(
    "SELECT entry, subject, topic, event FROM gateway_feed WHERE seq IS NULL AND subject IN :keys ORDER BY entry"
).bindparams(bindparam("keys", expanding=True))
_UNITS: Final = text("SELECT kind, code, valid_from, valid_to, provinces FROM gateway_unit")
_ALLOT: Final = text("UPDATE gateway_head SET last_seq = last_seq + :count RETURNING last_seq")
_RELEASE: Final = text("UPDATE gateway_feed SET seq = :seq, case_id = :case_id WHERE entry = :entry")
_INSERT: Final = text(
    "INSERT INTO gateway_feed (seq, source, id, type, subject, time, topic, topic_partition, topic_offset, case_id,"
    " taken_ms, event) VALUES (:seq, :source, :id, :type, :subject, :time, :topic, :partition, :offset, :case_id,"
    " :taken_ms, :event)"
)
_ADDRESS: Final = text("INSERT INTO gateway_audience (unit, seq) VALUES (:unit, :seq)")
_SHOW_PAST: Final = text(
    "INSERT INTO gateway_audience (unit, seq) SELECT :new, a.seq FROM gateway_audience a"
    " JOIN gateway_feed f ON f.seq = a.seq WHERE f.case_id = :case_id AND a.unit = :old"
    # What was for the referrer alone stays so.
    " AND f.type NOT LIKE 'referral.rejected.%' AND f.type NOT LIKE 'referral.duplicate_found.%'"
    " AND f.type NOT LIKE 'referral.consent_awaited.%'"
    " ON CONFLICT DO NOTHING"
)
_KEEP_CASE: Final = text(
    "INSERT INTO gateway_case (case_id, referrer, zone, province, branch)"
    " VALUES (:case_id, :referrer, :zone, :province, :branch) ON CONFLICT (case_id) DO UPDATE SET"
    " referrer = excluded.referrer, zone = excluded.zone, province = excluded.province, branch = excluded.branch"
)
_KEEP_UNIT: Final = text(
    "INSERT INTO gateway_unit (kind, code, valid_from, valid_to, provinces)"
    " VALUES (:kind, :code, :valid_from, :valid_to, :provinces) ON CONFLICT (kind, code, valid_from)"
    " DO UPDATE SET valid_to = excluded.valid_to, provinces = excluded.provinces"
)


@dataclass(frozen=True, slots=True)
class _Move:
    """Units of a case that an amendment replaced by others."""

    case_id: str
    old: str
    new: str


class Taker:
    """Turns received events into rows of the feed. Used by one thread at a time."""

    def __init__(self, catalogue: Catalogue) -> None:
        topics = catalogue.topics.values()
        self._of_case = {topic.name: topic.key.name == "referral_id" for topic in topics if topic.kind in OUTCOMES}
        self.topics: tuple[str, ...] = tuple(sorted(topic.name for topic in topics if is_for_the_gateway(topic)))
        """The topics to read: outcomes, and those that name zones and branches."""

    def take(self, batch: Sequence[Received], connection: Connection) -> None:
        """Write what a batch brings; all of it or nothing."""
        units = [unit for unit in (unit_from(received.event) for received in batch) if unit is not None]
        _keep_units(connection, units)
        shown = [r for r in batch if r.topic in self._of_case and name_of(r.event.type) not in LEFT_OUT]
        if not shown and not units:
            return
        directory = _directory(connection)
        cases = _cases(connection, {received.event.subject for received in shown})
        before, moves = dict(cases), list[_Move]()
        told: list[tuple[Received, Audience]] = []
        pending: list[Received] = []
        for received in shown:
            known = cases.get(received.event.subject)
            audience = self._follow(received, cases, directory)
            if audience is None:
                pending.append(received)
                continue
            moved = _moves(received.event.subject, known, cases.get(received.event.subject))
            moves += moved
            told.append((received, _and_told_of_the_move(audience, moved)))
        later = [(received, self._audience(received, cases, directory)) for received in pending]
        told += [(received, audience) for received, audience in later if audience is not None]
        still = [received for received, audience in later if audience is None]
        new = {key for key, case in cases.items() if before.get(key) != case}
        _keep_cases(connection, {key: cases[key] for key in new})
        zones = {unit.code for unit in units if unit.kind == "zone"}
        released = self._released(connection, new - before.keys(), zones, cases, directory)
        _write(connection, told, released, still)
        for move in moves:
            connection.execute(_SHOW_PAST, {"case_id": move.case_id, "old": move.old, "new": move.new})

    def _follow(self, received: Received, cases: dict[str, Case], directory: Directory) -> Audience | None:
        """Learn what an event says about its case, then decide who may see it."""
        event = received.event
        changed = case_from(event, cases.get(event.subject))
        if changed is not None:
            cases[event.subject] = changed
        return self._audience(received, cases, directory)

    def _audience(self, received: Received, cases: Mapping[str, Case], directory: Directory) -> Audience | None:
        event = received.event
        return audience_of(event, cases.get(event.subject), directory, of_case=self._of_case[received.topic])

    def _released(
        self,
        connection: Connection,
        new_cases: Collection[str],
        zones: Collection[str],
        cases: Mapping[str, Case],
        directory: Directory,
    ) -> list[tuple[int, Audience]]:
        """What waited for a case or a zone that is known now, with who may see it."""
        keys = [*new_cases, *zones]
        found = connection.execute(_WAITING, {"keys": keys}).all() if keys else []
        judged = (
            (entry, self._audience(received, cases, directory))
            for entry, *stored in found
            for received in _as_received(*stored)
        )
        return [(entry, audience) for entry, audience in judged if audience is not None]


def structured(received: Received) -> str:
    """The event as one JSON object on one line (structured mode), its data as they were sent."""
    named = dict(received.headers)
    # Outside of texts, which hold none, line ends are mere space in JSON; streams part messages at them.
    value = received.value.replace(b"\r", b" ").replace(b"\n", b" ")
    if (named.get("content-type") or b"").startswith(b"application/cloudevents"):
        return value.decode()
    return orjson.dumps({**attributes_of(received.event), "data": orjson.Fragment(value)}).decode()


def _as_received(subject: str, topic: str, event: str) -> Iterable[Received]:
    """What was stored, as it was received; nothing where this release can't read it."""
    headers = [("content-type", b"application/cloudevents+json")]
    record = SimpleNamespace(
        topic=topic, partition=0, offset=0, key=subject.encode(), value=event.encode(), headers=headers
    )
    return (received for received, _ in sort_out([record])[0])


def _cases(connection: Connection, keys: Collection[str]) -> dict[str, Case]:
    if not keys:
        return {}
    return {row[0]: Case(*row[1:]) for row in connection.execute(_CASES, {"keys": list(keys)})}


def _directory(connection: Connection) -> Directory:
    return Directory(
        Unit(kind, code, valid_from, valid_to, tuple(provinces.split()))
        for kind, code, valid_from, valid_to, provinces in connection.execute(_UNITS)
    )


def _moves(case_id: str, old: Case | None, new: Case | None) -> list[_Move]:
    if old is None or new is None:
        return []
    pairs = [(unit_before, unit) for unit_before, unit in zip(old.places, new.places, strict=True)]
    return [_Move(case_id, unit_before, unit) for unit_before, unit in pairs if unit_before != unit]


def _and_told_of_the_move(audience: Audience, moves: Iterable[_Move]) -> Audience:
    return replace(audience, units=audience.units | {move.old for move in moves})


def _keep_units(connection: Connection, units: Iterable[Unit]) -> None:
    for unit in units:
        connection.execute(
            _KEEP_UNIT,
            {
                "kind": unit.kind,
                "code": unit.code,
                "valid_from": unit.valid_from,
                "valid_to": unit.valid_to,
                "provinces": " ".join(unit.provinces),
            },
        )


def _keep_cases(connection: Connection, cases: Mapping[str, Case]) -> None:
    rows = [
        {"case_id": key, "referrer": case.referrer, "zone": case.zone, "province": case.province, "branch": case.branch}
        for key, case in cases.items()
    ]
    if rows:
        connection.execute(_KEEP_CASE, rows)


def _write(
    connection: Connection,
    told: Sequence[tuple[Received, Audience]],
    released: Sequence[tuple[int, Audience]],
    waiting: Sequence[Received],
) -> None:
    count = len(told) + len(released)
    last = connection.execute(_ALLOT, {"count": count}).scalar_one() if count else 0
    numbered = iter(range(last - count + 1, last + 1))
    now_ms = int(time.time() * 1000)
    rows = []
    audiences = []
    for received, audience in told:
        seq = next(numbered)
        rows.append(_row(received, seq, audience.case_id, now_ms))
        audiences += [{"unit": unit, "seq": seq} for unit in sorted(audience.rows)]
    releases = []
    for entry, audience in released:
        seq = next(numbered)
        releases.append({"seq": seq, "case_id": audience.case_id, "entry": entry})
        audiences += [{"unit": unit, "seq": seq} for unit in sorted(audience.rows)]
    rows += [_row(received, None, None, now_ms) for received in waiting]
    for statement, parameters in ((_INSERT, rows), (_RELEASE, releases), (_ADDRESS, audiences)):
        if parameters:
            connection.execute(statement, parameters)


def _row(received: Received, seq: int | None, case_id: str | None, now_ms: int) -> dict[str, Any]:
    event = received.event
    return {
        "seq": seq,
        "source": event.source,
        "id": event.id,
        "type": event.type,
        "subject": event.subject,
        "time": event.time.isoformat(),
        "topic": received.topic,
        "partition": received.partition,
        "offset": received.offset,
        "case_id": case_id,
        "taken_ms": now_ms,
        "event": structured(received),
    }
