"""Workers are killed and put to sleep at random moments under load, and nobody can tell from what is left."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.embedded.processes import Process
from tests.support.history import Publisher, Watch
from tests.support.ledger.running import SESSION_MS, RunningLedger, running_ledger, seed

pytestmark = pytest.mark.broker

ACCOUNTS = 200
ENTRIES = 4000
LETTER_EVERY = 200
REPEAT_EVERY = 25
POISON_EVERY = 500


@pytest.fixture
def dice() -> random.Random:
    number = seed()
    print(f"KOUAN_TEST_SEED={number}")  # noqa: T201
    return random.Random(number)


@contextmanager
def load(ledger: RunningLedger, dice: random.Random, seconds: float) -> Iterator[None]:
    """Publish beside the test, over some seconds; entries may come before their accounts. Ends acknowledged."""
    publisher = ledger.history.publisher()
    thread = threading.Thread(target=_publish, args=(ledger, publisher, random.Random(dice.random()), seconds))
    thread.start()
    try:
        yield
    finally:
        thread.join()
        publisher.flush(60)


def _publish(ledger: RunningLedger, publisher: Publisher, dice: random.Random, seconds: float) -> None:
    accounts = [f"a{number}" for number in range(ACCOUNTS)]
    opens_at = {account: dice.randrange(ENTRIES // 2) for account in accounts}
    waiting = sorted(accounts, key=opens_at.__getitem__)
    began = time.monotonic()
    for number in range(ENTRIES):
        while waiting and opens_at[waiting[0]] <= number:
            account = waiting.pop(0)
            publisher.event(ledger.topic("accounts"), "ledger.account_requested.v1", account, {"name": f"of {account}"})
        body = {"amount": dice.randrange(500), "letter": number % LETTER_EVERY == 0}
        one = publisher.event(ledger.topic("entries"), "ledger.entry_made.v1", dice.choice(accounts), body)
        if number % REPEAT_EVERY == 0:
            publisher.again(one)
        if number % POISON_EVERY == 0:
            account = dice.choice(accounts)
            publisher.record(
                ledger.topic("entries"), account.encode(), b"\xff\x00 no event", poison="missing-attribute"
            )
        ahead = began + seconds * number / ENTRIES - time.monotonic()
        if ahead > 0.02:
            time.sleep(ahead)


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
