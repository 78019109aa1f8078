"""Intake and joint screening as workers on a real broker: what happens where sides, topics or days cross."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from schemas.consent import CONSENT_EXAMPLE
from schemas.envelope import Event, payload_class
from schemas.loading import load_contracts
from schemas.policy import digest_of
from schemas.reference import CHINA_TIME, china_date
from schemas.referral import REFERRAL_EXAMPLE
from schemas.values import credit_check_character
from services.cli import app
from services.cli.case import read_steps
from services.client.rows import check_rows, read_rows
from services.embedded.processes import Workers, worker, worker_environment
from services.screening.policy import POLICIES
from tests.support.events import put, record_of
from tests.support.records import Topics
from tests.support.scenario import DIRECTORY
from tests.support.sending import WITHIN_S, send
from tests.support.system import empty_cluster, wait_until
from topics.acl import rights, user_of_source
from topics.definition import load_catalogue

pytestmark = pytest.mark.broker

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
NEW_DAY = china_date(NOW) - timedelta(days=1)
NEW_VERSION = "new-version"
COMMERCE, BANK, MOFCOM, EXIM = "//commerce/15", "//bank/exim-nmg", "//commerce/mofcom", "//bank/exim"
SERVICES = ("referral_intake", "screening")
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class System:
    """Where the workers read and write."""

    servers: str
    data: Path


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Both workers on a broker of their own, with the directory and a policy that both headquarters agreed on."""
    load_contracts()
    folder = tmp_path_factory.mktemp("joint")
    checked = check_rows(read_rows(DIRECTORY))
    with empty_cluster(folder / "broker") as servers:
        records = [(record.topic, record.value, record.key, list(record.headers)) for _, record in checked.prepared]
        send(servers, *records, *(record_of(event, load_catalogue()) for event in agreement()))
        environment = worker_environment(servers, folder / "data", log_level="WARNING")
        with Workers([worker(name, environment, folder / "logs") for name in SERVICES]) as workers:
            workers.wait_ready()
            yield System(servers, folder / "data")


def agreement() -> tuple[Event[Any], Event[Any]]:
    """A version that both headquarters agreed on three days ago and that applies from yesterday."""
    text = yaml.safe_load((POLICIES / "2024-07-01.yaml").read_bytes())
    body = yaml.safe_dump(text | {"version": NEW_VERSION, "effective_from": NEW_DAY}, allow_unicode=True)
    digest, at = digest_of(body), NOW - timedelta(days=3)
    said = {"policy_version": NEW_VERSION, "digest": digest}
    proposal = {**said, "text": body, "effective_from": NEW_DAY, "proposed_by": "hq-commerce"}
    return (
        event("policy.proposed.v1", MOFCOM, NEW_VERSION, at, **proposal),
        event("policy.confirmed.v1", EXIM, NEW_VERSION, at, **said, confirmed_by="hq-bank"),
    )


# --- what parties say -------------------------------------------------------------------------------------------------


def event(kind: str, source: str, key: str, at: datetime = NOW, **body: Any) -> Event[Any]:
    """An event as its publisher makes it."""
    cls = payload_class(kind)
    assert cls is not None
    return Event(f"e-{next(_numbers)}", source, kind, at, key, cls.model_validate(body), key)


def case_id(name: str) -> str:
    return f"NMG-{name}-{next(_numbers)}"


def referral(**changes: Any) -> dict[str, Any]:
    """A sound referral of an enterprise of its own."""
    first = f"91150781MA{next(_numbers):07d}"
    enterprise = {"credit_code": first + credit_check_character(first), "name": f"示例企业{first[-4:]}"}
    example: Any = REFERRAL_EXAMPLE
    return {**example, "name": enterprise["name"], "enterprise": {**example["enterprise"], **enterprise}, **changes}


