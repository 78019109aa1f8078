"""Kits that are broken on purpose are caught, and the sound kit passes under the very same fault."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.processes import Process
from tests.support.history import Watch
from tests.support.ledger.mixture import publish_mixture, redrive_mixture, repeat_entries
from tests.support.ledger.running import SESSION_MS, RunningLedger, running_ledger
from tests.support.ledger.striking import fault_struck, stopped, worker_with

pytestmark = pytest.mark.broker

ACCOUNTS = 40
ENTRIES = 600
TRIES = 3
SECONDS = 60
"""So long a kit has to come to an end with everything, whether it is sound or broken."""

STILL_AT_WORK = re.compile(r"is applied up to|do not go away|are overdue")
"""What the history says of a kit that may only be slow."""


@pytest.fixture
def ledger(kafka: str, tmp_path: Path) -> Iterator[RunningLedger]:
    with running_ledger(kafka, tmp_path) as one:
        yield one


@pytest.fixture
def ledger_on_postgres(kafka: str, tmp_path: Path, postgres_database: str) -> Iterator[RunningLedger]:
    with running_ledger(kafka, tmp_path, postgres_database) as one:
        yield one


def publish(ledger: RunningLedger) -> None:
    """Accounts, entries for them, one record that is no event, and the first entries again, as after lost answers."""
    publisher = ledger.history.publisher()
    for number in range(ACCOUNTS):
        publisher.event(ledger.topic("accounts"), "ledger.account_requested.v1", f"a{number}", {"name": f"of {number}"})
    booked = [
        publisher.event(
            ledger.topic("entries"), "ledger.entry_made.v1", f"a{number % ACCOUNTS}", {"amount": number % 50}
        )
        for number in range(ENTRIES)
    ]
    # So far behind the first ones that no batch holds both.
    for one in booked[: ENTRIES // 10]:
        publisher.again(one)
    publisher.record(ledger.topic("entries"), b"a1", b"\x00\xff no event", [], poison="missing-attribute")
    publisher.flush()


def found_after_a_crash(ledger: RunningLedger, kit: str, fault: str, dice: random.Random) -> list[str]:
    """What the history holds against a kit that was struck by a fault and, where that killed it, started again."""
    struck = worker_with(ledger, fault, "struck", kit, batch=100)
    publish_mixture(ledger.history, dice)
    with struck:
        if fault.startswith("kill"):
            fault_struck(struck, signal.SIGKILL)
            worker_with(ledger, "none", "again", kit).start().wait_ready()
        elif fault == "none":
            go_round_again(ledger)
        else:
            struck.wait_ready()
        return ledger.history.wait_until_quiet(SECONDS) + ledger.history.check()


def go_round_again(ledger: RunningLedger) -> None:
    """Send what was applied long ago, so that nothing but the inbox can know it, and dead letters that are mended."""
    assert ledger.history.wait_until_quiet(SECONDS) == [], ledger.logs()
    repeat_entries(ledger.history)
    redrive_mixture(ledger.history)


CRASHES = (
    ("offset-first", "kill-after-positions:4", r"has the outputs \{\}"),
    ("inbox-forgotten", "none", r"and, differently, at"),
    ("redrive-unasked", "none", r"were to be applied, the accounts hold"),
    ("deletes-before-confirmation", "kill-before-send:5", r"has the outputs \{\}"),
    ("silent-owner", "kill-before-send:5", r"rows in kit_outbox do not go away"),
    # Nothing was sent yet: of a partition with one row left, no order is wrong.
    ("newest-first", "kill-before-send:1", r"has outputs numbered|the database has .* the topic tells"),
    ("dead-letter-outside", "kill-after-dead-letter:1", r"has 0 dead letters"),
    ("retry-that-skips", "refuse-before-commit:3", r"has the outputs \{\}"),
    ("deadline-first", "kill-after-deadline:1", r"was not closed when its time came"),
    ("result-first", "kill-after-result-statement:1", r"was told of 0 times"),
)
"""What is broken, what strikes, and what the history then holds against it."""


@pytest.mark.parametrize(
    "fault",
    [
        # The sound kit goes through kills in `test_ledger_points` as well.
        pytest.param(fault, marks=[pytest.mark.thorough] if fault.startswith("kill") else [])
        for fault in sorted({fault for _, fault, _ in CRASHES})
    ],
)
def test_the_sound_kit_passes_every_fault_that_catches_a_broken_one(
    ledger: RunningLedger, dice: random.Random, fault: str
) -> None:
    found = found_after_a_crash(ledger, "sound", fault, dice)

    assert not found, "\n".join([*found, ledger.logs()])


@pytest.mark.parametrize(("kit", "fault", "held_against_it"), CRASHES)
def test_a_broken_kit_is_caught(
    ledger: RunningLedger, dice: random.Random, kit: str, fault: str, held_against_it: str
) -> None:
    found = found_after_a_crash(ledger, kit, fault, dice)

    must_be_held_against_it(held_against_it, found, ledger)


def must_be_held_against_it(pattern: str, found: list[str], ledger: RunningLedger) -> None:
    """What is broken was found, and not because the kit had not yet done all that it was going to do."""
    others = [one for one in found if not re.search(pattern, one)]
    assert len(others) < len(found), "\n".join([*found, ledger.logs()])
    assert not [one for one in others if STILL_AT_WORK.search(one)], "\n".join([*found, ledger.logs()])


def found_after_a_sleep(ledger: RunningLedger, kit: str, fault: str) -> list[str]:
    """What the history holds against a kit of which one worker sleeps through its session and then goes on."""
    ledger.history.letters_once = True
    sleeper = worker_with(ledger, fault, "sleeper", kit, batch=100)
    heir = worker_with(ledger, "none", "heir", kit)
    with Watch(ledger.history.database) as watch, sleeper:
        sleeper.wait_ready()
        publish(ledger)
        letters(ledger, 5)
        stopped(sleeper)
        with heir:
            heir.wait_ready(90)
            # Only who has all of the sleeper's work behind it shows whether the sleeper undoes any of it.
            assert ledger.history.wait_until_quiet(3 * SESSION_MS / 1000 + SECONDS) == [], ledger.logs()
            heir.check_alive()
            sleeper.resume()
            wait_until_awake(sleeper)
            waiting = ledger.history.wait_until_quiet(20)
            return waiting + ledger.history.check() + watch.fell


def letters(ledger: RunningLedger, number: int) -> None:
    """Entries whose letters are written at the second attempt only."""
    publisher = ledger.history.publisher()
    for key in range(number):
        publisher.event(ledger.topic("entries"), "ledger.entry_made.v1", f"a{key}", {"amount": 13, "letter": True})
    publisher.flush()


def wait_until_awake(process: Process) -> None:
    """Wait until a worker that was asleep has noticed that time went on: it was fenced, or found its session lost."""
    before = process.log.stat().st_size
    deadline = time.monotonic() + 10
    while process.log.stat().st_size == before and time.monotonic() < deadline:
        time.sleep(0.1)


SLEEPS = (
    ("no-epoch", "stop-before-attempt:6", r"was written 2 times"),
    ("no-fence", "stop-before-transaction:3", r"went back"),
)


@pytest.mark.postgres
@pytest.mark.parametrize("fault", [*(fault for _, fault, _ in SLEEPS), "stop-after-positions:3"])
def test_the_sound_kit_passes_a_sleep_longer_than_its_session(ledger_on_postgres: RunningLedger, fault: str) -> None:
    found = found_after_a_sleep(ledger_on_postgres, "sound", fault)

    assert not found, "\n".join([*found, ledger_on_postgres.logs()])


@pytest.mark.postgres
@pytest.mark.parametrize(("kit", "fault", "held_against_it"), SLEEPS)
def test_a_kit_without_a_fence_is_caught_when_a_worker_wakes_up(
    kafka: str, tmp_path: Path, postgres_database: str, kit: str, fault: str, held_against_it: str
) -> None:
    """What the sleeper still gets done depends on the instant at which it wakes up: it has three tries to do harm."""
    told = []
    for number in range(TRIES):
        folder = tmp_path / str(number)
        folder.mkdir()
        with running_ledger(kafka, folder, postgres_database) as ledger:
            found = found_after_a_sleep(ledger, kit, fault)
            if re.search(held_against_it, "\n".join(found)):
                return
            told += [*found, ledger.logs()]
    pytest.fail("\n".join(told))
