"""What must hold of a ledger's worker after a fault: it is the same process, it is right, and it holds no more."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from services.embedded.processes import Process
from tests.support.history import Watch
from tests.support.ledger.running import WORKER, RunningLedger

MORE_DESCRIPTORS = 40
MORE_MEMORY = 128 * 1024 * 1024
"""Bytes over what a worker that has just begun holds: batches, caches of a few hundred states, brokers' answers."""
QUIET_SECONDS = 90
"""Within this time after a fault nothing is left to do."""


class Holding(NamedTuple):
    """What a process has from the system: open files and connections, and resident memory in bytes."""

    descriptors: int
    memory: int


def holding(process: Process) -> Holding:
    """What a process holds now."""
    return Holding(len(list(Path(f"/proc/{process.pid}/fd").iterdir())), process.memory)


def started(
    ledger: RunningLedger, label: str = "a", arguments: tuple[str, ...] = WORKER, **variables: str
) -> tuple[Process, Holding]:
    """A worker that is at work, and what it then holds."""
    worker = ledger.worker(label, arguments, **variables).start().wait_ready()
    return worker, holding(worker)


def must_have_survived(
    ledger: RunningLedger, worker: Process, before: Holding, watch: Watch, seconds: float = QUIET_SECONDS
) -> None:
    """The same process is still at work, all is right, and it holds hardly more than it did."""
    ledger.must_be_right(seconds)
    must_hold_no_more(worker, before)
    assert watch.fell == []


def must_hold_no_more(worker: Process, before: Holding) -> None:
    """The same process is still there, with hardly more descriptors and memory than before."""
    worker.check_alive()
    now = holding(worker)
    assert now.descriptors <= before.descriptors + MORE_DESCRIPTORS, f"{before} → {now}\n{worker.tail()}"
    assert now.memory <= before.memory + MORE_MEMORY, f"{before} → {now}\n{worker.tail()}"