def submitted(case: str, body: dict[str, Any] | None = None, at: datetime = NOW) -> Event[Any]:
    consent: Any = {**CONSENT_EXAMPLE, "given_on": date(2020, 4, 1)}
    return event("referral.submitted.v1", COMMERCE, case, at, referral=body or referral(), consent=consent)


def amended(case: str, body: dict[str, Any], at: datetime = NOW) -> Event[Any]:
    return event("referral.amendment_submitted.v1", COMMERCE, case, at, referral=body, reason="企业调整了融资金额。")


def withdrawn(case: str) -> Event[Any]:
    body = {"code": "financed_elsewhere", "reason": "企业已从其他银行获得贷款。"}
    return event("referral.withdrawal_submitted.v1", COMMERCE, case, NOW + timedelta(minutes=30), **body)


def supports(case: str, source: str, minutes: float = 5) -> Event[Any]:
    persons = {"given_by": "clerk-1", "checked_by": "clerk-2"}
    at = NOW + timedelta(minutes=minutes)
    return event("opinion.given.v1", source, case, at, referral_id=case, verdict="support", **persons)


def publish(system: System, *events: Event[Any]) -> None:
    put(system.servers, *events)


# --- what the services say --------------------------------------------------------------------------------------------


def said(system: System, case: str, topic: str = "screening.events") -> list[tuple[str, Any]]:
    """What stands on a topic of a case, in order, as (kind, payload)."""
    steps = [step for step in read_steps(case, load_catalogue(), system.servers) if step.topic == topic]
    return [(step.type.split(".")[1], step.event.data) for step in steps if step.event is not None]


def kinds(system: System, case: str, topic: str = "screening.events") -> list[str]:
    return [kind for kind, _ in said(system, case, topic)]


def come_to(system: System, case: str, kind: str, topic: str = "screening.events", times: int = 1) -> Any:
    """Wait for an event; its payload."""
    wait_until(lambda: kinds(system, case, topic).count(kind) >= times, WITHIN_S, f"{case} is {kind}")
    return [payload for name, payload in said(system, case, topic) if name == kind][-1]


# --- tests ------------------------------------------------------------------------------------------------------------


def test_two_opinions_of_one_instant_from_two_processes_are_both_recorded_and_decide_once(system: System) -> None:
    case = case_id("SAME")
    publish(system, submitted(case))
    come_to(system, case, "scored")
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        opinions = [record_of(supports(case, source), load_catalogue()) for source in (COMMERCE, BANK)]
        for sent in [processes.submit(send, system.servers, one) for one in opinions]:
            sent.result(WITHIN_S)
    shortlisted = come_to(system, case, "shortlisted")
    assert kinds(system, case) == ["opened", "scored", "opinion_recorded", "opinion_recorded", "shortlisted"]
    # Decided at the instant of both, whichever was read first.
    assert shortlisted.decided_at == NOW + timedelta(minutes=5)


def test_opinions_of_a_case_that_is_not_registered_yet_wait_for_it(system: System) -> None:
    early, other = case_id("EARLY"), case_id("OTHER")
    publish(system, supports(early, COMMERCE), supports(early, BANK))
    publish(system, submitted(other), supports(other, COMMERCE), supports(other, BANK))
    come_to(system, other, "shortlisted")
    assert kinds(system, early) == []
    publish(system, submitted(early))
    come_to(system, early, "shortlisted")
    assert sorted(kinds(system, early)) == sorted(kinds(system, other))
    assert kinds(system, early, "screening.dead-letters") == []


def test_an_amendment_during_screening_is_scored_anew_and_opinions_given_stand(system: System) -> None:
    case, body = case_id("AMEND"), referral()
    publish(system, submitted(case, body), supports(case, COMMERCE))
    come_to(system, case, "opinion_recorded")
    publish(system, amended(case, {**body, "term_months": 24}, NOW + timedelta(minutes=6)))
    assert come_to(system, case, "scored", times=2).revision == 2
    publish(system, supports(case, BANK, minutes=9))
    assert come_to(system, case, "shortlisted").revision == 2
    assert kinds(system, case) == [
        "opened",
        "scored",
        "opinion_recorded",
        "scored",
        "opinion_recorded",
        "shortlisted",
    ]


