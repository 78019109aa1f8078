"""What came of a run, read from the topics, the databases and the mail server's file, and how two runs differ.

What the services decide and store with is not used here: a fault in it must not hide itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from services.embedded.smtp import read_mails
from tests.support.postgres import connection_url

End = int
Place = tuple[str, int]
Ident = tuple[str, str]

OUTPUTS = (
    "referral.events",
    "referral.kept",
    "screening.events",
    "loan.events",
    "risk.events",
    "risk.holds",
    "risk.exposures",
    "cooperation.events",
    "cooperation.plans",
    "cooperation.enterprises",
    "screening.precedents",
    "screening.chains",
    "screening.chain-states",
    "liaison.events",
)
INPUTS = (
    "commerce.referrals", "bank.referrals", "commerce.opinions", "bank.opinions", "bank.loans",
    "commerce.plans", "bank.plans", "commerce.advice", "bank.advice", "partner.answers",
    "commerce.indicators", "bank.indicators", "commerce.actions", "bank.actions",
)  # fmt: skip

MAY_DIFFER = dict.fromkeys(
    ("notice.delivered.v1", "notice.failed.v1", "notice.partner_failed.v1"), ("attempts", "answer")
)
"""Fields that tell of the attempts and not of the case: a mail that was sent again took one more, and the mail server
numbers what it accepts."""

STATES = {
    "referral_intake": ("referral_intake_case",),
    "screening": ("screening_case", "screening_chain"),
    "cooperation": (
        "cooperation_consortium",
        "cooperation_enterprise",
        "cooperation_plan",
        "cooperation_advice",
    ),
    "loan_desk": ("loan_desk_case",),
    "risk_monitor": ("risk_monitor_case", "risk_monitor_subject"),
    "liaison": ("liaison_file",),
}
DEAD_LETTERS = tuple(f"{service}.dead-letters" for service in STATES)
UNORDERED = {("risk_monitor_subject", "undecided")}
"""Lists whose order is that of arrival from different cases."""


class Cause(NamedTuple):
    """Where an event stands that others may come of, and what it came of itself."""

    topic: str
    cause: str


@dataclass(frozen=True, slots=True)
class Output:
    """One record as it stands on its topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def header(self, name: str) -> str:
        return next((value.decode() for header, value in self.headers if header == name), "")

    @property
    def ident(self) -> Ident:
        """What tells a repeat: source and id, of a dead letter its own."""
        letter = self.header("kouan_dead_letter_id")
        return ("dead-letter", letter) if letter else (self.header("ce_source"), self.header("ce_id"))

    @property
    def kind(self) -> str:
        return self.header("ce_type")

    def content(self) -> tuple[Any, ...]:
        """All that has to be the same whenever this output is made again."""
        value: Any = self.value
        fields = MAY_DIFFER.get(self.kind)
        if fields is not None and self.value is not None and not self.header("kouan_dead_letter_id"):
            body = json.loads(self.value)
            value = sorted((name, repr(field)) for name, field in body.items() if name not in fields)
        return (self.partition, self.key, value, self.headers)


@dataclass(slots=True)
class Outcome:
    """What one run came to. Events are without repeats; `repeats` counts what was dropped."""

    events: dict[str, dict[Ident, Output]] = field(default_factory=dict)
    repeats: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    mails: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    mails_repeated: int = 0
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    inbox: dict[str, set[tuple[str, str, str, int]]] = field(default_factory=dict)
    claims: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)
    deadlines: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)
    orders: dict[tuple[str, bytes, str], list[str]] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """How many events stand on the output topics."""
        return sum(map(len, self.events.values()))


