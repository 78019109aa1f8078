"""What the kit's transactions promise, on both databases alike."""

from __future__ import annotations

import marshal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

import psycopg
import pytest
from sqlalchemy import BigInteger
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable
from sqlmodel import Field

from services.kit.batch import Batch, Entry, Target, TaskId
from services.kit.columns import StateRow, json_column
from services.kit.database import Database, PostgresDatabase, SqliteDatabase, open_database
from services.kit.door import Aggregate
from services.kit.failures import Fenced, Overtaken, Transient
from services.kit.migrate import migrate
from services.kit.record_batch import RecordBatch, body_of, records_in
from services.kit.store import Store, table_of
from services.kit.tables import (
    APPLIED,
    DEAD,
    Claim,
    DeadlineRow,
    EffectRow,
    Inbox,
    Outbox,
    Parked,
    Position,
)
from services.kit.tables import Task as TaskRow
from tests.support.postgres import fresh_database

Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]

NAME = "ledger"
TASK = TaskId("thing", 0)
PLACE = ("things", 0)
TOPIC_ID = "the topic's id"


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    share: Decimal
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    number: int = 0
    open: bool = True
    amount: Decimal = Decimal("0.00")
    at: datetime | None = None
    colour: Colour | None = None
    parts: tuple[Part, ...] = ()
    notes: dict[str, str] | None = None


class ThingRow(StateRow, table=True):
    __tablename__ = "ledger_thing"

    name: str
    number: int = Field(sa_type=BigInteger)
    open: bool
    amount: str
    at: str | None
    colour: str | None
    parts: list[Part] = json_column()
    notes: dict[str, str] | None = json_column(nullable=True)


THINGS = Aggregate("thing", ("thing",), Thing, ThingRow, lambda state, payload: state, (), {})


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a database with the kit's tables and that of things, made once for all tests here."""
    with ExitStack() as steps:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'ledger.db'}"
            dialect: Dialect = sqlite.dialect()  # type: ignore[no-untyped-call]
        else:
            url = steps.enter_context(fresh_database(request.getfixturevalue("postgres_url")))
            dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        migrate(url, NAME, "tests.support.ledger.migrations")
        one = open_database(url, NAME)
        one.execute(str(CreateTable(table_of(ThingRow)).compile(dialect=dialect)))
        one.close()
        yield url


@pytest.fixture
def database(migrated: str) -> Iterator[Database]:
    """A connection to it, all tables empty."""
    one = open_database(migrated, NAME)
    for cls in (Claim, DeadlineRow, EffectRow, Inbox, Outbox, Parked, Position, TaskRow, ThingRow):
        one.execute(f"DELETE FROM {table_of(cls).name}")
    yield one
    one.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database, [THINGS])


@pytest.fixture
def owner(store: Store) -> Store:
    """A store whose task is claimed, so that its epoch is 1."""
    store.claim([TASK], {PLACE: TOPIC_ID})
    return store


def packed(messages: dict[tuple[TaskId, Target], list[Message]]) -> dict[tuple[TaskId, Target], list[RecordBatch]]:
    """Messages (key, value, headers) as a batch sends them."""
    one = Batch()
    for (task, target), several in messages.items():
        for message in several:
            one.send(task, target, body_of(*message))
    return one.packs


def batch(epoch: int = 1, *, start: int | None = None, end: int = 0, **fields: object) -> Batch:
    one = Batch(epochs={TASK: epoch}, **fields)  # type: ignore[arg-type]
    if start is not None:
        one.positions[PLACE] = (start, end)
    return one


def states(owner: Store, *keys: str) -> dict[str, Entry]:
    return owner.load({"thing": keys}, {}, [])[0]["thing"]


def rows(store: Store, table: str) -> int:
    return int(store.database.query(f"SELECT count(*) FROM {table}")[0][0])


# Taking over


def test_the_first_claim_finds_nothing_and_begins_at_offset_0(store: Store) -> None:
    claimed = store.claim([TASK], {PLACE: TOPIC_ID})

    assert claimed.epochs == {TASK: 1}
    assert claimed.positions == {PLACE: (0, TOPIC_ID)}
    assert (claimed.unsent, claimed.parked) == ([], {})


