"""Ledger workers with a fault laid in them (see `tests.support.points`), and waiting for it to strike."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from services.embedded.processes import Process
from tests.support.ledger.running import RunningLedger

BROKEN = ("-m", "tests.support.broken")
SECONDS = 60
BATCH = 50
"""So few records in a batch that every point is reached several times by a small load."""


def worker_with(ledger: RunningLedger, fault: str, label: str, kit: str = "sound", batch: int = BATCH) -> Process:
    """A worker of the ledger, not started, on a kit that may be broken and with a fault that may be `none`."""
    return ledger.worker(label, BROKEN, LEDGER_KIT=kit, LEDGER_FAULT=fault, KOUAN_BATCH_SIZE=str(batch))


def rebuilding_with(ledger: RunningLedger, fault: str, label: str) -> Process:
    """A rebuilding of the ledger's database, not started; it ends with 0 where it found no difference."""
    return ledger.worker(label, (*BROKEN, "rebuild"), LEDGER_FAULT=fault)


def fault_struck(worker: Process, how: signal.Signals) -> None:
    """Wait until a worker ended by this signal."""
    deadline = time.monotonic() + SECONDS
    while worker.alive:
        assert time.monotonic() < deadline, f"the fault did not strike\n{worker.tail()}"
        time.sleep(0.05)
    assert worker.exit_code == -how, worker.tail()


def stopped(worker: Process) -> None:
    """Wait until a worker has stopped itself (state T)."""
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline, f"the fault did not strike\n{worker.tail()}"
        worker.check_alive()
        time.sleep(0.05)
