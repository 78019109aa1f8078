"""Cooperation as a worker on a real broker: a plan signed from two topics at once, a question nobody answers, partners
that answer or stay silent, a wish, a bulletin, and a rebuild from the record topic that finds the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.loading import load_contracts
from schemas.plan import PlanPart
from services.cli.case import read_steps
from services.embedded.processes import worker, worker_environment
from services.kit.rebuild import rebuild
from services.kit.settings import Settings
from services.registry import build
from tests.support.brokers import unique
from tests.support.events import put
from tests.support.system import wait_until
from tests.unit.cooperation import partners
from tests.unit.cooperation import test_bulletins as bulletins
from tests.unit.cooperation import test_matchmaking as matchmaking
from tests.unit.cooperation.builders import BRANCH, ZONE, after, directory_events, said
from topics.definition import load_catalogue

pytestmark = pytest.mark.broker

WITHIN_S = 60.0


@pytest.fixture(scope="module")
def servers(own_cluster: str) -> str:
    """The broker with the catalogue's topics and a small directory."""
    put(own_cluster, *directory_events())
    return own_cluster


@pytest.fixture(scope="module")
def data(servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a running worker's database."""
    folder = tmp_path_factory.mktemp("cooperation")
    environment = worker_environment(servers, folder / "data", log_level="WARNING")
    with worker("cooperation", environment, folder / "logs") as running:
        running.wait_ready()
        yield folder / "data"


def told(servers: str, key: str) -> list[str]:
    """The types of what cooperation says under a key, in order."""
    load_contracts()
    steps = read_steps(key, load_catalogue(), servers)
    return [step.type for step in steps if step.topic == "cooperation.events"]


def test_a_plan_is_signed_off_whichever_topic_is_read_first_and_the_database_can_be_rebuilt(
    servers: str, data: Path
) -> None:
    plan, question = unique("PLAN"), unique("ASK")
    part: dict[str, Any] = {
        "zone": "manzhouli",
        "version": 1,
        "title": "规划",
        "summary": "概要。",
        "submitted_by": "zone-1",
    }
    parts = [said("plan.part_submitted.v1", ZONE, id=unique("e"), key=plan, part=name, **part) for name in PlanPart]
    signs = [
        said("plan.part_signed_off.v1", source, after(2), id=unique("e"), key=plan, part=name, version=1, signed_by=by)
        for source, by in ((BRANCH, "bank-1"), (ZONE, "zone-1"))
        for name in PlanPart
    ]
    body: dict[str, Any] = {"zone": "manzhouli", "topic": "trade_finance", "question": "可否？", "asked_by": "zone-1"}
    asked = said("advice.question_asked.v1", ZONE, after(0), id=unique("e"), key=question, **body)
    put(servers, *signs[:3])
    put(servers, *parts, *signs[3:], asked)

    wait_until(lambda: "plan.signed_off.v1" in told(servers, plan), WITHIN_S, "the plan is signed off")
    assert sorted(told(servers, plan)) == sorted(
        ["plan.part_recorded.v1"] * 3 + ["plan.sign_off_recorded.v1"] * 6 + ["plan.signed_off.v1"]
    )
    wait_until(lambda: "advice.escalated.v1" in told(servers, question), WITHIN_S, "the question is escalated")
    assert told(servers, question) == ["advice.routed.v1", "advice.reminded.v1", "advice.escalated.v1"]

    settings = Settings(bootstrap_servers=servers, data_dir=data)
    report = asyncio.run(rebuild(build("cooperation"), settings, load_catalogue()))
    assert report.differences.total == 0, report.differences
    assert report.rows["cooperation_plan"] >= 1
    assert report.rows["cooperation_advice"] >= 1


def test_partners_answer_or_stay_silent_a_wish_finds_its_zone_and_bulletins_their_enterprise(
    servers: str, data: Path
) -> None:
    case, silent, wish = unique("CASE"), unique("CASE"), unique("WISH")
    now = datetime.now(UTC)
    put(servers, *partners.FUNDS, bulletins.bulletin(unique("B"), valid_from="2020-03-01", at=partners.after(-20)))
    put(servers, matchmaking.profile("manzhouli"))
    guaranteed = partners.referral("bank_guarantee")
    for key, at in ((case, now), (silent, partners.SHORTLISTED)):
        put(servers, under(key, partners.registered(guaranteed)), under(key, partners.shortlisted(at)))
    put(servers, under(wish, matchmaking.submitted(now, wish_id=wish)))

    asked = ["cooperation.mode_proposed.v1", "cooperation.partner_invited.v1"]
    wait_until(lambda: asked[-1] in told(servers, case), WITHIN_S, "a partner is invited")
    put(servers, under(case, partners.takes("near-fund", "80.00", now)))
    wait_until(lambda: "consortium.complete.v1" in told(servers, case), WITHIN_S, "the shares add up")
    noted = ["cooperation.case_noted.v1", "cooperation.consent_noted.v1"]
    assert told(servers, case) == [*noted, *asked, "cooperation.partner_joined.v1", "consortium.complete.v1"]

    wait_until(lambda: "consortium.short.v1" in told(servers, silent), WITHIN_S, "nobody is left to ask")
    assert told(servers, silent).count("cooperation.partner_silent.v1") == 2
    wait_until(lambda: "matchmaking.matched.v1" in told(servers, wish), WITHIN_S, "the wish finds its zone")
    enterprise = "91330100799655058B"
    wait_until(
        lambda: "bulletin.matched.v1" in told(servers, enterprise), WITHIN_S, "the bulletin finds its enterprise"
    )
    assert told(servers, enterprise).count("bulletin.matched.v1") == 1

    report = asyncio.run(
        rebuild(build("cooperation"), Settings(bootstrap_servers=servers, data_dir=data), load_catalogue())
    )
    assert report.differences.total == 0, report.differences
    assert report.rows["cooperation_consortium"] >= 2
    assert report.rows["cooperation_enterprise"] == 1


def under(key: str, event: Event[Any]) -> Event[Any]:
    """The event under another key, and with an id of its own."""
    names = {"referral_id": key} if hasattr(event.data, "referral_id") else {}
    payload = event.data.model_copy(update=names)
    return Event(unique("e"), event.source, event.type, event.time, key, payload, key)
