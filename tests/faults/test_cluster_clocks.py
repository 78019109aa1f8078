"""A worker's clock is an hour wrong, and then right again: what depends on the time of day comes late or early by as
much as the clock was wrong, once, and nothing hangs until the hour is over."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.kit.batch import TaskId
from services.kit.clock import Clock
from services.kit.deadlines import Deadlines
from services.kit.task import Task
from services.kit.wiring import wire
from tests.support.history import Watch
from tests.support.ledger import build, catalogue
from tests.support.ledger.load import load
from tests.support.ledger.running import RunningLedger, running_ledger
from tests.support.ledger.skewed import SKEWED, WallClock
from tests.support.ledger.surviving import must_have_survived, must_hold_no_more, started

pytestmark = [pytest.mark.broker, pytest.mark.thorough, pytest.mark.timeout(600)]

HOUR = 3600
DUE_SECONDS = 12
SECONDS = 18
"""How long the load takes; the clock is wrong in the middle of it."""


def open_accounts(ledger: RunningLedger, **due: timedelta) -> None:
    """Accounts, of these names, that are to be closed so long from now; nothing else is sent for them."""
    publisher, now = ledger.history.publisher(), datetime.now(UTC)
    for key, until in due.items():
        body = {"name": f"closes {key}", "close_at": (now + until).isoformat()}
        publisher.event(ledger.topic("accounts"), "ledger.account_requested.v1", key, body)
    publisher.flush()


def ask_for_letters(ledger: RunningLedger, key: str, number: int = 5) -> None:
    """Letters that are written at the second attempt, which is postponed by a second."""
    publisher = ledger.history.publisher()
    for _ in range(number):
        publisher.event(ledger.topic("entries"), "ledger.entry_made.v1", key, {"amount": 13, "letter": True})
    publisher.flush()


def written(ledger: RunningLedger, key: str) -> int:
    """How many letters of an account are written."""
    lines = ledger.letters.read_text().splitlines() if ledger.letters.exists() else []
    return sum(line.startswith(f"{key}-") for line in lines)


def wait_until_written(ledger: RunningLedger, key: str, number: int, seconds: float = 40) -> None:
    """Fail where the letters of an account take longer."""
    end = time.monotonic() + seconds
    while (now := written(ledger, key)) < number:
        assert time.monotonic() < end, f"{now} of {number} letters are written after {seconds:g} s\n{ledger.logs()}"
        time.sleep(0.1)


def wait_until_closed(ledger: RunningLedger, expected: set[str], seconds: float = 40) -> None:
    """Fail where others than these accounts are closed, or it takes longer."""
    end = time.monotonic() + seconds
    while (now := closed(ledger)) != expected:
        assert now < expected, f"{now - expected} should not be closed yet"
        assert time.monotonic() < end, f"{expected - now} not closed after {seconds:g} s\n{ledger.logs()}"
        time.sleep(0.1)


def closed(ledger: RunningLedger) -> set[str]:
    """The accounts that are closed."""
    return {key for (key,) in ledger.history.database.query("SELECT key FROM ledger_account WHERE closed")}


@pytest.mark.parametrize(
    ("ahead", "closed_meanwhile", "closed_at_last"),
    [(HOUR, {"soon", "within_the_hour"}, {"soon", "within_the_hour"}), (-HOUR, set(), {"soon"})],
    ids=["ahead", "behind"],
)
def test_a_clock_is_an_hour_wrong_for_a_while(
    kafka: str,
    tmp_path: Path,
    dice: random.Random,
    ahead: int,
    closed_meanwhile: set[str],
    closed_at_last: set[str],
) -> None:
    clock = WallClock(tmp_path / "clock")
    with running_ledger(kafka, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger, "a", SKEWED, **clock.variables)
        soon = time.monotonic() + DUE_SECONDS
        open_accounts(
            ledger,
            soon=timedelta(seconds=DUE_SECONDS),
            within_the_hour=timedelta(minutes=30),
            later=timedelta(hours=2),
            writer=timedelta(hours=3),
        )
        with load(ledger, dice, SECONDS):
            time.sleep(dice.uniform(0.5, 1))
            ask_for_letters(ledger, "writer")
            time.sleep(dice.uniform(0.2, 1))
            clock.set(ahead)
            wait_until_written(ledger, "writer", 5)
            ask_for_letters(ledger, "writer")
            time.sleep(max(0, soon - time.monotonic()) + 2)
            wait_until_closed(ledger, closed_meanwhile)
            ask_for_letters(ledger, "writer")
            # Their second attempts are postponed by a clock that is wrong.
            time.sleep(0.7)
            clock.set(0)
        wait_until_written(ledger, "writer", 15)
        wait_until_closed(ledger, closed_at_last)
        must_have_survived(ledger, worker, before, watch)
        assert closed(ledger) == closed_at_last


@pytest.mark.postgres
def test_one_worker_is_ahead_and_the_other_behind_and_one_is_killed(
    kafka: str, tmp_path: Path, postgres_database: str, dice: random.Random
) -> None:
    """What the one leased or postponed by its clock, the other takes over by its own."""
    fast, slow = WallClock(tmp_path / "fast"), WallClock(tmp_path / "slow")
    fast.set(HOUR)
    slow.set(-HOUR)
    with (
        running_ledger(kafka, tmp_path, postgres_database) as ledger,
        Watch(ledger.history.database) as watch,
    ):
        killed, _ = started(ledger, "fast", SKEWED, **fast.variables)
        worker, before = started(ledger, "slow", SKEWED, **slow.variables)
        open_accounts(ledger, writer=timedelta(hours=5), other=timedelta(hours=6))
        with load(ledger, dice, SECONDS):
            for key in ("writer", "other"):
                ask_for_letters(ledger, key)
            time.sleep(dice.uniform(0.5, 3))
            killed.kill()
            wait_until_written(ledger, "writer", 5)
            wait_until_written(ledger, "other", 5)
            killed.start()
        ledger.must_be_right(90)
        must_hold_no_more(worker, before)
        slow.set(0)
        fast.set(0)
        ask_for_letters(ledger, "writer")
        ledger.must_be_right(90)
        assert watch.fell == []


def test_what_a_clock_that_was_ahead_took_for_read_is_not_believed_when_it_is_right(kafka: str, tmp_path: Path) -> None:
    """A deadline waits for what came before it, also where the clock once said that the hour was over."""
    with running_ledger(kafka, tmp_path) as ledger:
        assert asyncio.run(_horizons_after_the_clock_was_ahead(ledger)) == [True, False]


async def _horizons_after_the_clock_was_ahead(ledger: RunningLedger) -> list[bool]:
    """Whether a task's deadline may fire: by a clock that is an hour ahead, then by the right one behind an entry."""
    task, clock = TaskId("account", 0), Clock(offset_ms=HOUR * 1000)
    wiring = wire(build(ledger.name), catalogue(ledger.name))
    positions = {(name, 0): 0 for name in wiring.topics_of(task.aggregate)}
    deadlines = Deadlines(wiring, clock, {task: Task(1, 100)}, positions)
    consumer = AIOKafkaConsumer(bootstrap_servers=ledger.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(*place) for place in positions])
        deadlines.next_ms = clock.now_ms()
        may_fire = [await _horizon(deadlines, consumer, task)]
        clock.offset_ms = 0
        publisher = ledger.history.publisher()
        publisher.event(ledger.topic("entries"), "ledger.entry_made.v1", "a", {"amount": 1}, partition=0)
        publisher.flush()
        deadlines.next_ms = clock.now_ms()
        return [*may_fire, await _horizon(deadlines, consumer, task)]
    finally:
        await consumer.stop()


async def _horizon(deadlines: Deadlines, consumer: AIOKafkaConsumer, task: TaskId) -> bool:
    """Whether the task's deadlines may fire at some time within three seconds."""
    for _ in range(6):
        await consumer.getmany(timeout_ms=500)
        if task in deadlines.horizons(consumer):
            return True
    return False
