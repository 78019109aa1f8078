"""Kits that are broken on purpose are caught, and the sound kit passes under the very same fault."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.embedded.processes import Process
from tests.support.history import Watch
from tests.support.ledger.running import SESSION_MS, RunningLedger, running_ledger

pytestmark = pytest.mark.broker

BROKEN = ("-m", "tests.support.broken")
ACCOUNTS = 40
TRIES = 3


@pytest.fixture
def ledger(kafka: str, tmp_path: Path) -> Iterator[RunningLedger]:
    with running_ledger(kafka, tmp_path) as one:
        yield one


@pytest.fixture
def ledger_on_postgres(kafka: str, tmp_path: Path, postgres_database: str) -> Iterator[RunningLedger]:
    with running_ledger(kafka, tmp_path, postgres_database) as one:
        yield one


def publish(ledger: RunningLedger, *, entries: int = 600, close_at: datetime | None = None) -> None:
    """Accounts, entries for them, one record that is no event, and the first entries again, as after lost answers."""
    publisher = ledger.history.publisher()
    for number in range(ACCOUNTS):
        body = {"name": f"name {number}"} | ({"close_at": close_at.isoformat()} if close_at else {})
        publisher.event(ledger.topic("accounts"), "ledger.account_requested.v1", f"a{number}", body)
    booked = [
        publisher.event(
            ledger.topic("entries"), "ledger.entry_made.v1", f"a{number % ACCOUNTS}", {"amount": number % 50}
        )
        for number in range(entries)
    ]
    # So far behind the first ones that no batch holds both.
    for one in booked[: entries // 10]:
        publisher.again(one)
    publisher.record(ledger.topic("entries"), b"a1", b"\x00\xff no event", [], poison="missing-attribute")
    publisher.flush()


def wait_for_end(process: Process, how: signal.Signals) -> None:
    deadline = time.monotonic() + 60
    while process.alive:
        assert time.monotonic() < deadline, f"the fault did not strike\n{process.tail()}"
        time.sleep(0.05)
    assert process.exit_code == -how, process.tail()


def wait_for_stop(process: Process) -> None:
    """Wait until the process has stopped itself (state T)."""
    deadline = time.monotonic() + 60
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline, f"the fault did not strike\n{process.tail()}"
        process.check_alive()
        time.sleep(0.05)


def found_after_a_crash(ledger: RunningLedger, kit: str, fault: str, seconds: float) -> list[str]:
    """What the history holds against a kit that was killed by a fault and started again."""
    closing = fault.startswith("kill-after-deadline")
    struck = ledger.worker("struck", BROKEN, LEDGER_KIT=kit, LEDGER_FAULT=fault, KOUAN_BATCH_SIZE="100")
    if closing:
        publish(ledger, entries=0, close_at=datetime.now(UTC) + timedelta(seconds=4))
    else:
        publish(ledger)
    with struck:
        if fault == "none":
            struck.wait_ready()
            repeat_when_applied(ledger)
        elif fault.startswith("refuse"):
            struck.wait_ready()
        else:
            wait_for_end(struck, signal.SIGKILL)
            ledger.worker("again", BROKEN, LEDGER_KIT=kit).start().wait_ready()
        waiting = ledger.history.wait_until_quiet(seconds)
        found = waiting + ledger.history.check()
        if closing:
            found += not_closed(ledger)
        return found


def repeat_when_applied(ledger: RunningLedger) -> None:
    """Send some entries once more that were applied long ago, so that nothing but the inbox can know them."""
    (publisher,) = ledger.history.publishers
    assert ledger.history.wait_until_quiet(60) == [], ledger.logs()
    for one in [one for one in publisher.sent if one.topic == ledger.topic("entries") and one.poison is None][:50]:
        publisher.again(one)
    publisher.flush()


def not_closed(ledger: RunningLedger) -> list[str]:
    rows = ledger.history.database.query("SELECT key FROM ledger_account WHERE NOT closed")
    return [f"account {key} was not closed when its time came" for (key,) in rows]


CRASHES = (
    ("offset-first", "kill-after-positions:4", r"has the outputs \{\}"),
    ("inbox-forgotten", "none", r"and, differently, at"),
    ("deletes-before-confirmation", "kill-before-send:5", r"has the outputs \{\}"),
    ("silent-owner", "kill-before-send:5", r"rows in kit_outbox do not go away"),
    ("dead-letter-outside", "kill-after-dead-letter:1", r"has 0 dead letters"),
    ("retry-that-skips", "refuse-commit:3", r"has the outputs \{\}"),
    ("deadline-first", "kill-after-deadline:1", r"was not closed when its time came"),
)
"""What is broken, what strikes, and what the history then holds against it."""


@pytest.mark.parametrize("fault", sorted({fault for _, fault, _ in CRASHES}))
def test_the_sound_kit_passes_every_fault_that_catches_a_broken_one(ledger: RunningLedger, fault: str) -> None:
    found = found_after_a_crash(ledger, "sound", fault, seconds=60)

    assert not found, "\n".join([*found, ledger.logs()])


@pytest.mark.parametrize(("kit", "fault", "held_against_it"), CRASHES)
def test_a_broken_kit_is_caught(ledger: RunningLedger, kit: str, fault: str, held_against_it: str) -> None:
    found = found_after_a_crash(ledger, kit, fault, seconds=6)

    assert re.search(held_against_it, "\n".join(found)), "\n".join([*found, ledger.logs()])


def found_after_a_sleep(ledger: RunningLedger, kit: str, fault: str) -> list[str]:
    """What the history holds against a kit of which one worker sleeps through its session and then goes on."""
    ledger.history.letters_once = True
    sleeper = ledger.worker("sleeper", BROKEN, LEDGER_KIT=kit, LEDGER_FAULT=fault, KOUAN_BATCH_SIZE="100")
    heir = ledger.worker("heir", BROKEN, LEDGER_KIT=kit)
    with Watch(ledger.history.database) as watch, sleeper:
        sleeper.wait_ready()
        publish(ledger)
        letters(ledger, 5)
        wait_for_stop(sleeper)
        with heir:
            heir.wait_ready(90)
            deadline = time.monotonic() + 3 * SESSION_MS / 1000 + 20
            while ledger.history.wait_until_quiet(0.5) and time.monotonic() < deadline:
                heir.check_alive()
            sleeper.resume()
            wait_until_awake(sleeper)
            waiting = ledger.history.wait_until_quiet(20 if kit == "sound" else 4)
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
    ("no-fence", "stop-before-commit:3", r"went back|is applied up to"),
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
