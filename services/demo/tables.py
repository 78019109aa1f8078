"""The reckoning as tables for a terminal, Chinese first."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.demo.account import Account, Fate
from services.demo.running import Outcome
from services.demo.stack import Stack

_NAMES: Mapping[str, tuple[str, str]] = {
    "referral.registered.v1": ("登记", "registered"),
    "referral.rejected.v1": ("退回", "rejected"),
    "referral.duplicate_found.v1": ("重复推荐", "duplicate"),
    "referral.amended.v1": ("变更", "amended"),
    "referral.withdrawn.v1": ("撤回", "withdrawn"),
    "referral.consent_recorded.v1": ("授权", "consent"),
    "referral.refused.v1": ("不受理", "refused"),
    "screening.opinion_recorded.v1": ("记录意见", "recorded"),
    "screening.refused.v1": ("不受理", "refused"),
    "loan.applied.v1": ("申请", "applied"),
    "loan.approved.v1": ("批准", "approved"),
    "loan.declined.v1": ("拒贷", "declined"),
    "loan.contracted.v1": ("签约", "contracted"),
    "loan.disbursed.v1": ("放款", "disbursed"),
    "loan.repaid.v1": ("还款", "repaid"),
    "loan.overdue.v1": ("逾期", "overdue"),
    "loan.settled.v1": ("结清", "settled"),
    "loan.extended.v1": ("展期", "extended"),
    "loan.written_off.v1": ("核销", "written off"),
    "loan.refused.v1": ("不受理", "refused"),
    "risk.assessed.v1": ("评估", "assessed"),
    "risk.refused.v1": ("不受理", "refused"),
    "risk.release_recorded.v1": ("同意解除", "release agreed"),
    "risk.release_forwarded.v1": ("转交合作区", "passed to zone"),
    "notice.acknowledged.v1": ("确认", "acknowledged"),
    "notice.refused.v1": ("不受理", "refused"),
    Fate.DEAD: ("死信", "dead letters"),
    Fate.SENT_ON: ("转投", "sent on"),
    Fate.REPEAT: ("重发", "repeats"),
    Fate.OTHERS: ("与其无关", "for another reader"),
    Fate.SILENT: ("早已确认", "acknowledged before"),
    "open": ("筛选中", "open"),
    "shortlisted": ("拟支持", "shortlisted"),
    "declined": ("不予支持", "declined"),
    "expired": ("逾期未决", "expired"),
    "withdrawn": ("撤回", "withdrawn"),
    "commerce-support": ("商务支持", "commerce supports"),
    "commerce-oppose": ("商务反对", "commerce opposes"),
    "bank-support": ("银行支持", "bank supports"),
    "bank-oppose": ("银行反对", "bank opposes"),
    "applied": ("已申请", "applied"),
    "approved": ("已批准", "approved"),
    "contracted": ("已签约", "contracted"),
    "disbursed": ("已放款", "disbursed"),
    "repaying": ("还款中", "repaying"),
    "overdue": ("逾期", "overdue"),
    "settled": ("已结清", "settled"),
    "written_off": ("已核销", "written off"),
    "blue": ("蓝", "blue"),
    "yellow": ("黄", "yellow"),
    "orange": ("橙", "orange"),
    "red": ("红", "red"),
    "cleared": ("已解除", "cleared"),
    "held": ("冻结", "holds"),
    "released": ("解冻", "releases"),
    "queued": ("生成", "queued"),
    "delivered": ("送达", "delivered"),
    "failed": ("失败", "failed"),
    "pending": ("未了", "pending"),
    "no-person": ("无联系人", "units without person"),
    "asked": ("要求确认", "asked for"),
    "in-time": ("按时确认", "in time"),
    "late": ("升级后确认", "late, after escalation"),
    "escalated-only": ("已升级", "escalated"),
    "waiting": ("期限未到", "still in time"),
    "mails": ("邮件", "mails"),
    "different": ("不同邮件", "different ones"),
    "repeats": ("重发", "repeats"),
}


def reconciliation(outcome: Outcome) -> Group:
    """Everything that a run ended with."""
    result = outcome.account
    return Group(_inputs(result), _put_aside(result), _states(result, outcome), _verdict(outcome))


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


def _states(result: Account, outcome: Outcome) -> Table:
    """Where everything stands in the end; sums that must agree stand on one line."""
    registered = sum(line.fates.get("referral.registered.v1", 0) for line in result.lines)
    standings = outcome.standings
    table = _table("最终状态", "Where everything stands")
    table.add_column("", no_wrap=True)
    table.add_column("总数 Total", justify="right", no_wrap=True)
    table.add_column("= 其中 Of which", overflow="fold", ratio=1)
    table.add_column("", no_wrap=True)
    notices, mails = result.notices, result.mails
    rows: list[tuple[str, int, Text, bool | None]] = [
        ("案件 Cases", registered, _named(result.cases), registered == sum(result.cases.values())),
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
            zh, en = _NAMES.get(name, (name, ""))
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
