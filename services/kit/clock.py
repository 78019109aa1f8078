"""The clock that deadlines and retries look at, handed in so that a test can set it."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """Wall time in milliseconds since the epoch. `offset_ms` moves it, in tests and rehearsals."""

    offset_ms: int = 0

    def now_ms(self) -> int:
        """The current time in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000 + self.offset_ms

    def of_machine(self, machine_ms: int) -> int:
        """What this clock shows at the moment when the machine's own clock shows `machine_ms`."""
        return machine_ms + self.offset_ms