def test_every_claim_raises_the_epoch_and_finds_what_was_stored(owner: Store) -> None:
    message = (b"k", b"v", [("h", b"\x00\xff")])
    ((seq, _),) = owner.store(batch(start=0, end=7, packs=packed({(TASK, Target("out", 3)): [message]})), [])
    claimed = owner.claim([TASK], {PLACE: "another id"})

    assert claimed.epochs == {TASK: 2}
    assert claimed.positions == {PLACE: (7, TOPIC_ID)}
    assert [(found, pack.task, pack.target, list(records_in(pack.records))) for found, pack in claimed.unsent] == [
        (seq, TASK, Target("out", 3), [message])
    ]


def test_a_claim_of_some_tasks_leaves_the_others_alone(store: Store) -> None:
    other = TaskId("thing", 1)
    store.claim([TASK, other], {PLACE: TOPIC_ID, ("things", 1): TOPIC_ID})
    store.store(Batch(epochs={other: 1}, packs=packed({(other, Target("out", 0)): [(b"k", b"v", [])]})), [])
    claimed = store.claim([TASK], {PLACE: TOPIC_ID})

    assert claimed.unsent == []
    assert store.claim([other], {}).epochs == {other: 2}


def test_what_was_left_unsent_comes_in_the_order_in_which_it_was_committed(owner: Store) -> None:
    for number in range(3):
        owner.store(batch(packs=packed({(TASK, Target("out", 0)): [(b"k", str(number).encode(), [])]})), [])

    unsent = owner.claim([TASK], {}).unsent
    assert [value for _, pack in unsent for _, value, _ in records_in(pack.records)] == [b"0", b"1", b"2"]


def test_effects_of_a_former_owner_are_due_at_once(owner: Store) -> None:
    owner.store(batch(effects_opened=[effect("letter-1", next_ms=10**15)]), [])
    assert owner.effects_due([TASK], 10**12, 2**62, 10) == []

    owner.claim([TASK], {})
    assert [row["id"] for row in owner.effects_due([TASK], 10**12, 2**62, 10)] == ["letter-1"]


# The fence


def test_a_former_owner_can_write_nothing_at_all(owner: Store) -> None:
    owner.store(batch(effects_opened=[effect("letter-1")]), [])
    owner.claim([TASK], {})

    with pytest.raises(Fenced):
        owner.store(batch(start=0, end=5, inbox=[("//bank/a", "1", 5, APPLIED)]), [])
    with pytest.raises(Fenced):
        owner.flush({TASK: 1}, [1])
    with pytest.raises(Fenced):
        owner.attempt({TASK: 1}, [("thing", "letter", "letter-1", 2, 5)])
    assert (rows(owner, "kit_inbox"), owner.claim([TASK], {PLACE: TOPIC_ID}).positions[PLACE][0]) == (0, 0)


def test_a_batch_that_begins_elsewhere_than_the_stored_position_is_fenced(owner: Store) -> None:
    owner.store(batch(start=0, end=5), [])

    with pytest.raises(Fenced, match="position"):
        owner.store(batch(start=4, end=9), [])


def test_a_state_that_is_not_the_one_decided_on_is_fenced_and_nothing_is_written(owner: Store) -> None:
    owner.store(batch(states={"thing": {"a": Entry(1, Thing("first"))}}), [])

    with pytest.raises(Fenced, match="state"):
        owner.store(batch(start=0, end=3, states={"thing": {"a": Entry(1, Thing("again"))}}), [])
    with pytest.raises(Fenced, match="state"):
        owner.store(batch(start=0, end=3, states={"thing": {"a": Entry(3, Thing("skipped"))}}), [])
    assert states(owner, "a")["a"].state == Thing("first")
    assert owner.claim([TASK], {PLACE: TOPIC_ID}).positions[PLACE][0] == 0


def test_a_deadline_that_was_fired_before_is_fenced(owner: Store) -> None:
    owner.store(batch(deadlines_set=[("thing", "a", "close", 0, 500)]), [])
    owner.store(batch(deadlines_fired=[("thing", "a", "close", 500)]), [])

    with pytest.raises(Fenced, match="deadline"):
        owner.store(batch(deadlines_fired=[("thing", "a", "close", 500)]), [])


