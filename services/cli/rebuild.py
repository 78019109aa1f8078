"""`kouan rebuild`: fold a service's own topic into a new database, and compare it with the one in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.terminal import DEFAULT_SERVERS, BootstrapServers, Exit, administering, err, fail, out
from services.registry import SERVICES

if TYPE_CHECKING:
    from rich.table import Table

    from services.kit.comparing import Difference
    from services.kit.rebuild import Progress, Report

_VALUE_LIMIT = 200


def rebuild(
    service: Annotated[
        str, typer.Argument(help=f"服务 · service: {', '.join(SERVICES)}", autocompletion=lambda: list(SERVICES))
    ],
    shown: Annotated[
        int, typer.Option("--show", min=0, help="最多列出多少处差异 · how many differences to show at the most")
    ] = 20,
    switch: Annotated[
        bool, typer.Option("--switch", help="以重建库取代现用库，须先停止服务 · put it in use; stop the service first")
    ] = False,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", help="有差异也切换 · switch though they differ")
    ] = False,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """由服务自己的主题重建状态库，与现用库逐行比对 · Rebuild a service's database from its own topic and compare.

    现用库不受影响，服务可继续运行。加 --switch 则以重建库取代现用库：须先停止服务，旧库另名保留，有差异时不切换。
    退出码：0 一致，或已切换；1 有差异或无法重建；2 用法有误；4 连不上；6 服务过忙，或切换时仍在运行。

    The database in use is left alone, and the service may run on. With --switch the rebuilt one takes its place: the
    service has to be stopped, the old one is kept under another name, and differences forbid it. Exit codes: 0 equal,
    or switched; 1 they differ, or nothing can be rebuilt; 2 wrong use; 4 Kafka or the database can't be reached; 6 the
    service is too busy, or runs where it has to be stopped.
    """
    if accept_differences and not switch:
        fail(
            Exit.USAGE,
            "--accept-differences 只能与 --switch 同用。",
            "--accept-differences means something together with --switch only.",
        )
    if service not in SERVICES:
        names = ", ".join(SERVICES)
        fail(
            Exit.USAGE,
            f"没有名为 {service} 的服务；可选：{names}。",
            f"There is no service {service}; choose of: {names}.",
        )
    report = _rebuilt(service, shown, bootstrap_servers, switch, accept_differences)
    _show(service, report)
    if switch:
        _show_switch(service, report)
    if report.differences.total and report.replaced is None:
        raise typer.Exit(Exit.FAILED)


def _rebuilt(service: str, shown: int, servers: str, switch: bool, accept_differences: bool) -> Report:
    import asyncio

    from schemas.loading import load_contracts
    from services.kit.failures import Fatal, Transient
    from services.kit.rebuild import Busy, rebuild
    from services.kit.settings import Settings
    from services.kit.sides import NothingToCompare, Running
    from services.registry import build
    from topics.definition import load_catalogue

    with administering(servers):
        # Clients wait half a minute for a broker that is not there; this says so at once.
        pass
    load_contracts()
    settings = Settings(bootstrap_servers=servers)
    try:
        with _progress() as progress:
            return asyncio.run(
                rebuild(
                    build(service), settings, load_catalogue(), progress=progress, shown=shown, switch=switch,
                    accept_differences=accept_differences,
                )
            )  # fmt: skip
    except Transient as error:
        fail(
            Exit.BROKER,
            f"连不上 Kafka 或数据库：{error}。请确认它们在运行，地址见 KOUAN_BOOTSTRAP_SERVERS 与 KOUAN_DATABASE_URL。",
            f"Kafka or the database does not answer: {error}. Check that they run, and what KOUAN_BOOTSTRAP_SERVERS "
            "and KOUAN_DATABASE_URL name.",
        )
    except NothingToCompare as error:
        fail(
            Exit.BROKER,
            f"没有可供比对的数据库：{error}。请核对 KOUAN_DATA_DIR 或 KOUAN_DATABASE_URL。",
            f"There is no database to compare with: {error}. Check KOUAN_DATA_DIR or KOUAN_DATABASE_URL.",
        )
    except Running as error:
        fail(
            Exit.BUSY,
            f"服务 {service} 的状态库正在使用，不能切换：{error}。请停止该服务的全部进程，"
            "关闭打开此库的其他程序，再试一次（被强行结束的进程要等会话超时才算离开）。",
            f"The database of {service} is in use and can't be switched: {error}. Stop all its workers, close whatever "
            "else has its database open, and try again (a worker that was killed counts until its session times out).",
        )
    except Busy as error:
        fail(
            Exit.BUSY,
            f"服务 {service} 一直在发布，找不到可以比对的时刻。请稍后再试，或先停止该服务。",
            f"{error}: the service is too busy to be compared. Try again later, or stop it first.",
        )
    except Fatal as error:
        fail(Exit.FAILED, f"无法重建 {service}：{error}", f"{service} can't be rebuilt: {error}")


@contextmanager
def _progress() -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = err()
    columns = (TextColumn("重建 rebuilding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(service: str, report: Report) -> None:
    from rich.text import Text

    console = out()
    console.print(_figures(report))
    console.print(
        f"读取 {report.events:,} 个事件，用时 {report.seconds:.1f} 秒（每秒 {report.rate:,.0f} 个），"
        f"比对 {report.compare_seconds:.1f} 秒\n"
        f"{report.events:,} events read in {report.seconds:.1f} s ({report.rate:,.0f}/s), "
        f"compared in {report.compare_seconds:.1f} s"
    )
    # A path is told whole, so that it can be copied.
    console.print(Text.assemble("新库 New database: ", report.database), soft_wrap=True)
    differences = report.differences
    if not differences.total:
        console.print(f"[green]一致[/] {service} 的现用库与重建库相同 · the database in use equals what its topic says")
        return
    console.print(_differences(differences.first))
    console.print(
        f"[red]不一致[/] {differences.total:,} 行有差异，列出 {len(differences.first):,} 处\n"
        f"[red]Different[/] {differences.total:,} rows differ; {len(differences.first):,} differences are shown"
    )


def _show_switch(service: str, report: Report) -> None:
    from rich.text import Text

    if report.replaced is None:
        out().print(
            f"[red]未切换[/] {service} 仍用原来的状态库；若以主题所记为准，加 --accept-differences\n"
            f"[red]Not switched[/] {service} keeps the database it had; if what the topic says is right, add "
            "--accept-differences"
        )
        return
    out().print(f"[green]已切换[/] {service} 可以启动 · switched: {service} can be started")
    out().print(Text.assemble("旧库 Old database: ", report.replaced), soft_wrap=True)


def _figures(report: Report) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("项目 What", no_wrap=True)
    table.add_column("数量 Count", justify="right")
    table.add_column("差异行 Rows that differ", justify="right")
    table.add_row("事件 events", f"{report.events:,}", "")
    table.add_row("重复 repeats, left out", f"{report.repeats:,}", "")
    table.add_row("不改变状态 events that change no state", f"{report.others:,}", "")
    table.add_row("尚未发布 committed, not yet published", f"{report.unpublished:,}", "")
    if report.strangers:
        table.add_row("[yellow]他方写入 records of other sources, left out[/]", f"{report.strangers:,}", "")
    for name, rows in report.rows.items():
        differing = report.differences.rows.get(name, 0)
        table.add_row(f"表 table {name}", f"{rows:,}", f"[red]{differing:,}[/]" if differing else "0")
    return table


def _differences(found: list[Difference]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("表 Table", "键 Key", "列 Column", "现用 In use", "重建 Rebuilt"):
        table.add_column(title, overflow="fold")
    for one in found:
        cells = (one.table, one.key, *_told(one))
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _told(one: Difference) -> tuple[str, str, str]:
    from services.kit.comparing import ROW

    if one.column == ROW:
        there, missing = "有 there", "无 missing"
        return "整行 row", there if one.old else missing, there if one.new else missing
    return one.column, _cut(one.old), _cut(one.new)


def _cut(value: object) -> str:
    text = "（空）null" if value is None else str(value)
    return text if len(text) <= _VALUE_LIMIT else text[: _VALUE_LIMIT - 1] + "…"
