"""Figures of a measurement as JSON with machine, versions and commit, and what became of them since the last one."""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from services.embedded.broker import kafka_version

FOLDER = Path(".kouan/bench")
PACKAGES = ("aiokafka", "pydantic", "orjson", "faust-streaming", "uvloop")
CHANGES = "+"
"""Ends the commit of figures that were measured with code which is in no commit."""

CHANGED = 0.1
"""A ratio that became worse by more than this share of the one before is told."""

Found = dict[str, list[float]]
"""What each thing measured gave, run after run."""


@dataclass(frozen=True, slots=True)
class Result:
    """One figure that counts, with its goal, if any: at least `least`, or below `below`.

    `ratio` tells that it compares two runs side by side, so that it can be held against the same figure of another
    day; what was measured by the clock alone can't, because machines differ and drift. `form` is how it is written.
    """

    name: str
    value: float
    form: str = "{:.2f}"
    least: float | None = None
    below: float | None = None
    ratio: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.least is not None:
            return self.value >= self.least
        return self.value < self.below if self.below is not None else None

    @property
    def found(self) -> str:
        """The value as people read it."""
        return self.form.format(self.value)

    @property
    def goal(self) -> str:
        """The goal as people read it; empty where there is none."""
        if self.least is not None:
            return f"≥ {self.form.format(self.least)}"
        return f"< {self.form.format(self.below)}" if self.below is not None else ""

    @property
    def verdict(self) -> str:
        """Met or missed, in rich's markup; empty where there is no goal."""
        return {None: "", True: "达到 · met", False: "[red]未达到 · missed[/red]"}[self.met]

    def worse_than(self, before: float) -> bool:
        """Whether it lost more than a tenth against the same figure before."""
        if not self.ratio or before <= 0:
            return False
        return self.value > (1 + CHANGED) * before if self.below is not None else self.value < (1 - CHANGED) * before


def finish(kind: str, found: Found, count: int, results: Sequence[Result], console: Console) -> None:
    """Show the results with their goals, keep all figures, and say what became slower."""
    console.print(table_of("目标 · goals", [("", result) for result in results]))
    file, told = keep(kind, found, count, results)
    for text in told:
        console.print(f"[red]{text}[/red]")
    console.print(f"数据 · figures: {file}")


def table_of(title: str, rows: Iterable[tuple[str, Result]]) -> Table:
    """Results, each behind the name of its measurement, with goals and verdicts."""
    table = Table(title=title)
    for column in ("", "", "结果 · found", "目标 · goal", ""):
        table.add_column(column)
    for name, result in rows:
        table.add_row(name, result.name, result.found, result.goal, result.verdict)
    return table


def keep(
    kind: str, found: Found, count: int, results: Sequence[Result] = (), folder: Path = FOLDER
) -> tuple[Path, list[str]]:
    """Write the figures down; returns the file, and what became slower since the last run of the same size."""
    folder.mkdir(parents=True, exist_ok=True)
    told = slower(results, last(kind, count, folder))
    kept = list(map(asdict, results))
    figures = {**about(), "events": count, "events_per_second": found, "results": kept, "slower": told}
    file = folder / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file, told


def last(kind: str, count: int, folder: Path = FOLDER) -> dict[str, Any] | None:
    """The figures of the last run over so many events; None where there is none."""
    for file in sorted(folder.glob(f"{kind}-????????-??????.json"), reverse=True):
        figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if figures.get("events") == count:
            return figures
    return None


def slower(results: Iterable[Result], before: Mapping[str, Any] | None) -> list[str]:
    """What became worse by more than a tenth since the figures before, for people."""
    if before is None:
        return []
    then = {each["name"]: each["value"] for each in before.get("results", ())}
    return [
        f"变慢 · slower than at {before['commit']}: {now.name} {now.form.format(then[now.name])} → {now.found}"
        for now in results
        if now.name in then and now.worse_than(then[now.name])
    ]


def about() -> dict[str, Any]:
    """When and where it was measured, and with what; who else took part is pinned in the commit."""
    changed = _said("git", "status", "--porcelain", "--", "*.py", "*.toml", "*.xml", "*.txt")
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": _said("git", "rev-parse", "--short", "HEAD") + (CHANGES if changed else ""),
        "machine": f"{os.cpu_count()} × {platform.machine()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {
            **{name: version(name) for name in PACKAGES},
            "kafka": kafka_version(),
            "sqlite": sqlite3.sqlite_version,
            "java": _version("java", "-version"),
            "postgresql": _version("psql", "--version"),
        },
    }


def _version(*command: str) -> str:
    """The first number with dots that a program says of itself; empty where it is not installed."""
    found = re.search(r"\d+(\.\d+)+", _said(*command))
    return found.group() if found else ""


def _said(*command: str) -> str:
    """What a program says, on either output; nothing where it is not installed."""
    try:
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        ).stdout.strip()
    except FileNotFoundError:
        return ""
