"""Workers are killed and put to sleep at each named point of what they do, and nobody can tell from what is left."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.embedded.processes import Process
from tests.support.history import Watch
from tests.support.ledger.mixture import publish_mixture, redrive_mixture
from tests.support.ledger.running import SESSION_MS, RunningLedger, running_ledger
from tests.support.ledger.striking import fault_struck, rebuilding_with, stopped, worker_with
from tests.support.ledger.surviving import holding, must_have_survived, must_hold_no_more
from tests.support.system import wait_until

pytestmark = pytest.mark.broker

SECONDS = 90
"""Within so many seconds everything that was published has to be applied, after a worker was started again."""

STARTING = ("in-migration:1", "in-migration:6", "between-migrations:2", "before-claim:1", "after-claim:1")
BATCH = (
    "after-positions:3", "before-commit:3", "after-commit:3", "before-send:5", "after-send:5", "before-mark:2",
    "after-mark:2", "after-dead-letter:1",
)  # fmt: skip
DEADLINE = ("after-deadline:1", "before-deadline:1", "after-deadline-commit:1", "before-send-of-deadline:1")
EFFECT = (
    "before-attempt:1", "after-attempt:1", "after-letter:2", "before-result:1", "after-result:1",
    "before-send-of-result:1",
)  # fmt: skip
REDRIVE = ("after-redrive-statement:1", "before-redrive:1", "after-redrive:1", "before-send-of-redrive:1")
LEFT = ("before-claim:1", "after-claim:1", "before-send:1", "after-send:1", "before-mark:1")
"""Where a new owner is struck that finds messages in the outbox which the former one left."""

IN_ONE_GO = ("before-commit:2", "before-send:3", "after-claim:1", "before-mark:1")
"""A selection that one ledger goes through, one life after the other."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def ledger(request: pytest.FixtureRequest, kafka: str, tmp_path: Path) -> Iterator[RunningLedger]:
    url = request.getfixturevalue("postgres_database") if request.param == "postgresql" else None
    with running_ledger(kafka, tmp_path, url) as one:
        yield one


@pytest.fixture
def shared(kafka: str, tmp_path: Path, postgres_database: str) -> Iterator[RunningLedger]:
    """A ledger on PostgreSQL, for one worker or several."""
    with running_ledger(kafka, tmp_path, postgres_database) as one:
        yield one


def struck_at(ledger: RunningLedger, *points: str, then: Callable[[], None] = lambda: None) -> None:
    """Start a worker that is killed at the first point, then one that is killed at the second …, and one that is not.

    `then` happens when a worker is at work and before it is struck.
    """
    for number, point in enumerate(points):
        worker = worker_with(ledger, f"kill-{point}", f"struck-{number}").start()
        then()
        fault_struck(worker, signal.SIGKILL)
    last = worker_with(ledger, "none", "last").start().wait_ready()
    before = holding(last)
    ledger.must_be_right(SECONDS)
    must_hold_no_more(last, before)