# The inbox


def test_an_input_that_was_taken_in_before_rolls_the_whole_batch_back(owner: Store) -> None:
    owner.store(batch(start=0, end=1, inbox=[("//bank/a", "1", 5, APPLIED)]), [])

    with pytest.raises(Overtaken):
        owner.store(
            batch(
                start=1,
                end=3,
                inbox=[("//bank/a", "1", 5, APPLIED), ("//bank/a", "2", 6, APPLIED)],
                states={"thing": {"a": Entry(1, Thing("a"))}},
            ),
            [],
        )
    assert (rows(owner, "kit_inbox"), states(owner, "a")) == (1, {})
    assert owner.claim([TASK], {PLACE: TOPIC_ID}).positions[PLACE][0] == 1


def test_the_inbox_tells_digest_and_outcome_of_what_it_knows(owner: Store) -> None:
    digest = -(2**63)
    owner.store(batch(inbox=[("//bank/满洲里", "1 ✓", digest, DEAD), ("//bank/a", "2", 2**63 - 1, APPLIED)]), [])

    assert owner.seen([("//bank/满洲里", "1 ✓"), ("//bank/a", "2"), ("//bank/a", "3")]) == {
        ("//bank/满洲里", "1 ✓"): (digest, DEAD),
        ("//bank/a", "2"): (2**63 - 1, APPLIED),
    }


def test_a_dead_input_is_marked_applied_once(owner: Store) -> None:
    owner.store(batch(inbox=[("dead-letter", "x", 5, DEAD)]), [])
    owner.store(batch(redriven=[("dead-letter", "x", 6)]), [])

    assert owner.seen([("dead-letter", "x")]) == {("dead-letter", "x"): (6, APPLIED)}
    with pytest.raises(Overtaken):
        owner.store(batch(redriven=[("dead-letter", "x", 7)]), [])


# Claims


def test_a_claim_that_another_holds_rolls_the_batch_back(owner: Store) -> None:
    owner.store(batch(claims_made=[("thing", "name", "a")]), [])

    with pytest.raises(Overtaken, match="claim"):
        owner.store(batch(start=0, end=2, claims_made=[("thing", "name", "b")]), [])
    assert owner.load({}, {"thing": ["name", "free"]}, [])[1] == {"thing": {"name": "a"}}


def test_a_claim_can_pass_from_one_to_another_in_one_batch(owner: Store) -> None:
    owner.store(batch(claims_made=[("thing", "name", "a")]), [])
    owner.store(batch(claims_freed=[("thing", "name")], claims_made=[("thing", "name", "b")]), [])

    assert owner.load({}, {"thing": ["name"]}, [])[1] == {"thing": {"name": "b"}}


# States


FULL = Thing(
    name="满洲里 “quoted” \\ 🙂 'single' \t",
    number=-(2**53) - 1,
    open=False,
    amount=Decimal("12345678901234567890.10"),
    at=datetime(2026, 3, 23, 1, 2, 3, 456789, UTC),
    colour=Colour.RED,
    parts=(Part("甲", Decimal("0.10"), date(2026, 2, 28)), Part("", Decimal("1E+3"))),
    notes={"键": "值", "null": "null", "": '{"not": "json"}'},
)


@pytest.mark.parametrize(
    "thing",
    [
        FULL,
        Thing("", notes=None),
        Thing("null", notes={}),
        Thing("1.50", number=2**63 - 1, amount=Decimal("1.50")),
        Thing("true", amount=Decimal("-0.00")),
        Thing("[1]", amount=Decimal("1E-10"), parts=(Part("x" * 50_000, Decimal(1)),)),
    ],
    ids=lambda thing: thing.name[:8],
)
def test_a_state_comes_back_as_it_was_stored(owner: Store, thing: Thing) -> None:
    owner.store(batch(states={"thing": {"键": Entry(1, thing)}}), [])
    (entry,) = states(owner, "键").values()

    assert (entry.version, entry.state) == (1, thing)
    assert str(entry.state.amount) == str(thing.amount)


