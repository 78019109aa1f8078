"""`kouan policy` reads what is on record on a real broker, and its shadow only looks on."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from schemas.codec import to_binary
from schemas.envelope import Event
from schemas.reference import CHINA_TIME
from services.cli import app
from services.cli.terminal import Exit
from services.screening.policy import POLICIES, load_policies
from tests.support.brokers import interruptible, unique
from tests.unit.screening import builders as told
from tests.unit.screening.recorded import DRAFT, amended, registered, scored, with_draft

pytestmark = pytest.mark.broker

DAY = datetime(2187, 4, 2, 9, 30, tzinfo=CHINA_TIME)
"""A day of which no other test tells anything."""

_ANSWER_WITHIN_S = 60


@pytest.fixture(scope="module")
def servers(kafka: str) -> str:
    """The broker with the catalogue's topics."""
    assert CliRunner().invoke(app, ["topics", "apply", "-b", kafka]).exit_code == 0
    return kafka


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped versions and a draft that favours private enterprises more and knows no limit of terms."""
    return with_draft(tmp_path_factory.mktemp("policies"), private_enterprise=50)


@pytest.fixture(scope="module")
def case(servers: str) -> str:
    """A referral on record: registered, scored, amended so that it was stopped, and scored again."""
    id = unique("POLICY")
    first = registered(id, told.referral(), DAY)
    second = amended(id, told.referral(term_months=72), 2, DAY + timedelta(days=1))
    policies = load_policies()
    put(servers, "referral.events", first, second)
    put(servers, "screening.events", scored(policies, first), scored(policies, second))
    return id


def put(servers: str, topic: str, *events: Event[Any]) -> None:
    with closing(KafkaProducer(bootstrap_servers=servers.split(","))) as producer:
        for event in events:
            key, value, headers = to_binary(event)
            producer.send(topic, key=key, value=value, headers=headers).get(timeout=_ANSWER_WITHIN_S)


def policy(servers: str, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["policy", *map(str, arguments), "-b", servers, "--json"])


def test_a_score_is_explained_from_the_topics(servers: str, case: str, folder: Path) -> None:
    result = policy(servers, "explain", case, "--policy", DRAFT, "--folder", folder)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["revision"], found["score"], found["points"], found["scored_anew"]) == (2, 75, 75, True)
    assert (found["hard_stops"], found["compared"]["hard_stops"]) == (["working_capital_term_too_long"], [])
    assert found["compared"]["difference"] == 30


def test_a_simulation_replays_the_referrals_of_its_days_from_the_topics(servers: str, case: str, folder: Path) -> None:
    days = ("--from", "2187-04-01", "--to", "2187-04-30")
    result = policy(servers, "simulate", DRAFT, *days, "--folder", folder)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["referrals"], found["no_longer_stopped"], found["unlike_record"]) == (1, 1, 0)
    assert [(one["referral_id"], one["revision"]) for one in found["changed"]] == [(case, 2)]


@pytest.fixture
def shadow(servers: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A shadow that has begun to wait for referrals."""
    arguments = ["policy", "shadow", DRAFT, "--json", "--folder", str(folder), "-b", servers]
    with subprocess.Popen(
        interruptible(sys.executable, "-u", "-m", "services.cli", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            assert process.stderr is not None
            assert "waiting" in line_of(process.stderr)
            yield process
        finally:
            process.kill()


def line_of(stream: Any) -> str:
    """The next line of a process, or the failure of the test when none comes in time."""
    ready, _, _ = select.select([stream], [], [], _ANSWER_WITHIN_S)
    assert ready, "the process said nothing in time"
    return str(stream.readline(), "utf-8")


def test_a_shadow_scores_what_comes_beside_the_active_version_until_it_is_ended(
    servers: str, shadow: subprocess.Popen[bytes]
) -> None:
    id = unique("SHADOW")
    put(servers, "referral.events", registered(id, told.referral(), DAY.replace(year=2188)))
    found = json.loads(line_of(shadow.stdout))
    assert (found["referral_id"], found["changed"]) == (id, True)
    assert (found["active"]["policy"], found["active"]["score"]) == ("2024-07-01", 45)
    assert (found["shadow"]["policy"], found["shadow"]["score"]) == (DRAFT, 75)
    shadow.send_signal(signal.SIGINT)
    _, errors = shadow.communicate(timeout=_ANSWER_WITHIN_S)
    assert shadow.returncode == 0
    assert "1 件有变" in errors.decode()


def test_a_shadow_can_be_named_by_the_environment(servers: str, folder: Path) -> None:
    arguments = ["policy", "shadow", "--folder", str(folder), "-b", servers]
    result = CliRunner().invoke(app, arguments, env={"KOUAN_SCREENING_SHADOW_POLICY": "2050"})
    assert result.exit_code == Exit.USAGE
    assert DRAFT in result.stderr


# --- agreed on over the topics ----------------------------------------------------------------------------------------


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """A version of a name of its own, effective so late that no other test meets it."""
    version = unique("v")
    text = yaml.safe_load((POLICIES / "2024-07-01.yaml").read_bytes())
    text |= {"version": version, "effective_from": date(2196, 1, 1)}
    file = tmp_path / f"{version}.yaml"
    file.write_text(yaml.safe_dump(text, allow_unicode=True), "utf-8")
    return file


def agree(servers: str, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["policy", *map(str, arguments), "-b", servers])


def standing(servers: str, version: str) -> dict[str, Any]:
    found = json.loads(policy(servers, "status", version).stdout)
    (text,) = found["texts"]
    assert isinstance(text, dict)
    return text


def test_a_version_is_proposed_by_one_headquarters_and_confirmed_by_the_other(servers: str, draft: Path) -> None:
    version = draft.stem
    proposed = agree(servers, "propose", draft, "--side", "commerce", "--by", "mofcom-01")
    assert proposed.exit_code == 0, proposed.stderr
    waiting = standing(servers, version)
    assert (waiting["standing"], waiting["sides"]) == ("proposed", ["commerce"])

    own = agree(servers, "confirm", version, "--digest", waiting["digest"], "--side", "commerce", "--by", "mofcom-01")
    assert (own.exit_code, "other headquarters" in own.stderr) == (Exit.CONFLICT, True)
    other = agree(servers, "confirm", version, "--digest", "0" * 64, "--side", "bank", "--by", "exim-01")
    assert other.exit_code == Exit.CONFLICT
    confirmed = agree(servers, "confirm", version, "--digest", waiting["digest"], "--side", "bank", "--by", "exim-01")
    assert confirmed.exit_code == 0, confirmed.stderr
    agreed = standing(servers, version)
    assert (agreed["standing"], agreed["applies_from"]) == ("agreed", "2196-01-01")


def test_a_version_that_was_agreed_on_can_be_simulated_without_its_file(servers: str, case: str, draft: Path) -> None:
    agree(servers, "propose", draft, "--side", "bank", "--by", "exim-01")
    digest = standing(servers, draft.stem)["digest"]
    agree(servers, "confirm", draft.stem, "--digest", digest, "--side", "commerce", "--by", "mofcom-01")
    result = policy(servers, "explain", case, "--policy", draft.stem)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["compared"]["difference"] == 0


def test_a_version_is_not_proposed_twice_nor_under_a_name_that_is_taken(servers: str, draft: Path) -> None:
    assert agree(servers, "propose", draft, "--side", "commerce", "--by", "mofcom-01").exit_code == 0
    again = agree(servers, "propose", draft, "--side", "commerce", "--by", "mofcom-01")
    assert (again.exit_code, "proposed before" in again.stdout) == (0, True)
    draft.write_text(draft.read_text("utf-8").replace("points: 20", "points: 21"), "utf-8")
    assert agree(servers, "propose", draft, "--side", "bank", "--by", "exim-01").exit_code == Exit.CONFLICT


def test_a_file_with_faults_is_not_proposed(servers: str, draft: Path) -> None:
    draft.write_text(draft.read_text("utf-8").replace("ownership == 'private'", "ownership == 'privat'"), "utf-8")
    result = agree(servers, "propose", draft, "--side", "commerce", "--by", "mofcom-01")
    assert result.exit_code == Exit.FAILED
    assert "unknown_code" in result.stderr
