"""Workers are killed and put to sleep at random moments under load, and nobody can tell from what is left."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from services.embedded.processes import Process
from tests.support.history import Watch
from tests.support.ledger.load import load
from tests.support.ledger.running import SESSION_MS, running_ledger

pytestmark = pytest.mark.broker


def kill_now_and_then(workers: list[Process], dice: random.Random, times: int) -> None:
    """Kill one worker after the other at a random moment, half of the times soon after it began, and start it again."""
    for number in range(times):
        worker = workers[number % len(workers)]
        moment = time.monotonic() + dice.uniform(0.05, 1.5)
        if number % 2:
            worker.wait_ready()
        while time.monotonic() < moment:
            time.sleep(0.01)
        worker.kill()
        worker.start()


def test_a_worker_on_sqlite_is_killed_again_and_again(kafka: str, tmp_path: Path, dice: random.Random) -> None:
    with running_ledger(kafka, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker = ledger.worker().start().wait_ready()
        with load(ledger, dice, seconds=10):
            kill_now_and_then([worker], dice, times=6)
        ledger.must_be_right(90)

        assert watch.fell == []


@pytest.mark.postgres
def test_two_workers_on_postgresql_are_killed_in_turn(
    kafka: str, tmp_path: Path, postgres_database: str, dice: random.Random
) -> None:
    with running_ledger(kafka, tmp_path, postgres_database) as ledger, Watch(ledger.history.database) as watch:
        workers = [ledger.worker(label).start() for label in "ab"]
        for worker in workers:
            worker.wait_ready()
        with load(ledger, dice, seconds=10):
            kill_now_and_then(workers, dice, times=5)
        ledger.must_be_right(90)

        assert watch.fell == []


@pytest.mark.postgres
def test_a_worker_that_slept_longer_than_its_session_does_no_harm_when_it_wakes_up(
    kafka: str, tmp_path: Path, postgres_database: str, dice: random.Random
) -> None:
    with running_ledger(kafka, tmp_path, postgres_database) as ledger, Watch(ledger.history.database) as watch:
        sleeper, other = (ledger.worker(label).start() for label in ("sleeper", "other"))
        for worker in (sleeper, other):
            worker.wait_ready()
        with load(ledger, dice, seconds=14):
            time.sleep(dice.uniform(0.5, 2.0))
            sleeper.pause()
            time.sleep(SESSION_MS / 1000 + 3)
            sleeper.resume()
        sleeper.check_alive()
        ledger.must_be_right(90)

        assert watch.fell == []
