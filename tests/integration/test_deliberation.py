"""Joint screening as a worker on a real broker: a checker, a conference, silence, a repaired referral, and a rebuild
from the record topic that finds the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.loading import load_contracts
from services.cli.case import read_steps
from services.embedded.processes import worker, worker_environment
from services.kit.rebuild import rebuild
from services.kit.settings import Settings
from services.registry import build
from tests.support.brokers import unique
from tests.support.events import put
from tests.support.system import wait_until
from tests.unit.screening import builders as told
from tests.unit.screening.builders import BANK, COMMERCE, EXIM, MOFCOM
from topics.definition import load_catalogue

pytestmark = pytest.mark.broker

WITHIN_S = 60.0
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
LONG_AGO = told.OPENED


@pytest.fixture(scope="module")
def servers(own_cluster: str) -> str:
    """The broker with the catalogue's topics."""
    return own_cluster


@pytest.fixture(scope="module")
def data(servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a running worker's database."""
    folder = tmp_path_factory.mktemp("screening")
    environment = worker_environment(servers, folder / "data", log_level="WARNING")
    with worker("screening", environment, folder / "logs") as running:
        running.wait_ready()
        yield folder / "data"


def of(case: str, event: Event[Any]) -> Event[Any]:
    """The same event about another case."""
    body = event.data
    if "referral_id" in type(body).model_fields:
        body = body.model_copy(update={"referral_id": case})
    return Event(unique("e"), event.source, event.type, event.time, case, body, case)


def said(servers: str, case: str) -> list[str]:
    """What screening says of a case, in order, without context and version."""
    load_contracts()
    steps = read_steps(case, load_catalogue(), servers)
    return [step.type.split(".")[1] for step in steps if step.topic == "screening.events"]


def come_to(servers: str, case: str, kind: str) -> list[str]:
    wait_until(lambda: kind in said(servers, case), WITHIN_S, f"{case} is {kind}")
    return said(servers, case)


def test_a_draft_is_confirmed_the_headquarters_confer_and_silence_takes_its_course(servers: str, data: Path) -> None:
    disputed, silent = unique("HQS"), unique("MUTE")
    draft = of(disputed, told.drafted(COMMERCE, NOW))
    confirmed = of(disputed, told.confirmed(draft, NOW))
    # All that commerce says is read before the bank's opinion, and its headquarters' outcome waits for the conference.
    put(servers, of(disputed, told.registered(at=NOW)), draft, confirmed, of(disputed, told.outcome(MOFCOM, NOW)))
    put(servers, of(disputed, told.opposes(BANK, NOW)), of(disputed, told.outcome(EXIM, NOW)))
    put(servers, of(silent, told.registered(at=LONG_AGO)))
    assert come_to(servers, disputed, "shortlisted")[-4:] == [
        "conference_called",
        "conference_outcome_recorded",
        "conference_outcome_recorded",
        "shortlisted",
    ]
    assert come_to(servers, silent, "expired") == ["opened", "scored", "reminded", "escalated", "expired"]


def test_a_repaired_referral_takes_over_what_was_agreed_and_the_database_can_be_rebuilt(
    servers: str, data: Path
) -> None:
    old, new = unique("OLD"), unique("NEW")
    opinions = (told.supports(COMMERCE, told.after(1)), told.opposes(BANK, told.after(2)))
    put(servers, *(of(old, one) for one in opinions), of(old, told.registered(at=LONG_AGO)))
    assert come_to(servers, old, "declined")[-2:] == ["conference_called", "declined"]
    put(servers, of(new, told.registered(told.referral(repairs=old), at=NOW)))
    come_to(servers, new, "precedent_weighed")
    put(servers, of(new, told.supports(BANK, NOW)))
    kinds = come_to(servers, new, "shortlisted")
    assert kinds == ["opened", "scored", "opinion_recorded", "precedent_weighed", "opinion_recorded", "shortlisted"]

    settings = Settings(bootstrap_servers=servers, data_dir=data)
    report = asyncio.run(rebuild(build("screening"), settings, load_catalogue()))
    assert report.differences.total == 0, report.differences
    assert report.rows["screening_case"] >= 2
