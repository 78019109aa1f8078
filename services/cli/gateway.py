"""`kouan gateway`: the HTTP gateway's process, and the keys of the parties."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import gateway_webhooks
from services.cli.terminal import Exit, fail, out

if TYPE_CHECKING:
    from services.gateway.parties import Key
    from services.kit.database import Database

_CHINA = timezone(timedelta(hours=8))

commands = typer.Typer(no_args_is_help=True, help="HTTP 网关 · HTTP gateway")
keys = typer.Typer(no_args_is_help=True, help="各方的密钥 · keys of the parties")
commands.add_typer(keys, name="key")
commands.add_typer(gateway_webhooks.commands, name="webhook")


@commands.command("run")
def run() -> None:
    """运行网关 · Run the gateway; settings come from KOUAN_… in the environment."""
    from schemas.loading import load_contracts
    from services.gateway.app import run as run_gateway
    from services.kit.failures import Fatal

    load_contracts()
    try:
        run_gateway()
    except Fatal as fatal:
        fail(
            Exit.FAILED, f"网关无法继续运行，需要处理：{fatal}", f"The gateway can't go on and needs a person: {fatal}"
        )


@keys.command("add")
def add(
    source: Annotated[str, typer.Option("--source", help="发布方的 ce_source，如 //commerce/manzhouli · the party")],
    expires: Annotated[
        datetime | None,
        typer.Option("--expires", formats=["%Y-%m-%d"], help="最后有效日（北京时间）· last day, in China"),
    ] = None,
) -> None:
    """新增密钥，只显示这一次 · Add a key; it is shown this once."""
    from services.gateway.parties import BadSource, add_key

    with gateway_database() as database:
        try:
            key = add_key(database, source, _end_of_day_ms(expires))
        except BadSource:
            fail(
                Exit.USAGE,
                f"{source} 不是发布方；应形如 //commerce/manzhouli 或 //bank/exim-nmg。",
                f"{source} is no party's source; write it like //commerce/manzhouli or //bank/exim-nmg.",
            )
    out().print(key, soft_wrap=True)


@keys.command("list")
def show() -> None:
    """列出全部密钥，不含密钥本身 · List all keys, without their secrets."""
    from rich.table import Table

    from services.gateway.parties import list_keys

    with gateway_database() as database:
        found = list_keys(database)
    table = Table(box=None)
    for title in (
        "编号 · key id",
        "发布方 · source",
        "状态 · state",
        "新增 · added",
        "到期 · expires",
        "最近用 · used",
    ):
        table.add_column(title, no_wrap=True)
    for key in found:
        times = (_shown(moment) for moment in (key.created_ms, key.expires_ms, key.used_ms))
        table.add_row(key.key_id, key.source, _state(key), *times)
    out().print(table)


@keys.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(help="密钥编号 · key id")]) -> None:
    """吊销密钥，数秒内生效 · Revoke a key; it ends within seconds."""
    from services.gateway.parties import revoke_key

    with gateway_database() as database:
        known = revoke_key(database, key_id)
    if not known:
        fail(
            Exit.USAGE,
            f"没有编号为 {key_id} 的密钥。",
            f"There is no key {key_id}; `kouan gateway key list` shows them.",
        )
    out().print(f"已吊销 · revoked {key_id}")


@contextmanager
def gateway_database() -> Iterator[Database]:
    """The gateway's database, brought to this release; it may be in use by a running gateway."""
    from services.gateway.app import MIGRATIONS, NAME
    from services.gateway.settings import GatewaySettings
    from services.kit.database import open_database
    from services.kit.failures import Fatal, Transient
    from services.kit.migrate import migrate

    url = GatewaySettings().database_for(NAME)
    try:
        migrate(url, NAME, MIGRATIONS)
        with closing(open_database(url, NAME)) as database:
            yield database
    except (Fatal, Transient) as failure:
        fail(Exit.FAILED, f"数据库无法使用：{failure}", f"The database can't be used: {failure}")


def _end_of_day_ms(day: datetime | None) -> int | None:
    """The last moment of a day in China (UTC+8), in milliseconds since 1970."""
    if day is None:
        return None
    return int((day.replace(tzinfo=_CHINA) + timedelta(days=1)).timestamp() * 1000) - 1


def _shown(moment_ms: int | None) -> str:
    return "–" if moment_ms is None else datetime.fromtimestamp(moment_ms / 1000, _CHINA).strftime("%Y-%m-%d %H:%M")


def _state(key: Key) -> str:
    if key.revoked_ms is not None:
        return "已吊销 · revoked"
    if key.expires_ms is not None and key.expires_ms / 1000 <= datetime.now(UTC).timestamp():
        return "已过期 · expired"
    return "有效 · valid"
