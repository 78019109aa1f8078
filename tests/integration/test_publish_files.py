"""`kouan publish` on a real broker: files published twice, killed half-way and started again come to one of each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Connection
from typer.testing import CliRunner, Result

from schemas.values import credit_check_character
from services.cli import app
from services.client import Received, Subscriber
from services.client.identity import derived_id
from services.embedded.processes import worker, worker_environment
from tests.support.brokers import unique
from tests.unit.client import tables

pytestmark = pytest.mark.broker

SOURCE = "//commerce/manzhouli"
INPUT = "commerce.referrals"
DEPLOY = Path(__file__).parents[2] / "deploy"
DIRECTORY = DEPLOY / "reference" / "directory.jsonl"
EXAMPLES = DEPLOY / "examples"
SECONDS = 60.0
WITHDRAWAL = ("type", "source", "subject", "reference", "time", "code", "reason")


@pytest.fixture(autouse=True)
def topics(kafka: str) -> None:
    """The shipped catalogue's topics are there."""
    assert CliRunner().invoke(app, ["topics", "apply", "-b", kafka]).exit_code == 0


def until(condition: Callable[[], object], what: str) -> None:
    """Poll until something is so."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still not after {SECONDS:g} s: {what}"
        time.sleep(0.005)


def publish(kafka: str, file: Path, *options: str) -> Result:
    journals = file.parent / "journals"
    return CliRunner().invoke(app, ["publish", str(file), "-b", kafka, "--journals", str(journals), *options])


def records_on(kafka: str, topic: str) -> int:
    """How many records a topic holds."""
    with closing(KafkaConsumer(bootstrap_servers=kafka.split(","), group_id=None)) as consumer:
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends, firsts = consumer.end_offsets(places), consumer.beginning_offsets(places)
        return sum(ends[place] - firsts[place] for place in places)


@contextmanager
def reading(kafka: str, topic: str, place: Path) -> Iterator[tuple[Subscriber, list[Received]]]:
    """A subscriber that reads a topic from its beginning, and what it delivers."""
    delivered: list[Received] = []

    def handle(events: Sequence[Received], _: Connection) -> None:
        delivered.extend(events)

    subscriber = Subscriber(kafka, unique("files"), [topic], place=f"sqlite:///{place}")
    end = threading.Event()
    thread = threading.Thread(target=subscriber.run, args=(handle,), kwargs={"until": end})
    thread.start()
    try:
        yield subscriber, delivered
    finally:
        end.set()
        thread.join(30)


def deliveries(kafka: str, place: Path, subjects: set[str]) -> Counter[str]:
    """How often the subscriber delivers each event about these subjects, once it has read all of the inputs."""
    all_of_it = records_on(kafka, INPUT)
    with reading(kafka, INPUT, place) as (subscriber, delivered):
        counts = subscriber.counts
        until(lambda: counts.handled + counts.repeated + counts.skipped >= all_of_it, "all records were read")
        return Counter(one.event.id for one in delivered if one.event.subject in subjects)


def withdrawals(folder: Path, count: int) -> tuple[Path, set[str], set[str]]:
    """A file of events, their subjects and their ids. About unknown referrals, because only delivery is looked at."""
    run = unique("W")
    names = [f"{run}-{number}" for number in range(count)]
    rows = [
        ("referral.withdrawal_submitted.v1", SOURCE, name, name, "2026-11-23 09:30", "other", "撤回推荐")
        for name in names
    ]
    file = folder / "withdrawals.csv"
    file.write_text(tables.csv(*rows, header=WITHDRAWAL), encoding="utf-8")
    return file, set(names), {derived_id(SOURCE, name) for name in names}


CONSENTED: dict[str, object] = {
    **tables.SOUND,
    "consent.scopes": "commerce; bank",
    "consent.given_by": "legal_representative",
    "consent.given_on": "2026-11-20",
    "consent.evidence": "SQ-1",
}
"""A row of a referral with the enterprise's consent, by column."""


def referrals(folder: Path, count: int) -> tuple[Path, set[str]]:
    """A spreadsheet of referrals about different enterprises, and their ids."""
    run = uuid4().int
    rows, names = [], [f"R-{uuid4().hex[:16]}" for _ in range(count)]
    for number, name in enumerate(names):
        code = f"91150781MA{(run + number) % 10_000_000:07}"
        code += credit_check_character(code)
        # One name for all would be flagged as one enterprise.
        called = {"name": name, "enterprise.name": name, "enterprise.credit_code": code}
        rows.append(list({**CONSENTED, "subject": name, "reference": name, **called}.values()))
    file = folder / "referrals.xlsx"
    file.write_bytes(tables.xlsx(*rows, header=CONSENTED))
    return file, set(names)


