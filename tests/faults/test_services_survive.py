"""All deciding services are killed and paused in the middle of thousands of cases, and what they leave does not tell.

One run is left in peace; what it comes to is held against what the scenario says must come of it. Every other run is
held against that one: event for event, mail for mail, row for row. `KOUAN_TEST_REFERRALS` gives the scenario's size:
`make faults` takes 5,000 referrals, which are 140,000 events.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.mistakes import mistakes
from tests.support.outcome import Outcome, differences, read_outcome
from tests.support.postgres import fresh_database
from tests.support.scenario import Scenario, build_scenario
from tests.support.system import (
    ALL_SERVICES,
    STILL_SECONDS,
    Stillness,
    System,
    publish,
    publishing,
    running_system,
    wait_until,
)

REFERRALS = int(os.environ.get("KOUAN_TEST_REFERRALS", "400"))

pytestmark = [pytest.mark.broker, pytest.mark.timeout(900 + REFERRALS // 2)]

KILLED_AT = (0.3, 0.7)
"""Each service is killed when it has read these shares of its records."""
SESSION_MS = 6000


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was left in peace: what it came to, and how many records each service had to read."""

    outcome: Outcome
    records: dict[str, int]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(REFERRALS)


@pytest.fixture(scope="module")
def undisturbed(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory, say: Any) -> Run:
    with running_system(tmp_path_factory.mktemp("undisturbed"), directory=scenario.directory) as system:
        started = time.monotonic()
        publish(system, scenario)
        system.settle()
        outcome = outcome_of(system)
        say("undisturbed", outcome, started)
        return Run(outcome, {name: system.progress(name) for name in ALL_SERVICES})


