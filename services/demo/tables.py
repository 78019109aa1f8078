"""The reckoning as tables for a terminal, Chinese first."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.demo.account import Account
from services.demo.coverage import Coverage
from services.demo.names import CODE_NAMES, OUTCOMES, name_of
from services.demo.running import Outcome
from services.demo.stack import Stack


def reconciliation(outcome: Outcome) -> Group:
    """Everything that a run ended with."""
    result = outcome.account
    return Group(
        _inputs(result), _put_aside(result), _codes(result.coverage), _states(result, outcome), _verdict(outcome)
    )


def _table(zh: str, en: str) -> Table:
    return Table(title=f"{zh} · {en}", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)


def _inputs(result: Account) -> Table:
    """Each topic's inputs at each of its readers: the number, and what became of them, which must add up to it."""
    table = _table("输入与结果", "Inputs and what became of them")
    table.add_column("主题 Topic", no_wrap=True)
    table.add_column("处理方 Reader", no_wrap=True)
    table.add_column("记录 Records", justify="right", no_wrap=True)
    table.add_column("= 去向 Accounted for", overflow="fold", ratio=1)
    table.add_column("", no_wrap=True)
    for line in result.lines:
        if line.records:
            table.add_row(
                line.topic, line.reader, f"{line.records:,}", _named(line.fates), _mark(line.accounted == line.records)
            )
    return table


def _put_aside(result: Account) -> Table:
    """Why inputs became dead letters, and why what they asked for was refused."""
    table = _table("死信与不受理的原因", "Reasons for dead letters and refusals")
    table.add_column("服务 Service", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("数量", justify="right", no_wrap=True)
    table.add_column("= 原因 By reason", overflow="fold", ratio=1)
    for name, groups in (("死信 dead letters", result.dead_letters), ("不受理 refusals", result.refusals)):
        for service, reasons in sorted(groups.items()):
            told = " · ".join(f"{reason} {count:,}" for reason, count in reasons.items())
            table.add_row(service, name, f"{sum(reasons.values()):,}", told)
    return table


def _codes(found: Coverage) -> Table:
    """Every code of the domain: how many cases bear it, and what became of them."""
    table = _table("领域代码与案件结果", "Codes of the domain and what became of their cases")
    table.add_column("", no_wrap=True)
    table.add_column("代码 Code", overflow="fold", ratio=1)
    table.add_column("案件 Cases", justify="right", no_wrap=True)
    for outcome in OUTCOMES:
        table.add_column("\n".join(name_of(outcome)), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for dimension, rows in found.items():
        for number, (code, row) in enumerate(rows.items()):
            total = sum(row.values())
            told = [f"{row.get(outcome, 0):,}" for outcome in OUTCOMES]
            name = "" if number else CODE_NAMES[dimension]
            table.add_row(name, f"{CODE_NAMES[code]} {code}", f"{total:,}", *told, _mark(total > 0))
        table.add_section()
    return table


def _states(result: Account, outcome: Outcome) -> Table:
    """Where everything stands in the end; sums that must agree stand on one line."""
    standings = outcome.standings
    table = _table("最终状态", "Where everything stands")
    table.add_column("", no_wrap=True)
    table.add_column("总数 Total", justify="right", no_wrap=True)
    table.add_column("= 其中 Of which", overflow="fold", ratio=1)
    table.add_column("", no_wrap=True)
    notices, mails = result.notices, result.mails
    rows: list[tuple[str, int, Text, bool | None]] = [
        ("案件 Cases", result.registered, _named(result.cases), result.registered == sum(result.cases.values())),
        ("意见 Opinions", sum(result.opinions.values()), _named(result.opinions), None),
        ("贷款 Loans", sum(result.loans.values()), _named(result.loans), None),
        ("生效预警 Warnings in force", _sum(result.warnings, "cleared"), _named(result.warnings), None),
        ("冻结令 Hold orders", sum(result.holds.values()), _named(result.holds), None),
        (
            "通知 Notices",
            notices["queued"],
            _named(notices, "queued"),
            notices["queued"] == notices["delivered"] + notices["failed"] and not notices["pending"],
        ),
        (
            "邮件服务器 Mail server",
            mails["mails"],
            _named(mails, "mails"),
            mails["different"] == notices["delivered"],
        ),
        (
            "须确认 To be acknowledged",
            result.acknowledgements["asked"],
            _named(result.acknowledgements, "asked"),
            result.acknowledgements["asked"] == _sum(result.acknowledgements, "asked"),
        ),
        (
            "未读·暂存·未发 Unread, parked, unsent",
            sum(one.unread + one.parked + one.unsent for one in standings),
            Text(" · ".join(f"{one.service} {one.unread}/{one.parked}/{one.unsent}" for one in standings)),
            not any(one.unread or one.parked or one.unsent for one in standings),
        ),
        (
            "输出 Output events",
            sum(result.outputs.values()),
            Text(" · ".join(f"{topic} {count:,}" for topic, count in result.outputs.items())),
            None,
        ),
    ]
    for name, total, parts, right in rows:
        table.add_row(name, f"{total:,}", parts, _mark(right))
    return table


def _verdict(outcome: Outcome) -> Group:
    problems = outcome.account.problems
    if not problems:
        text = Text.assemble(
            ("✓ 账目相符 ", "bold green"), f"每一条输入都有且只有一个去向（{outcome.seconds:.0f} 秒）\n",
            ("✓ Everything adds up ", "bold green"), "each input is accounted for exactly once",
        )  # fmt: skip
        return Group(text)
    lines = [Text.assemble(("✗ ", "bold red"), f"{one.zh}\n  {one.en}") for one in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(Text(f"  … 另有 {len(problems) - _SHOWN} 处 more"))
    heading = f"✗ 账目不符：{len(problems)} 处 · {len(problems)} things do not add up"
    return Group(Text(heading, "bold red"), *lines)


_SHOWN = 30


def _named(counts: Mapping[str, int], *without: str) -> Text:
    parts = []
    for name, count in counts.items():
        if name not in without:
            zh, en = name_of(name)
            parts.append(f"{zh} {en} {count:,}" if en else f"{zh} {count:,}")
    return Text(" · ".join(parts))


def _sum(counts: Mapping[str, int], *without: str) -> int:
    return sum(count for name, count in counts.items() if name not in without)


def _mark(right: bool | None) -> Text:
    if right is None:
        return Text("")
    return Text("✓", "green") if right else Text("✗", "bold red")


def addresses(stack: Stack) -> Table:
    """Where everything that runs can be looked at."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("组件 Component", no_wrap=True)
    table.add_column("地址 Address", overflow="fold")
    table.add_column("进程 Process", justify="right", no_wrap=True)
    table.add_column("内存 Memory", justify="right", no_wrap=True)
    table.add_column("状态 State", no_wrap=True)
    table.add_row("Kafka", stack.broker.bootstrap_servers, "", "", stack.broker.origin)
    if stack.mail_server is not None:
        server = stack.mail_server
        table.add_row("邮件 SMTP", f"{server.host}:{server.port}", str(server.pid), "", "")
    for process in stack.workers:
        table.add_row(
            process.name,
            f"127.0.0.1:{process.web_port}/metrics",
            str(process.pid),
            f"{process.memory / 1024**2:.0f} MB",
            _state(process.alive, process.alive and process.ready),
        )
    return table


def _state(alive: bool, ready: bool) -> Text:
    if not alive:
        return Text("✗ 已退出 ended", "bold red")
    return Text("✓ 就绪 ready", "green") if ready else Text("… 未就绪 not ready", "yellow")
