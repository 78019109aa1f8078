"""`make bench`: all measurements, one after the other, and one table of what they found beside what is asked for.

`--quick` takes each at a small size, in about ten minutes in all: it shows that everything can be measured, and its
figures are compared with those of other quick runs alone. Names choose some of them: `--only growth,workers`.
All of it takes hours at full size; `--resume` goes on where a run was broken off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks.figures import CHANGES, FOLDER, Result, about, table_of

NOTES = "all"
"""Folder, beside the figures, of what each measurement last found at full size."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One measurement: its module and its arguments, at full size and small; None where there is no small one."""

    name: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()

    def command(self, *, quick: bool) -> list[str]:
        """How it is run."""
        return [sys.executable, "-m", f"tests.benchmarks.{self.module}", *((self.quick or ()) if quick else self.full)]


def _given(text: str) -> tuple[str, ...]:
    return tuple(text.split())


BENCHES = (
    Bench("hop", "run", quick=_given("--events 50000 --pairs 1")),
    Bench(
        "race 100k",
        "run",
        _given("--peers all --events 100000"),
        _given("--peers streams,quix --events 20000 --warm-up 5000 --rounds 1"),
    ),
    # The slow ones read the same 20,000 events in either race.
    Bench("race 1M", "run", _given("--peers fast --events 1000000"), None),
    Bench("services", "services", quick=_given("--referrals 200 --rounds 1 --hops 20000")),
    Bench("end_to_end", "end_to_end", quick=_given("--seconds 5 --no-climb")),
    Bench("growth", "growth", quick=_given("--sizes 10000,300000 --events 30000 --warm-up 10000 --rounds 1")),
    Bench("workers", "workers", quick=_given("--events 30000 --rounds 1")),
    Bench("rebuild", "rebuild", quick=_given("--events 30000")),
    Bench("gateway", "gateway", quick=_given("--rounds 1 --seconds 2")),
    Bench("policy", "policy_simulate", quick=_given("--referrals 10000")),
    Bench("screening", "screening", quick=_given("--events 5000 --hops 20000 --many 100000 --rounds 1")),
)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one measurement; `figures` are those that it kept, None where it failed."""

    bench: Bench
    seconds: float
    figures: Mapping[str, Any] | None

    @property
    def results(self) -> list[Result]:
        """What counts of its figures."""
        return [Result(**each) for each in (self.figures or {}).get("results", ())]


def chosen(names: str, *, quick: bool) -> list[Bench]:
    """The measurements of these names, or all that there are at this size; ends the program at an unknown name."""
    known = {bench.name: bench for bench in BENCHES if not (quick and bench.quick is None)}
    wanted = names.split(",") if names else list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"--only: {', '.join(unknown)} 未知 · unknown; of: {', '.join(known)}")
    return [known[name] for name in wanted]


def measure(bench: Bench, *, quick: bool, folder: Path = FOLDER) -> Done:
    """Run one measurement, which shows its own tables, and read the figures that it kept."""
    before = set(folder.glob("*.json"))
    began = time.monotonic()
    code = subprocess.run(bench.command(quick=quick), check=False).returncode
    seconds = time.monotonic() - began
    new = sorted(set(folder.glob("*.json")) - before)
    if code or not new:
        return Done(bench, seconds, None)
    return Done(bench, seconds, json.loads(new[-1].read_text(encoding="utf-8")))


def remember(done: Done, folder: Path = FOLDER) -> None:
    """Note what a measurement found, if it came to its end, for a run that resumes this one."""
    if done.figures is not None:
        note = folder / NOTES / f"{done.bench.name}.json"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"seconds": done.seconds, "figures": done.figures}), encoding="utf-8")


def measured(bench: Bench, commit: str, folder: Path = FOLDER) -> Done | None:
    """What this measurement found when it last came to its end, if that was at this commit and nothing but it."""
    note = folder / NOTES / f"{bench.name}.json"
    kept = json.loads(note.read_text(encoding="utf-8")) if note.exists() else None
    if kept is None or kept["figures"]["commit"] != commit or commit.endswith(CHANGES):
        return None
    return Done(bench, kept["seconds"], kept["figures"])


def summary(all_done: Sequence[Done], console: Console) -> bool:
    """The table of all results; returns whether every measurement came to its end."""
    rows = [(done.bench.name, result) for done in all_done for result in done.results]
    console.print(table_of("全部结果 · all results", rows))
    goals = [result.met for _, result in rows if result.met is not None]
    console.print(f"目标 · goals: {sum(goals)} / {len(goals)} 达到 · met")
    for done in all_done:
        for text in (done.figures or {}).get("slower", ()):
            console.print(f"[red]{done.bench.name}: {text}[/red]")
        if done.figures is None:
            console.print(f"[red]{done.bench.name} 未完成 · did not come to its end[/red]")
    return all(done.figures is not None for done in all_done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, about ten minutes in all")
    parser.add_argument(
        "--only", default="", help=f"names with commas between them: {', '.join(b.name for b in BENCHES)}"
    )
    parser.add_argument("--resume", action="store_true", help="measure only what was not measured at this commit")
    given = parser.parse_args()
    if given.resume and given.quick:
        parser.error("--resume: --quick 的数据不留作续测 · what --quick measured is not kept for it")
    console = Console()
    commit = about()["commit"]
    done = []
    for bench in chosen(given.only, quick=given.quick):
        console.rule(bench.name)
        before = measured(bench, commit) if given.resume else None
        done.append(before or measure(bench, quick=given.quick))
        if not given.quick:
            remember(done[-1])
        console.print(f"{bench.name}: {done[-1].seconds:.0f} s{'，此前已测 · measured before' if before else ''}")
    if not summary(done, console):
        sys.exit(1)


if __name__ == "__main__":
    main()