@pytest.fixture(scope="module")
def say(request: pytest.FixtureRequest) -> Any:
    """Prints the figures of a run, past the capture of output."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def figures(name: str, outcome: Outcome, started: float, **more: int) -> None:
        repeats = sum(outcome.repeats.values())
        told = ", ".join(f"{number} {what}" for what, number in more.items())
        with capture.global_and_fixture_disabled():
            print(  # noqa: T201 - figures are what this test is read for
                f"\n{name}: {REFERRALS} referrals, {outcome.number} events, {repeats} repeats absorbed, "
                f"{len(outcome.mails)} mails ({outcome.mails_repeated} repeated), {time.monotonic() - started:.0f} s"
                f"{', ' if told else ''}{told}"
            )

    return figures


def outcome_of(system: System) -> Outcome:
    return read_outcome(system.bootstrap_servers, system.databases, system.mails)


def assert_same(outcome: Outcome, undisturbed: Outcome) -> None:
    found = differences(outcome, undisturbed)
    assert not found, "\n".join(found[:40])


def kill_each_in_turn(system: System, undisturbed: Run, shares: tuple[float, ...], seed: int = 1) -> int:
    """Kill one worker of each service whenever the service has read the next share of its records; start it again."""
    chance = random.Random(seed)
    due = {name: list(shares) for name in ALL_SERVICES}
    killed = 0
    stillness = Stillness()
    while any(due.values()):
        read = {name: system.progress(name) for name, left in due.items() if left}
        assert stillness.lasts(read) < STILL_SECONDS, f"these stand still: {read}, to be killed at {due}"
        for name, records in read.items():
            if records >= due[name][0] * undisturbed.records[name]:
                due[name].pop(0)
                victim = chance.choice(system.workers_of(name))
                victim.kill()
                victim.start()
                killed += 1
        time.sleep(0.02)
    return killed


# What the undisturbed run comes to


def test_the_undisturbed_run_comes_to_what_the_scenario_says(scenario: Scenario, undisturbed: Run) -> None:
    found = mistakes(scenario, undisturbed.outcome)
    assert not found, "\n".join(found[:40])


def test_each_notice_of_the_undisturbed_run_is_one_mail(undisturbed: Run) -> None:
    events = undisturbed.outcome.events["liaison.events"].values()
    kinds = Counter(one.kind for one in events)
    asked = kinds["notice.queued.v1"] + kinds["notice.partner_queued.v1"]
    assert asked == kinds["notice.delivered.v1"] == len(undisturbed.outcome.mails)
    assert undisturbed.outcome.mails_repeated == 0


# Killed


def test_killing_each_service_in_turn_changes_nothing(
    scenario: Scenario, undisturbed: Run, tmp_path: Path, say: Any
) -> None:
    with running_system(tmp_path, directory=scenario.directory) as system:
        started = time.monotonic()
        with publishing(system, scenario):
            killed = kill_each_in_turn(system, undisturbed, KILLED_AT)
        system.settle()
        outcome = outcome_of(system)
        say("SQLite, killed", outcome, started, kills=killed)
        assert_same(outcome, undisturbed.outcome)


def test_killing_one_of_two_workers_of_each_service_on_postgres_changes_nothing(
    scenario: Scenario, undisturbed: Run, tmp_path: Path, postgres_url: str, say: Any
) -> None:
    with (
        fresh_database(postgres_url) as url,
        running_system(
            tmp_path, directory=scenario.directory, database_url=url, workers=2, session_timeout_ms=SESSION_MS
        ) as system,
    ):
        started = time.monotonic()
        with publishing(system, scenario):
            killed = kill_each_in_turn(system, undisturbed, KILLED_AT)
        system.settle()
        outcome = outcome_of(system)
        say("PostgreSQL, killed", outcome, started, kills=killed)
        assert_same(outcome, undisturbed.outcome)


# Paused


def test_a_worker_that_slept_longer_than_its_session_changes_nothing_when_it_wakes(
    scenario: Scenario, undisturbed: Run, tmp_path: Path, postgres_url: str, say: Any
) -> None:
    with (
        fresh_database(postgres_url) as url,
        running_system(
            tmp_path, directory=scenario.directory, database_url=url, workers=2, session_timeout_ms=SESSION_MS
        ) as system,
    ):
        started = time.monotonic()
        with publishing(system, scenario):
            for name in ALL_SERVICES:
                pause_at_work(system, name, undisturbed.records[name] * 3 // 10)
            for name in ALL_SERVICES:
                wait_until(lambda name=name: taken_over(system, name), 120, f"the other worker of {name} takes over")
            for name in ALL_SERVICES:
                system.workers_of(name)[0].resume()
        system.settle()
        fenced = sum(int(one.figure("kouan_fenced_total") or 0) for one in system.workers)
        outcome = outcome_of(system)
        say("PostgreSQL, paused", outcome, started, fenced=fenced)
        assert_same(outcome, undisturbed.outcome)


def pause_at_work(system: System, service: str, records: int) -> None:
    """Stop the first worker of a service while its own tasks have records before them."""
    stillness = Stillness()
    while (read := system.progress(service)) < records:
        assert stillness.lasts(read) < STILL_SECONDS, f"{service} stands still at {read} of {records} records"
        time.sleep(0.02)
    system.epochs_before[service] = system.databases.epochs(service)
    system.workers_of(service)[0].pause()


def taken_over(system: System, service: str) -> bool:
    """Whether every task of a service was claimed anew since a worker of it was paused."""
    before, now = system.epochs_before[service], system.databases.epochs(service)
    return all(now[task] > epoch for task, epoch in before.items())


# Broken on purpose

FEW_REFERRALS = 200
BROKEN = {"screening": ("-m", "tests.support.broken_service", "screening")}


def run_on(kit: str, fault: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is wrong in the end where screening runs on a kit, is struck by a fault, and runs again."""
    scenario = build_scenario(FEW_REFERRALS)
    monkeypatch.setenv("LEDGER_KIT", kit)
    monkeypatch.setenv("LEDGER_FAULT", fault)
    with running_system(folder, scenario.directory, commands=BROKEN, batch_size=50) as system:
        screening = system.workers["screening-0"]
        publish(system, scenario)
        if fault != "none":
            wait_until(lambda: not screening.alive, 60, f"{fault} strikes screening")
            monkeypatch.setenv("LEDGER_FAULT", "none")
            screening.start()
        found = []
        try:
            system.settle(60)
        except AssertionError as unsettled:
            found.append(str(unsettled))
        return found + mistakes(scenario, outcome_of(system))


@pytest.mark.thorough
@pytest.mark.parametrize("fault", ["none", "kill-after-positions:4"])
def test_screening_on_the_sound_kit_passes_the_faults_that_catch_broken_ones(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_on("sound", fault, tmp_path, monkeypatch)
    assert not found, "\n".join(found[:40])


@pytest.mark.parametrize(
    ("kit", "fault", "held_against_it"),
    [
        ("offset-first", "kill-after-positions:4", "screening of .*, asked for was"),
        ("inbox-forgotten", "none", "stands twice with different content"),
    ],
)
def test_screening_on_a_broken_kit_is_caught(
    kit: str, fault: str, held_against_it: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_on(kit, fault, tmp_path, monkeypatch)
    assert re.search(held_against_it, "\n".join(found)), found