def test_a_worker_is_killed_at_one_point_after_the_other(kafka: str, tmp_path: Path, dice: random.Random) -> None:
    with running_ledger(kafka, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        publish_mixture(ledger.history, dice)
        struck_at(ledger, *IN_ONE_GO)
        redrive_mixture(ledger.history)
        ledger.must_be_right(SECONDS)

        assert watch.fell == []


@pytest.mark.thorough
@pytest.mark.parametrize("point", [*STARTING, *BATCH, *DEADLINE, *EFFECT])
def test_a_worker_is_killed(ledger: RunningLedger, dice: random.Random, point: str) -> None:
    with Watch(ledger.history.database) as watch:
        publish_mixture(ledger.history, dice)
        struck_at(ledger, point)

        assert watch.fell == []


@pytest.mark.thorough
@pytest.mark.parametrize("point", REDRIVE)
def test_a_worker_is_killed_while_dead_letters_go_round_again(
    ledger: RunningLedger, dice: random.Random, point: str
) -> None:
    def redrive_when_quiet() -> None:
        assert ledger.history.wait_until_quiet(SECONDS) == [], ledger.logs()
        redrive_mixture(ledger.history)

    publish_mixture(ledger.history, dice)
    struck_at(ledger, point, then=redrive_when_quiet)


@pytest.mark.thorough
@pytest.mark.parametrize("point", LEFT)
def test_a_new_owner_is_killed_while_it_takes_over_what_was_left(
    ledger: RunningLedger, dice: random.Random, point: str
) -> None:
    publish_mixture(ledger.history, dice)
    struck_at(ledger, "before-send:4", point)


@pytest.mark.thorough
def test_a_rebuilding_is_killed_and_neither_the_worker_nor_the_next_rebuilding_minds(
    ledger: RunningLedger, dice: random.Random
) -> None:
    publish_mixture(ledger.history, dice)
    with worker_with(ledger, "none", "worker") as worker:
        ledger.must_be_right(SECONDS)
        fault_struck(rebuilding_with(ledger, "kill-in-rebuild:1", "struck").start(), signal.SIGKILL)
        publish_mixture(ledger.history, dice)
        again = rebuilding_with(ledger, "none", "again").start()
        assert again.wait_ended(SECONDS) == 0, again.tail()
        ledger.must_be_right(SECONDS)
        worker.check_alive()


# Commits that fail, or succeed unheard

UNHEARD = (
    "before-commit:3", "after-commit:3", "before-deadline:1", "after-deadline-commit:1", "before-result:1",
    "after-result:1", "before-mark:2", "after-mark:2", "before-claim:1", "after-claim:1",
)  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("point", UNHEARD)
def test_a_commit_fails_or_its_answer_is_lost(ledger: RunningLedger, dice: random.Random, point: str) -> None:
    must_wait_for_the_database(ledger, dice, f"refuse-{point}")


@pytest.mark.thorough
@pytest.mark.postgres
@pytest.mark.parametrize("point", ["after-positions:3", "before-commit:3", "after-commit:3", "before-result:1"])
def test_postgresql_ends_the_connection_around_a_commit(shared: RunningLedger, dice: random.Random, point: str) -> None:
    must_wait_for_the_database(shared, dice, f"cut-{point}")


def must_wait_for_the_database(ledger: RunningLedger, dice: random.Random, fault: str) -> None:
    """A worker whose database fails at a point waits, goes on by itself, and all is right."""
    worker = worker_with(ledger, fault, "waiting").start().wait_ready()
    before = holding(worker)
    with Watch(ledger.history.database) as watch:
        publish_mixture(ledger.history, dice)
        # Some points lie at deadlines, and until the last one all is right though the fault has not struck.
        wait_until(lambda: "waiting for" in worker.log.read_text(), SECONDS, "the fault strikes")
        wait_until(lambda: not ledger.history.database.count("kit_deadline"), SECONDS, "the last deadline falls due")
        must_have_survived(ledger, worker, before, watch)


# Rebalances, and workers that sleep and go on writing

ASLEEP = (
    "after-claim:1", "before-transaction:3", "after-positions:3", "before-commit:3", "after-commit:3", "before-send:4",
    "after-send:4", "before-mark:2", "before-attempt:1", "after-letter:1", "before-result:1", "after-result:1",
    "after-deadline:1", "before-deadline:1", "after-deadline-commit:1",
)  # fmt: skip


@pytest.mark.thorough
@pytest.mark.postgres
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_worker_is_struck_between_losing_its_tasks_and_saying_so(
    shared: RunningLedger, dice: random.Random, how: str
) -> None:
    first = worker_with(shared, f"{how}-in-rebalance:1", "first").start().wait_ready()
    with Watch(shared.history.database) as watch:
        publish_mixture(shared.history, dice)
        second = worker_with(shared, "none", "second").start()
        if how == "kill":
            fault_struck(first, signal.SIGKILL)
        else:
            stopped(first)
            second.wait_ready(SECONDS)
            wait_until_applied(shared)
            first.resume()
        shared.must_be_right(SECONDS)

        assert watch.fell == []
    second.check_alive()


@pytest.mark.thorough
@pytest.mark.postgres
@pytest.mark.parametrize("point", ASLEEP)
def test_a_worker_that_sleeps_at_a_point_and_wakes_up_without_its_tasks_does_no_harm(
    shared: RunningLedger, dice: random.Random, point: str
) -> None:
    sleeper = worker_with(shared, f"stop-{point}", "sleeper").start()
    with Watch(shared.history.database) as watch:
        publish_mixture(shared.history, dice)
        stopped(sleeper)
        heir = worker_with(shared, "none", "heir").start().wait_ready(SECONDS)
        wait_until_applied(shared)
        sleeper.resume()
        # It goes on with what it was about to do, finds out, and joins again.
        time.sleep(2)
        shared.must_be_right(SECONDS)

        assert watch.fell == []
    for worker in (sleeper, heir):
        worker.check_alive()


def wait_until_applied(ledger: RunningLedger) -> None:
    """Wait until whoever is awake did all there was to do, which takes the sleeper's session to end."""
    assert ledger.history.wait_until_quiet(3 * SESSION_MS / 1000 + SECONDS) == [], ledger.logs()


# Two workers on one SQLite file


@pytest.mark.thorough
def test_a_second_worker_on_one_sqlite_file_says_so_and_ends_and_the_first_goes_on(
    kafka: str, tmp_path: Path, dice: random.Random
) -> None:
    with running_ledger(kafka, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        first = worker_with(ledger, "none", "first").start().wait_ready()
        publish_mixture(ledger.history, dice)
        second = worker_with(ledger, "none", "second").start()
        must_be_refused(second)
        # Asleep it still holds its file: nobody may write what it will go on with.
        first.pause()
        second.start()
        must_be_refused(second)
        first.resume()
        first.kill()
        second.start().wait_ready()
        ledger.must_be_right(SECONDS)

        assert watch.fell == []


def must_be_refused(worker: Process) -> None:
    assert worker.wait_ended(60) not in (0, None, -signal.SIGKILL), worker.tail()
    assert "SQLite serves one worker" in worker.tail()
