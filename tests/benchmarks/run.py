"""The durable hop through the kit against the bare client loop, in pairs, on the same broker and events.

Both read the same 450-byte events with full CloudEvents headers and write one event each. The bare loop keeps no state
and guarantees nothing; the kit validates, drops repeats, stores position, inbox, state and outbox in one transaction a
batch on SQLite with synchronous=FULL, and publishes what is committed. Runs alternate, so that the ratio holds on a
machine whose speed drifts. Figures are kept as JSON with machine, versions and commit under `.kouan/bench/`.

With `--peers` (see README.md) the kit runs against other systems instead.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from kafka import KafkaAdminClient
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.embedded.kafka import find_or_start
from tests.benchmarks import report
from tests.benchmarks.figures import Result, about, finish, keep
from tests.benchmarks.hop import catalogue
from tests.benchmarks.load import load
from tests.benchmarks.peers.contestants import FAST, Contestant
from tests.benchmarks.race import choose, race
from topics.plan import apply, plan, read_cluster

README = Path(__file__).parent / "README.md"
PUBLISHED = {100_000: "100k", 1_000_000: "1M"}
"""The sizes of a race whose table and chart go into the README, where all but the slow ones took part in all rounds."""

ROUNDS = 5

MEASURABLE = 10_000
"""A race over fewer events only checks outputs: a few batches tell nothing of speed."""

SOURCE, TARGET = "commerce.hops", "hop.events"
GOAL = 0.6
"""The kit's share of the bare loop's speed that is asked for."""


def measured(arguments: list[str]) -> float:
    """Events/s as one run prints them."""
    run = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"{arguments[0]} failed:\n{run.stderr[-3000:]}")
    return float(run.stdout.split()[-1])


def measure(bootstrap_servers: str, folder: Path, count: int, pairs: int, console: Console) -> dict[str, list[float]]:
    """Events/s of both, run after run, in turn."""
    found: dict[str, list[float]] = {"bare": [], "kit": []}
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        step = progress.add_task("", total=None)
        for number in range(pairs):
            progress.update(step, description=f"{number + 1}/{pairs} 裸循环 · bare loop")
            found["bare"].append(
                measured(["tests.benchmarks.bare_loop", bootstrap_servers, SOURCE, TARGET, str(count)])
            )
            progress.update(step, description=f"{number + 1}/{pairs} 运行底座 · kit")
            data = folder / f"run-{number}"
            found["kit"].append(measured(["tests.benchmarks.kit_hop", bootstrap_servers, str(data), str(count)]))
            shutil.rmtree(data)
    return found


def show(found: dict[str, list[float]], count: int, console: Console) -> list[Result]:
    """The table; returns the median ratio with its goal."""
    ratios = [kit / bare for kit, bare in zip(found["kit"], found["bare"], strict=True)]
    table = Table(title=f"一次持久跳转 · one durable hop, {count:,} events, {len(ratios)} pairs")
    for column in ("", "min", "median", "max"):
        table.add_column(column, justify="left" if not column else "right")
    for name, title in (("bare", "aiokafka 裸循环 · bare loop, events/s"), ("kit", "底座 · kit on SQLite, events/s")):
        values = found[name]
        table.add_row(title, *(f"{value:,.0f}" for value in (min(values), statistics.median(values), max(values))))
    middle = statistics.median(ratios)
    table.add_row("比值 · ratio kit/bare", *(f"{value:.2f}" for value in (min(ratios), middle, max(ratios))))
    console.print(table)
    return [Result("kit / bare loop", middle, least=GOAL, ratio=True)]


def pairs(events: int, count: int, console: Console) -> None:
    """The kit against the bare loop."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with find_or_start(folder, console.print, cache_dir=Path(".kouan/cache")) as broker:
            servers = broker.bootstrap_servers
            admin = KafkaAdminClient(bootstrap_servers=servers.split(","))
            apply(plan(catalogue(), read_cluster(admin)), admin)
            admin.close()
            console.print(f"写入 {events:,} 条事件 · loading {events:,} events")
            load(servers, SOURCE, events)
            found = measure(servers, folder, events, count, console)
    finish("hop", found, events, show(found, events, console), console)


def peers(chosen: list[Contestant], events: int, warm: int, rounds: int, console: Console) -> None:
    """The kit against other systems."""
    with (
        tempfile.TemporaryDirectory() as temporary,
        find_or_start(Path(temporary), console.print, cache_dir=Path(".kouan/cache")) as broker,
    ):
        found = race(broker.bootstrap_servers, chosen, events, warm, rounds, console)
    if events < MEASURABLE:
        console.print("所有输出都正确；事件太少，不计速度 · all outputs are right; too few events to tell the speed")
        return
    titles = {each.name: each.title for each in chosen}
    report.show(found, titles, events, console)
    file, told = keep(f"race-{events}", found, events, report.results(found))
    for text in told:
        console.print(f"[red]{text}[/red]")
    console.print(f"数据 · figures: {file}")
    size = PUBLISHED.get(events)
    if size is not None and rounds >= ROUNDS and titles.keys() >= set(FAST):
        drawing = README.with_name(f"race-{size}.svg")
        drawing.write_text(report.chart(found, titles, events), encoding="utf-8")
        table = report.markdown(found, titles, events, about())
        report.write_between(README, f"race {size}", f"{table}\n\n![events/s]({drawing.name})")
        console.print(f"表与图 · table and chart: {README}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--pairs", type=int, default=3, help="rounds against the bare loop")
    parser.add_argument(
        "--peers", default="", help="all, fast, or names with commas between them: streams,quix,faust,…"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds against peers")
    parser.add_argument("--warm-up", type=int, default=20_000, help="records before the clock starts, against peers")
    given = parser.parse_args()
    console = Console()
    if given.peers:
        peers(choose(given.peers), given.events, given.warm_up, given.rounds, console)
    else:
        pairs(given.events, given.pairs, console)


if __name__ == "__main__":
    main()
