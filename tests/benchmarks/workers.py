"""`python -m tests.benchmarks.workers`: the durable hop on PostgreSQL by one, two and four worker processes of a group.

All events are on the topic, in a transaction of their own that is still open, when the workers join: readers of
committed records see nothing of them. Once the tasks are shared out the transaction is committed, and the clock runs
until every output stands on its topic. The server is the run's own; each run has topics and a database made anew.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.embedded.kafka import find_or_start
from services.kit.migrate import migrate
from tests.benchmarks.figures import Result, finish
from tests.benchmarks.hop import PARTITIONS, build, catalogue
from tests.benchmarks.load import loaded_unseen
from tests.benchmarks.topics import Ends, renew
from tests.benchmarks.watching import processor_seconds
from tests.support.postgres import fresh_database, running_postgres

COUNTS = (1, 2, 4)
SOURCE, TARGET = "commerce.hops", "hop.events"
SETTLED_SECONDS = 90.0
RUN_SECONDS = 1800.0
MORE = 1.0
"""Several workers have to make so many times of what one makes, at the least."""
STILL_SECONDS = 60.0


class Worker:
    """One worker process of the group; it tells how many tasks it owns whenever that changes."""

    def __init__(self, servers: str, url: str, folder: Path, number: int) -> None:
        self._told = folder / f"worker-{number}.tasks"
        self._log = (folder / f"worker-{number}.log").open("w+")
        command = [sys.executable, "-m", "tests.benchmarks.worker_hop", servers, url, str(folder), str(self._told)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log)

    @property
    def tasks(self) -> int:
        """How many tasks it owns now."""
        if self.process.poll() is not None:
            self._log.seek(0)
            sys.exit(f"a worker ended with {self.process.returncode}:\n{self._log.read()[-3000:]}")
        return int(self._told.read_text() or 0) if self._told.exists() else 0

    def stop(self) -> None:
        """Let it end, and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


@contextmanager
def group(servers: str, url: str, folder: Path, count: int) -> Iterator[list[Worker]]:
    """So many workers that have shared the tasks out evenly."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        workers = []
        for number in range(count):
            workers.append(Worker(servers, url, folder, number))
            stack.callback(workers[-1].stop)
        end = time.monotonic() + SETTLED_SECONDS
        while [worker.tasks for worker in workers] != [PARTITIONS // count] * count:
            if time.monotonic() > end:
                sys.exit(f"the tasks are not shared out: {[worker.tasks for worker in workers]}")
            time.sleep(0.05)
        yield workers


def measure(servers: str, server_url: str, folder: Path, count: int, events: int) -> tuple[float, float]:
    """Events/s of so many workers, and microseconds of the processor that they took for each event."""
    renew(servers, catalogue())
    with (
        fresh_database(server_url) as url,
        closing(Ends(servers)) as ends,
        loaded_unseen(servers, SOURCE, events) as show_them,
    ):
        migrate(url, "hop", build().migrations)
        with group(servers, url, folder, count) as workers:
            used = sum(processor_seconds(worker.process.pid) for worker in workers)
            began = time.perf_counter()
            show_them()
            wait_for_outputs(ends, events, workers)
            took = time.perf_counter() - began
            used = sum(processor_seconds(worker.process.pid) for worker in workers) - used
    return events / took, used / events * 1e6


def wait_for_outputs(ends: Ends, events: int, workers: list[Worker]) -> None:
    """Wait until all outputs stand on their topic; ends the program when nothing moves for a long time."""
    seen, moved = 0, time.monotonic()
    while seen < events:
        time.sleep(0.02)
        now = sum(ends.of([(TARGET, PARTITIONS)]).values())
        if now != seen:
            seen, moved = now, time.monotonic()
        if time.monotonic() - moved > STILL_SECONDS:
            sys.exit(f"{seen} of {events} outputs, and no more come; tasks: {[worker.tasks for worker in workers]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default=",".join(map(str, COUNTS)), help="numbers of workers, each a part of 4")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    console = Console()
    counts = [int(count) for count in chosen.workers.split(",")]
    found: dict[str, list[float]] = {f"{count}{what}": [] for count in counts for what in ("", " cpu_us")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with (
            find_or_start(folder / "broker", console.print, cache_dir=Path(".kouan/cache")) as broker,
            running_postgres() as server_url,
            Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bar,
        ):
            step = bar.add_task("", total=None)
            for number in range(chosen.rounds):
                # Another one begins each round, so that none always follows the same.
                begin = number % len(counts)
                for count in (*counts[begin:], *counts[:begin]):
                    bar.update(step, description=f"{number + 1}/{chosen.rounds} × {count}")
                    rate, cpu = measure(
                        broker.bootstrap_servers, server_url, folder / f"{number}-{count}", count, chosen.events
                    )
                    found[f"{count}"].append(rate)
                    found[f"{count} cpu_us"].append(cpu)
    show(counts, found, console)
    finish("workers", found, chosen.events, results(counts, found), console)


def show(counts: list[int], found: dict[str, list[float]], console: Console) -> None:
    """The table of speeds by the number of workers."""
    table = Table(title="PostgreSQL 上的多个进程 · worker processes on PostgreSQL: durable hop")
    for column in ("进程 · workers", "events/s min", "median", "max", "µs CPU/event"):
        table.add_column(column, justify="right")
    for count in counts:
        rates = found[f"{count}"]
        speeds = (f"{value:,.0f}" for value in (min(rates), statistics.median(rates), max(rates)))
        table.add_row(f"{count}", *speeds, f"{statistics.median(found[f'{count} cpu_us']):.0f}")
    console.print(table)


def results(counts: list[int], found: dict[str, list[float]]) -> list[Result]:
    """Ratios to the fewest workers."""
    one = found[f"{counts[0]}"]
    return [
        Result(
            f"{count} / {counts[0]} workers",
            statistics.median(many / few for many, few in zip(found[f"{count}"], one, strict=True)),
            least=MORE,
            ratio=True,
        )
        for count in counts[1:]
    ]


if __name__ == "__main__":
    main()
