"""What was sent, what the topics and the database hold now, and whether the two fit: the judge of the kit.

It shares no code with the kit or with the contracts: it reads topics with librdkafka and databases with their own
drivers, and knows the test ledger's rules by itself. What a publisher was told is compared with what came of it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""

MOST_TOLD = 12
"""No more violations of one kind than these are told: the first ones say what happened."""


@dataclass(slots=True)
class Sent:
    """One record that a publisher sent, and what it was told: `fate` is `acknowledged`, `refused` or `unknown`.

    `poison` is the reason that its dead letter is expected to give, None for what is to be applied.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    poison: str | None = None
    fate: str = "unknown"
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """One record as it stands on a topic."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]

    @property
    def ident(self) -> tuple[str, str]:
        """Source and id, by which repeats are told."""
        return self.text("ce_source"), self.text("ce_id")

    @property
    def kind(self) -> str:
        return self.text("ce_type")

    @property
    def body(self) -> Any:
        return json.loads(self.value or b"null")

    def text(self, header: str) -> str:
        return self.headers.get(header, b"").decode("utf-8", "replace")


class Publisher:
    """Another system's publisher: librdkafka, placed as Java does, told of every record's fate."""

    def __init__(self, bootstrap_servers: str, **settings: Any) -> None:
        defaults = {
            "bootstrap.servers": bootstrap_servers,
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "message.max.bytes": 5_000_000,
            "message.timeout.ms": 30_000,
            "log_level": 0,
        }
        self._producer = Producer({**defaults, **settings})
        self.sent: list[Sent] = []

    def event(
        self,
        topic: str,
        kind: str,
        key: str,
        body: Mapping[str, Any],
        *,
        id: str | None = None,
        source: str = "//bank/exim-nmg",
        poison: str | None = None,
        headers: Mapping[str, bytes | None] | None = None,
        partition: int | None = None,
    ) -> Sent:
        """Send one CloudEvent; `headers` replaces some of its headers, or takes them out with None."""
        attributes: dict[str, bytes | None] = {
            "ce_specversion": b"1.0",
            "ce_id": (id or str(uuid.uuid4())).encode(),
            "ce_source": source.encode(),
            "ce_type": kind.encode(),
            "ce_time": datetime.now(UTC).isoformat().encode(),
            "ce_subject": key.encode(),
            "content-type": b"application/json",
            **(headers or {}),
        }
        given = [(name, value) for name, value in attributes.items() if value is not None]
        return self.record(topic, key.encode(), json.dumps(body).encode(), given, poison=poison, partition=partition)

    def record(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        *,
        poison: str | None = None,
        partition: int | None = None,
    ) -> Sent:
        """Send bytes as they are."""
        one = Sent(topic, key, value, list(headers), poison)
        where = {} if partition is None else {"partition": partition}

        def told(error: KafkaError | None, message: Any) -> None:
            one.fate = "acknowledged" if error is None else "unknown"
            if error is None:
                one.place = (message.topic(), message.partition(), message.offset())

        self.sent.append(one)
        self._producer.produce(topic, value=value, key=key, headers=one.headers, on_delivery=told, **where)
        self._producer.poll(0)
        return one

    def again(self, one: Sent) -> Sent:
        """Send the same record once more, as a publisher does who was told nothing."""
        return self.record(one.topic, one.key, one.value, one.headers, poison=one.poison)

    def flush(self, seconds: float = 30) -> None:
        """Wait until every record's fate is known."""
        left = self._producer.flush(seconds)
        assert left == 0, f"{left} records are not acknowledged after {seconds} s"


