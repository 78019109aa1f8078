"""`python -m tests.benchmarks.rebuild`: how fast a service's database is rebuilt from its record topic, and compared.

The hop (a state a key) and screening first work off generated events on SQLite, which leaves their record topics and
the databases to compare with. Then, in turn, the bare client reads the hop's record topic and does nothing with it, and
both services are rebuilt, and the new databases take the place of those in use. One that differs ends the measurement.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.embedded.kafka import find_or_start
from tests.benchmarks import screening_events
from tests.benchmarks.figures import Found, Result, finish
from tests.benchmarks.hop import catalogue
from tests.benchmarks.load import load
from tests.benchmarks.rebuild_once import Took
from tests.benchmarks.topics import prepare
from tests.benchmarks.watching import run
from topics.definition import load_catalogue

EVENTS_A_SECOND, MEMORY_MB = 40_000, 500
TITLES = {
    "bare": "aiokafka 只读 · reading",
    "hop": "一跳 · hop",
    "screening": "筛选 · screening",
}


def worked_off(servers: str, folder: Path, events: int, referrals: int, console: Console) -> None:
    """Let both services work off generated events, which fills record topics and databases."""
    prepare(servers, catalogue(), load_catalogue())
    console.print(f"写入并处理 · loading and working off {events:,} hops, {referrals:,} referrals")
    load(servers, "commerce.hops", events)
    run("tests.benchmarks.kit_hop", servers, str(folder), str(events))
    screening_events.load(servers, "referral.events", referrals)
    run("tests.benchmarks.screening_hop", "fill", servers, str(folder), "0", "0")
    run("tests.benchmarks.screening_hop", servers, str(folder), str(referrals), "0")


def measured(servers: str, folder: Path, rounds: int) -> dict[str, list[Took]]:
    """What each took, in rounds, with the highest memory in MB as `peak_mb`."""
    found: dict[str, list[Took]] = {name: [] for name in TITLES}
    for _ in range(rounds):
        for name, took in found.items():
            ended = run("tests.benchmarks.rebuild_once", name, servers, str(folder))
            took.append({**json.loads(ended.output), "peak_mb": ended.peak_mb})
            if took[-1].get("differences"):
                sys.exit(f"{name}: {took[-1]['differences']:.0f} rows of the rebuilt database differ")
            if name != "bare" and not took[-1]["switched"]:
                sys.exit(f"{name}: the rebuilt database did not take the place of the one in use")
    return found


def show(found: dict[str, list[Took]], console: Console) -> None:
    """The table of what was measured: processor time of the loop and of all other threads by the event."""
    table = Table(title="重建 · rebuilding on SQLite")
    for column in ("", "events", "events/s", "loop µs", "threads µs", "compare s", "MB"):
        table.add_column(column, justify="right" if column else "left")
    for name, took in found.items():
        rates = [one["rate"] for one in took]
        table.add_row(
            TITLES[name],
            f"{took[0]['events']:,.0f}",
            f"{statistics.median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})",
            *(_median(took, figure, form) for figure, form in (("loop_us", ".1f"), ("other_us", ".1f"))),
            *(_median(took, figure, form) for figure, form in (("compare_s", ".1f"), ("peak_mb", ".0f"))),
        )
    console.print(table)


def _median(took: list[Took], figure: str, form: str) -> str:
    values = [one[figure] for one in took if figure in one]
    return format(statistics.median(values), form) if values else ""


def results(found: dict[str, list[Took]]) -> list[Result]:
    """What is asked for."""
    rate = {name: [one["rate"] for one in took] for name, took in found.items()}
    of_bare = statistics.median(hop / bare for hop, bare in zip(rate["hop"], rate["bare"], strict=True))
    peak = max(one["peak_mb"] for took in found.values() for one in took)
    return [
        Result("hop, events/s", statistics.median(rate["hop"]), "{:,.0f}", least=EVENTS_A_SECOND),
        Result("hop / aiokafka reading alone", of_bare, ratio=True),
        Result("screening, events/s", statistics.median(rate["screening"]), "{:,.0f}", least=EVENTS_A_SECOND),
        Result("peak memory, MB", peak, "{:.0f}", below=MEMORY_MB),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="events on the hop's record topic")
    parser.add_argument("--referrals", type=int, help="referrals that screening decides about; a tenth of the events")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with find_or_start(folder / "broker", console.print, cache_dir=Path(".kouan/cache")) as broker:
            servers = broker.bootstrap_servers
            worked_off(servers, folder, given.events, given.referrals or max(1, given.events // 10), console)
            found = measured(servers, folder, given.rounds)
    show(found, console)
    rates: Found = {name: [one["rate"] for one in took] for name, took in found.items()}
    finish("rebuild", rates, given.events, results(found), console)


if __name__ == "__main__":
    main()
