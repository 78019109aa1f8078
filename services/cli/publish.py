"""`kouan publish`: a file of events onto the topics of their publishers.

All rows are checked before the first is sent, and what the broker confirmed is noted in a journal, so that a file may
be published again after any interruption (see `publish_journal`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from services.cli.terminal import (
    ANSWER_WITHIN_MS,
    DEFAULT_SERVERS,
    BootstrapServers,
    Exit,
    administering,
    err,
    fail,
    fail_unreachable,
    out,
    quieten_clients,
)

if TYPE_CHECKING:
    from rich.progress import Progress

    from services.cli.publish_journal import Journal
    from services.client.delivery import Unconfirmed
    from services.client.mapping import Mapping
    from services.client.rows import Checked

CONFIRM_WITHIN_S = 30.0
"""How long the broker may go without confirming anything before what was sent counts as unconfirmed."""

CHUNK = 1_000
"""So many events are sent before what was confirmed of them is noted."""

JOURNALS = Path(".kouan/publish")


def publish(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            readable=True,
            help="JSON Lines（每行一个 CloudEvent）、CSV 或 XLSX · one CloudEvent a line, or one event a row",
        ),
    ],
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping",
            "-m",
            exists=True,
            dir_okay=False,
            readable=True,
            help="表格各列的含义（YAML 或 JSON） · what the columns of a table mean",
        ),
    ] = None,
    sheet: Annotated[
        str | None, typer.Option("--sheet", help="XLSX 的工作表，默认第一张 · sheet to read, by default the first")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不发布 · check only, publish nothing")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="不理会发布记录，全部重发 · forget the journal and send all again")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", dir_okay=False, help="把结果写入文件（.json 或 .csv） · write the result to a file"),
    ] = None,
    journals: Annotated[
        Path,
        typer.Option("--journals", envvar="KOUAN_PUBLISH_JOURNALS", help="发布记录所在文件夹 · folder of the journals"),
    ] = JOURNALS,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """发布事件文件：先检查全部各行，再发布；中断后重新运行即可 · Publish a file of events

    Nothing is sent unless every row is right. Interrupted? Run it again: what was confirmed is not sent twice.
    """
    checked = _check(file, _read_mapping(mapping), sheet)
    if checked.faults:
        _write(report, checked)
        _refuse(file, checked)
    if not checked.prepared:
        fail(Exit.USAGE, f"{file.name} 中没有事件。", f"{file.name} holds no events.")
    if dry_run:
        from services.cli.publish_report import show_counts

        _write(report, checked)
        show_counts(prepared for _, prepared in checked.prepared)
        out().print(f"[green]检查通过[/] {len(checked.prepared):,} 个事件，未发布 · all right, nothing published")
        return
    _publish(file, checked, bootstrap_servers, journals, restart, report)


def _read_mapping(file: Path | None) -> Mapping | None:
    from services.cli.publish_report import show_mapping_faults
    from services.client.mapping import MappingError, read_mapping

    if file is None:
        return None
    try:
        return read_mapping(file)
    except MappingError as error:
        show_mapping_faults(error.faults)
        fail(
            Exit.USAGE,
            f"映射文件 {file.name} 有 {len(error.faults)} 处错误，见上；未发布任何事件。",
            f"The mapping {file.name} has {len(error.faults)} faults, see above; nothing was published.",
        )


def _check(file: Path, mapping: Mapping | None, sheet: str | None) -> Checked:
    from services.cli.publish_report import show_taken
    from services.client.rows import Unreadable, check_rows, read_rows

    try:
        with _progress("{task.completed:,} 行 rows") as progress:
            task = progress.add_task("检查 checking", total=None)
            rows = read_rows(file, mapping=mapping, sheet=sheet)
            checked = check_rows(rows, lambda: progress.advance(task))
    except Unreadable as error:
        fail(Exit.USAGE, f"{file.name} 无法读取：{error.zh}", f"{file.name} can't be read: {error.en}")
    show_taken(checked.taken)
    return checked


def _refuse(file: Path, checked: Checked) -> NoReturn:
    from services.cli.publish_report import show_faults

    show_faults(checked.faults, checked.left_out)
    count = len(checked.faults) + checked.left_out
    fail(
        Exit.USAGE,
        f"{file.name}：{checked.rows_at_fault:,} 行有误，共 {count:,} 处；未发布任何事件。改正后请重新发布整个文件。",
        f"{file.name}: {_counted(count, 'fault')} in {_counted(checked.rows_at_fault, 'row')}; nothing was published. "
        "Correct them, then publish the whole file again.",
    )


def _publish(file: Path, checked: Checked, servers: str, journals: Path, restart: bool, report: Path | None) -> None:
    from services.cli.publish_journal import JournalBusy, JournalDamaged, opened
    from services.cli.publish_report import show_counts

    records = [prepared for _, prepared in checked.prepared]
    cluster_id = _cluster_with({record.topic for record in records}, servers)
    try:
        with opened(journals, records, cluster_id, file.name, restart=restart) as journal:
            before = len(journal.confirmed)
            if before == len(records):
                _write(report, checked, confirmed_before=before, confirmed_now=0)
                _tell_published(file, journal, before)
                return
            started = time.monotonic()
            unconfirmed = _send(checked, journal, servers)
            now = len(journal.confirmed) - before
    except JournalBusy:
        fail(
            Exit.BUSY,
            f"另一进程正在向该集群发布 {file.name}，请等它结束。",
            f"Another process is publishing {file.name} to this cluster; wait for it to end.",
        )
    except JournalDamaged as error:
        fail(
            Exit.CONFLICT,
            f"发布记录已损坏（{error}）。可用 --restart 全部重发：重复的事件会被识别。",
            f"The journal is damaged ({error}). Send all again with --restart: repeats are recognised.",
        )
    except OSError as error:
        fail(
            Exit.FAILED,
            f"无法写入发布记录：{error}。请用 --journals 指定可写的文件夹。",
            f"The journal can't be written: {error}. Name a folder that can with --journals.",
        )
    _write(report, checked, confirmed_before=before, confirmed_now=now, unconfirmed=_told(unconfirmed))
    left = len(records) - before - now
    if left:
        _tell_unconfirmed(unconfirmed, left, len(records))
    show_counts(records)
    if before:
        out().print(
            f"[green]续传完成[/] 此前已确认 {before:,} 个，不再发送 · {before:,} were confirmed before, not sent again"
        )
    spent = time.monotonic() - started
    out().print(f"[green]已确认[/] {now:,} 个事件，{spent:.1f} 秒 · all confirmed by the broker")


def _cluster_with(topics: set[str], servers: str) -> str:
    """The id of the cluster, once it is sure that it has the topics."""
    with administering(servers) as admin:
        there = {topic["name"] for topic in admin.describe_topics(sorted(topics)) if topic["error_code"] == 0}
        cluster_id = str(admin.describe_cluster()["cluster_id"])
    missing = ", ".join(sorted(topics - there))
    if missing:
        fail(
            Exit.BROKER,
            f"集群上没有这些主题：{missing}。请先运行 kouan topics apply。",
            f"The cluster lacks these topics: {missing}. Run `kouan topics apply` first.",
        )
    return cluster_id


def _send(checked: Checked, journal: Journal, servers: str) -> list[tuple[int, Unconfirmed]]:
    """Send in order what is not known as confirmed, noting every chunk; stops after one that stayed unconfirmed.

    Returns what of that chunk was not confirmed, by the number of its row.
    """
    from services.client.delivery import Unavailable
    from services.client.publisher import Publisher

    quieten_clients()
    todo = [index for index in range(len(checked.prepared)) if index not in journal.confirmed]
    with _progress() as progress:
        task = progress.add_task("发布 publishing", total=len(checked.prepared), completed=len(journal.confirmed))
        publisher = Publisher(
            servers,
            confirm_within_s=CONFIRM_WITHIN_S,
            connect_within_s=ANSWER_WITHIN_MS / 1000,
            on_confirmed=lambda _: progress.advance(task),
        )
        try:
            for start in range(0, len(todo), CHUNK):
                chunk = todo[start : start + CHUNK]
                for index in chunk:
                    publisher.send(checked.prepared[index][1])
                missed = {id(entry.prepared): entry for entry in publisher.flush().unconfirmed}
                journal.note([index for index in chunk if id(checked.prepared[index][1]) not in missed])
                if missed:
                    rows = ((number, missed.get(id(prepared))) for number, prepared in checked.prepared)
                    return [(number, entry) for number, entry in rows if entry is not None]
        except Unavailable as error:
            fail_unreachable(servers, error.reason)
        finally:
            publisher.close(timeout_s=0)
    return []


def _tell_published(file: Path, journal: Journal, count: int) -> None:
    from rich.markup import escape

    name, at = escape(file.name), f"{journal.last_at:%Y-%m-%d %H:%M}" if journal.last_at else "?"
    out().print(
        f"[green]已发布过[/] {name} 的 {count:,} 个事件已于 {at} 全部得到该集群确认，本次未发送；"
        "如确需重发，请加 --restart。",
        soft_wrap=True,
    )
    out().print(
        f"[green]Already published[/] all {count:,} events of {name}, confirmed by this cluster at {at}; nothing was "
        "sent. To send them again nevertheless: --restart."
    )


def _tell_unconfirmed(unconfirmed: Sequence[tuple[int, Unconfirmed]], left: int, count: int) -> NoReturn:
    from services.cli.publish_report import show_unconfirmed

    show_unconfirmed(unconfirmed)
    fail(
        Exit.BROKER,
        f"{count:,} 个事件中有 {left:,} 个未得到确认。请检查 Kafka 后重新运行同一命令：已确认的不会重发，"
        "重复的会被识别。",
        f"{left:,} of {count:,} events were not confirmed. Check the broker, then run the same command again: what was "
        "confirmed is not sent again, and repeats are recognised.",
    )


def _told(unconfirmed: Sequence[tuple[int, Unconfirmed]]) -> list[dict[str, Any]]:
    return [{"row": row, "id": entry.prepared.event.id, "reason": entry.reason} for row, entry in unconfirmed]


def _write(report: Path | None, checked: Checked, **outcome: Any) -> None:
    from rich.markup import escape

    from services.cli.publish_report import write_report

    if report is None:
        return
    try:
        write_report(report, checked, **outcome)
    except OSError as error:
        # The report must not decide what becomes of the events: it is told, and the command goes on.
        told = escape(str(error))
        err().print(f"[yellow]无法写入报告 The report can't be written:[/] {told}", soft_wrap=True)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _progress(told: str = "{task.percentage:>3.0f}% · {task.completed:,}/{task.total:,}") -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = err()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn(told), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
