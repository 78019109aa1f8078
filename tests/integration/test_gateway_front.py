"""The gateway's front on a broker of its own: what was answered is published, once, whatever happens meanwhile."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from typer.testing import CliRunner

from services.cli.gateway import commands
from services.embedded.container import KafkaContainer
from services.embedded.processes import HOST
from tests.support.brokers import kafka_container
from tests.support.gateway import BATCH, SECONDS, STRUCTURED, ZONE, Front, event, ids_on, running_gateway
from tests.support.system import wait_until
from tests.unit.client.tables import csv, row, xlsx

pytestmark = pytest.mark.broker

TOPIC = "commerce.referrals"


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaContainer]:
    """A broker that is paused on the way."""
    with kafka_container() as container:
        yield container


@pytest.fixture(scope="module")
def gateway(broker: KafkaContainer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("gateway")
    with running_gateway(
        broker.bootstrap_servers, folder, gateway_confirm_seconds=2, gateway_requests_per_second=100_000
    ) as front:
        yield front


@contextmanager
def paused(broker: KafkaContainer) -> Iterator[None]:
    container = broker.get_wrapped_container()
    container.pause()
    try:
        yield
    finally:
        container.unpause()


def test_all_three_modes_give_the_same_record(gateway: Front) -> None:
    told = event(correlationid="R-1")
    structured, batched = {**told, "id": uuid.uuid4().hex}, {**told, "id": uuid.uuid4().hex}
    attributes = {name: value for name, value in told.items() if name != "data"}
    headers = [(f"ce-{name}", value) for name, value in attributes.items()]
    headers += [("Authorization", f"Bearer {gateway.key(ZONE)}"), ("Idempotency-Key", uuid.uuid4().hex)]
    body = json.dumps(told["data"]).encode()
    answer = gateway.send("POST", "/events", [*headers, ("Content-Type", "application/json")], body)
    assert answer.status == 202
    assert answer.json == {"accepted": 1, "events": [{"id": told["id"], "topic": TOPIC}]}
    assert gateway.post(structured).json["events"][0]["id"] == structured["id"]
    assert gateway.post([batched], kind=BATCH).json["accepted"] == 1
    ids = {told["id"], structured["id"], batched["id"]}
    consumer = KafkaConsumer(
        TOPIC, bootstrap_servers=gateway.servers, auto_offset_reset="earliest", consumer_timeout_ms=5000
    )
    found = {}
    for record in consumer:
        named = dict(record.headers)
        if (id := named.pop("ce_id").decode()) in ids:
            found[id] = (record.key, record.value, named)
        if len(found) == 3:
            break
    consumer.close()
    first = found[told["id"]]
    assert all(record == first for record in found.values())
    assert first[0] == b"R-1"
    assert first[2]["ce_source"] == ZONE.encode()
    assert first[2]["ce_correlationid"] == b"R-1"


def test_a_request_sent_again_gets_its_answer_again_and_no_second_event(gateway: Front) -> None:
    told, key = event(), uuid.uuid4().hex
    first = gateway.post(told, key=key)
    again = gateway.post(told, key=f'"{key}"')
    assert (first.status, again.status) == (202, 202)
    assert first.body == again.body
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = gateway.post(event(), key=key)
    assert other.status == 422
    assert other.json["type"] == "urn:kouan:problem:idempotency-key-reused"
    # Keys are each party's own.
    assert gateway.post(event(source="//commerce/hunchun"), source="//commerce/hunchun", key=key).status == 202
    assert ids_on(gateway.servers, TOPIC).count(told["id"]) == 1


def test_the_same_request_at_the_same_moment_is_published_once(gateway: Front) -> None:
    told, key = event(), uuid.uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway.post(told, key=key), range(8)))
    statuses = Counter(answer.status for answer in answers)
    assert statuses[202] >= 1
    assert set(statuses) <= {202, 409}
    for answer in answers:
        if answer.status == 409:
            assert answer.json["type"] == "urn:kouan:problem:request-in-flight"
            assert int(answer.headers["retry-after"]) >= 1
    assert ids_on(gateway.servers, TOPIC).count(told["id"]) == 1


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (csv(*(row(reference=str(n)) for n in range(3))).encode(), "text/csv"),
        (
            xlsx(*(row(reference=str(n)) for n in range(3, 6))),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
    ],
    ids=["csv", "xlsx"],
)
def test_a_file_is_answered_row_by_row(gateway: Front, content: bytes, kind: str) -> None:
    key = uuid.uuid4().hex
    answer = gateway.post(content, path="/files", kind=kind, key=key)
    assert answer.status == 202, answer.body
    assert [one["row"] for one in answer.json["rows"]] == [2, 3, 4]
    ids = {one["id"] for one in answer.json["rows"]}
    assert ids <= set(ids_on(gateway.servers, TOPIC))
    # The same file again under a new key has the same ids, by which readers know it.
    assert {one["id"] for one in gateway.post(content, path="/files", kind=kind).json["rows"]} == ids
    assert gateway.post(content, path="/files", kind=kind, key=key).headers["idempotency-replayed"] == "true"


def test_a_paused_broker_is_503_and_the_same_key_succeeds_afterwards(gateway: Front, broker: KafkaContainer) -> None:
    single, batch, key, other = event(), [event() for _ in range(3)], uuid.uuid4().hex, uuid.uuid4().hex
    with paused(broker):
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(gateway.post, single, key=key)
            second = pool.submit(gateway.post, batch, kind=BATCH, key=other)
            answers = [first.result(), second.result()]
        assert time.monotonic() - began < 15
        for answer in answers:
            assert answer.status == 503, answer.body
            assert answer.json["type"] == "urn:kouan:problem:unavailable"
            assert int(answer.headers["retry-after"]) >= 1
        wait_until(lambda: not gateway.process.ready, SECONDS, "the gateway tells that it is not ready")
    gateway.process.wait_ready(SECONDS)
    wait_until(lambda: gateway.post(single, key=key).status == 202, SECONDS, "the request sent again is accepted")
    wait_until(lambda: gateway.post(batch, kind=BATCH, key=other).status == 202, SECONDS, "so is the batch")
    assert gateway.post(event(), key=key).status == 422
    found = set(ids_on(gateway.servers, TOPIC))
    assert {single["id"], *(one["id"] for one in batch)} <= found


def test_killed_under_load_it_loses_nothing_that_it_answered(gateway: Front) -> None:
    sent: dict[str, dict[str, object]] = {}
    accepted: set[str] = set()
    stop = threading.Event()

    def publish() -> None:
        while not stop.is_set():
            key, told = uuid.uuid4().hex, event()
            sent[key] = told
            with suppress(OSError, ValueError):
                if gateway.post(told, key=key).status == 202:
                    accepted.add(key)

    with ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(publish) for _ in range(8)]
        wait_until(lambda: len(accepted) > 100, SECONDS, "a hundred requests are answered")
        gateway.process.kill()
        stop.set()
        for worker in workers:
            worker.result()
    found = Counter(ids_on(gateway.servers, TOPIC))
    assert all(found[str(sent[key]["id"])] == 1 for key in accepted)
    gateway.process.start().wait_ready(SECONDS)
    left = [key for key in sent if key not in accepted]
    assert left, "the kill met no request under way"
    for key in left:
        # What the killed process had reserved is taken over at once, and nothing has to wait for a lease.
        answer = gateway.post(sent[key], key=key)
        assert answer.status == 202, answer.body
    again = {key: gateway.post(sent[key], key=key) for key in accepted}
    assert {answer.status for answer in again.values()} == {202}
    # Answers are stored behind the response: of each of the eight, the kill may have met the last.
    replayed = {key for key, answer in again.items() if "idempotency-replayed" in answer.headers}
    assert len(replayed) >= len(accepted) - 8
    found = Counter(ids_on(gateway.servers, TOPIC))
    assert all(found[str(told["id"])] >= 1 for told in sent.values())
    assert all(found[str(sent[key]["id"])] == 1 for key in replayed)


def test_keys_are_shown_once_listed_and_revoked_within_seconds(gateway: Front) -> None:
    environment = {"KOUAN_DATA_DIR": str(Path(gateway.url.removeprefix("sqlite:///")).parent), "COLUMNS": "200"}

    def command(*arguments: str) -> str:
        result = CliRunner().invoke(commands, ["key", *arguments], env=environment)
        assert result.exit_code == 0, result.output
        return result.output

    key = command("add", "--source", "//bank/exim-nmg", "--expires", "2999-12-31").strip()
    assert re.fullmatch(r"kg_[a-z0-9]{12}_[0-9a-f]{64}", key)
    gateway.keys["//bank/exim-nmg"] = key
    told = event(source="//bank/exim-nmg")
    assert gateway.post(told, source="//bank/exim-nmg").status == 202
    listed = command("list")
    key_id = key.split("_")[1]
    assert key_id in listed
    assert "2999-12-31" in listed
    assert key.split("_")[2] not in listed
    command("revoke", key_id)
    wait_until(lambda: gateway.post(told, source="//bank/exim-nmg").status == 401, 5, "the revoked key is refused")
    refused = CliRunner().invoke(commands, ["key", "add", "--source", "//kouan/screening"], env=environment)
    assert refused.exit_code == 2


def test_schemathesis_finds_no_request_that_breaks_the_gateway(gateway: Front, tmp_path: Path) -> None:
    url = f"http://{HOST}:{gateway.port}"
    # Requests that ask to be kept waiting would do so, half a minute each.
    (tmp_path / "schemathesis.toml").write_text('[parameters]\n"query.wait" = 0\n')
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--header", f"Authorization: Bearer {gateway.key(ZONE)}"),
            *("--exclude-path", "/feed/stream", "--phases", "examples,coverage,fuzzing", "--max-examples", "3"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_schema_conformance", "--request-timeout", "30", "--no-color"),
            *("--suppress-health-check", "all", "--generation-database", "none", "--seed", "1"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


def test_the_description_and_its_page_need_nothing_from_elsewhere(gateway: Front) -> None:
    document = gateway.send("GET", "/openapi.json", []).json
    assert {"/events", "/files", "/feed", "/cases/{case_id}"} <= set(document["paths"])
    for path in document["paths"].values():
        for operation in path.values():
            problems = [status for status in operation["responses"] if status[0] in "45"]
            assert {"401", "429", "503"} <= set(problems)
            for status in problems:
                content = operation["responses"][status]["content"]
                assert content == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    page = gateway.send("GET", "/docs", [])
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    text = page.body.decode()
    assert 'lang="zh-CN"' in text
    assert not re.search(r"<script|<link|<img|src=|@import|url\(", text)
    assert STRUCTURED in text
