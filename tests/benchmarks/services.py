"""`python -m tests.benchmarks.services`: how fast each service is, alone, and what it costs.

The scenario of the fault tests goes through all services once; then each service as it stands, on SQLite and in a
process of its own, is given what stood on its topics, on topics made anew. It is held still, from idle, until all of
it is there: the clock runs from the moment at which it may go on until nothing is left to be read, stored, published
or mailed. Liaison delivers its mails to a real mail server beside it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.embedded.processes import Process, worker, worker_environment
from services.embedded.smtp import SmtpProcess, read_mails
from services.registry import SERVICES
from tests.benchmarks.figures import Result, finish
from tests.benchmarks.hop import catalogue as hop_catalogue
from tests.benchmarks.load import load
from tests.benchmarks.recording import READY_SECONDS, Recording, feeds, record
from tests.benchmarks.topics import Ends, prepare, renew
from tests.benchmarks.watching import peak_memory_mb, processor_seconds, run
from tests.support.outcome import Databases
from tests.support.system import Publisher, empty_cluster, wait_until
from topics.definition import Kind, Topic, load_catalogue

STILL_SECONDS = 120.0
"""Longer than it takes for an attempt that was lost to be made again."""
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Run:
    """One service taking in all of its inputs, memory in MB."""

    inputs: int
    outputs: int
    mails: int
    seconds: float
    cpu_seconds: float
    idle_mb: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Inputs a second."""
        return self.inputs / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of the processor for one input."""
        return self.cpu_seconds / self.inputs * 1e6


class Watch:
    """A service's database and topics: whether anything is left to do, and since when nothing moved."""

    def __init__(self, service: str, servers: str, folder: Path) -> None:
        self._service = service
        self._databases = Databases(folder, None)
        self._ends = Ends(servers)
        catalogue = load_catalogue()
        self._inputs = catalogue.inputs_of(service)
        self._outputs = [one for one in catalogue.topics.values() if service in one.writers]
        self._before = self._count(self._outputs)

    def _count(self, topics: Sequence[Topic]) -> int:
        return sum(self._ends.of((one.name, one.partitions) for one in topics).values())

    @property
    def inputs(self) -> int:
        """How many records it has read."""
        return sum(self._databases.positions(self._service).values())

    @property
    def outputs(self) -> int:
        """How many records stand on the topics that it writes since the watch began."""
        return self._count(self._outputs) - self._before

    def wait(self, process: Process) -> float:
        """Wait until nothing is left; returns the moment (`perf_counter`) at which something moved for the last time.

        Raises:
            TimeoutError: something is left, and nothing moved for a long time.
        """
        last, moved = (-1, {"": -1}), time.perf_counter()
        while True:
            process.check_alive()
            pending = self._databases.pending(self._service, int(time.time() * 1000))
            # What is confirmed leaves the outbox when there is leisure; that is no part of the work.
            unsent = pending.pop("rows in the outbox")
            now = (self.inputs, pending)
            if now != last:
                last, moved = now, time.perf_counter()
            elif not unsent and not any(pending.values()) and now[0] >= self._count(self._inputs):
                return moved
            elif time.perf_counter() - moved > STILL_SECONDS:
                raise TimeoutError(f"{self._service} stands still at {now}\n{process.tail()}")
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """End the connections."""
        self._databases.close()
        self._ends.close()