def test_the_same_file_is_published_once_however_often_it_is_given(kafka: str, tmp_path: Path) -> None:
    file, subjects, ids = withdrawals(tmp_path, 50)
    before = records_on(kafka, INPUT)
    first = publish(kafka, file)
    assert first.exit_code == 0, first.stderr
    report = tmp_path / "report.json"
    second = publish(kafka, file, "--report", str(report))
    assert second.exit_code == 0, second.stderr
    assert "Already published" in second.stdout
    assert json.loads(report.read_text(encoding="utf-8"))["confirmed_before"] == 50
    assert records_on(kafka, INPUT) == before + 50

    # Without its journal, all of it is sent again: readers know the repeats by their ids.
    assert publish(kafka, file, "--restart").exit_code == 0
    assert records_on(kafka, INPUT) == before + 100
    assert deliveries(kafka, tmp_path / "place.db", subjects) == dict.fromkeys(ids, 1)


def test_the_examples_are_published_and_the_same_table_in_another_format_is_known(kafka: str, tmp_path: Path) -> None:
    journals = ("--journals", str(tmp_path))
    mapping = ("--mapping", str(EXAMPLES / "referrals.mapping.yaml"))
    for name, options in (("first-referral.jsonl", ()), ("referrals.csv", mapping)):
        result = publish(kafka, EXAMPLES / name, *options, *journals)
        assert result.exit_code == 0, result.stderr
        assert "all confirmed by the broker" in result.stdout
    assert "Already published" in publish(kafka, EXAMPLES / "referrals.xlsx", *mapping, *journals).stdout


def test_each_referral_of_a_spreadsheet_has_one_effect_though_it_was_published_three_times(
    kafka: str, tmp_path: Path
) -> None:
    file, names = referrals(tmp_path, 25)
    assert publish(kafka, DIRECTORY, "--journals", str(tmp_path / "directory")).exit_code == 0
    for _ in range(3):
        result = publish(kafka, file, "--restart")
        assert result.exit_code == 0, result.stderr
    (tmp_path / "sentinel").mkdir()
    last, last_names = referrals(tmp_path / "sentinel", 40)
    assert publish(kafka, last).exit_code == 0

    environment = worker_environment(kafka, tmp_path / "data", log_level="WARNING")
    intake = worker("referral_intake", environment, tmp_path / "logs")
    with intake, reading(kafka, "referral.events", tmp_path / "outcomes.db") as (_, delivered):
        intake.wait_ready()
        # Forty keys reach every partition, and each partition is read in order: behind them nothing is left.
        until(lambda: {one.event.subject for one in delivered} >= last_names, "intake has read all that was published")
    effects = Counter((one.event.subject, one.event.type) for one in delivered if one.event.subject in names)
    assert effects == dict.fromkeys(((name, "referral.registered.v1") for name in names), 1)


def test_a_row_added_to_a_file_is_published_and_the_others_keep_their_ids(kafka: str, tmp_path: Path) -> None:
    file, subjects, ids = withdrawals(tmp_path, 10)
    assert publish(kafka, file).exit_code == 0
    added = file.read_text(encoding="utf-8").splitlines()[-1].replace(max(subjects), more := unique("W"))
    file.write_text(file.read_text(encoding="utf-8") + added + "\r\n", encoding="utf-8")
    assert publish(kafka, file).exit_code == 0
    found = deliveries(kafka, tmp_path / "place.db", subjects | {more})
    assert found == dict.fromkeys(ids | {derived_id(SOURCE, more)}, 1)


def test_a_publication_killed_half_way_is_completed_by_the_next_and_each_event_is_delivered_once(
    kafka: str, tmp_path: Path
) -> None:
    count = 8_000
    file, subjects, ids = withdrawals(tmp_path, count)
    journals = tmp_path / "journals"
    before = records_on(kafka, INPUT)
    command = [sys.executable, "-m", "services.cli", "publish", str(file), "-b", kafka, "--journals", str(journals)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: _noted(journals) >= 2 or process.poll() is not None, "the first events are confirmed")
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == -signal.SIGKILL, (tmp_path / "log").read_text()
    sent = records_on(kafka, INPUT) - before
    assert 0 < sent < count

    again = publish(kafka, file, "--report", str(tmp_path / "report.json"))
    assert again.exit_code == 0, again.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["confirmed_before"] >= 1_000
    assert report["confirmed_before"] + report["confirmed_now"] == count
    repeated = records_on(kafka, INPUT) - before - count
    assert repeated == sent - report["confirmed_before"]
    assert deliveries(kafka, tmp_path / "place.db", subjects) == dict.fromkeys(ids, 1)
    assert "Already published" in publish(kafka, file).stdout


def _noted(journals: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in journals.glob("*.jsonl")) if journals.exists() else 0