class Topics:
    """Reads topics from their beginning to their present end."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._settings = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"history-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": False,
            "fetch.wait.max.ms": 50,
        }

    def ends(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """The next offset of every partition."""
        with closing(Consumer(self._settings)) as consumer:
            return {
                (topic, number): consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
                for topic in topics
                for number in self._partitions(consumer, topic)
            }

    def read(self, topics: Iterable[str]) -> dict[str, list[Stored]]:
        """All records of topics, each topic's by partition and offset."""
        wanted = list(topics)
        found: dict[str, list[Stored]] = {topic: [] for topic in wanted}
        with closing(Consumer(self._settings)) as consumer:
            ends = {
                (topic, number): consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
                for topic in wanted
                for number in self._partitions(consumer, topic)
            }
            left = {place for place, end in ends.items() if end > 0}
            consumer.assign([TopicPartition(topic, number, 0) for topic, number in left])
            deadline = time.monotonic() + 60
            while left:
                assert time.monotonic() < deadline, f"could not read {left} to the end"
                for message in consumer.consume(5000, timeout=0.2):
                    assert message.error() is None, message.error()
                    place = (message.topic(), message.partition(), message.offset())
                    headers = dict(message.headers() or [])
                    found[place[0]].append(Stored(place, message.key(), message.value(), headers))
                positions = consumer.position([TopicPartition(*place) for place in left])
                left -= {
                    (one.topic, one.partition) for one in positions if one.offset >= ends[one.topic, one.partition]
                }
        for records in found.values():
            records.sort(key=lambda record: record.place)
        return found

    @staticmethod
    def _partitions(consumer: Consumer, topic: str) -> list[int]:
        return sorted(consumer.list_topics(topic, timeout=10).topics[topic].partitions)