def measure(name: str, servers: str, folder: Path, recording: Recording) -> Run:
    """One run of a service over what is recorded for it."""
    renew(servers, load_catalogue())
    fed = feeds(name)
    mails = folder / "mails.jsonl"
    with closing(Publisher(servers)) as publisher, SmtpProcess(mails) as smtp:
        for topic in fed:
            if topic.kind is Kind.REFERENCE:
                publisher.publish(recording.get(topic.name, ()))
        environment = worker_environment(servers, folder, smtp_port=smtp.port, log_level="WARNING")
        with worker(name, environment, folder / "logs") as process:
            process.wait_ready(READY_SECONDS)
            with closing(Watch(name, servers, folder)) as watch:
                watch.wait(process)
                idle, used = process.memory, processor_seconds(process.pid)
                process.pause()
                for topic in fed:
                    if topic.kind is not Kind.REFERENCE:
                        publisher.publish(recording.get(topic.name, ()))
                began = time.perf_counter()
                process.resume()
                wait_until(lambda: watch.inputs > 0, STILL_SECONDS, f"{name} begins to read")
                seconds = watch.wait(process) - began
                used = processor_seconds(process.pid) - used
                peak = peak_memory_mb(process.pid)
                number = sum(1 for _ in read_mails(mails))
                return Run(watch.inputs, watch.outputs, number, seconds, used, idle / 1e6, peak)


def hop(servers: str, folder: Path, events: int) -> float:
    """Events/s of the kit's bare hop."""
    return run("tests.benchmarks.kit_hop", servers, str(folder), str(events)).number


def show(runs: dict[str, list[Run]], console: Console) -> None:
    """The table; of several rounds the medians, but the highest memory."""
    table = Table(title="各服务单独 · each service alone, SQLite")
    for column in ("", "in", "out", "mails", "in/s", "out/s", "µs CPU/in", "idle MB", "peak MB"):
        table.add_column(column, justify="right" if column else "left")
    for name, all_of in runs.items():
        one = all_of[0]
        middle = statistics.median(each.rate for each in all_of)
        table.add_row(
            name,
            f"{one.inputs:,}",
            f"{one.outputs:,}",
            f"{one.mails:,}",
            f"{middle:,.0f}",
            f"{middle * one.outputs / one.inputs:,.0f}",
            f"{statistics.median(each.cpu_us for each in all_of):,.0f}",
            f"{max(each.idle_mb for each in all_of):.0f}",
            f"{max(each.peak_mb for each in all_of):.0f}",
        )
    console.print(table)


def results(runs: dict[str, list[Run]], hops: Sequence[float]) -> list[Result]:
    """Each service's speed as a share of the bare hop's in the same round: this may be compared another day."""
    return [
        Result(f"{name} / hop", statistics.median(one.rate / hop for one, hop in zip(all_of, hops, strict=True)),
               "{:.3f}", ratio=True)
        for name, all_of in runs.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--referrals", type=int, default=5000, help="how many referrals the scenario has")
    parser.add_argument("--hops", type=int, default=100_000, help="events of the bare hop, to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--services", default=",".join(SERVICES), help="names with commas between them")
    chosen = parser.parse_args()
    console = Console()
    names = chosen.services.split(",")
    runs: dict[str, list[Run]] = {name: [] for name in names}
    hops: list[float] = []
    with tempfile.TemporaryDirectory() as temporary, empty_cluster(Path(temporary) / "broker") as servers:
        folder = Path(temporary)
        prepare(servers, hop_catalogue())
        load(servers, "commerce.hops", chosen.hops)
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as bar:
            step = bar.add_task("", total=None)
            bar.update(step, description=f"录制 {chosen.referrals:,} 件推荐 · recording {chosen.referrals:,} referrals")
            recording = record(servers, folder / "recording", chosen.referrals)
            for number in range(chosen.rounds):
                bar.update(step, description=f"{number + 1}/{chosen.rounds} 底座一跳 · bare hop")
                hops.append(hop(servers, folder / f"hop-{number}", chosen.hops))
                for name in names:
                    bar.update(step, description=f"{number + 1}/{chosen.rounds} {name}")
                    runs[name].append(measure(name, servers, folder / f"{name}-{number}", recording))
    show(runs, console)
    found = {"hop": hops} | {f"{name} {what}": [getattr(one, what) for one in each] for name, each in runs.items()
             for what in ("rate", "cpu_us", "idle_mb", "peak_mb", "inputs", "outputs", "mails")}  # fmt: skip
    finish("services", found, chosen.referrals, results(runs, hops), console)


if __name__ == "__main__":
    main()
