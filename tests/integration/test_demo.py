"""The main job as people run it, and foreign tools beside it: Kafka's own console consumer, and kcat."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.codec import DecodeError, decode
from schemas.consent import CONSENT_EXAMPLE
from schemas.envelope import Event
from schemas.loading import load_contracts
from schemas.referral import REFERRAL_EXAMPLE
from schemas.values import credit_check_character
from services.demo.log import TopicsLog
from services.demo.publishing import Publisher
from services.demo.scenario import Publication
from services.demo.stack import Stack
from services.embedded.java import kafka_jars
from services.embedded.kafka import VARIABLE
from tests.support.brokers import in_ci, jar_cache, unique
from topics.definition import load_catalogue
from topics.partitioning import partition_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

INPUT = "commerce.referrals"
OUTPUT = "referral.events"


def needed(tool: str) -> str:
    """A foreign tool's path; without it the test can't run, which is a failure in CI."""
    path = shutil.which(tool)
    if path is None:
        if in_ci():
            pytest.fail(f"{tool} is missing; .ci/run installs it")
        pytest.skip(f"{tool} is not installed")
    return path


def with_jars(folder: Path) -> Path:
    """A data folder in which Kafka's jars need not be fetched again."""
    jar_cache().mkdir(parents=True, exist_ok=True)
    (folder / "cache").symlink_to(jar_cache())
    return folder


def run_demo(folder: Path) -> subprocess.CompletedProcess[str]:
    """`kouan demo --once` on a broker of its own, whatever broker the environment names."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | {"COLUMNS": "160"}
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "demo", "--once", "--data-dir", str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=550,
        check=False,
    )


def outcome_of(folder: Path) -> dict[str, Any]:
    """What the latest run wrote for programs."""
    run = max((folder / "demo").iterdir())
    found: dict[str, Any] = orjson.loads((run / "reconciliation.json").read_bytes())
    return found


def test_the_demo_adds_up_and_shows_every_kind_of_outcome(tmp_path: Path) -> None:
    ended = run_demo(with_jars(tmp_path))
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-3000:]
    assert "账目相符" in ended.stdout
    assert "Everything adds up" in ended.stdout
    outcome = outcome_of(tmp_path)
    books = outcome["account"]
    assert books["problems"] == []
    lines = [line for line in books["lines"] if line["records"]]
    assert all(sum(line["fates"].values()) == line["records"] for line in lines)
    fates = [fate for line in lines for fate in line["fates"]]
    assert {"dead-letter", "sent-on", "repeat", "referral.duplicate_found.v1", "referral.rejected.v1"} <= set(fates)
    assert {"referral.consent_awaited.v2", "screening.opinion_drafted.v1", "screening.extended.v1"} <= set(fates)
    assert {"plan.sign_off_recorded.v1", "cooperation.partner_joined.v1", "advice.answered.v1"} <= set(fates)
    assert books["registered"] == sum(books["cases"].values()) >= 300
    assert books["cases"].keys() == {"open", "conference_called", "shortlisted", "declined", "expired", "withdrawn"}
    # So many old cases lack opinions. More would mean that opinions which waited came too late.
    assert books["cases"]["expired"] == 50
    rows = {code: sum(row.values()) for codes in books["coverage"].values() for code, row in codes.items()}
    assert len(rows) == 5 + 11 + 2 + 3 + 6
    assert all(rows.values()), rows
    assert all(f" {code} " in ended.stdout for code in rows)
    assert books["loans"].keys() >= {"applied", "approved", "contracted", "disbursed", "repaying", "overdue"}
    assert books["loans"].keys() >= {"declined", "settled", "written_off"}
    assert books["warnings"].keys() == {"blue", "yellow", "orange", "red", "cleared"}
    assert all(books["holds"].values())
    notices, asked = books["notices"], books["acknowledgements"]
    assert notices["queued"] == notices["delivered"] + notices["failed"]
    assert notices["pending"] == 0 < notices["failed"]
    assert books["mails"]["different"] == notices["delivered"]
    assert all(asked[name] for name in ("in-time", "late", "escalated-only", "waiting"))
    assert not any(one["unread"] or one["parked"] or one["unsent"] for one in outcome["standings"])


def test_the_demo_says_what_is_wrong_where_the_broker_is_in_use(kafka: str, tmp_path: Path) -> None:
    topic_in_use(kafka)
    ended = subprocess.run(
        [sys.executable, "-m", "services.cli", "demo", "--once", "--data-dir", str(with_jars(tmp_path))],
        capture_output=True,
        text=True,
        env={**os.environ, VARIABLE: kafka},
        timeout=120,
        check=False,
    )
    assert ended.returncode == 3, ended.stderr
    assert "never deletes" in ended.stderr


def topic_in_use(servers: str) -> None:
    """Make the topics of the catalogue, with a record on one of them."""
    environment = {**os.environ, "KOUAN_BOOTSTRAP_SERVERS": servers}
    subprocess.run([sys.executable, "-m", "services.cli", "topics", "apply"], env=environment, check=True)
    with Publisher(servers) as publisher:
        publisher.publish([Publication(INPUT, b"X", b"{}", ())])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services on a broker of their own."""
    load_contracts()
    named = os.environ.pop(VARIABLE, None)
    try:
        folder = tmp_path_factory.mktemp("stack")
        with Stack(folder, jar_cache(), load_catalogue(), alone=True).start() as running:
            yield running
    finally:
        if named is not None:
            os.environ[VARIABLE] = named


