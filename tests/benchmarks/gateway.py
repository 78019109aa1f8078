"""`python -m tests.benchmarks.gateway`: the gateway against a bare FastAPI route that only parses JSON, in one run.

The bare route keeps nothing and guarantees nothing; the gateway checks key, rights and contract, reserves the request's
key durably, waits for the broker's confirmation, and stores its answer durably (SQLite, synchronous=FULL). Both run
alone in their process on the same machine, in turn, under the same load generator.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from services.embedded.broker import free_ports
from services.embedded.kafka import find_or_start
from services.embedded.processes import Process, resident_memory
from tests.benchmarks.figures import Result, finish
from tests.benchmarks.gateway_load import SOURCE
from tests.support.gateway import Front, running_gateway

SINGLE_GOAL, BATCH_GOAL = 0.4, 10.0
LATENCY_GOAL_MS, MEMORY_GOAL_MB = 50.0, 250.0
BATCH, STREAMS = 100, 1000
OPEN = {"gateway_requests_per_second": 1_000_000, "gateway_burst": 1_000_000}
SEATS = {"gateway_stream_seats": 2 * STREAMS, "gateway_stream_seats_per_party": 2 * STREAMS}


def load(what: str, port: int, key: str, *options: object) -> dict[str, float]:
    """One run of the load generator."""
    arguments = [sys.executable, "-m", "tests.benchmarks.gateway_load", what, str(port), key, *map(str, options)]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if run.returncode or run.stderr:
        sys.exit(f"{what} failed:\n{run.stderr[-3000:]}")
    found: dict[str, float] = json.loads(run.stdout)
    return found


def measure(front: Front, bare: Process, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Events/s of all three, run after run, in turn."""
    key = front.key(SOURCE)
    found: dict[str, list[float]] = {"bare": [], "single": [], "batch": []}
    for _ in range(rounds):
        found["bare"].append(load("throughput", bare.web_port, key, "--seconds", seconds)["events_per_second"])
        found["single"].append(load("throughput", front.port, key, "--seconds", seconds)["events_per_second"])
        options = ("--batch", BATCH, "--connections", 16, "--seconds", seconds)
        found["batch"].append(load("throughput", front.port, key, *options)["events_per_second"])
    return found


@contextmanager
def open_streams(front: Front) -> Any:
    """As many open event streams as the goal asks for; yields how many there are."""
    arguments = ["streams", str(front.port), front.key(SOURCE), "--connections", str(STREAMS)]
    command = [sys.executable, "-m", "tests.benchmarks.gateway_load", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["open"]
        process.communicate()


def show(figures: dict[str, Any], console: Console) -> bool:
    """The table; returns whether all goals are met."""
    bare, single, batch = (statistics.median(figures[name]) for name in ("bare", "single", "batch"))
    rows = [
        ("裸 FastAPI 路由 · bare FastAPI route", f"{bare:,.0f} /s", "", True),
        ("单个事件 · single events", f"{single:,.0f} /s", f"≥ {SINGLE_GOAL} × bare", single >= SINGLE_GOAL * bare),
        ("", f"{single / bare:.2f} × bare", "", True),
        (
            f"每批 {BATCH} 个 · batches of {BATCH}",
            f"{batch:,.0f} /s",
            f"≥ {BATCH_GOAL * SINGLE_GOAL:g} × bare",
            batch >= BATCH_GOAL * SINGLE_GOAL * bare,
        ),
        ("", f"{batch / bare:.2f} × bare, {batch / single:.1f} × single", "", True),
        (
            "200 /s 时的延迟 · latency at 200 /s",
            f"p50 {figures['p50_ms']:.1f} ms, p99 {figures['p99_ms']:.1f} ms",
            f"p99 < {LATENCY_GOAL_MS:g} ms",
            figures["p99_ms"] < LATENCY_GOAL_MS,
        ),
        (
            f"{figures['streams']:.0f} 个事件流的内存 · memory with open streams",
            f"{figures['memory_mb']:.0f} MB (idle {figures['idle_mb']:.0f} MB)",
            f"< {MEMORY_GOAL_MB:g} MB",
            figures["memory_mb"] < MEMORY_GOAL_MB and figures["streams"] == STREAMS,
        ),
    ]
    table = Table(title="HTTP 网关 · HTTP gateway")
    for column in ("", "结果 · found", "目标 · goal", ""):
        table.add_column(column)
    for name, result, goal, met in rows:
        table.add_row(name, result, goal, ("达到 · met" if met else "[red]未达到 · missed[/red]") if goal else "")
    console.print(table)
    return all(met for *_, met in rows)


def results(figures: dict[str, Any]) -> list[Result]:
    """What is asked for."""
    bare, single, batch = (statistics.median(figures[name]) for name in ("bare", "single", "batch"))
    return [
        Result("single events / bare route", single / bare, least=SINGLE_GOAL, ratio=True),
        Result(f"batches of {BATCH} / bare route", batch / bare, least=BATCH_GOAL * SINGLE_GOAL, ratio=True),
        Result("p99 at 200/s, ms", figures["p99_ms"], "{:.0f}", below=LATENCY_GOAL_MS),
        Result("memory with open streams, MB", figures["memory_mb"], "{:.0f}", below=MEMORY_GOAL_MB),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    chosen = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bare_environment = {"KOUAN_WEB_PORT": str(free_ports(1)[0])}
        bare = Process("bare", ["-m", "tests.benchmarks.gateway_bare"], bare_environment, folder / "bare.log")
        with (
            find_or_start(folder / "broker", console.print, cache_dir=Path(".kouan/cache")) as broker,
            running_gateway(broker.bootstrap_servers, folder / "data", **OPEN, **SEATS) as front,
            bare,
        ):
            bare.wait_ready()
            figures: dict[str, Any] = {"idle_mb": resident_memory(front.process.pid) / 1e6}
            load("throughput", front.port, front.key(SOURCE), "--seconds", 1)
            figures |= measure(front, bare, chosen.rounds, chosen.seconds)
            figures |= load("latency", front.port, front.key(SOURCE), "--rate", 200, "--seconds", 2 * chosen.seconds)
            with open_streams(front) as count:
                figures |= {"streams": count, "memory_mb": resident_memory(front.process.pid) / 1e6}
    show(figures, console)
    found = {name: value if isinstance(value, list) else [value] for name, value in figures.items()}
    finish("gateway", found, chosen.rounds, results(figures), console)


if __name__ == "__main__":
    main()
