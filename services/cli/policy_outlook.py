"""What `kouan policy simulate` and `shadow` tell: tables, and the same as JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from services.cli.policy_report import new_table, print_json
from services.cli.terminal import err, out

if TYPE_CHECKING:
    from rich.table import Table

    from services.screening.policy_simulate import Counts, Judged, Moved, Replayed, Simulation

_GROUPS = {
    "manufacturing_medium_long_term": "制造业中长期 manufacturing, medium/long-term",
    "micro_or_small": "小微 micro or small",
    "private_enterprise": "民营 private",
    "resumption_of_work": "复工复产 resumption",
}
_COLUMNS = ("referral_id", "revision", "time", "lane")


def show_simulation(simulation: Simulation, days: tuple[date, date], shown: int, as_json: bool) -> None:
    """What another version would have changed."""
    if as_json:
        print_json(_simulation_as_json(simulation, days))
        return
    console = out()
    console.print(
        f"模拟 Simulation of [bold]{simulation.version}[/] · {_day(days[0])} – {_day(days[1])} · "
        f"{simulation.referrals:,} 件推荐 referrals · {len(simulation.changed):,} 件有变 changed"
    )
    console.print(_effects(simulation))
    console.print(_shares(simulation))
    if simulation.changed and shown:
        console.print(_changed(simulation.changed, shown))
    if simulation.unlike_record:
        console.print(
            f"[yellow]{simulation.unlike_record:,} / {simulation.compared_with_record:,} 件的记录得分无法由现有文件重现"
            "[/] · scores on record that the policy files here do not reproduce",
            soft_wrap=True,
        )


def _effects(simulation: Simulation) -> Table:
    table = new_table()
    table.add_column("变化 Change")
    table.add_column("件 Referrals", justify="right")
    for title, count in (
        ("新被硬性否决 newly stopped", simulation.newly_stopped),
        ("不再被否决 no longer stopped", simulation.no_longer_stopped),
        ("得分提高 raised", simulation.raised),
        ("得分降低 lowered", simulation.lowered),
    ):
        table.add_row(title, f"{count:,}")
    return table


def _shares(simulation: Simulation) -> Table:
    table = new_table()
    table.add_column("占比 Share")
    for title in ("全队前 Queue before", "全队后 Queue after", "队首前 Front before", "队首后 Front after"):
        table.add_column(title, justify="right")
    table.caption = "全队：未被硬性否决者 · queue: who is not stopped · 队首：其前四分之一 · front: its first quarter"
    before, after = simulation.before, simulation.after
    table.add_row("件 Referrals", *(f"{n:,}" for n in (before.queue, after.queue, before.front, after.front)))
    for group, title in _GROUPS.items():
        told = (
            *(_share(counts.of_queue, group, counts.queue) for counts in (before, after)),
            *(_share(counts.of_front, group, counts.front) for counts in (before, after)),
        )
        table.add_row(title, *(f"{share:.1%}" for share in told))
    return table


def _share(counts: Mapping[Any, int], group: str, total: int) -> float:
    return counts[group] / total if total else 0.0


def _changed(changed: Sequence[Moved], shown: int) -> Table:
    """The most telling ones first: who is stopped or no longer, then who moves farthest."""
    table = new_table()
    table.add_column("案件 Case", overflow="fold")
    table.add_column("通道 Lane")
    table.add_column("得分 Score", justify="right")
    table.add_column("位次 Place", justify="right")
    table.add_column("硬性否决 Hard stops", overflow="fold")
    for one in sorted(changed, key=_weight)[:shown]:
        before, after = one.replayed.before, one.replayed.after
        stops = "" if before.stops == after.stops else f"{_stops(before)} → {_stops(after)}"
        place = f"{one.place_before or '–'} → {one.place_after or '–'}"
        table.add_row(one.replayed.referral_id, one.replayed.lane, f"{before.score} → {after.score}", place, stops)
    if len(changed) > shown:
        table.caption = f"另有 {len(changed) - shown:,} 件 more；--csv 文件.csv 可导出 writes them to a file"
    return table


def _weight(one: Moved) -> tuple[int, int]:
    if one.place_before is None or one.place_after is None:
        return (0 if one.place_before != one.place_after else 2, 0)
    return 1, -abs(one.place_after - one.place_before)


def _stops(judged: Judged) -> str:
    return ", ".join(judged.stops) or "–"


def _simulation_as_json(simulation: Simulation, days: tuple[date, date]) -> dict[str, Any]:
    return {
        "version": simulation.version,
        "from": None if days[0] == date.min else days[0].isoformat(),
        "to": None if days[1] == date.max else days[1].isoformat(),
        "referrals": simulation.referrals,
        "newly_stopped": simulation.newly_stopped,
        "no_longer_stopped": simulation.no_longer_stopped,
        "raised": simulation.raised,
        "lowered": simulation.lowered,
        "compared_with_record": simulation.compared_with_record,
        "unlike_record": simulation.unlike_record,
        "shares": {"before": _counts_as_json(simulation.before), "after": _counts_as_json(simulation.after)},
        "changed": [dict(_row(one)) for one in simulation.changed],
    }


def _counts_as_json(counts: Counts) -> dict[str, Any]:
    return {
        "queue": counts.queue,
        "front": counts.front,
        "of_queue": {group: _share(counts.of_queue, group, counts.queue) for group in _GROUPS},
        "of_front": {group: _share(counts.of_front, group, counts.front) for group in _GROUPS},
    }


def write_changed(file: Path, simulation: Simulation) -> None:
    """The referrals that change as CSV, for spreadsheets. Raises OSError where the file can't be written."""
    titles = (*_COLUMNS, *(f"{name}_{when}" for when in ("before", "after") for name in _OF_EACH))
    # With the mark, spreadsheet programs read it as UTF-8.
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, titles)
        writer.writeheader()
        for one in simulation.changed:
            row = dict(_row(one))
            writer.writerow({**row, **{name: " ".join(row[name]) for name in row if name.startswith("hard_stops")}})


