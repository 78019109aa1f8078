"""What `kouan policy` tells: tables on the terminal, and the same as JSON and CSV for programs and spreadsheets."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from services.cli.terminal import err, out

if TYPE_CHECKING:
    from rich.table import Table

    from schemas.faults import Fault
    from schemas.screening import RuleResult, ScreeningScored
    from services.screening.policy import Policy
    from services.screening.policy_check import Checked
    from services.screening.policy_explain import Comparison
    from services.screening.policy_files import FileFault
    from services.screening.policy_simulate import Counts, Judged, Moved, Replayed, Simulation

_PARTS = {
    "hard_stop": "合规 hard stop",
    "classification": "领域 key area",
    "tilt": "倾斜 tilt",
}
_OUTCOMES = {
    "met": "满足 met",
    "not_met": "不满足 not met",
    "not_applicable": "不适用 not applicable",
    "not_evaluable": "无法评估 not evaluable",
}
_GROUPS = {
    "manufacturing_medium_long_term": "制造业中长期 manufacturing, medium/long-term",
    "micro_or_small": "小微 micro or small",
    "private_enterprise": "民营 private",
    "resumption_of_work": "复工复产 resumption",
}
_COLUMNS = ("referral_id", "revision", "time", "lane")


# --- check ------------------------------------------------------------------------------------------------------------


def show_checked(checked: Checked, as_json: bool) -> None:
    """The versions looked at, and what is wrong with them."""
    versions = [
        {"file": file.written.name, "sha256": file.written.digest, "released": released}
        for file, released in checked.versions
    ]
    if as_json:
        faults = [{"file": one.file, "line": one.line, **one.fault.model_dump()} for one in checked.faults]
        _print_json({"versions": versions, "faults": faults})
        return
    for one in versions:
        state = "已发布 released" if one["released"] else "草案 draft"
        out().print(f"{one['file']}  {state}  sha256 {one['sha256']}", soft_wrap=True, markup=False)
    if checked.faults:
        show_faults(checked.faults)
        err().print(f"[red]{len(checked.faults)} 处问题[/] · faults")
    else:
        out().print("[green]无误[/] · no faults")


def show_faults(faults: Sequence[FileFault]) -> None:
    """A table of what is wrong with files."""
    from rich.text import Text

    table = _table()
    table.add_column("文件与位置 File, place", overflow="fold", ratio=2)
    table.add_column("问题 What is wrong", overflow="fold", ratio=3)
    for one in faults:
        line = "" if one.line is None else f":{one.line}"
        place = Text(f"{one.file}{line}", style="bold")
        place.append(f"\n{one.fault.pointer or '/'}\n", style="not bold").append(one.fault.code, style="dim not bold")
        table.add_row(place, Text(f"{one.fault.zh}\n{one.fault.en}"))
    err().print(table)


# --- explain ----------------------------------------------------------------------------------------------------------


def show_explanation(
    scored: ScreeningScored,
    policy: Policy | None,
    anew: bool,
    faults: Sequence[Fault],
    comparison: Comparison | None,
    as_json: bool,
) -> None:
    """A recorded score with every rule; `policy` is the text that was applied, None where it is not here."""
    from services.screening.policy_explain import points_of

    verified = policy is not None and anew
    if as_json:
        told: dict[str, Any] = scored.model_dump(mode="json")
        told["rules"] = [_rule_as_json(rule, policy) for rule in scored.rules]
        told |= {"points": points_of(scored), "scored_anew": verified, "faults": [one.model_dump() for one in faults]}
        if comparison is not None:
            told["compared"] = _comparison_as_json(comparison)
        _print_json(told)
        return
    console = out()
    console.print(
        f"案件 Case [bold]{scored.referral_id}[/] · 第 {scored.revision} 版 revision · "
        f"政策 policy {scored.policy_version} · sha256 {scored.policy_digest[:12]}…"
    )
    console.print(_rules_table(scored, policy))
    terms = [str(rule.points) for rule in scored.rules if rule.points]
    console.print(f"得分 Score [bold]{scored.score}[/] = {' + '.join(terms) or '0'}")
    console.print(f"硬性否决 Hard stops: {', '.join(scored.hard_stops) or '无 none'}", markup=False)
    found = ", ".join(scored.key_areas) or "无 none"
    borne_out = scored.key_area_claimed in scored.key_areas
    console.print(
        f"重点领域 Key areas: 声称 claimed {scored.key_area_claimed} · 认定 found {found} · "
        + ("[green]相符 borne out[/]" if borne_out else "[yellow]不符 not borne out[/]")
    )
    if comparison is not None:
        _show_comparison(scored, comparison)
    for fault in faults:
        err().print(f"[red]{fault.code}[/] {fault.zh} {fault.en}", soft_wrap=True)
    if not faults:
        more = "，按同一文本重算一致 · and the same when scored anew" if verified else ""
        console.print(f"[green]各规则得分之和等于得分[/] · the points add up to the score{more}")
        if not verified:
            console.print(
                "未重算：本机没有当时的政策文本或推荐记录 · not scored anew: policy text or referral not here"
            )


def _rules_table(scored: ScreeningScored, policy: Policy | None) -> Table:
    from rich.text import Text

    table = _table()
    for title in ("部分 Part", "规则 Rule", "输入 Inputs", "结果 Outcome"):
        table.add_column(title, overflow="fold")
    table.add_column("分 Points", justify="right")
    for rule in scored.rules:
        name = Text(rule.code, style="bold" if rule.outcome == "met" else "")
        text = policy.texts.get(rule.code) if policy else None
        if text is not None:
            name.append(f"\n{text.zh}\n{text.en}", style="dim not bold")
        outcome = _OUTCOMES[rule.outcome] + (f"\n{rule.failure}" if rule.failure else "")
        table.add_row(_PARTS[rule.part], name, Text(_inputs(rule)), outcome, str(rule.points or ""))
    return table


def _inputs(rule: RuleResult) -> str:
    told = [f"{name} = {value}" for name, value in rule.inputs.items()]
    return "\n".join([*told, *(f"{name} 缺 missing" for name in rule.missing)])


def _rule_as_json(rule: RuleResult, policy: Policy | None) -> dict[str, Any]:
    told = rule.model_dump(mode="json", exclude_none=True)
    text = policy.texts.get(rule.code) if policy else None
    return told if text is None else {**told, "zh": text.zh, "en": text.en, "when": text.when}


def _comparison_as_json(comparison: Comparison) -> dict[str, Any]:
    after = comparison.after
    return {
        "policy_version": after.version,
        "policy_digest": after.digest,
        "score": after.score,
        "difference": comparison.difference,
        "hard_stops": [stop.code for stop in after.hard_stops],
        "key_areas": list(after.key_areas),
        "rules": [rule.model_dump(mode="json", exclude_none=True) for rule in after.rules],
        "changes": [
            {
                "code": one.code,
                "before": one.before.model_dump(mode="json", exclude_none=True) if one.before else None,
                "after": one.after.model_dump(mode="json", exclude_none=True) if one.after else None,
            }
            for one in comparison.changes
        ],
    }


def _show_comparison(scored: ScreeningScored, comparison: Comparison) -> None:
    console, after = out(), comparison.after
    console.print(
        f"按 {after.version} 评分 By {after.version}: [bold]{after.score}[/] ({comparison.difference:+d}) · "
        f"硬性否决 hard stops {', '.join(stop.code for stop in after.hard_stops) or '无 none'} · "
        f"重点领域 key areas {', '.join(after.key_areas) or '无 none'}"
    )
    if not comparison.changes:
        console.print("各规则结果相同 · every rule comes out the same")
        return
    table = _table()
    table.add_column("规则 Rule", overflow="fold")
    table.add_column(scored.policy_version, overflow="fold")
    table.add_column(after.version, overflow="fold")
    for one in comparison.changes:
        table.add_row(one.code, _came_out(one.before), _came_out(one.after))
    console.print(table)


def _came_out(rule: RuleResult | None) -> str:
    if rule is None:
        return "没有 not there"
    return _OUTCOMES[rule.outcome] + (f" +{rule.points}" if rule.points else "")


# --- simulate ---------------------------------------------------------------------------------------------------------


def show_simulation(simulation: Simulation, days: tuple[date, date], shown: int, as_json: bool) -> None:
    """What another version would have changed."""
    if as_json:
        _print_json(_simulation_as_json(simulation, days))
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
    table = _table()
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
    table = _table()
    table.add_column("占比 Share")
    for title in ("队列 queue：前 before", "后 after", "队首四分之一 first quarter：前 before", "后 after"):
        table.add_column(title, justify="right")
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
    table = _table()
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


def _print_json(told: Any) -> None:
    typer.echo(json.dumps(told, ensure_ascii=False, indent=2, default=str))


def _table() -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, pad_edge=False)
