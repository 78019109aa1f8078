"""The ledger's process under a wall clock that the test sets, and sets right again, while it runs.

The kit's own `Clock` (deadlines, leases, how long an early input waits) asks for the time of day by `time.time_ns`;
aiokafka, and what the kit adds to its fetching, by `time.time`, to note until when a partition was read and when the
cluster was last known. Both functions are replaced before any of them is imported. Whatever waits and gives up by
`time.monotonic` feels nothing, as it would not on a machine whose clock is set.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

from tests.support.ledger.running import WORKER

SKEWED = (*WORKER[:1], "tests.support.ledger.skewed")
"""The arguments of a worker that looks at a clock of the test's; `LEDGER_CLOCK` names its file."""

_OFFSET = struct.Struct("<q")


class WallClock:
    """A clock in a file: how many seconds those who look at it are ahead of the machine's."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0)

    @property
    def variables(self) -> dict[str, str]:
        """What tells a worker that this is its clock."""
        return {"LEDGER_CLOCK": str(self.file)}

    def set(self, ahead: int) -> None:
        """Set it to so many seconds ahead (negative: behind) of the machine's, for everybody at once."""
        with os.fdopen(os.open(self.file, os.O_WRONLY | os.O_CREAT), "wb", buffering=0) as file:
            file.write(_OFFSET.pack(ahead))


def look_at(file: Path) -> None:
    """Let this process tell the time by a clock of that kind from now on."""
    with file.open("rb") as opened:
        shared = mmap.mmap(opened.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)
    right, right_ns = time.time, time.time_ns

    def ahead() -> int:
        (seconds,) = _OFFSET.unpack_from(shared)
        return int(seconds)

    time.time = lambda: right() + ahead()
    time.time_ns = lambda: right_ns() + ahead() * 1_000_000_000


def main() -> None:
    """Take the clock over, and run the ledger."""
    look_at(Path(os.environ["LEDGER_CLOCK"]))
    from services.kit.worker import run
    from tests.support.ledger import build, catalogue

    name = os.environ["LEDGER_NAME"]
    run(build(name), catalogue=catalogue(name))


if __name__ == "__main__":
    main()