class Database:
    """Looks into the database of a service, whichever of the two it is; writes nothing but what `Watch` lays."""

    def __init__(self, url: str, schema: str) -> None:
        self._url = url
        self._schema = schema

    @property
    def dialect(self) -> str:
        return "sqlite" if self._url.startswith("sqlite:///") else "postgresql"

    def lay(self, statements: Iterable[str]) -> bool:
        """Run statements in one transaction; False where the file is not made yet."""
        if self.dialect == "postgresql":
            connection = self.connect()
            assert isinstance(connection, psycopg.Connection)
            with closing(connection), connection.transaction():
                for statement in statements:
                    connection.execute(statement)
            return True
        path = Path(self._url.removeprefix("sqlite:///"))
        if not path.exists():
            return False
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            for statement in statements:
                writer.execute(statement)
            writer.execute("COMMIT")
        return True

    def connect(self) -> sqlite3.Connection | psycopg.Connection[tuple[Any, ...]] | None:
        """A connection that only reads; None where the file is not made yet."""
        if self._url.startswith("sqlite:///"):
            path = Path(self._url.removeprefix("sqlite:///"))
            if not path.exists():
                return None
            return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        url = self._url.replace("postgresql+psycopg://", "postgresql://", 1)
        return psycopg.connect(url, autocommit=True, options=f"-c search_path={self._schema}")

    def query(
        self, sql: str, connection: sqlite3.Connection | psycopg.Connection[tuple[Any, ...]] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows of a query, on a connection that is given or on one of its own; none before the tables are made."""
        if connection is None:
            connection = self.connect()
            if connection is None:
                return []
            with closing(connection):
                return self.query(sql, connection)
        try:
            return connection.execute(sql).fetchall()  # type: ignore[call-overload]
        except (sqlite3.OperationalError, psycopg.errors.UndefinedTable):
            return []

    def count(self, table: str) -> int:
        rows = self.query(f"SELECT count(*) FROM {table}")
        return int(rows[0][0]) if rows else 0

    def positions(self) -> dict[tuple[str, int], int]:
        """The next offset to apply, by topic and partition."""
        return {
            (row[0], row[1]): row[2] for row in self.query("SELECT topic, partition, next_offset FROM kit_position")
        }


_WATCHED = {"kit_position": ("topic", "next_offset"), "kit_task": ("aggregate", "epoch")}
"""What may only grow: table, what a row is called beside its partition, value."""


class Watch:
    """Lets the database itself note whenever a stored position or epoch falls, however shortly it stays so.

    Triggers are laid as soon as the service has made its tables; `fell` tells what they noted.
    """

    def __init__(self, database: Database, every: float = 0.05) -> None:
        self._database = database
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._lay, daemon=True)
        self.laid = threading.Event()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    @property
    def fell(self) -> list[str]:
        """One sentence for each time that something fell; raises where nothing was watched."""
        assert self.laid.is_set(), "the tables to be watched were never made"
        rows = self._database.query("SELECT name, partition, before, after FROM watched ORDER BY name, partition")
        return [f"{name}[{partition}] went back from {before} to {after}" for name, partition, before, after in rows]

    def _lay(self) -> None:
        while not self._stop.is_set():
            with suppress(sqlite3.Error, psycopg.Error):
                if self._database.lay(_triggers(self._database.dialect)):
                    self.laid.set()
                    return
            self._stop.wait(self._every)


def _triggers(dialect: str) -> list[str]:
    statements = ["CREATE TABLE watched (name TEXT, partition BIGINT, before BIGINT, after BIGINT)"]
    for table, (name, value) in _WATCHED.items():
        note = f"INSERT INTO watched VALUES (NEW.{name}, NEW.partition, OLD.{value}, NEW.{value});"
        head = f"CREATE TRIGGER watch_{table} AFTER UPDATE ON {table} FOR EACH ROW WHEN (NEW.{value} < OLD.{value})"
        if dialect == "sqlite":
            statements.append(f"{head} BEGIN {note} END")
        else:
            body = f"BEGIN {note} RETURN NULL; END"
            statements.append(f"CREATE FUNCTION note_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
            statements.append(f"{head} EXECUTE FUNCTION note_{table}()")
    return statements


@dataclass(slots=True)
class History:
    """Everything that one test made happen to a ledger: where it stands, and what its publishers sent."""

    bootstrap_servers: str
    name: str
    database: Database
    letters: Path
    publishers: list[Publisher] = field(default_factory=list)
    letters_once: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(f"{self.name}.{topic}" for topic in ("accounts", "entries", "clerks"))

    def publisher(self, **settings: Any) -> Publisher:
        """A new publisher whose records this history knows."""
        one = Publisher(self.bootstrap_servers, **settings)
        self.publishers.append(one)
        return one

    def wait_until_quiet(self, seconds: float = 60) -> list[str]:
        """Wait until everything on the input topics is applied and published; what is still open after that time."""
        deadline = time.monotonic() + seconds
        topics = Topics(self.bootstrap_servers)
        while True:
            open_ends = self._open(topics)
            if not open_ends or time.monotonic() > deadline:
                return open_ends
            time.sleep(0.1)

    def _open(self, topics: Topics) -> list[str]:
        positions = self.database.positions()
        ends = topics.ends((*self.inputs, f"{self.name}.redrive"))
        found = [
            f"{place[0]}[{place[1]}] is applied up to {positions.get(place, 0)} of {end}"
            for place, end in ends.items()
            if positions.get(place, 0) != end
        ]
        found += [
            f"{number} rows in {table} do not go away"
            for table in ("kit_outbox", "kit_effect")
            if (number := self.database.count(table))
        ]
        now = int(time.time() * 1000)
        overdue = self.database.query(f"SELECT count(*) FROM kit_deadline WHERE due_ms < {now}")
        if overdue and overdue[0][0]:
            found.append(f"{overdue[0][0]} deadlines are overdue")
        return found

    def check(self) -> list[str]:
        """Every violation of the promise; none when all is as it should be. Wait until it is quiet before."""
        topics = Topics(self.bootstrap_servers)
        read = topics.read((*self.inputs, f"{self.name}.events", f"{self.name}.dead-letters"))
        judge = _Judge(self, read)
        return [
            *judge.acknowledged(), *judge.repeats(), *judge.effects(), *judge.order(), *judge.dead_letters(),
            *judge.letters(), *judge.state(), *judge.names(),
        ]  # fmt: skip


class _Judge:
    """Compares what stands on the topics with what the ledger's rules ask for."""

    def __init__(self, history: History, read: Mapping[str, list[Stored]]) -> None:
        self._history = history
        self._read = read
        self._name = history.name
        self._inputs = self._first(one for topic in history.inputs for one in read[topic])
        self._outputs = self._first(read[f"{self._name}.events"])
        self._caused: dict[str, list[Stored]] = defaultdict(list)
        for output in self._outputs.values():
            self._caused[output.text("ce_causationid")].append(output)
        self._dead = self._first_letters()
        self._dead_places = {self._place_of(letter) for letter in self._dead.values()}

    @staticmethod
    def _first(records: Iterable[Stored]) -> dict[tuple[str, str], Stored]:
        found: dict[tuple[str, str], Stored] = {}
        for record in records:
            found.setdefault(record.ident, record)
        return found

    def _first_letters(self) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        for record in self._read[f"{self._name}.dead-letters"]:
            found.setdefault(record.text("kouan_dead_letter_id"), record)
        return found

    @staticmethod
    def _place_of(letter: Stored) -> Place:
        return letter.text("kouan_topic"), int(letter.text("kouan_partition")), int(letter.text("kouan_offset"))

    def acknowledged(self) -> list[str]:
        """What the broker acknowledged stands where it said."""
        places = {record.place: record for topic in self._history.inputs for record in self._read[topic]}
        sent = [
            one for publisher in self._history.publishers for one in publisher.sent if one.topic in self._history.inputs
        ]
        return _most(
            f"acknowledged at {one.place}, but another record stands there"
            for one in sent
            if one.fate == "acknowledged"
            and (one.place not in places or (places[one.place].value or b"") != (one.value or b""))
        )

    def repeats(self) -> list[str]:
        """A repeat of an output is the same in every byte, and stands under the same key."""
        found = []
        for record in self._read[f"{self._name}.events"]:
            first = self._outputs[record.ident]
            if (record.key, record.value, record.headers) != (first.key, first.value, first.headers):
                found.append(f"output {record.ident} stands at {first.place} and, differently, at {record.place}")
        return _most(found)

    def effects(self) -> list[str]:
        """Every applied input has exactly its outputs, and no output comes from nothing."""
        found = []
        poison = {
            one.place for publisher in self._history.publishers for one in publisher.sent if one.poison is not None
        }
        known = set()
        for ident, record in self._inputs.items():
            known.add(ident[1])
            outputs = Counter(one.kind.split(".")[1] for one in self._caused.get(ident[1], ()))
            dead = record.place in self._dead_places
            if dead and outputs:
                found.append(f"input {ident} is a dead letter and has outputs as well: {dict(outputs)}")
            if not dead and record.place not in poison and not self._fits(record, outputs):
                found.append(f"input {ident} ({record.kind}) at {record.place} has the outputs {dict(outputs)}")
        found += [
            f"output {one.ident} of {one.kind} names {cause} as its cause, which is no input"
            for cause, outputs_of in self._caused.items()
            for one in outputs_of
            if cause not in known and one.kind.split(".")[1] not in ("letter_sent", "account_closed")
        ]
        return _most(found)

    @staticmethod
    def _fits(record: Stored, outputs: Mapping[str, int]) -> bool:
        match record.kind.split(".")[1]:
            case "account_requested":
                return outputs in ({"account_opened": 1}, {"account_refused": 1})
            case "entry_made":
                return outputs == {"entry_booked": 1} | ({"letter_queued": 1} if record.body.get("letter") else {})
            case "clerk_named":
                return outputs == {"clerk_recorded": 1}
        return False

    def order(self) -> list[str]:
        """Per account: bookings are numbered 1, 2, 3 …, add up, and come in the order in which the entries stand."""
        found = []
        booked: dict[bytes | None, list[Stored]] = defaultdict(list)
        for output in sorted(self._outputs.values(), key=lambda one: one.place):
            if output.kind == "ledger.entry_booked.v1":
                booked[output.key].append(output)
        places = {ident[1]: record.place for ident, record in self._inputs.items()}
        redriven = {record.ident[1] for record in self._dead.values()}
        for key, outputs in booked.items():
            if [one.body["number"] for one in outputs] != list(range(1, len(outputs) + 1)):
                found.append(f"account {key!r} has bookings numbered {[one.body['number'] for one in outputs]}")
            balance = 0
            for one in outputs:
                balance += one.body["amount"]
                if one.body["balance"] != balance:
                    found.append(
                        f"account {key!r}: booking {one.body['number']} says {one.body['balance']}, is {balance}"
                    )
                    break
            causes = [one.text("ce_causationid") for one in outputs]
            came = [places[cause] for cause in causes if cause in places and cause not in redriven]
            if came != sorted(came):
                found.append(f"account {key!r} has its entries applied out of order")
            partitions = {one.place[1] for one in outputs}
            if len(partitions) != 1:
                found.append(f"account {key!r} has outputs on partitions {partitions}")
        return _most(found)

    def dead_letters(self) -> list[str]:
        """One dead letter for each poison, with original bytes, coordinates and reason; none for anything else."""
        found = []
        by_place: dict[Place, list[Stored]] = defaultdict(list)
        for letter in self._dead.values():
            by_place[self._place_of(letter)].append(letter)
        sent = [one for publisher in self._history.publishers for one in publisher.sent]
        poisons = {one.place: one for one in sent if one.poison is not None and one.fate == "acknowledged"}
        for place, one in poisons.items():
            letters = by_place.get(place, []) if place else []
            if len(letters) != 1:
                found.append(f"poison at {place} ({one.poison}) has {len(letters)} dead letters")
                continue
            letter = letters[0]
            if letter.text("kouan_reason") != one.poison:
                found.append(f"dead letter of {place} gives {letter.text('kouan_reason')} as reason, not {one.poison}")
            kept = {name: value for name, value in letter.headers.items() if not name.startswith("kouan_")}
            if (letter.value or b"", letter.key, kept) != (one.value or b"", one.key, dict(one.headers)):
                found.append(f"dead letter of {place} does not hold the original bytes")
        found += [
            f"{place} is a dead letter ({letters[0].text('kouan_reason')}), and nothing was wrong with it"
            for place, letters in by_place.items()
            if place not in poisons and place[0] in self._history.inputs
        ]
        return _most(found)

    def letters(self) -> list[str]:
        """Every letter asked for was written, and told of exactly once; written once where nothing crashed."""
        queued = Counter(o.body["letter_id"] for o in self._outputs.values() if o.kind == "ledger.letter_queued.v1")
        told = Counter(o.body["letter_id"] for o in self._outputs.values() if o.kind == "ledger.letter_sent.v1")
        path = self._history.letters
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        written = Counter(line.split("\t")[0] for line in lines)
        found = [f"letter {id} was queued {number} times" for id, number in queued.items() if number != 1]
        found += [f"letter {id} was told of {told[id]} times" for id in queued if told[id] != 1]
        found += [f"letter {id} was written {written[id]} times" for id in queued if written[id] < 1]
        found += [f"letter {id} was never asked for" for id in written.keys() - queued.keys()]
        if self._history.letters_once:
            found += [f"letter {id} was written {number} times" for id, number in written.items() if number != 1]
        return _most(found)

    def state(self) -> list[str]:
        """The database's accounts equal what the ledger's own topic tells, and nothing waits that should not."""
        folded: dict[str, list[Any]] = {}
        for output in sorted(self._outputs.values(), key=lambda one: one.place):
            key, body = (output.key or b"").decode(), output.body
            match output.kind.split(".")[1]:
                case "account_opened":
                    if key in folded:
                        return [f"account {key} was opened twice"]
                    folded[key] = [body["name"], 0, 0, 0, False]
                case "entry_booked":
                    folded[key][1:3] = folded[key][1] + body["amount"], folded[key][2] + 1
                case "letter_sent":
                    folded[key][3] += 1
                case "account_closed":
                    if folded[key][4]:
                        return [f"account {key} was closed twice"]
                    folded[key][4] = True
        rows = self._history.database.query("SELECT key, name, balance, entries, letters, closed FROM ledger_account")
        stored = {row[0]: [*row[1:5], bool(row[5])] for row in rows}
        found = [
            f"account {key}: the database has {stored.get(key)}, the topic tells {folded.get(key)}"
            for key in sorted(stored.keys() | folded.keys())
            if stored.get(key) != folded.get(key)
        ]
        return _most(found)

    def names(self) -> list[str]:
        """No two accounts were opened under one name, unless the first was closed."""
        opened = Counter(o.body["name"] for o in self._outputs.values() if o.kind == "ledger.account_opened.v1")
        closed = any(o.kind == "ledger.account_closed.v1" for o in self._outputs.values())
        return (
            []
            if closed
            else _most(f"{number} accounts are called {name}" for name, number in opened.items() if number > 1)
        )


def _most(found: Iterable[str]) -> list[str]:
    all_of_them = list(found)
    told = all_of_them[:MOST_TOLD]
    return [*told, f"… and {len(all_of_them) - MOST_TOLD} more"] if len(all_of_them) > MOST_TOLD else told
