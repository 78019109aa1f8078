"""What a race came to: ratios with minimum, median and maximum, goals, a Markdown table, a chart."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.figures import Found, Result


@dataclass(frozen=True, slots=True)
class Pair:
    """Two systems whose speeds are compared in each round, and the ratio that is asked for, if any."""

    ours: str
    other: str
    goal: float | None = None


PAIRS = (
    Pair("kit", "streams", 1.0),
    Pair("kit", "quix", 2.0),
    Pair("kit", "faust", 15.0),
    Pair("kit", "faststream", 30.0),
    Pair("kit-postgres", "streams", 0.5),
    Pair("kit", "aiokafka"),
    Pair("kit", "confluent"),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Of several values."""

    low: float
    middle: float
    high: float

    def texts(self, form: str) -> tuple[str, str, str]:
        """All three, formatted."""
        return format(self.low, form), format(self.middle, form), format(self.high, form)


def spread(values: list[float]) -> Spread:
    """Minimum, median and maximum."""
    return Spread(min(values), statistics.median(values), max(values))


def ratios(found: Found, pair: Pair) -> list[float]:
    """Of each round in which both ran; empty where there is none."""
    return [ours / other for ours, other in zip(found.get(pair.ours, ()), found.get(pair.other, ()), strict=False)]


def compared(found: Found) -> list[tuple[Pair, Spread, bool | None]]:
    """The pairs that ran, their ratios, and whether the goal is met."""
    rows = []
    for pair in PAIRS:
        values = ratios(found, pair)
        if values:
            middle = spread(values)
            rows.append((pair, middle, None if pair.goal is None else middle.middle >= pair.goal))
    return rows


def results(found: Found) -> list[Result]:
    """The medians of the pairs that ran, with their goals."""
    return [
        Result(f"{pair.ours} / {pair.other}", values.middle, least=pair.goal, ratio=True)
        for pair, values, _ in compared(found)
    ]


def show(found: Found, titles: Mapping[str, str], events: int, console: Console) -> None:
    """Both tables."""
    speeds = Table(title=f"一次持久跳转 · one durable hop, {events:,} events, events/s")
    for column in ("", "n", "min", "median", "max"):
        speeds.add_column(column, justify="right" if column else "left")
    for name, values in found.items():
        speeds.add_row(titles[name], str(len(values)), *spread(values).texts(",.0f"))
    console.print(speeds)
    table = Table(title="同轮比值 · ratios within a round")
    for column in ("", "min", "median", "max", "目标 · goal", ""):
        table.add_column(column, justify="right" if column in ("min", "median", "max") else "left")
    for pair, values, met in compared(found):
        verdict = "" if met is None else "达到 · met" if met else "[red]未达到 · missed[/red]"
        goal = "" if pair.goal is None else f"≥ {pair.goal:g}"
        table.add_row(f"{pair.ours} / {pair.other}", *values.texts(".2f"), goal, verdict)
    console.print(table)


def markdown(found: Found, titles: Mapping[str, str], events: int, about: Mapping[str, Any]) -> str:
    """Both tables for the README."""
    lines = [
        f"{events:,} events · {about['when'][:10]} · {about['commit']} · {about['machine']} · Python {about['python']}",
        "",
        "| system | runs | events/s min | median | max |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, values in found.items():
        lines.append(_row(titles[name], str(len(values)), *spread(values).texts(",.0f")))
    lines += ["", "| ratio | min | median | max | goal |", "| --- | ---: | ---: | ---: | --- |"]
    for pair, values, met in compared(found):
        goal = "" if pair.goal is None else f"≥ {pair.goal:g} {'met' if met else 'missed'}"
        lines.append(_row(f"{pair.ours} / {pair.other}", *values.texts(".2f"), goal))
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def write_between(file: Path, name: str, text: str) -> None:
    """Put the text between the file's markers of that name.

    Raises:
        ValueError: the file has no such markers.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    whole = file.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(whole):
        raise ValueError(f"{file} has no markers {begin} and {end}: put them where the table is to stand")
    file.write_text(pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", whole), encoding="utf-8")


ROW, LEFT, WIDTH, RIGHT, TOP = 34, 290, 430, 90, 40


def chart(found: Found, titles: Mapping[str, str], events: int) -> str:
    """An SVG of bars as long as the medians, each with a line from minimum to maximum."""
    longest = max(max(values) for values in found.values())
    ordered = sorted(found.items(), key=lambda item: -statistics.median(item[1]))
    width, height = LEFT + WIDTH + RIGHT, TOP + ROW * len(ordered) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="24" font-weight="bold">一次持久跳转 · one durable hop, {events:,} events, events/s</text>',
    ]
    for number, (name, values) in enumerate(ordered):
        low, middle, high = (LEFT + WIDTH * value / longest for value in _values(spread(values)))
        top = TOP + ROW * number
        color = "#1f6f8b" if name.startswith("kit") else "#b8c4cc"
        parts += [
            f'<text x="{LEFT - 10}" y="{top + 17}" text-anchor="end">{escape(titles[name])}</text>',
            f'<rect x="{LEFT}" y="{top + 2}" width="{middle - LEFT:.1f}" height="{ROW - 12}" fill="{color}"/>',
            f'<path d="M{low:.1f} {top + 13}H{high:.1f}" stroke="#222" stroke-width="1.5"/>',
            f'<text x="{high + 8:.1f}" y="{top + 17}">{spread(values).middle:,.0f}</text>',
        ]
    return "\n".join((*parts, "</svg>")) + "\n"


def _values(of: Spread) -> tuple[float, float, float]:
    return of.low, of.middle, of.high
