"""The ledger on a real broker: poison, wrong places, early inputs, deadlines, effects, claims, dead letters again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which

import pytest
from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient

from services.embedded.broker import free_ports
from services.embedded.processes import Process
from tests.support.brokers import create_topics
from tests.support.ledger import PARTITIONS
from tests.support.ledger.running import RunningLedger, running_ledger
from tests.support.records import Publisher, Stored, Topics
from topics.partitioning import partition_of

pytestmark = pytest.mark.broker

OPEN = "ledger.account_requested.v1"
ENTRY = "ledger.entry_made.v1"
CLERK = "ledger.clerk_named.v1"
CLERK_V2 = "ledger.clerk_named.v2"


@pytest.fixture
def ledger(kafka: str, tmp_path: Path) -> Iterator[RunningLedger]:
    """A ledger on SQLite whose worker is ready."""
    with running_ledger(kafka, tmp_path) as one:
        one.worker().start().wait_ready()
        yield one


@pytest.fixture
def publisher(ledger: RunningLedger) -> Publisher:
    return ledger.history.publisher()


@pytest.fixture
def ledger_of_two(kafka: str, tmp_path: Path, postgres_database: str) -> Iterator[RunningLedger]:
    """A ledger on PostgreSQL whose two workers are ready."""
    with running_ledger(kafka, tmp_path, postgres_database) as one:
        workers = [one.worker(label).start() for label in "ab"]
        for worker in workers:
            worker.wait_ready()
        yield one


def eventually(holds: Callable[[], object], ledger: RunningLedger, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, ledger.logs()
        time.sleep(0.1)


def accounts(ledger: RunningLedger) -> dict[str, tuple[int, int]]:
    rows = ledger.history.database.query("SELECT key, balance, entries FROM ledger_account")
    return {key: (balance, entries) for key, balance, entries in rows}


def records(ledger: RunningLedger, topic: str) -> list[Stored]:
    name = ledger.topic(topic)
    return Topics(ledger.bootstrap_servers).read([name])[name]


def open_account(ledger: RunningLedger, publisher: Publisher, key: str = "a1", **body: object) -> None:
    publisher.event(ledger.topic("accounts"), OPEN, key, {"name": f"of {key}", **body})
    publisher.flush()
    eventually(lambda: key in accounts(ledger), ledger)


def test_every_poison_becomes_one_dead_letter_with_its_bytes_place_and_reason_and_the_service_goes_on(
    ledger: RunningLedger, publisher: Publisher
) -> None:
    open_account(ledger, publisher)
    entries = ledger.topic("entries")
    body = {"amount": 1}
    publisher.event(entries, ENTRY, "a1", body, id="the first")
    publisher.record(entries, b"a1", bytes(range(256)) * 3, [], poison="missing-attribute")
    publisher.record(entries, b"a1", None, [("ce_id", b"nothing")], poison="empty-value")
    publisher.record(entries, b"a1", b"", [("ce_id", b"less")], poison="empty-value")
    publisher.event(entries, ENTRY, "a1", {"amount": 1, "note": "x" * 2_000_000}, poison="too-large")
    publisher.event(entries, ENTRY, "a1", body, id="with\0nul", poison="bad-attribute")
    publisher.event(entries, ENTRY, "a1", {"amount": 1, "note": "with\0nul"}, poison="nul-character")
    publisher.event(entries, "ledger.miracle_made.v1", "a1", body, poison="unknown-type")
    publisher.event(entries, ENTRY, "a1", body, source="//commerce/mofcom", poison="wrong-source")
    publisher.event(entries, ENTRY, "a1", {"amount": 2}, id="the first", poison="id-reused")
    publisher.event(entries, ENTRY, "a1", body, headers={"ce_subject": b"a2"}, poison="key-mismatch")
    publisher.event(entries, ENTRY, "a1", body, headers={"ce_time": b"yesterday"}, poison="bad-time")
    publisher.event(entries, ENTRY, "a1", {"amount": "much"}, poison="schema")
    publisher.event(entries, ENTRY, "a1", {"amount": 666}, poison="unexpected")
    publisher.event(entries, ENTRY, "a1", {"amount": 10}, id="the last")
    publisher.flush()
    ledger.must_be_right()

    assert accounts(ledger)["a1"] == (11, 2)


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_what_is_compressed_or_sent_in_transactions_is_read_as_all_else_and_what_was_aborted_is_not(
    ledger: RunningLedger, publisher: Publisher, compression: str
) -> None:
    entries = ledger.topic("entries")
    open_account(ledger, publisher)
    compressed = ledger.history.publisher(**{"compression.type": compression, "linger.ms": 50})
    sender = Producer({"bootstrap.servers": ledger.bootstrap_servers, "transactional.id": ledger.name})
    sender.init_transactions()
    for number in range(30):
        compressed.event(entries, ENTRY, "a1", {"amount": 1, "note": "again and again " * 20})
        publisher.event(entries, ENTRY, "a1", {"amount": 1})
        if number % 10 == 0:
            compressed.flush()
            publisher.flush()
            for end, amount in ((sender.commit_transaction, 100), (sender.abort_transaction, 10_000)):
                sender.begin_transaction()
                headers = event_headers(f"{compression}-{number}-{amount}")
                place = partition_of(b"a1", PARTITIONS)
                sender.produce(entries, f'{{"amount": {amount}}}'.encode(), b"a1", place, headers=headers)
                sender.flush(30)
                end()
    compressed.flush()
    publisher.flush()
    eventually(lambda: accounts(ledger)["a1"] == (360, 63), ledger)


def event_headers(id: str) -> dict[str, bytes]:
    """Headers of an entry in a1."""
    return {
        "ce_specversion": b"1.0",
        "ce_id": id.encode(),
        "ce_source": b"//bank/exim-nmg",
        "ce_type": ENTRY.encode(),
        "ce_time": datetime.now(UTC).isoformat().encode(),
        "ce_subject": b"a1",
        "content-type": b"application/json",
    }


def test_a_worker_that_starts_while_no_broker_answers_waits_for_one_and_stops_when_asked_to(
    kafka: str, tmp_path: Path
) -> None:
    with running_ledger(kafka, tmp_path) as ledger:
        (closed,) = free_ports(1)
        worker = ledger.worker(KOUAN_BOOTSTRAP_SERVERS=f"127.0.0.1:{closed}").start()
        eventually(lambda: not worker.alive or worker.tail(200).count("waiting for broker or database") > 1, ledger)
        assert worker.alive, worker.tail()
        assert not worker.ready
        assert worker.stop() == 0


def test_both_versions_of_an_event_flow_at_once_and_come_to_the_same(
    ledger: RunningLedger, publisher: Publisher
) -> None:
    clerks = ledger.topic("clerks")
    for number in range(20):
        publisher.event(clerks, CLERK, "old", {"name": f"Ana {number}"})
        publisher.event(clerks, CLERK_V2, "new", {"called": f"Ana {number}"})
        version, field = ((CLERK, "name"), (CLERK_V2, "called"))[number % 2]
        publisher.event(clerks, version, "both", {field: f"Ana {number}"})
    publisher.event(clerks, CLERK, "old", {"called": "of version 2"}, poison="schema")
    publisher.event(clerks, CLERK_V2, "new", {"name": "of version 1"}, poison="schema")
    publisher.flush()
    ledger.must_be_right()

    said = dict(ledger.history.database.query("SELECT key, names FROM ledger_clerk"))
    assert json.loads(said["old"]) == [f"Ana {number}" for number in range(20)]
    assert said["old"] == said["new"] == said["both"]


def test_what_is_published_in_structured_mode_is_taken_too(ledger: RunningLedger, publisher: Publisher) -> None:
    open_account(ledger, publisher)
    event = {
        "specversion": "1.0",
        "id": "structured",
        "source": "//bank/exim-nmg",
        "type": ENTRY,
        "time": datetime.now(UTC).isoformat(),
        "subject": "a1",
        "data": {"amount": 7},
    }
    headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    publisher.record(ledger.topic("entries"), b"a1", json.dumps(event).encode(), headers)
    publisher.flush()

    eventually(lambda: accounts(ledger)["a1"] == (7, 1), ledger)


def test_a_record_that_kcat_placed_by_crc32_is_handled_once(ledger: RunningLedger, publisher: Publisher) -> None:
    kcat = which("kcat") or which("kafkacat")
    if kcat is None:
        pytest.skip("kcat is not installed: apt-get install kcat")
    keys = [f"key-{number}" for number in range(8)]
    for key in keys:
        headers = {
            "ce_specversion": "1.0",
            "ce_id": f"kcat-{key}",
            "ce_source": "//bank/exim-nmg",
            "ce_type": OPEN,
            "ce_time": datetime.now(UTC).isoformat(),
            "ce_subject": key,
            "content-type": "application/json",
        }
        given = [part for name, value in headers.items() for part in ("-H", f"{name}={value}")]
        command = [kcat, "-P", "-b", ledger.bootstrap_servers, "-t", ledger.topic("accounts"), "-k", key, *given]
        subprocess.run(command, input=json.dumps({"name": key}).encode(), check=True, timeout=60)
    ledger.must_be_right()

    assert accounts(ledger).keys() == set(keys)
    assert len(records(ledger, "accounts")) > len(keys), "kcat placed every key as murmur2 does; choose other keys"


def test_early_entries_wait_and_are_applied_in_order_when_their_account_opens(
    ledger: RunningLedger, publisher: Publisher
) -> None:
    for amount in (5, 7, 11):
        publisher.event(ledger.topic("entries"), ENTRY, "a1", {"amount": amount})
    publisher.flush()
    eventually(lambda: ledger.history.database.count("kit_parked") == 3, ledger)
    open_account(ledger, publisher)
    ledger.must_be_right()

    assert accounts(ledger)["a1"] == (23, 3)
    assert ledger.history.database.count("kit_parked") == 0


def test_a_timely_entry_that_waits_behind_an_outage_is_applied_before_the_deadline(
    ledger: RunningLedger, publisher: Publisher
) -> None:
    (worker,) = ledger.processes
    close_at = datetime.now(UTC) + timedelta(seconds=3)
    open_account(ledger, publisher, close_at=close_at.isoformat())
    worker.kill()
    for _ in range(3000):
        publisher.event(ledger.topic("entries"), ENTRY, "a1", {"amount": 1})
    publisher.flush()
    while datetime.now(UTC) < close_at:
        time.sleep(0.1)
    worker.start()
    eventually(lambda: ledger.history.database.query("SELECT 1 FROM ledger_account WHERE closed"), ledger)
    ledger.must_be_right()

    assert accounts(ledger)["a1"] == (3000, 3000)
    (closed,) = [one for one in records(ledger, "events") if one.kind == "ledger.account_closed.v1"]
    assert closed.body == {"balance": 3000}
    assert datetime.fromisoformat(closed.text("ce_time")) == close_at.replace(
        microsecond=close_at.microsecond // 1000 * 1000
    )


def test_an_effect_is_tried_again_and_its_result_told_once(ledger: RunningLedger, publisher: Publisher) -> None:
    ledger.history.letters_once = True
    open_account(ledger, publisher)
    for amount in (13, 14):
        publisher.event(ledger.topic("entries"), ENTRY, "a1", {"amount": amount, "letter": True})
    publisher.flush()
    ledger.must_be_right()

    assert [one.kind for one in records(ledger, "events")].count("ledger.letter_sent.v1") == 2


def redrive(ledger: RunningLedger, publisher: Publisher, letter: Stored, value: bytes) -> None:
    headers = [(name, value) for name, value in letter.headers.items()]
    publisher.record(ledger.topic("redrive"), letter.key, value, headers)
    publisher.flush()


def test_a_corrected_dead_letter_is_applied_once_and_refused_the_second_time(
    ledger: RunningLedger, publisher: Publisher
) -> None:
    open_account(ledger, publisher)
    publisher.event(ledger.topic("entries"), ENTRY, "a1", {"amount": "seven"}, poison="schema")
    publisher.flush()
    eventually(lambda: records(ledger, "dead-letters"), ledger)
    (letter,) = records(ledger, "dead-letters")
    for _ in range(2):
        redrive(ledger, publisher, letter, b'{"amount": 7}')
    eventually(lambda: accounts(ledger)["a1"] == (7, 1), ledger)
    assert ledger.history.wait_until_quiet(30) == []
    redrive(ledger, publisher, letter, b'{"amount": 8}')

    assert ledger.history.wait_until_quiet(30) == []
    assert accounts(ledger)["a1"] == (7, 1)
    assert len(records(ledger, "dead-letters")) == 1


def test_a_dead_letter_of_the_second_aggregate_goes_round_to_it(ledger_of_two: RunningLedger) -> None:
    publisher = ledger_of_two.history.publisher()
    keys = [f"c{number}" for number in range(2 * PARTITIONS)]
    for key in keys:
        publisher.event(ledger_of_two.topic("clerks"), CLERK, key, {"name": "nobody"}, poison="nobody")
    publisher.flush()
    eventually(lambda: len(records(ledger_of_two, "dead-letters")) == len(keys), ledger_of_two)
    for letter in records(ledger_of_two, "dead-letters"):
        redrive(ledger_of_two, publisher, letter, b'{"name": "Ana"}')

    eventually(lambda: ledger_of_two.history.database.count("ledger_clerk") == len(keys), ledger_of_two)


def test_of_two_workers_requests_for_the_same_name_at_the_same_time_one_wins(ledger_of_two: RunningLedger) -> None:
    publisher = ledger_of_two.history.publisher(**{"linger.ms": 0})
    for name in range(30):
        for key in range(PARTITIONS):
            topic = ledger_of_two.topic("accounts")
            publisher.event(topic, OPEN, f"n{name}-{key}", {"name": f"name {name}"}, partition=None)
    publisher.flush()
    ledger_of_two.must_be_right()

    opened = [one for one in records(ledger_of_two, "events") if one.kind == "ledger.account_opened.v1"]
    assert len({one.body["name"] for one in opened}) == 30
    assert len({one.ident for one in opened}) == 30


def test_a_topic_that_was_deleted_and_made_anew_stops_the_service_with_what_to_do(
    ledger: RunningLedger, publisher: Publisher
) -> None:
    (worker,) = ledger.processes
    open_account(ledger, publisher)
    worker.stop()
    recreate(ledger, "entries")
    worker.start()

    assert ended(worker) != 0
    assert "was deleted and made anew" in worker.tail()
    assert "kouan rebuild" in worker.tail()


def test_a_topic_made_anew_beneath_a_running_service_stops_it_too(ledger: RunningLedger, publisher: Publisher) -> None:
    (worker,) = ledger.processes
    open_account(ledger, publisher)
    publisher.event(ledger.topic("entries"), ENTRY, "a1", {"amount": 1})
    publisher.flush()
    eventually(lambda: accounts(ledger)["a1"] == (1, 1), ledger)
    recreate(ledger, "entries")

    assert ended(worker) != 0
    assert accounts(ledger)["a1"] == (1, 1)


def recreate(ledger: RunningLedger, topic: str) -> None:
    name = ledger.topic(topic)
    admin = KafkaAdminClient(bootstrap_servers=ledger.bootstrap_servers.split(","))
    try:
        admin.delete_topics([name])
        eventually(lambda: name not in {one["name"] for one in admin.describe_topics()}, ledger)
    finally:
        admin.close()
    create_topics(ledger.bootstrap_servers, {name: PARTITIONS})


def ended(worker: Process, seconds: float = 60) -> int:
    deadline = time.monotonic() + seconds
    while worker.exit_code is None:
        assert time.monotonic() < deadline, f"still running\n{worker.tail()}"
        time.sleep(0.1)
    return worker.exit_code


def test_a_second_worker_on_the_same_sqlite_file_is_refused(ledger: RunningLedger) -> None:
    second = ledger.worker("second").start()

    assert ended(second) != 0
    assert "SQLite serves one worker" in second.tail()
    assert ledger.processes[0].ready


def test_a_worker_is_ready_soon_and_small_when_idle(
    ledger: RunningLedger, record_property: Callable[[str, object], None]
) -> None:
    """Under 150 MB, and ready within 3 s by the clock; on a busy or slow machine by what it computes itself."""
    (worker,) = ledger.processes
    seconds, computed = [], []
    for _ in range(3):
        worker.stop()
        began = time.monotonic()
        worker.start().wait_ready()
        seconds.append(time.monotonic() - began)
        computed.append(cpu_seconds(worker))
    megabytes = worker.memory / 1e6
    record_property("ready_seconds", min(seconds))
    record_property("idle_megabytes", megabytes)
    print(f"ready after {min(seconds):.2f} s, {min(computed):.2f} s of them computing; {megabytes:.0f} MB idle")  # noqa: T201

    assert megabytes < 150
    if min(seconds) >= 3:
        libraries = importing()
        assert os.getloadavg()[0] >= (os.cpu_count() or 1) or libraries > SLOW_SECONDS
        assert min(computed) < 2 * libraries


SLOW_SECONDS = 1.2
"""A machine on which the libraries alone take longer than this is slower than any that the limit is meant for."""


def importing() -> float:
    """User and system time that the libraries alone take to be imported, on the machine as busy as it is."""
    before = os.times()
    libraries = "import aiokafka, alembic.command, faust, kafka, psycopg, pydantic_settings, sqlmodel, structlog"
    subprocess.run([sys.executable, "-c", libraries], check=True, timeout=60)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def cpu_seconds(process: Process) -> float:
    """User and system time that a process has taken so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