_OF_EACH = ("policy", "score", "hard_stops", "place")


def _row(one: Moved) -> Iterable[tuple[str, Any]]:
    replayed = one.replayed
    yield from zip(
        _COLUMNS,
        (replayed.referral_id, replayed.revision, replayed.at.isoformat(), replayed.lane.value),
        strict=True,
    )
    for when, judged, place in (
        ("before", replayed.before, one.place_before),
        ("after", replayed.after, one.place_after),
    ):
        values = (judged.version, judged.score, list(judged.stops), place)
        yield from ((f"{name}_{when}", value) for name, value in zip(_OF_EACH, values, strict=True))


def _day(day: date) -> str:
    return "…" if day in (date.min, date.max) else day.isoformat()


# --- shadow -----------------------------------------------------------------------------------------------------------


class ShadowReport:
    """A line for every referral that comes, and the sums at the end."""

    def __init__(self, version: str, as_json: bool) -> None:
        self._version = version
        self._as_json = as_json
        self._counts: Counter[str] = Counter()

    def begin(self) -> None:
        """Say that it has begun."""
        err().print(f"影子版本 Shadow {self._version}：等待新推荐，Ctrl-C 结束 · waiting for referrals, Ctrl-C ends")

    def tell(self, replayed: Replayed) -> None:
        """One referral under the version in force and under the shadow."""
        before, after = replayed.before, replayed.after
        self._counts["referrals"] += 1
        self._counts["changed"] += replayed.changed
        self._counts["stopped_otherwise"] += bool(before.stops) != bool(after.stops)
        if self._as_json:
            told = {
                "referral_id": replayed.referral_id,
                "revision": replayed.revision,
                "time": replayed.at.isoformat(),
                "active": {"policy": before.version, "score": before.score, "hard_stops": before.stops},
                "shadow": {"policy": after.version, "score": after.score, "hard_stops": after.stops},
                "changed": replayed.changed,
            }
            typer.echo(json.dumps(told, ensure_ascii=False))
            return
        style = "yellow" if replayed.changed else "dim"
        out().print(
            f"[{style}]{replayed.referral_id} · {before.version} {before.score} {_stops(before)} → "
            f"{after.version} {after.score} {_stops(after)}[/]",
            soft_wrap=True,
        )

    def end(self) -> None:
        """Say what it came to."""
        counts = self._counts
        err().print(
            f"{counts['referrals']:,} 件推荐 referrals · {counts['changed']:,} 件有变 changed · "
            f"{counts['stopped_otherwise']:,} 件否决不同 stopped otherwise"
        )
