"""The soak's report: Markdown for people, JSON for programs, and a picture of the run."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

from services.embedded.broker import kafka_version
from tests.benchmarks.figures import about
from tests.faults.soak_judge import Verdict
from tests.faults.soak_watch import Seen
from tests.support.postgres import find_binaries

LEFT, WIDTH, RIGHT, TOP, HEIGHT, GAP = 80, 760, 170, 46, 150, 44
COLORS = ("#1f6f8b", "#c8553d", "#588157", "#8e6c8a", "#b08900", "#4a4e69")
FAULT = "#d9a5a0"
RATE_SECONDS = 10.0

Point = tuple[float, float]
Line = tuple[str, list[Point]]


@dataclass(slots=True)
class Strike:
    """Faults that were on together: from when to when (seconds since the start), their names, and what they struck."""

    began: float
    ended: float
    zh: list[str]
    en: list[str]
    struck: list[str]


@dataclass(slots=True)
class Report:
    """One run. `loaded`: seconds for which cases were published and faults struck."""

    seed: int
    minutes: float
    every: float
    on_postgres: Sequence[str]
    cases: int
    inputs: int
    loaded: float
    strikes: list[Strike]
    seen: Seen
    verdicts: list[Verdict]


def write_report(report: Report, folder: Path) -> None:
    """`soak-report.md`, `soak.json` and `soak.svg` in the folder."""
    where = about()
    figures = {
        **where, "seed": report.seed, "minutes": report.minutes, "every": report.every, "cases": report.cases,
        "inputs": report.inputs, "events": report.seen.events, "seconds": round(report.loaded, 1),
        "on_postgres": list(report.on_postgres),
        "invariants": [{**asdict(one), "kept": one.kept} for one in report.verdicts],
        "faults": [asdict(one) for one in report.strikes],
        "unanswered": dict(report.seen.unanswered),
        "looks": [asdict(one) for one in report.seen.looks],
    }  # fmt: skip
    text = json.dumps(figures, ensure_ascii=False, indent=1)
    (folder / "soak.json").write_text(text + "\n", encoding="utf-8")
    (folder / "soak.svg").write_text(picture(report), encoding="utf-8")
    (folder / "soak-report.md").write_text("\n".join(_markdown(report, where)) + "\n", encoding="utf-8")


def _markdown(report: Report, where: dict[str, object]) -> Iterator[str]:
    kept = all(one.kept for one in report.verdicts)
    versions = where.get("versions")
    postgres = subprocess.run([find_binaries() / "postgres", "--version"], capture_output=True, text=True, check=False)
    yield "# 浸泡测试 · Soak"
    yield ""
    yield (
        f"{'**全部不变式成立。**' if kept else '**有不变式不成立，见下表。**'}"
        f"六个服务、消息代理、邮件服务器在随机故障下连续运行 {report.loaded / 60:.0f} 分钟："
        f"{report.cases:,} 个案件，{report.inputs:,} 条输入，"
        f"各主题共 {report.seen.events:,} 个事件，{len(report.strikes)} 次故障。"
    )
    yield ""
    yield (
        f"{'**Every invariant held.**' if kept else '**An invariant did not hold: see the table.**'} Six services, "
        f"broker and mail server ran for {report.loaded / 60:.0f} minutes under random faults: {report.cases:,} cases, "
        f"{report.inputs:,} inputs, {report.seen.events:,} events on all topics, {len(report.strikes)} strikes."
    )
    yield ""
    yield f"`python -m tests.faults.soak --minutes {report.minutes:g} --every {report.every:g} --seed {report.seed}`"
    yield ""
    yield f"- 种子 seed: {report.seed}"
    for zh, name in (("时间", "when"), ("提交", "commit"), ("机器", "machine"), ("Python", "python")):
        yield f"- {zh} {name}: {where.get(name)}"
    if isinstance(versions, dict):
        yield f"- 版本 versions: {', '.join(f'{name} {version}' for name, version in versions.items())}"
    yield f"- Kafka {kafka_version()}；{postgres.stdout.strip()}；SQLite {sqlite3.sqlite_version}"
    yield f"- PostgreSQL: {', '.join(report.on_postgres)}；SQLite: 其余 the others"
    yield ""
    yield (
        "保证：输出至少送达一次，同一事件的重发有相同的 source 与 id、相同的内容，读者按 (source, id) 只取一次；"
        "每条输入恰好生效一次。"
    )
    yield ""
    yield (
        "The guarantee: outputs are delivered at least once, a repeat has the same source and id and the same content, "
        "and readers take each (source, id) once; every input takes effect exactly once."
    )
    yield ""
    yield "![events/s, lag, memory](soak.svg)"
    yield ""
    yield "## 不变式 · Invariants"
    yield ""
    yield "| 不变式 invariant | 数值 figure | 结论 verdict |"
    yield "| --- | --- | --- |"
    for one in report.verdicts:
        verdict = "✓ 成立 kept" if one.kept else "✗ 不成立 broken"
        yield f"| {one.zh}<br>{one.en} | {one.figure} | {verdict} |"
    for one in report.verdicts:
        if one.faults:
            yield ""
            yield f"### ✗ {one.zh} · {one.en}"
            yield ""
            yield "```"
            yield from one.faults
            yield "```"
    yield ""
    yield "## 故障 · Faults"
    yield ""
    yield "| 时刻 at | 故障 fault | 对象 struck | 秒 s |"
    yield "| ---: | --- | --- | ---: |"
    for strike in report.strikes:
        names = f"{' ＋ '.join(strike.zh)}<br>{' + '.join(strike.en)}"
        at = f"{int(strike.began) // 60}:{int(strike.began) % 60:02}"
        yield f"| {at} | {names} | {', '.join(strike.struck)} | {strike.ended - strike.began:.1f} |"


# The picture


def picture(report: Report) -> str:
    """Events/s, lag and memory over time, with the faults as bars behind them."""
    looks = report.seen.looks
    end = max([report.loaded, *(look.at for look in looks)], default=1.0)
    panels: list[tuple[str, list[Line], Callable[[float], str]]] = [
        ("事件/秒 · events/s", [("", rates(report.seen))], lambda value: f"{value:,.0f}"),
        (
            "积压（条） · lag",
            [
                ("待读事件 records", [(look.at, float(sum(look.lag.values()))) for look in looks]),
                ("待发邮件 mails", [(look.at, float(look.mails)) for look in looks]),
            ],
            lambda value: f"{value:,.0f}",
        ),
        (
            "内存 · memory (MB)",
            [
                (worker.rpartition("-")[0], [(one.at, one.memory / 1e6) for one in samples])
                for worker, samples in sorted(report.seen.samples.items())
            ],
            lambda value: f"{value:,.0f}",
        ),
    ]
    width, height = LEFT + WIDTH + RIGHT, TOP + len(panels) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="20" font-weight="bold">浸泡测试 · soak: {report.seen.events:,} events, '
        f"{len(report.strikes)} 次故障 faults, seed {report.seed}</text>",
    ]
    for number, (title, lines, form) in enumerate(panels):
        parts += _panel(TOP + number * (HEIGHT + GAP), title, lines, form, report, end)
    return "\n".join((*parts, "</svg>")) + "\n"


def rates(seen: Seen) -> list[Point]:
    """Events/s over stretches of some seconds."""
    points: list[Point] = []
    since = seen.looks[0] if seen.looks else None
    for look in seen.looks:
        if since is not None and look.at - since.at >= RATE_SECONDS:
            points.append(((look.at + since.at) / 2, (look.events - since.events) / (look.at - since.at)))
            since = look
    return points


def _panel(
    top: float, title: str, lines: list[Line], form: Callable[[float], str], report: Report, end: float
) -> Iterator[str]:
    most = max((value for _, points in lines for _, value in points), default=1.0) * 1.05 or 1.0
    bottom = top + HEIGHT
    yield f'<text x="{LEFT}" y="{top - 6}">{escape(title)}</text>'
    for strike in report.strikes:
        wide = max(1.0, WIDTH * (strike.ended - strike.began) / end)
        yield (
            f'<rect x="{LEFT + WIDTH * strike.began / end:.1f}" y="{top}" width="{wide:.1f}" height="{HEIGHT}" '
            f'fill="{FAULT}" opacity="0.45"><title>{escape(" + ".join(strike.en))}</title></rect>'
        )
    for share in (0.0, 0.5, 1.0):
        level = bottom - HEIGHT * share
        yield f'<path d="M{LEFT} {level:.1f}H{LEFT + WIDTH}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{form(most * share)}</text>'
    for number, (name, points) in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        if points:
            way = " ".join(
                f"{LEFT + WIDTH * at / end:.1f},{bottom - HEIGHT * value / most:.1f}" for at, value in points
            )
            yield f'<polyline points="{way}" fill="none" stroke="{color}" stroke-width="1.4"/>'
        if name:
            yield f'<text x="{LEFT + WIDTH + 12}" y="{top + 14 + 18 * number}" fill="{color}">{escape(name)}</text>'
    for minute in range(0, int(end // 60) + 1, max(1, int(end // 600))):
        x = LEFT + WIDTH * minute * 60 / end
        yield f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" fill="#666">{minute} min</text>'
