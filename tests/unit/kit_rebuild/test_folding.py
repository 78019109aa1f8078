"""Folding the ledger's record topic into a new database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from services.kit.database import SqliteDatabase
from services.kit.failures import Fatal
from services.kit.folding import Fold
from services.kit.wiring import wire
from tests.support.ledger import (
    AccountClosed,
    AccountOpened,
    AccountRefused,
    ClerkRecorded,
    ClerkRecordedV1,
    EntryBooked,
    LetterQueued,
    LetterSent,
    build,
    catalogue,
)
from tests.unit.kit_rebuild.builders import NOON, TRACE, Folding, database, record


@pytest.fixture
def into(tmp_path: Path) -> Iterator[SqliteDatabase]:
    with database(tmp_path / "ledger.db") as one:
        yield one


def opened(key: str, close_in: int | None = None) -> AccountOpened:
    return AccountOpened(name=f"name of {key}", close_at=None if close_in is None else NOON + timedelta(hours=close_in))


def booked(amount: int, balance: int, number: int) -> EntryBooked:
    return EntryBooked(amount=amount, balance=balance, number=number)


def test_states_of_all_aggregates_come_out_as_their_events_of_whatever_version_left_them(into: SqliteDatabase) -> None:
    folding = Folding(into)
    folding.take(
        record("a1", opened("a1")),
        record("a1", booked(5, 5, 1)),
        record("a2", opened("a2")),
        record("c1", ClerkRecordedV1(name="Li", number=1)),
        record("a1", booked(-2, 3, 2)),
        record("c1", ClerkRecorded(called="王", number=2)),
    )
    folding.finish()
    assert into.query("SELECT key, name, balance, entries, closed FROM ledger_account ORDER BY key") == [
        ("a1", "name of a1", 3, 2, 0),
        ("a2", "name of a2", 0, 0, 0),
    ]
    assert into.query("SELECT key, names FROM ledger_clerk") == [("c1", '["Li","王"]')]
    assert folding.fold.events == 6


def test_repeats_are_left_out_whether_near_or_far(into: SqliteDatabase) -> None:
    folding = Folding(into)
    first, sent = record("a1", opened("a1")), record("a1", LetterSent(letter_id="x"))
    folding.take(first, sent, sent)
    folding.take(record("a1", booked(1, 1, 1)))
    folding.take(first, sent, record("a1", booked(1, 2, 2)), sent)
    folding.finish()
    assert into.query("SELECT balance, letters FROM ledger_account") == [(2, 1)]
    assert (folding.fold.events, folding.fold.repeats) == (8, 4)


def test_what_is_no_event_of_the_service_is_counted_and_left_out(into: SqliteDatabase) -> None:
    folding = Folding(into)
    bare = replace(record("a1", opened("a1")), value=b"\xff", headers=[])
    folding.take(
        record("a1", opened("a1")),
        record("a1", AccountRefused(reason="exists")),
        record("a1", booked(9, 9, 1), source="//bank/exim"),
        bare,
    )
    folding.finish()
    assert into.query("SELECT balance FROM ledger_account") == [(0,)]
    assert (folding.fold.events, folding.fold.others, folding.fold.strangers) == (2, 1, 2)


def test_states_that_memory_has_no_room_for_wait_in_the_database(into: SqliteDatabase) -> None:
    folding = Folding(into, most_states=4)
    keys = [f"a{number}" for number in range(30)]
    for key in keys:
        folding.take(record(key, opened(key)))
    for number in range(1, 4):
        for key in keys:
            folding.take(record(key, booked(2, 2 * number, number)))
    assert all(len(states.at_hand) <= 5 for states in folding.fold.states)
    folding.finish()
    assert into.query("SELECT count(*), min(balance), max(balance), min(entries) FROM ledger_account") == [
        (30, 6, 6, 3)
    ]
    assert into.query("SELECT count(*) FROM kit_claim") == [(30,)]


def test_deadlines_and_claims_follow_from_the_last_states(into: SqliteDatabase) -> None:
    folding = Folding(into)
    folding.take(
        record("a1", opened("a1", close_in=1)),
        record("a2", opened("a2", close_in=2)),
        record("a3", opened("a3")),
        record("a1", AccountClosed(balance=0)),
    )
    folding.finish()
    due = int((NOON + timedelta(hours=2)).timestamp() * 1000)
    assert into.query("SELECT aggregate, key, name, due_ms FROM kit_deadline") == [("account", "a2", "close", due)]
    assert into.query("SELECT claim, key FROM kit_claim ORDER BY key") == [("name of a2", "a2"), ("name of a3", "a3")]


def test_an_effect_is_open_until_what_settles_it(into: SqliteDatabase) -> None:
    folding = Folding(into)
    queued = record("a1", LetterQueued(letter_id="a1-2", text="to be sent"))
    folding.take(
        record("a1", opened("a1")),
        record("a1", LetterQueued(letter_id="a1-1", text="sent")),
        queued,
        record("a1", LetterSent(letter_id="a1-1")),
    )
    folding.finish()
    wanted = dict(queued.headers)["ce_id"].decode()
    assert into.query(
        "SELECT aggregate, name, id, key, event_id, payload, correlation, traceparent, time_ms, attempts, next_ms "
        "FROM kit_effect"
    ) == [
        (
            *("account", "letter", "a1-2", "a1", wanted, '{"letter_id":"a1-2","text":"to be sent"}', "a1", TRACE),
            *(int(NOON.timestamp() * 1000), 0, 0),
        )
    ]


def test_an_event_that_the_contracts_do_not_read_stops_the_fold_and_says_where(into: SqliteDatabase) -> None:
    folding = Folding(into)
    broken = replace(record("a1", opened("a1")), partition=2, offset=17, value=b'{"name": 3}')
    with pytest.raises(Fatal, match=r"ledger\.events\[2\]@17.*ledger\.account_opened\.v1"):
        folding.take(broken)


def test_an_event_that_its_state_can_not_take_stops_the_fold_and_names_the_key(into: SqliteDatabase) -> None:
    with pytest.raises(Fatal, match=r"account 'a7' can't take ledger\.entry_booked\.v1"):
        Folding(into).take(record("a7", booked(1, 1, 1)))


def test_a_key_that_stands_in_two_partitions_is_refused(into: SqliteDatabase) -> None:
    folding = Folding(into)
    for partition in (0, 1):
        folding.take(record("a1", opened("a1"), partition=partition), fresh=True)
        if partition == 0:
            folding.finish()
    with pytest.raises(Fatal, match="stand in several partitions"):
        folding.finish()


def test_effects_that_the_record_topic_does_not_tell_of_are_refused(into: SqliteDatabase) -> None:
    known = catalogue()
    topic = known.record_topic_of("ledger")
    silent = topic.model_copy(update={"events": topic.events - {LetterSent.TYPE}})
    with pytest.raises(Fatal, match=r"ledger\.letter_sent\.v1"):
        Fold(wire(build(), known), silent, into)
