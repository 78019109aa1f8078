"""What `kouan policy check` and `explain` tell: tables on the terminal, and the same as JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson
import typer

from services.cli.terminal import err, out

if TYPE_CHECKING:
    from rich.table import Table

    from schemas.faults import Fault
    from schemas.scoring import RuleResult, ScreeningScored
    from services.screening.policy import Policy
    from services.screening.policy_check import Checked
    from services.screening.policy_explain import Comparison
    from services.screening.policy_files import FileFault

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
_TELLING = frozenset({"met", "not_evaluable"})


# --- check ------------------------------------------------------------------------------------------------------------


def show_checked(checked: Checked, as_json: bool) -> None:
    """The versions looked at, and what is wrong with them."""
    versions = [
        {"file": file.written.name, "sha256": file.written.digest, "released": released}
        for file, released in checked.versions
    ]
    if as_json:
        faults = [{"file": one.file, "line": one.line, **one.fault.model_dump()} for one in checked.faults]
        print_json({"versions": versions, "faults": faults})
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

    table = new_table()
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
        print_json(told)
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
        console.print("[green]各规则得分之和等于得分[/] · the points add up to the score")
        if verified:
            console.print("[green]按同一文本重算一致[/] · the same when scored anew by the same text")
        else:
            console.print(
                "未重算：本机没有当时的政策文本或推荐记录 · not scored anew: policy text or referral not here"
            )


def _rules_table(scored: ScreeningScored, policy: Policy | None) -> Table:
    from rich.text import Text

    table = new_table()
    for title in ("部分 Part", "规则 Rule", "输入 Inputs", "结果 Outcome"):
        table.add_column(title, overflow="fold")
    table.add_column("分 Points", justify="right")
    for rule in scored.rules:
        name = Text(rule.code, style="bold" if rule.outcome == "met" else "")
        text = policy.texts.get(rule.code) if policy else None
        # What a rule means matters where it tells; the others would fill the screen.
        if text is not None and rule.outcome in _TELLING:
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
    table = new_table()
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


def print_json(told: Any) -> None:
    """The result for programs."""
    # Keys may be codes of an enumeration; times are written as `default` does it.
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
    typer.echo(orjson.dumps(told, default=str, option=options))


def new_table() -> Table:
    """A table in the look of all of these."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, pad_edge=False)