def test_a_withdrawal_after_shortlisting_ends_the_case_and_nothing_follows_but_refusals(system: System) -> None:
    case = case_id("BACK")
    publish(system, submitted(case), supports(case, COMMERCE), supports(case, BANK))
    come_to(system, case, "shortlisted")
    publish(system, withdrawn(case))
    come_to(system, case, "withdrawn")
    assert kinds(system, case, "referral.events") == ["registered", "withdrawn"]

    publish(system, withdrawn(case), supports(case, BANK, minutes=40))
    assert come_to(system, case, "refused", "referral.events").code == "withdrawn_before"
    assert come_to(system, case, "refused").code == "second_opinion"
    assert kinds(system, case)[-3:] == ["shortlisted", "withdrawn", "refused"]


def test_each_referral_of_a_batch_is_scored_by_the_version_of_its_own_day(system: System) -> None:
    midnight = datetime.combine(NEW_DAY, time(), CHINA_TIME)
    times = [midnight + timedelta(seconds=second) for second in (-1, 0, -2, 1, -3600, 3600, -1, 0)]
    bodies = [referral() for _ in times]
    batch = [case_id("BATCH") for _ in times]
    publish(system, *(submitted(*one) for one in zip(batch, bodies, times, strict=True)))
    for case, at in zip(batch, times, strict=True):
        version = come_to(system, case, "scored").policy_version
        assert version == (NEW_VERSION if at >= midnight else "2024-07-01"), (case, at)
    # What was scored by the old version is scored by the new one when it is amended on the new day.
    publish(system, amended(batch[0], {**bodies[0], "term_months": 24}, midnight + timedelta(hours=9)))
    assert come_to(system, batch[0], "scored", times=2).policy_version == NEW_VERSION


def test_the_other_side_can_read_nothing_of_an_enterprise_before_it_consented(system: System) -> None:
    cases, bodies = (case_id("WAITS"), case_id("AGREES")), (referral(), referral())
    consent: Any = {**CONSENT_EXAMPLE, "scopes": ["commerce"], "given_on": date(2020, 4, 1)}
    for case, body in zip(cases, bodies, strict=True):
        publish(system, event("referral.submitted.v1", COMMERCE, case, referral=body, consent=consent))
    for case in cases:
        come_to(system, case, "consent_awaited", "referral.events")
    codes = [body["enterprise"]["credit_code"] for body in bodies]
    assert [code for code in codes if code in readable_by_the_bank(system)] == []

    given = {"scopes": ["bank"], "given_on": date(2020, 4, 2), "evidence": "SQ-2"}
    publish(system, event("referral.consent_given.v1", COMMERCE, cases[1], NOW + timedelta(minutes=5), **given))
    come_to(system, cases[1], "scored")
    # The other one still waits, and is in what the next test rebuilds.
    assert [code for code in codes if code in readable_by_the_bank(system)] == codes[1:]


def readable_by_the_bank(system: System) -> str:
    """All that stands on topics which the catalogue's access rights let the bank's systems read."""
    users = {user_of_source(source) for source in (EXIM, "//bank/")}
    topics = {one.name for one in rights(load_catalogue()) if one.user in users and one.operation == "Read"}
    known = topics & load_catalogue().topics.keys()
    records = Topics(system.servers).read(sorted(known))
    return "\n".join((one.value or b"").decode() for stored in records.values() for one in stored)


@pytest.mark.parametrize("service", SERVICES)
def test_a_replay_of_the_topics_gives_the_same_states(system: System, service: str) -> None:
    environment = {"KOUAN_DATA_DIR": str(system.data)}
    result = CliRunner().invoke(app, ["rebuild", service, "-b", system.servers], env=environment)
    assert result.exit_code == 0, result.stdout + result.stderr
    assert "一致" in result.stdout
