"""Rebuilding a running ledger's database from its own topic on a real broker, on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from services.cli import app
from services.kit.comparing import ROW, Difference
from services.kit.sides import NothingToCompare, Running
from services.registry import SERVICES
from tests.support.history import Topics
from tests.support.ledger import build, catalogue
from tests.support.ledger.rebuilding import ACCOUNTS, publish, rebuilt
from tests.support.ledger.running import RunningLedger, running_ledger
from tests.support.postgres import connection_url

pytestmark = pytest.mark.broker

BROKEN = ("-m", "tests.support.broken")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def ledger(request: pytest.FixtureRequest, kafka: str, tmp_path: Path) -> Iterator[RunningLedger]:
    url = request.getfixturevalue("postgres_database") if request.param == "postgresql" else None
    with running_ledger(kafka, tmp_path, url) as one:
        yield one


def wait_until_only_letters_are_open(ledger: RunningLedger) -> None:
    deadline = time.monotonic() + 60
    while any("kit_effect" not in one for one in ledger.history.wait_until_quiet(0.2)):
        assert time.monotonic() < deadline, ledger.logs()


def wait_for_accounts(ledger: RunningLedger) -> None:
    deadline = time.monotonic() + 60
    while not ledger.history.database.count("ledger_account"):
        assert time.monotonic() < deadline, ledger.logs()


def change(ledger: RunningLedger, sql: str) -> None:
    """Change the database in use by hand."""
    if ledger.database_url is None:
        with closing(sqlite3.connect(ledger.folder / f"{ledger.name}.db", timeout=10)) as connection, connection:
            assert connection.execute(sql).rowcount == 1
        return
    url = connection_url(ledger.database_url)
    with psycopg.connect(url, options=f"-c search_path={ledger.name}") as connection:
        assert connection.execute(sql.encode()).rowcount == 1


def test_what_the_topic_says_equals_what_a_running_service_stored_and_a_change_by_hand_is_found(
    ledger: RunningLedger,
) -> None:
    with ledger.worker():
        publish(ledger)
        ledger.must_be_right()
        report = rebuilt(ledger)
        assert report.differences.total == 0, report.differences
        assert report.rows["ledger_account"] == ACCOUNTS
        assert report.rows["ledger_clerk"] == 9
        assert report.rows["kit_deadline"] == ACCOUNTS // 4
        assert report.rows["kit_claim"] == ACCOUNTS * 3 // 4
        assert (report.repeats, report.strangers, report.unpublished) == (0, 0, 0)
    change(ledger, "UPDATE ledger_account SET balance = balance + 1 WHERE key = 'a2'")
    change(ledger, "DELETE FROM kit_deadline WHERE key = 'a4'")
    report = rebuilt(ledger)
    assert report.differences.first == [
        Difference("ledger_account", "a2", "balance", 37, 36),
        Difference("kit_deadline", "account / a4 / close", ROW, None, True),
    ]
    # What was rebuilt before is replaced, and the database in use is as it was.
    assert ledger.history.database.query("SELECT balance FROM ledger_account WHERE key = 'a2'") == [(37,)]


def test_effects_that_are_open_are_rebuilt_as_open(ledger: RunningLedger) -> None:
    # Where a folder stands no letter can be written, so that each is tried again and again.
    with ledger.worker(LEDGER_LETTERS=str(ledger.folder)):
        publish(ledger)
        wait_until_only_letters_are_open(ledger)
        report = rebuilt(ledger)
        assert report.rows["kit_effect"] == 32
        assert report.differences.total == 0, report.differences


def test_states_beyond_what_memory_may_hold_come_out_the_same(ledger: RunningLedger) -> None:
    with ledger.worker():
        publish(ledger)
        ledger.must_be_right()
        report = rebuilt(ledger, most_states=2)
        assert report.differences.total == 0, report.differences


def test_records_that_were_sent_twice_are_folded_once(ledger: RunningLedger) -> None:
    with ledger.worker():
        publish(ledger)
        ledger.must_be_right()
    sender = ledger.history.publisher()
    records = Topics(ledger.bootstrap_servers).read([ledger.topic("events")])[ledger.topic("events")]
    for one in records[::3]:
        sender.record(one.place[0], one.key, one.value, list(one.headers.items()), partition=one.place[1])
    sender.flush()
    report = rebuilt(ledger)
    assert report.repeats == len(records[::3])
    assert report.differences.total == 0, report.differences


@pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)
def test_what_somebody_wrote_compressed_and_in_transactions_is_read_as_the_client_reads_it(
    ledger: RunningLedger,
) -> None:
    with ledger.worker():
        publish(ledger)
        ledger.must_be_right()
    topic = ledger.topic("events")
    records = Topics(ledger.bootstrap_servers).read([topic])[topic]
    sender = Producer(
        {
            "bootstrap.servers": ledger.bootstrap_servers,
            "transactional.id": ledger.name,
            "compression.type": "gzip",
        }
    )
    sender.init_transactions()
    for end in (sender.commit_transaction, sender.abort_transaction):
        sender.begin_transaction()
        for one in records[::3]:
            sender.produce(topic, key=one.key, value=one.value, headers=one.headers, partition=one.place[1])
        sender.flush(30)
        end()
    report = rebuilt(ledger)
    assert report.repeats == len(records[::3])
    assert report.differences.total == 0, report.differences


def test_what_is_committed_and_not_yet_published_is_no_difference(ledger: RunningLedger) -> None:
    struck = ledger.worker("struck", BROKEN, LEDGER_FAULT="kill-before-send:4", KOUAN_BATCH_SIZE="50")
    with struck:
        publish(ledger)
        deadline = time.monotonic() + 60
        while struck.alive:
            assert time.monotonic() < deadline, struck.tail()
    assert ledger.history.database.count("kit_outbox") > 0
    report = rebuilt(ledger)
    assert report.unpublished > 0
    assert report.differences.total == 0, report.differences


def test_a_service_at_work_is_compared_at_one_moment(ledger: RunningLedger) -> None:
    stop = Event()

    def keep_publishing() -> None:
        while not stop.is_set():
            publish(ledger)

    publishing = Thread(target=keep_publishing)
    with ledger.worker(KOUAN_BATCH_SIZE="20"):
        publishing.start()
        try:
            wait_for_accounts(ledger)
            events = 0
            for _ in range(3):
                report = rebuilt(ledger)
                assert report.differences.total == 0, report.differences
                assert report.events > events
                events = report.events
        finally:
            stop.set()
            publishing.join()


def test_the_command_ends_with_0_where_all_is_equal_and_with_1_where_not(
    ledger: RunningLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger.worker():
        publish(ledger)
        ledger.must_be_right()
    monkeypatch.setitem(SERVICES, ledger.name, "tests.support.ledger:build")
    monkeypatch.setattr("services.registry.build", build)
    monkeypatch.setattr("topics.definition.load_catalogue", lambda: catalogue(ledger.name))
    environment = {"KOUAN_DATA_DIR": str(ledger.folder), "KOUAN_DATABASE_URL": ledger.database_url, "COLUMNS": "200"}
    command = ["rebuild", ledger.name, "-b", ledger.bootstrap_servers]
    equal = CliRunner().invoke(app, command, env=environment)
    assert (equal.exit_code, "一致" in equal.stdout) == (0, True), equal.output
    change(ledger, "UPDATE ledger_account SET letters = 99 WHERE key = 'a3'")
    different = CliRunner().invoke(app, command, env=environment)
    assert different.exit_code == 1
    row = next(line for line in different.stdout.splitlines() if " a3 " in line)
    assert row.split() == ["ledger_account", "a3", "letters", "99", "0"]


def test_a_service_without_a_database_is_nothing_to_compare_with(ledger: RunningLedger) -> None:
    with pytest.raises(NothingToCompare, match=ledger.name):
        rebuilt(ledger)


def test_a_service_goes_on_from_the_rebuilt_database_as_if_it_had_never_been_replaced(ledger: RunningLedger) -> None:
    with ledger.worker():
        first = publish(ledger)
        wait_for_accounts(ledger)
        with pytest.raises(Running):
            rebuilt(ledger, switch=True)
        ledger.must_be_right()
    report = rebuilt(ledger, switch=True)
    assert report.differences.total == 0, report.differences
    assert report.replaced is not None
    with ledger.worker():
        # Repeats of what the replaced database took in, and more for the same accounts.
        publisher = ledger.history.publisher()
        for one in first:
            publisher.again(one)
        publisher.flush()
        publish(ledger)
        ledger.must_be_right()
    assert rebuilt(ledger).differences.total == 0


def test_a_database_that_differs_is_replaced_only_if_that_is_accepted(ledger: RunningLedger) -> None:
    with ledger.worker():
        publish(ledger)
        ledger.must_be_right()
    change(ledger, "UPDATE ledger_account SET balance = balance + 1 WHERE key = 'a2'")
    report = rebuilt(ledger, switch=True)
    assert (report.differences.total, report.replaced) == (1, None)
    report = rebuilt(ledger, switch=True, accept_differences=True)
    assert (report.differences.total, report.replaced is None) == (1, False)
    with ledger.worker():
        publish(ledger)
        ledger.must_be_right()
