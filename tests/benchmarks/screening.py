"""`python -m tests.benchmarks.screening`: how fast screening opens and scores registered referrals, by the full policy.

In one run, on one broker: the kit's bare hop on SQLite; screening with few stored cases; screening with many, which are
filled straight into the state table first. Rounds alternate, so that the ratios hold on a machine whose speed drifts.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaAdminClient
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.embedded.kafka import find_or_start
from tests.benchmarks import screening_events
from tests.benchmarks.figures import Result, finish
from tests.benchmarks.hop import catalogue
from tests.benchmarks.load import load
from tests.benchmarks.run import measured
from tests.benchmarks.stored import copy_to_disk
from topics.definition import load_catalogue
from topics.plan import apply, plan, read_cluster

OF_HOP, OF_FEW, MEMORY_MB = 0.2, 0.8, 400


@dataclass(slots=True)
class Figures:
    """Events/s of each kind, round after round, and the highest peak of memory in MB."""

    hop: list[float] = field(default_factory=list)
    few: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def of_hop(self) -> float:
        """Screening's share of the hop's speed."""
        return statistics.median(few / hop for few, hop in zip(self.few, self.hop, strict=True))

    @property
    def of_few(self) -> float:
        """What is left of the speed with many stored cases."""
        return statistics.median(many / few for many, few in zip(self.many, self.few, strict=True))


def filled(servers: str, folder: Path, stored: int, console: Console) -> Path:
    """A folder with screening's database, in which so many decided cases stand."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    command = [sys.executable, "-m", "tests.benchmarks.screening_hop", "fill", servers, str(folder), "0", str(stored)]
    folder.mkdir(parents=True)
    with Progress(*columns, console=console) as progress:
        step = progress.add_task("写入既有案件 · storing cases", total=stored)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                progress.update(step, completed=int(line))
        if process.returncode:
            sys.exit("the cases could not be stored")
    return folder


def screened(servers: str, full: Path, folder: Path, events: int) -> tuple[float, float]:
    """Events/s and peak memory in MB of one run over a copy of a filled database."""
    # What copying leaves to be written would be written while the clock runs, and waited for by the first checkpoint.
    for file in full.iterdir():
        copy_to_disk(file, folder / file.name)
    command = [sys.executable, "-m", "tests.benchmarks.screening_hop", servers, str(folder), str(events), "0"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    shutil.rmtree(folder)
    if run.returncode:
        sys.exit(f"screening failed:\n{run.stderr[-3000:]}")
    rate, peak = run.stdout.split()[-2:]
    return float(rate), float(peak)


def measure(servers: str, folder: Path, chosen: argparse.Namespace, console: Console) -> Figures:
    """All rounds."""
    found = Figures()
    few = filled(servers, folder / "few", chosen.few, console)
    many = filled(servers, folder / "many", chosen.many, console)
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        step = progress.add_task("", total=None)
        for number in range(chosen.rounds):
            name = f"{number + 1}/{chosen.rounds}"
            progress.update(step, description=f"{name} 底座一跳 · bare hop")
            hop = ["tests.benchmarks.kit_hop", servers, str(folder / "hop"), str(chosen.hops)]
            found.hop.append(measured(hop))
            shutil.rmtree(folder / "hop")
            for kind, full, rates in (("few", few, found.few), ("many", many, found.many)):
                progress.update(step, description=f"{name} 筛选 · screening, {getattr(chosen, kind):,} stored")
                rate, peak = screened(servers, full, folder / "run", chosen.events)
                rates.append(rate)
                found.peak_mb = max(found.peak_mb, peak)
    return found


def show(found: Figures, chosen: argparse.Namespace, console: Console) -> None:
    """The table of what was measured."""
    table = Table(title=f"筛选 · screening, full policy on SQLite, {chosen.events:,} referrals × {chosen.rounds}")
    for column in ("", "中位数 · median", "最低–最高 · range"):
        table.add_column(column)
    for name, rates in (
        ("底座一跳 · bare hop of the kit", found.hop),
        (f"筛选 · screening, {chosen.few:,} stored", found.few),
        (f"筛选 · screening, {chosen.many:,} stored", found.many),
    ):
        table.add_row(name, f"{statistics.median(rates):,.0f} /s", f"{min(rates):,.0f}–{max(rates):,.0f}")
    console.print(table)


def results(found: Figures) -> list[Result]:
    """What is asked for."""
    return [
        Result("screening / hop", found.of_hop, least=OF_HOP, ratio=True),
        Result("many / few stored cases", found.of_few, least=OF_FEW, ratio=True),
        Result("peak memory, MB", found.peak_mb, "{:.0f}", below=MEMORY_MB),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000, help="referrals that are registered, a run")
    parser.add_argument("--hops", type=int, default=200_000, help="events of the bare hop, a run")
    parser.add_argument("--few", type=int, default=10_000, help="cases that are stored before")
    parser.add_argument("--many", type=int, default=5_000_000, help="cases that are stored before, the second time")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with find_or_start(folder / "broker", console.print, cache_dir=Path(".kouan/cache")) as broker:
            servers = broker.bootstrap_servers
            admin = KafkaAdminClient(bootstrap_servers=servers.split(","))
            for topics in (load_catalogue(), catalogue()):
                apply(plan(topics, read_cluster(admin)), admin)
            admin.close()
            console.print(f"写入事件 · loading {chosen.events:,} referrals, {chosen.hops:,} hops")
            screening_events.load(servers, "referral.events", chosen.events)
            load(servers, "commerce.hops", chosen.hops)
            found = measure(servers, folder, chosen, console)
    show(found, chosen, console)
    rates = {"hop": found.hop, "few": found.few, "many": found.many, "peak_mb": [found.peak_mb]}
    finish("screening", rates, chosen.events, results(found), console)


if __name__ == "__main__":
    main()