def referral(id: str) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers of a sound referral of an enterprise that no other test refers."""
    first = "91150781MA" + "".join(character for character in id.upper() if character.isdecimal()).ljust(7, "0")[-7:]
    code = first + credit_check_character(first)
    named = {**REFERRAL_EXAMPLE["enterprise"], "credit_code": code, "name": f"满洲里 {id} 木业"}  # type: ignore[dict-item]
    body = {**REFERRAL_EXAMPLE, "name": named["name"], "enterprise": named}
    attributes = {
        "specversion": "1.0",
        "id": f"submitted-{id}",
        "source": "//commerce/15",
        "type": "referral.submitted.v1",
        "time": datetime.now(UTC).isoformat(),
        "subject": id,
    }
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    return orjson.dumps({"referral": body, "consent": CONSENT_EXAMPLE}), [
        *headers,
        ("content-type", b"application/json"),
    ]


def events_of(servers: str, topic: str, subject: str) -> list[Event[Any]]:
    found = []
    with TopicsLog(servers, load_catalogue()) as log:
        log.catch_up()
        for record in log.records[topic]:
            try:
                event = decode(record.key, record.value, record.headers)
            except DecodeError:
                continue
            if event.subject == subject:
                found.append(event)
    return found


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not come about within {seconds} s"
        time.sleep(0.2)


def test_kafkas_own_console_consumer_reads_our_events_with_their_attributes(stack: Stack) -> None:
    java = needed("java")
    jars = kafka_jars(jar_cache(), lambda text: None)
    id = unique("console")
    value, headers = referral(id)
    servers = stack.broker.bootstrap_servers
    with Publisher(servers) as publisher:
        publisher.publish([Publication(INPUT, id.encode(), value, tuple(headers))])
    until(lambda: bool(events_of(servers, OUTPUT, id)))
    read = subprocess.run(
        [
            *(java, "-cp", f"{jars}/*", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
            *("--bootstrap-server", servers, "--topic", OUTPUT, "--from-beginning", "--timeout-ms", "15000"),
            *("--formatter-property", "print.headers=true", "--formatter-property", "print.key=true"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    [line] = [line for line in read.stdout.splitlines() if id in line]
    told, key, body = line.split("\t")
    attributes = dict(part.split(":", 1) for part in told.split(","))
    assert attributes["ce_type"] == "referral.registered.v1"
    assert attributes["ce_source"] == "//kouan/referral_intake"
    assert attributes["ce_subject"] == key == id
    assert attributes["ce_causationid"] == f"submitted-{id}"
    assert attributes["ce_id"]
    assert datetime.fromisoformat(attributes["ce_time"]).tzinfo is not None
    assert orjson.loads(body)["referral"]["zone"] == "manzhouli"


def test_a_record_that_kcat_places_by_crc32_is_handled_once(stack: Stack) -> None:
    kcat = needed("kcat")
    servers = stack.broker.bootstrap_servers
    id = next(name for name in (unique("kcat") for _ in range(100)) if crc32_partition(name) != murmur2_partition(name))
    value, headers = referral(id)
    named = [argument for name, text in headers for argument in ("-H", f"{name}={text.decode()}")]
    for _ in range(2):
        subprocess.run(
            [kcat, "-P", "-b", servers, "-t", INPUT, "-k", id, "-X", "partitioner=consistent", *named],
            input=value,
            check=True,
            timeout=60,
        )
    until(lambda: bool(events_of(servers, OUTPUT, id)))
    with TopicsLog(servers, load_catalogue()) as log:
        # Both are sent on to where the key belongs, and one of the copies takes effect.
        until(lambda: places_of(log, id).count(murmur2_partition(id)) == 2)
        assert places_of(log, id).count(crc32_partition(id)) == 2
    until(lambda: settled(stack))
    registered = events_of(servers, OUTPUT, id)
    assert [event.type for event in registered] == ["referral.registered.v1"]
    assert registered[0].causation_id == f"submitted-{id}"


def places_of(log: TopicsLog, id: str) -> list[int]:
    log.catch_up()
    return [record.partition for record in log.records[INPUT] if record.key == id.encode()]


def settled(stack: Stack) -> bool:
    """Whether intake has read everything that stands on its topic."""
    with TopicsLog(stack.broker.bootstrap_servers, load_catalogue()) as log:
        end = sum(end for (topic, _), end in log.ends().items() if topic == INPUT)
    samples = stack.workers["referral_intake"].samples()
    read = sum(one.value for one in samples if one.name == "kouan_position" and one.labels["topic"] == INPUT)
    return read == end


def murmur2_partition(id: str) -> int:
    return partition_of(id.encode(), load_catalogue().topics[INPUT].partitions)


def crc32_partition(id: str) -> int:
    from zlib import crc32

    return crc32(id.encode()) % load_catalogue().topics[INPUT].partitions


def test_every_service_stays_small_while_it_has_little_to_do(stack: Stack) -> None:
    for process in stack.workers:
        assert process.ready, process.why_not_ready()
        assert process.memory < 150 * 1024 * 1024, f"{process.name} holds {process.memory / 1024**2:.0f} MB"
