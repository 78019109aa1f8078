"""Systems written in Java and JavaScript, and the command line of librdkafka, publish to us and read what we say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from services.embedded.processes import Process, worker, worker_environment
from services.testing.publishing import Publishing
from services.testing.reading import Record, Topics
from tests.foreign.programs import CLIENTS, MODES, Client, Json
from tests.support.brokers import in_ci
from tests.support.scenario import DIRECTORY
from tests.support.system import empty_cluster, wait_until

pytestmark = pytest.mark.broker

INPUT, OUTPUT = "commerce.referrals", "referral.events"
EXAMPLE = Path(__file__).parents[2] / "schemas" / "examples" / "referral.submitted.v1" / "valid-zone-plan.json"
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Intake:
    """A broker with our topics and the directory, and a running referral intake."""

    bootstrap_servers: str
    process: Process
    topics: Topics

    def said(self) -> list[Json]:
        """All that stands on its topic."""
        return [_as_event(record) for record in self.topics.read(OUTPUT, self.topics.began)]


def _as_event(record: Record) -> Json:
    named = {name: text.decode() for name, text in record.headers}
    attributes = {name.removeprefix("ce_"): text for name, text in named.items() if name.startswith("ce_")}
    assert record.value is not None
    return {**attributes, "datacontenttype": named["content-type"], "data": json.loads(record.value)}


@pytest.fixture(scope="module")
def intake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    folder = tmp_path_factory.mktemp("foreign")
    with empty_cluster(folder / "broker") as bootstrap_servers, Topics(bootstrap_servers) as topics:
        with Publishing(bootstrap_servers) as publishing:
            publishing.file(DIRECTORY)
        environment = worker_environment(bootstrap_servers, folder / "data", log_level="WARNING")
        with worker("referral_intake", environment, folder / "logs") as process:
            process.wait_ready()
            yield Intake(bootstrap_servers, process, topics)


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    """Each foreign client in turn; where one can't run, that is a failure in CI and a skip elsewhere."""
    chosen: Client = request.param
    if missing := chosen.missing():
        if in_ci():
            pytest.fail(missing)
        pytest.skip(missing)
    return chosen


@pytest.fixture(scope="module")
def published(client: Client, intake: Intake) -> dict[str, Json]:
    """What the client has published, one event in each mode; all of it confirmed by the broker."""
    events = {mode: _event(client.name, number, mode) for number, mode in enumerate(MODES)}
    client.publish(intake.bootstrap_servers, INPUT, events.items())
    return events


def _event(client: str, number: int, mode: str) -> Json:
    body = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    # A plan of the same name in the same zone would be a duplicate, and so would one of the same id.
    body["referral"]["name"] = f"珲春合作区「{client}」滚动开发方案，第{number + 1}期：道路与供热"
    body["referral"]["zone_plan"] = f"P-{client}-{mode}"
    return {
        "specversion": "1.0",
        "id": f"{client}-{mode}",
        "source": "//commerce/hunchun",
        "type": "referral.submitted.v1",
        "time": "2026-03-02T09:30:00+08:00",
        "subject": f"R-{client}-{mode}",
        "datacontenttype": "application/json",
        "data": body,
    }


@pytest.mark.parametrize("mode", MODES)
def test_what_a_foreign_client_publishes_becomes_one_registered_case_word_for_word(
    intake: Intake, client: Client, published: dict[str, Json], mode: str
) -> None:
    event = published[mode]

    def answers() -> list[Json]:
        intake.process.check_alive()
        return [said for said in intake.said() if said["subject"] == event["subject"]]

    wait_until(lambda: bool(answers()), SECONDS, f"intake answers {event['subject']}\n{intake.process.tail()}")

    [answer] = answers()
    assert answer["type"] == "referral.registered.v1", answer["data"]
    assert answer["causationid"] == event["id"]
    assert answer["data"]["source"] == event["source"]
    # What was left out stands there as its default.
    assert answer["data"]["referral"] == {**event["data"]["referral"], "documents": []}


def test_a_foreign_client_reads_from_our_topic_the_same_events_as_we_do(
    intake: Intake, client: Client, published: dict[str, Json]
) -> None:
    subjects = {event["subject"] for event in published.values()}
    wait_until(lambda: subjects <= {said["subject"] for said in intake.said()}, SECONDS, f"intake answers {subjects}")

    theirs, ours = client.read(intake.bootstrap_servers, OUTPUT), intake.said()

    assert len(theirs) >= len(MODES)
    assert _by_id(theirs) == _by_id(ours)


def _by_id(events: list[Json]) -> dict[str, dict[str, Any]]:
    """What every CloudEvents library gives of an event; times as instants, because each writes them in its own way."""
    named = ("source", "type", "subject", "datacontenttype", "data")
    told = {
        event["id"]: {"time": datetime.fromisoformat(event["time"]), **{name: event[name] for name in named}}
        for event in events
    }
    assert len(told) == len(events), "an event was given twice"
    return told
