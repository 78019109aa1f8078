"""`kouan up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from services.cli.demo import ending_on_signals, started, stay_until_interrupted
from services.cli.terminal import Exit, err, out, quieten_clients

DATA_DIR = Path(".kouan/up")


def up(
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="数据库、日志、邮件与 Kafka 数据所在目录 · folder of all data")
    ] = DATA_DIR,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory", help="要发布的名录，JSON Lines · directory to publish", exists=True, dir_okay=False
        ),
    ] = None,
) -> None:
    """在本机启动 Kafka 与全部服务 · Start a broker, the mail server and all services here, and stay until Ctrl-C."""
    from schemas.loading import load_contracts
    from services.demo.stack import DIRECTORY, Stack
    from services.demo.tables import addresses
    from topics.definition import load_catalogue

    quieten_clients()
    load_contracts()
    console = err()
    stack = Stack(
        data_dir.resolve(),
        Path(".kouan/cache").resolve(),
        load_catalogue(),
        directory=directory or DIRECTORY,
        gateway=True,
        say=lambda text: console.print(text, style="dim", soft_wrap=True),
    )
    with contextlib.suppress(KeyboardInterrupt), ending_on_signals(), started(stack, empty_topics=False):
        out().print(addresses(stack))
        out().print(f"KOUAN_BOOTSTRAP_SERVERS={stack.broker.bootstrap_servers}", soft_wrap=True)
        out().print(f"KOUAN_GATEWAY={stack.gateway_url}   # /docs", soft_wrap=True, highlight=False)
        console.print(f"数据、日志与邮件 · data, logs and mails: {data_dir}", style="dim", soft_wrap=True)
        stay_until_interrupted("按 Ctrl-C 结束 · Ctrl-C ends everything", stack.workers.check_alive)
        console.print("正在结束 · ending", style="dim")
    raise typer.Exit(Exit.OK)