def test_a_later_version_replaces_every_column_and_empty_ones_too(owner: Store) -> None:
    owner.store(batch(states={"thing": {"a": Entry(1, FULL)}}), [])
    owner.store(batch(states={"thing": {"a": Entry(2, Thing("plain"))}}), [])

    assert states(owner, "a")["a"].state == Thing("plain")


def test_many_states_are_written_at_once_and_only_those_asked_for_are_loaded(owner: Store) -> None:
    many = {f"k{number}": Entry(1, replace(FULL, number=number)) for number in range(3000)}
    owner.store(batch(states={"thing": many}), [])
    found = states(owner, "k7", "k2999", "none")

    assert {key: entry.state.number for key, entry in found.items()} == {"k7": 7, "k2999": 2999}


# Outbox


def test_confirmed_rows_leave_the_outbox_with_the_next_batch_or_when_nothing_comes(owner: Store) -> None:
    packs = packed({(TASK, Target("out", 0)): [(b"k", None, [])]})
    first, second = (owner.store(batch(packs=packs), [])[0][0] for _ in range(2))
    owner.store(batch(start=0, end=1), [first])
    assert [seq for seq, _ in owner.unsent([TASK])] == [second]

    owner.flush({TASK: 1}, [second])
    assert owner.unsent([TASK]) == []


def test_each_pack_has_a_row_of_its_own_in_the_order_of_the_batch(owner: Store) -> None:
    packs = packed({(TASK, Target("out", number)): [(b"k", str(number).encode(), [])] for number in (2, 0, 1)})
    seqs = [seq for seq, _ in owner.store(batch(packs=packs), [])]

    assert seqs == sorted(seqs)
    assert [pack.target.partition for _, pack in owner.unsent([TASK])] == [2, 0, 1]


# Deadlines, effects, parked inputs


def test_deadlines_are_found_up_to_each_tasks_horizon_earliest_first(owner: Store) -> None:
    rows_ = [("thing", "a", "close", 0, 300), ("thing", "b", "close", 0, 200), ("thing", "c", "close", 0, 900)]
    owner.store(batch(deadlines_set=[*rows_, ("thing", "d", "close", 1, 100)]), [])

    assert owner.next_due([TASK]) == 200
    assert owner.due({TASK: 500}, 10) == [(TASK, "b", "close", 200), (TASK, "a", "close", 300)]
    assert owner.due({TASK: 500}, 1) == [(TASK, "b", "close", 200)]


def test_a_deadline_is_moved_and_ended(owner: Store) -> None:
    owner.store(batch(deadlines_set=[("thing", "a", "close", 0, 300)]), [])
    owner.store(batch(deadlines_set=[("thing", "a", "close", 0, 400)]), [])
    assert owner.next_due([TASK]) == 400

    owner.store(batch(deadlines_gone=[("thing", "a", "close")]), [])
    assert owner.next_due([TASK]) is None


def effect(id: str, next_ms: int = 0) -> tuple[object, ...]:
    return ("thing", "letter", id, 0, "a", f"event of {id}", "{}", "a", "00-", 5, 1, next_ms)


def test_an_effect_is_open_until_it_is_closed_and_its_attempts_are_recorded(owner: Store) -> None:
    owner.store(batch(effects_opened=[effect("letter-1"), effect("letter-2")]), [])
    owner.attempt({TASK: 1}, [("thing", "letter", "letter-1", 2, 5000)])

    assert owner.next_effect([TASK]) == 0
    (second,) = owner.effects_due([TASK], 4000, 10**13, 10)
    first = next(row for row in owner.effects_due([TASK], 5000, 10**13, 10) if row["id"] == "letter-1")
    assert (second["id"], first["attempts"], first["payload"]) == ("letter-2", 2, "{}")

    owner.store(batch(effects_closed=[("thing", "letter", "letter-1"), ("thing", "letter", "letter-2")]), [])
    assert owner.next_effect([TASK]) is None


def test_an_effect_that_is_asked_for_twice_stays_as_it_was(owner: Store) -> None:
    owner.store(batch(effects_opened=[effect("letter-1")]), [])
    owner.attempt({TASK: 1}, [("thing", "letter", "letter-1", 3, 5000)])
    owner.store(batch(effects_opened=[effect("letter-1")]), [])

    assert [row["attempts"] for row in owner.effects_due([TASK], 5000, 10**13, 10)] == [3]


