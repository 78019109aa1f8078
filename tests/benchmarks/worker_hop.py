"""One worker of the hop in a group on PostgreSQL, until its standard input ends.

Arguments: bootstrap servers, URL of the database, folder for the data, and the file in which it tells how many tasks
it owns.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import uvloop

from services.kit.runner import Runner
from services.kit.settings import Settings
from services.kit.wiring import wire
from services.kit.worker import tune_interpreter
from tests.benchmarks.hop import build, catalogue

TOLD_EVERY = 0.05


async def main(settings: Settings, told: Path) -> None:
    runner = Runner(wire(build(), catalogue()), settings)
    loop = asyncio.get_running_loop()

    def stop_at_the_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(runner.stop)

    threading.Thread(target=stop_at_the_end, daemon=True).start()
    running = asyncio.create_task(runner.run())
    before = -1
    while not running.done():
        owned = len(runner._tasks)
        if owned != before:
            before = owned
            told.with_suffix(".new").write_text(str(owned))
            told.with_suffix(".new").rename(told)
        await asyncio.wait({running}, timeout=TOLD_EVERY)
    await running


if __name__ == "__main__":
    bootstrap, url, folder, file = sys.argv[1:]
    chosen = Settings(bootstrap_servers=bootstrap, data_dir=Path(folder), database_url=url, log_level="WARNING")
    tune_interpreter()
    uvloop.run(main(chosen, Path(file)))
