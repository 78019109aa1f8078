"""`kouan gateway webhook`: callbacks of parties that have no Kafka."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from services.cli.terminal import Exit, fail, out

if TYPE_CHECKING:
    from services.gateway.webhooks import Master, Webhook
    from services.kit.database import Database

commands = typer.Typer(no_args_is_help=True, help="回调 · webhooks")

_CHINA = timezone(timedelta(hours=8))
_MOMENTS = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]

WebhookId = Annotated[str, typer.Argument(metavar="ID", help="回调编号 · the webhook")]


@commands.command("add")
def add(
    source: Annotated[str, typer.Option("--source", help="为哪一方 · the party, e.g. //commerce/manzhouli")],
    url: Annotated[str, typer.Option("--url", help="接收地址 · where to, https://…")],
    types: Annotated[str, typer.Option("--types", help="逗号分隔的事件类型或前缀 · types or their beginnings")] = "",
    from_start: Annotated[
        bool, typer.Option("--from-start", help="从最早的事件开始，而非从现在 · from the oldest event, not from now")
    ] = False,
    secret_to: Annotated[
        Path | None, typer.Option("--secret-to", help="密钥写入此文件而不显示 · write the secret to this file")
    ] = None,
) -> None:
    """登记回调，并给出签名密钥 · Register a callback; gives the secret by which its receiver checks signatures."""
    from services.gateway import webhooks
    from services.gateway.feed import reader_of
    from services.gateway.feed_store import read_head
    from services.gateway.parties import BadSource, Party, check_source
    from services.gateway.problems import Problem

    master = _master()
    _check_url(url)
    try:
        check_source(source)
        wanted = reader_of(Party(source, ""), types).types
    except BadSource:
        fail(
            Exit.USAGE,
            f"{source} 不是发布方；应形如 //commerce/manzhouli 或 //bank/exim-nmg。",
            f"{source} is no party's source; write it like //commerce/manzhouli or //bank/exim-nmg.",
        )
    except Problem as problem:
        fail(Exit.USAGE, *problem.detail)
    with _database() as database:
        head = read_head(database)
        webhook_id = webhooks.add(database, master, source, url, wanted, head.floor if from_start else head.last)
    secret = webhooks.shown(master.secret_of(webhook_id))
    console = out()
    console.print(f"已登记 · registered {webhook_id}")
    if secret_to is None:
        console.print(secret, soft_wrap=True)
    else:
        _write_secret(secret_to, secret)


@commands.command("list")
def show() -> None:
    """列出全部回调及其状态 · List all webhooks and how they fare."""
    from rich.table import Table

    from services.gateway import webhooks
    from services.gateway.feed_store import read_head

    with _database() as database:
        found = webhooks.listed(database)
        last = read_head(database).last
    table = Table(box=None)
    for title in (
        "编号 · id",
        "一方 · party",
        "地址 · url",
        "类型 · types",
        "状态 · state",
        "尚余 · behind",
        "失败 · failures",
        "下次 · next",
        "原因 · why",
    ):
        table.add_column(title, overflow="fold")
    for one in found:
        pending = _moment(one.next_attempt_ms) if one.failures and one.disabled_ms is None else "–"
        behind = str(last - one.after_seq)
        table.add_row(
            one.webhook_id,
            one.source,
            one.url,
            one.types or "*",
            _state(one),
            behind,
            str(one.failures),
            pending,
            one.trouble or "–",
        )
    out().print(table)


@commands.command("attempts")
def attempts(
    webhook_id: WebhookId,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="最近多少次 · how many, newest first")] = 20,
) -> None:
    """列出最近的投递 · List the newest attempts to deliver."""
    from rich.table import Table

    from services.gateway import webhooks

    with _database() as database:
        _found(database, webhook_id)
        made = webhooks.attempts_of(database, webhook_id, limit)
    table = Table(box=None)
    for title in ("时间 · time", "序号 · number", "重放 · replay", "耗时 ms", "HTTP", "原因 · why"):
        table.add_column(title, overflow="fold")
    for one in made:
        status = "–" if one.status is None else str(one.status)
        table.add_row(
            _moment(one.at_ms),
            str(one.seq),
            "是 · yes" if one.replayed else "",
            str(one.took_ms),
            status,
            one.trouble or "–",
        )
    out().print(table)


@commands.command("remove")
def remove(webhook_id: WebhookId) -> None:
    """删除回调 · Remove a webhook; nothing more is sent to it."""
    from services.gateway import webhooks

    with _database() as database:
        if not webhooks.remove(database, webhook_id):
            _fail_unknown(webhook_id)
    out().print(f"已删除 · removed {webhook_id}")


@commands.command("enable")
def enable(webhook_id: WebhookId) -> None:
    """恢复已停用的回调，从停下处继续 · Let a disabled webhook go on where it stopped."""
    from services.gateway import webhooks

    with _database() as database:
        if not webhooks.enable(database, webhook_id):
            _fail_unknown(webhook_id)
    out().print(f"已恢复 · enabled {webhook_id}")


@commands.command("replay")
def replay(
    webhook_id: WebhookId,
    after: Annotated[str | None, typer.Option("--after", help="游标，或 start · a cursor, or start")] = None,
    begin: Annotated[
        datetime | None, typer.Option("--from", formats=_MOMENTS, help="从此时起（北京时间）· from then, in China")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=_MOMENTS, help="到此时止（北京时间）· until then, in China")
    ] = None,
) -> None:
    """重发已投递的事件，webhook-id 不变 · Send again what was delivered, under the same webhook-id."""
    from services.gateway import webhooks
    from services.gateway.cursors import seq_of
    from services.gateway.feed_store import read_head, seq_at
    from services.gateway.problems import Problem

    if (after is None) == (begin is None):
        fail(Exit.USAGE, "请给出 --after 或 --from 之一。", "Give one of --after and --from.")
    with _database() as database:
        webhook = _found(database, webhook_id)
        head = read_head(database)
        try:
            after_seq = seq_at(database, _ms(begin)) if begin is not None else seq_of(after or "", head)
        except Problem as problem:
            fail(Exit.USAGE, *problem.detail)
        to_seq = head.last if end is None else seq_at(database, _ms(end))
        asked = webhooks.ask_replay(database, webhook, after_seq, to_seq)
    if not asked:
        fail(
            Exit.FAILED,
            "这一段没有已投递过的事件；未投递的会自行投递。",
            "Nothing in that stretch was delivered before; what was not comes by itself.",
        )
    out().print(f"已安排重发 · to be sent again: {webhook_id}")


def _database() -> AbstractContextManager[Database]:
    from services.cli.gateway import gateway_database

    return gateway_database()


def _found(database: Database, webhook_id: str) -> Webhook:
    from services.gateway import webhooks

    webhook = webhooks.find(database, webhook_id)
    if webhook is None:
        _fail_unknown(webhook_id)
    return webhook


def _fail_unknown(webhook_id: str) -> NoReturn:
    fail(
        Exit.USAGE,
        f"没有编号为 {webhook_id} 的回调；`kouan gateway webhook list` 列出全部。",
        f"There is no webhook {webhook_id}; `kouan gateway webhook list` shows them.",
    )


def _master() -> Master:
    from services.gateway.outcome_settings import OutcomeSettings
    from services.gateway.webhooks import MASTER_LENGTH, NoMaster, load_master

    try:
        return load_master(OutcomeSettings())
    except NoMaster as reason:
        fail(
            Exit.USAGE,
            f"没有可用的主密钥：{reason}。请将至少 {MASTER_LENGTH} 个随机字符存入文件，"
            "并以 KOUAN_GATEWAY_WEBHOOK_MASTER_FILE 指明；网关须用同一个。",
            f"There is no usable master secret: {reason}. Put {MASTER_LENGTH} random characters or more into a file "
            "and name it in KOUAN_GATEWAY_WEBHOOK_MASTER_FILE; the gateway needs the same.",
        )


def _check_url(url: str) -> None:
    import asyncio

    from services.gateway.outcome_settings import OutcomeSettings
    from services.gateway.targets import Forbidden, resolve

    try:
        asyncio.run(resolve(url, private=OutcomeSettings().webhook_private))
    except Forbidden as reason:
        fail(Exit.USAGE, f"不能向 {url} 投递：{reason}。", f"Nothing can be sent to {url}: {reason}.")
    except OSError as error:
        fail(
            Exit.USAGE,
            f"解析不了 {url} 的主机名：{error}。请核对地址。",
            f"The host of {url} can't be looked up: {error}. Check the URL.",
        )


def _write_secret(path: Path, secret: str) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        fail(
            Exit.FAILED,
            f"密钥无法写入 {path}：{error}。请删除该回调，另选文件后重新登记。",
            f"The secret can't be written to {path}: {error}. Remove the webhook and register it with another file.",
        )
    out().print(f"密钥已写入 · the secret is in {path}")


def _state(webhook: Webhook) -> str:
    if webhook.disabled_ms is not None:
        return f"已停用 · disabled {_moment(webhook.disabled_ms)}"
    if webhook.failures:
        return "重试中 · retrying"
    return "受阻 · stuck" if webhook.trouble else "正常 · active"


def _moment(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=_CHINA).timestamp() * 1000)
