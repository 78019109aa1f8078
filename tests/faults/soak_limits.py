"""What must hold of what was seen while the soak ran: volume, positions, processes, memory, open files."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from tests.faults.soak_judge import Verdict
from tests.faults.soak_watch import Sample, Seen

WARM_SECONDS = 240.0
"""A process that started less long ago is still filling what it keeps: some tasks see few states a minute."""
MORE = 1.15
"""The last third of a run may take so much of what the first third took."""
LONG_SECONDS = 3 * 2 * WARM_SECONDS
"""A load that took so long has thirds in which a process is warm for as long as it was not."""
FEWEST = 3
MORE_FILES = 40


def watched(seen: Seen, loaded: float, events: int, ended: Sequence[str], failures: Sequence[str]) -> Iterator[Verdict]:
    """Verdicts on what was seen; `loaded`: seconds after which nothing more was published."""
    took = max(loaded, seen.looks[-1].at if seen.looks else 0.0)
    short = [f"{seen.events:,} of {events:,}"] if seen.events < events else []
    yield Verdict(
        "volume",
        "全部主题上的事件总数",
        "events on all topics",
        f"{seen.events:,}（{seen.events / took:,.0f}/s）",
        short,
    )
    yield Verdict(
        "ran", "加载与故障按计划进行，工作进程无一自行退出",
        "load and faults went on as planned, and no worker ended by itself", f"{len(ended)}",
        [*failures, *ended],
    )  # fmt: skip
    yield Verdict(
        "positions", "数据库中的位置只增不减", "positions in the databases only grow",
        f"{len(seen.looks):,} 次查看 looks（无应答 unanswered {seen.unanswered.total():,}）", seen.fell[:10],
    )  # fmt: skip
    yield _bounded(
        seen, loaded, "memory", "各工作进程内存有界（末三分之一 ≤ 首三分之一 × 1.15）",
        "memory of each worker is bounded (last third ≤ 1.15 × first third)",
    )  # fmt: skip
    yield _files(seen, loaded)


def thirds(samples: Sequence[Sample], loaded: float) -> tuple[list[Sample], list[Sample]]:
    """The samples of the first and of the last third of the load, of processes that are warm; empty if too few."""
    warm = [one for one in samples if one.age >= WARM_SECONDS and one.at <= loaded]
    first = [one for one in warm if one.at < loaded / 3]
    last = [one for one in warm if one.at >= loaded * 2 / 3]
    return (first, last) if min(len(first), len(last)) >= FEWEST else ([], [])


def _bounded(seen: Seen, loaded: float, name: str, zh: str, en: str) -> Verdict:
    figures, faults, compared = [], [], 0
    for worker, samples in sorted(seen.samples.items()):
        service = worker.rpartition("-")[0]
        first, last = thirds(samples, loaded)
        if not first:
            # Those that were killed again and again are never warm; the report says so.
            figures.append(f"{service} 无从比较 not compared")
            continue
        compared += 1
        before, after = (statistics.median(one.memory for one in part) / 1e6 for part in (first, last))
        figures.append(f"{service} {before:.0f} → {after:.0f} MB")
        if after > before * MORE:
            faults.append(f"{worker}: {before:.0f} → {after:.0f} MB (× {after / before:.2f})")
    if not compared and loaded >= LONG_SECONDS:
        faults.append("no worker lived long enough in the first and in the last third to be compared")
    return Verdict(name, zh, en, "；".join(figures), faults)


def _files(seen: Seen, loaded: float) -> Verdict:
    figures, faults = [], []
    for worker, samples in sorted(seen.samples.items()):
        warm = [one.files for one in samples if one.at <= loaded]
        if warm:
            figures.append(f"{worker.rpartition('-')[0]} ≤ {max(warm)}")
        if warm and max(warm) > statistics.median(warm) + MORE_FILES:
            faults.append(f"{worker}: {max(warm)} open files, {statistics.median(warm):.0f} usually")
    return Verdict(
        "files", "打开的文件与连接有界", "open files and connections are bounded", "；".join(figures), faults
    )