def test_parked_inputs_come_back_whole_in_the_order_of_their_topic_and_are_counted(owner: Store) -> None:
    record = ("entries", 0, 5, 1, b"a", b"\x00\xff", [("h", b"\xfe")])
    parked = [
        ("entries", 0, offset, "thing", "a", 1000 + offset, "early", marshal.dumps((*record[:2], offset, *record[3:])))
        for offset in (10, 9, 5)
    ]
    owner.store(batch(parked=parked), [])
    found = owner.parked(TASK, "a")

    assert [place for place, _, _, _ in found] == [("entries", 0, 5), ("entries", 0, 9), ("entries", 0, 10)]
    assert found[0][3] == record
    assert owner.claim([TASK], {}).parked == {TASK: {"a": {"entries": 3}}}
    assert owner.parked_since([TASK], 1005, 10) == []
    assert owner.parked_since([TASK], 1006, 10) == [(TASK, "a")]

    owner.store(batch(epoch=2, unparked=[("entries", 0, 5), ("entries", 0, 9)]), [])
    assert [place[2] for place, _, _, _ in owner.parked(TASK, "a")] == [10]


# What SQLite writes


def test_what_is_deleted_from_the_outbox_is_not_written_once_more(database: Database, store: Store) -> None:
    if not isinstance(database, SqliteDatabase):
        pytest.skip("PostgreSQL never writes over what is deleted")
    store.claim([TASK], {PLACE: TOPIC_ID})
    packs = RecordBatch()
    packs.append(body_of(b"a", bytes(1_000_000), []))
    [(seq, _)] = store.store(batch(packs={(TASK, Target("out", 0)): [packs]}), [])
    database.query("PRAGMA wal_checkpoint(TRUNCATE)")

    store.flush({TASK: 1}, [seq])

    assert store.unsent([TASK]) == []
    assert 0 < database.path.with_name("ledger.db-wal").stat().st_size < 100_000


# A database that does not answer


@pytest.fixture
def on_postgres(database: Database) -> PostgresDatabase:
    if not isinstance(database, PostgresDatabase):
        pytest.skip("SQLite has no connection that could be lost")
    return database


def cut(database: PostgresDatabase) -> None:
    """End the connection from the server's side."""
    ((pid,),) = database.query("SELECT pg_backend_pid()")
    with psycopg.connect(database.url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))


@pytest.mark.parametrize("look", ["next_due", "next_effect"])
def test_a_lost_connection_is_waited_out_also_where_only_something_is_looked_up(
    on_postgres: PostgresDatabase, look: str
) -> None:
    store = Store(on_postgres, [THINGS])
    cut(on_postgres)

    with pytest.raises(Transient):
        on_postgres.submit(getattr(store, look), [TASK]).result(30)
    assert on_postgres.submit(getattr(store, look), [TASK]).result(30) is None


def test_a_connection_lost_within_a_transaction_is_waited_out(on_postgres: PostgresDatabase) -> None:
    def scene() -> None:
        with on_postgres.transaction():
            cut(on_postgres)
            on_postgres.query("SELECT 1")

    with pytest.raises(Transient):
        on_postgres.submit(scene).result(30)
    assert on_postgres.submit(on_postgres.query, "SELECT 1").result(30) == [(1,)]


def test_a_worker_that_slept_within_a_transaction_lost_it_and_does_not_blame_its_inputs(
    on_postgres: PostgresDatabase,
) -> None:
    def scene() -> None:
        with on_postgres.transaction():
            on_postgres.execute("SET idle_in_transaction_session_timeout = 50")
            deadline = time.monotonic() + 20
            while alive(on_postgres):
                assert time.monotonic() < deadline
            on_postgres.query("SELECT 1")

    with pytest.raises(Transient):
        on_postgres.submit(scene).result(30)


def alive(database: PostgresDatabase) -> bool:
    """Whether the server still has the database's connection, asked from another one."""
    assert database._connection is not None
    pid = database._connection.info.backend_pid
    with psycopg.connect(database.url.replace("+psycopg", ""), autocommit=True) as other:
        return other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone() is not None
