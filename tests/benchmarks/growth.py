"""`python -m tests.benchmarks.growth`: whether the durable hop on SQLite keeps its speed while its database grows.

The same events go through the same hop over databases in which 10 thousand, 1 million and 10 million events stand
already: what the kit keeps of each, a row in the inbox and the state of its key, written by SQL in bulk (`stored.py`).
That these are the rows that the kit leaves itself is checked first, column by column. Rounds take the sizes in turn;
each run works on a copy, which is on the disk before the clock starts: otherwise the first checkpoint would wait for
gigabytes that nobody but the copying wrote.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.embedded.kafka import find_or_start
from tests.benchmarks.figures import Result, finish
from tests.benchmarks.hop import catalogue
from tests.benchmarks.load import load
from tests.benchmarks.stored import FILE, copy_to_disk, fill, shapes
from tests.benchmarks.topics import prepare
from tests.benchmarks.watching import Ended, run

SIZES = (10_000, 1_000_000, 10_000_000)
GOAL = 0.8
MEMORY_GOAL = 1.25
"""Peak memory with the most stored events over that with the fewest."""

FIRST = 50_000_000
"""Numbers of the measured events: above those of all that are stored, as new events are."""

CHECKED = 2_000


def check_shapes(servers: str, folder: Path, *, scattered: bool) -> None:
    """End the program unless filling makes rows like those that the kit leaves."""
    run("tests.benchmarks.kit_hop", servers, str(folder / "made"), str(CHECKED))
    fill(folder / "filled" / FILE, CHECKED, first=FIRST, scattered=scattered)
    made, filled = (shapes(folder / name / FILE) for name in ("made", "filled"))
    if made != filled:
        sys.exit(f"the kit leaves other rows than filling makes:\n{made}\n{filled}")


def hop(servers: str, full: Path, folder: Path, events: int, warm: int) -> Ended:
    """One run over a copy of a filled database: its events/s, and its peak memory."""
    copy_to_disk(full, folder / FILE)
    ended = run("tests.benchmarks.kit_hop", servers, str(folder), str(events), str(warm))
    shutil.rmtree(folder)
    return ended


def show(sizes: list[int], rates: dict[str, list[float]], console: Console) -> None:
    """The table of speeds and memory, size by size."""
    table = Table(title="库越来越大 · the database grows: durable hop, SQLite")
    for column in ("已有事件 · stored", "file MB", "events/s min", "median", "max", "ratio min", "median", "peak MB"):
        table.add_column(column, justify="right")
    for size in sizes:
        speeds = rates[f"{size}"]
        ratios = [one / first for one, first in zip(speeds, rates[f"{sizes[0]}"], strict=True)]
        table.add_row(
            f"{size:,}",
            f"{rates[f'{size} file_mb'][0]:,.0f}",
            *(f"{value:,.0f}" for value in (min(speeds), statistics.median(speeds), max(speeds))),
            f"{min(ratios):.2f}",
            f"{statistics.median(ratios):.2f}",
            f"{max(rates[f'{size} peak_mb']):.0f}",
        )
    console.print(table)


def results(sizes: list[int], rates: dict[str, list[float]]) -> list[Result]:
    """The ratios to the smallest size, with their goals."""
    few = rates[f"{sizes[0]}"]
    found = [
        Result(
            f"{size:,} / {sizes[0]:,} stored",
            statistics.median(one / first for one, first in zip(rates[f"{size}"], few, strict=True)),
            least=GOAL,
            ratio=True,
        )
        for size in sizes[1:]
    ]
    peaks = [max(rates[f"{size} peak_mb"]) for size in sizes]
    return [*found, Result("memory, most / fewest stored", peaks[-1] / peaks[0], below=MEMORY_GOAL)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="stored events, with commas between them")
    parser.add_argument("--events", type=int, default=200_000, help="measured events, a run")
    parser.add_argument("--warm-up", type=int, default=20_000, help="events before the clock starts, a run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scattered", action="store_true", help="ids without order, as random ones (UUIDv4) are")
    chosen = parser.parse_args()
    console = Console()
    sizes = [int(size) for size in chosen.sizes.split(",")]
    total = chosen.events + chosen.warm_up
    rates: dict[str, list[float]] = {f"{size}{what}": [] for size in sizes for what in ("", " peak_mb", " file_mb")}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with (
            find_or_start(folder / "broker", console.print, cache_dir=Path(".kouan/cache")) as broker,
            Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bar,
        ):
            servers = broker.bootstrap_servers
            prepare(servers, catalogue())
            step = bar.add_task(f"写入 {total:,} 条事件 · loading {total:,} events", total=None)
            load(servers, "commerce.hops", max(total, CHECKED), first=FIRST, scattered=chosen.scattered)
            bar.update(step, description="核对表行 · checking rows")
            check_shapes(servers, folder, scattered=chosen.scattered)
            for size in sizes:
                bar.update(step, description=f"存入 {size:,} 条 · storing {size:,}")
                fill(folder / f"{size}" / FILE, size, scattered=chosen.scattered)
                rates[f"{size} file_mb"].append((folder / f"{size}" / FILE).stat().st_size / 1e6)
            for number in range(chosen.rounds):
                # Another size begins each round, so that none always follows the same.
                begin = number % len(sizes)
                for size in (*sizes[begin:], *sizes[:begin]):
                    bar.update(step, description=f"{number + 1}/{chosen.rounds} {size:,}")
                    ended = hop(servers, folder / f"{size}" / FILE, folder / "run", total, chosen.warm_up)
                    rates[f"{size}"].append(ended.number)
                    rates[f"{size} peak_mb"].append(ended.peak_mb)
    show(sizes, rates, console)
    kind = "growth-scattered" if chosen.scattered else "growth"
    finish(kind, rates, chosen.events, results(sizes, rates), console)


if __name__ == "__main__":
    main()