class Databases:
    """The services' databases, read as anybody could: by sqlite3, or by psycopg in the service's schema.

    `on_postgres` names the services that keep theirs at the URL (default: all of them, where there is one).
    """

    def __init__(self, folder: Path, url: str | None, on_postgres: Collection[str] = tuple(STATES)) -> None:
        self._folder = folder
        self._on_postgres = frozenset(on_postgres if url else ())
        self._url = url and connection_url(url)
        self._connection: psycopg.Connection[Any] | None = None

    def query(self, service: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a statement; none while the table is not there yet."""
        if service in self._on_postgres:
            return self._query_postgres(service, sql)
        path = self._folder / f"{service}.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            try:
                return connection.execute(sql).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def _query_postgres(self, service: str, sql: str) -> list[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            assert self._url is not None
            self._connection = psycopg.connect(self._url, autocommit=True)
        self._connection.execute(f"SET search_path TO {service}".encode())
        try:
            return self._connection.execute(sql.encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            return []

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def positions(self, service: str) -> dict[Place, int]:
        """The next offset of every place that the service reads."""
        rows = self.query(service, "SELECT topic, partition, next_offset FROM kit_position")
        return {(topic, partition): offset for topic, partition, offset in rows}

    def epochs(self, service: str) -> dict[tuple[str, int], int]:
        """How often each task was claimed."""
        rows = self.query(service, "SELECT aggregate, partition, epoch FROM kit_task")
        return {(aggregate, partition): epoch for aggregate, partition, epoch in rows}

    def pending(self, service: str, now_ms: int) -> dict[str, int]:
        """What is committed and not done: rows in the outbox, effects, parked inputs, deadlines that are over."""
        found = {}
        for what, sql in (
            ("rows in the outbox", "SELECT count(*) FROM kit_outbox"),
            ("effects open", "SELECT count(*) FROM kit_effect"),
            ("inputs parked", "SELECT count(*) FROM kit_parked"),
            ("deadlines over", f"SELECT count(*) FROM kit_deadline WHERE due_ms <= {now_ms}"),
        ):
            rows = self.query(service, sql)
            found[what] = rows[0][0] if rows else 0
        return found

    def columns(self, service: str, table: str) -> list[dict[str, Any]]:
        """All rows of a table by column name."""
        if service not in self._on_postgres:
            names = [row[1] for row in self.query(service, f"PRAGMA table_info({table})")]
        else:
            names = [
                row[0]
                for row in self.query(
                    service,
                    "SELECT column_name FROM information_schema.columns "
                    f"WHERE table_schema = '{service}' AND table_name = '{table}' ORDER BY ordinal_position",
                )
            ]
        return [
            dict(zip(names, row, strict=True)) for row in self.query(service, f"SELECT {', '.join(names)} FROM {table}")
        ]


def ends_of(bootstrap_servers: str) -> dict[Place, End]:
    """The end of every partition that a service reads or writes."""
    with _Reading(bootstrap_servers) as consumer:
        return {
            (place.topic, place.partition): consumer.get_watermark_offsets(place, timeout=10)[1]
            for place in _places(consumer)
        }


def read_outcome(bootstrap_servers: str, databases: Databases, mails: Path) -> Outcome:
    """What a run came to, after it has settled."""
    outcome = Outcome()
    causes: dict[str, Cause] = {}
    for one in sorted(read_topics(bootstrap_servers), key=lambda one: (one.topic, one.partition, one.offset)):
        if one.topic not in INPUTS:
            _note(outcome, one)
        if one.topic not in DEAD_LETTERS and one.header("ce_id"):
            causes[one.header("ce_id")] = Cause(one.topic, one.header("ce_causationid"))
    _order(outcome, causes)
    _read_mails(outcome, mails)
    _read_databases(outcome, databases)
    return outcome


def _note(outcome: Outcome, one: Output) -> None:
    known = outcome.events.setdefault(one.topic, {})
    first = known.setdefault(one.ident, one)
    if first is one:
        return
    outcome.repeats[one.topic] += 1
    if first.content() != one.content():
        outcome.faults.append(f"{one.topic}: {one.kind} {one.ident} of {one.key!r} stands twice with different content")


def _order(outcome: Outcome, causes: Mapping[str, Cause]) -> None:
    """The order of each key's events as far as it is fixed: among those that came the same way, from topic to topic,
    for the same case. Topics have no order between them, and neither have cases; a deadline and an effect are each a
    way of their own.
    """
    for topic, events in outcome.events.items():
        for one in sorted(events.values(), key=lambda one: (one.partition, one.offset)):
            way = "" if topic in DEAD_LETTERS else _way(one.header("ce_causationid"), causes)
            place = (topic, one.key or b"", f"{one.header('ce_correlationid')} by {way}")
            outcome.orders.setdefault(place, []).append(one.ident[1])


def _way(cause: str, causes: Mapping[str, Cause]) -> str:
    steps = []
    while cause in causes:
        steps.append(causes[cause].topic)
        cause = causes[cause].cause
    # What stands on no topic is a deadline or an effect, named by its id; an input has no cause.
    return " ".join([*steps, cause])


def _read_mails(outcome: Outcome, path: Path) -> None:
    for mail in read_mails(path):
        content = (mail.sender, tuple(mail.to), mail.subject, mail.text)
        if mail.message_id in outcome.mails:
            outcome.mails_repeated += 1
            if outcome.mails[mail.message_id] != content:
                outcome.faults.append(f"mail {mail.message_id} was sent twice with different content")
        outcome.mails.setdefault(mail.message_id, content)


def _read_databases(outcome: Outcome, databases: Databases) -> None:
    for service, tables in STATES.items():
        for table in tables:
            outcome.states[table] = {row["key"]: _canonical(table, row) for row in databases.columns(service, table)}
        outcome.inbox[service] = set(databases.query(service, "SELECT source, id, digest, outcome FROM kit_inbox"))
        outcome.claims[service] = set(databases.query(service, "SELECT aggregate, claim, key FROM kit_claim"))
        outcome.deadlines[service] = set(
            databases.query(service, "SELECT aggregate, key, name, partition, due_ms FROM kit_deadline")
        )


def _canonical(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A state row to compare: less its version, which counts transactions, JSON parsed and booleans as numbers."""
    found = {}
    for name, value in row.items():
        if name == "version":
            continue
        if isinstance(value, str) and value[:1] in ("{", "["):
            value = json.loads(value)
        if value == "null":
            value = None
        if (table, name) in UNORDERED:
            value = sorted(value)
        found[name] = int(value) if isinstance(value, bool) else value
    return found


# Reading topics


class _Reading:
    """A consumer that belongs to no group, closed at the end of a `with` block."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "outcome",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.message.max.bytes": 6 * 1024 * 1024,
                "enable.partition.eof": False,
            }
        )

    def __enter__(self) -> Consumer:
        return self._consumer

    def __exit__(self, *error: object) -> None:
        self._consumer.close()


def _places(consumer: Consumer) -> list[TopicPartition]:
    wanted = {*OUTPUTS, *INPUTS, *DEAD_LETTERS}
    topics = consumer.list_topics(timeout=10).topics
    return [
        TopicPartition(name, partition, OFFSET_BEGINNING)
        for name, topic in sorted(topics.items())
        if name in wanted
        for partition in sorted(topic.partitions)
    ]


def read_topics(bootstrap_servers: str) -> Iterator[Output]:
    """Every record of the topics that a service reads or writes; of each partition in order."""
    with _Reading(bootstrap_servers) as consumer:
        places = _places(consumer)
        left = {
            (place.topic, place.partition): end
            for place in places
            if (end := consumer.get_watermark_offsets(place, timeout=10)[1])
        }
        consumer.assign(places)
        silent = 0
        while left:
            messages = consumer.consume(5000, timeout=2.0)
            silent = 0 if messages else silent + 1
            assert silent < 15, f"nothing came any more, and these were not read to their end: {left}"
            for message in messages:
                assert message.error() is None, message.error()
                place = (message.topic(), message.partition())
                yield Output(*place, message.offset(), message.key(), message.value(), tuple(message.headers() or ()))
                if place in left and message.offset() >= left[place] - 1:
                    del left[place]


# Comparing


def differences(run: Outcome, undisturbed: Outcome) -> list[str]:
    """How a run differs from the undisturbed one; empty if in nothing that counts."""
    found = list(run.faults)
    for topic in sorted({*run.events, *undisturbed.events}):
        found += _differing_events(topic, run.events.get(topic, {}), undisturbed.events.get(topic, {}))
    found += _differing("order of", run.orders, undisturbed.orders)
    found += _differing("mail", run.mails, undisturbed.mails)
    for table in STATES.values():
        for name in table:
            found += _differing(f"{name}", run.states[name], undisturbed.states[name])
    for what in ("inbox", "claims", "deadlines"):
        for service in STATES:
            ours, theirs = getattr(run, what)[service], getattr(undisturbed, what)[service]
            found += [f"{what} of {service}: {row} only in this run" for row in _some(ours - theirs)]
            found += [f"{what} of {service}: {row} only in the undisturbed run" for row in _some(theirs - ours)]
    return found


def _differing_events(topic: str, ours: Mapping[Ident, Output], theirs: Mapping[Ident, Output]) -> Iterator[str]:
    for ident in _some(ours.keys() - theirs.keys()):
        yield f"{topic}: {ours[ident].kind} {ident} of {ours[ident].key!r} only in this run"
    for ident in _some(theirs.keys() - ours.keys()):
        yield f"{topic}: {theirs[ident].kind} {ident} of {theirs[ident].key!r} only in the undisturbed run"
    differing = [ident for ident in ours.keys() & theirs.keys() if ours[ident].content() != theirs[ident].content()]
    for ident in _some(differing):
        yield f"{topic}: {ident} differs:\n  {ours[ident].content()}\n  {theirs[ident].content()}"


def _differing(what: str, ours: Mapping[Any, Any], theirs: Mapping[Any, Any]) -> Iterator[str]:
    keys = [key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)]
    for key in _some(keys):
        yield f"{what} {key!r} differs:\n  {ours.get(key)}\n  {theirs.get(key)}"


def _some(things: Iterable[Any]) -> list[Any]:
    return sorted(things, key=repr)[:5]
