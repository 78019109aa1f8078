"""The hop through the kit, in this process: prints events/s from the first record to the last confirmed output.

Arguments: bootstrap servers, folder for the data, how many events; then, if wanted, after how many of them the clock is
to start, and the URL of a database in place of SQLite.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import uvloop

from services.kit.migrate import migrate
from services.kit.runner import Runner
from services.kit.settings import Settings
from services.kit.wiring import wire
from services.kit.worker import tune_interpreter
from tests.benchmarks.hop import build, catalogue


class Meter(Runner):
    """A runner that notes when the warm-up was over, and how many inputs are applied."""

    warm = 0
    started = 0.0
    applied = 0

    def _decide(self, items, holders, seen, **certain):  # type: ignore[no-untyped-def]
        if not self.warm:
            self.started = self.started or time.perf_counter()
        return super()._decide(items, holders, seen, **certain)

    def _committed(self, items, batch, seqs):  # type: ignore[no-untyped-def]
        super()._committed(items, batch, seqs)
        self.applied += batch.applied
        # From commit to commit, because steps overlap: at no other moment is it plain how many events are behind.
        if not self.started and self.applied >= self.warm:
            self.started, self.warm = time.perf_counter(), self.applied


async def main(settings: Settings, count: int, warm: int) -> None:
    runner = Meter(wire(build(), catalogue()), settings)
    runner.warm = warm
    running = asyncio.create_task(runner.run())
    while runner.applied < count or runner._relay.unsent:
        await asyncio.sleep(0.005)
        if running.done():
            running.result()
            sys.exit("the runner ended before all was applied")
    sys.stdout.write(f"{(count - runner.warm) / (time.perf_counter() - runner.started):.0f}\n")
    runner.stop()
    await running


if __name__ == "__main__":
    bootstrap, folder, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    warm_up = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    url = sys.argv[5] if len(sys.argv) > 5 else None
    chosen = Settings(bootstrap_servers=bootstrap, data_dir=folder, database_url=url, log_level="WARNING")
    migrate(chosen.database_for("hop"), "hop", build().migrations)
    tune_interpreter()
    uvloop.run(main(chosen, number, warm_up))
