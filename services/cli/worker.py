"""`kouan worker`: run one deciding service in this process."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.terminal import Exit, fail
from services.registry import SERVICES


def work(
    service: Annotated[
        str, typer.Argument(help=f"服务 · service: {', '.join(SERVICES)}", autocompletion=lambda: list(SERVICES))
    ],
) -> None:
    """运行一个服务的工作进程 · Run the worker of one service; settings come from KOUAN_… in the environment."""
    if service not in SERVICES:
        names = ", ".join(SERVICES)
        fail(
            Exit.USAGE,
            f"没有名为 {service} 的服务；可选：{names}。",
            f"There is no service {service}; choose of: {names}.",
        )
    from schemas.loading import load_contracts
    from services.kit.failures import Fatal
    from services.kit.worker import run
    from services.registry import build

    # A service imports the contracts it speaks; its topics carry others besides, and all of them have to be known.
    load_contracts()
    try:
        run(build(service))
    except Fatal as fatal:
        fail(
            Exit.FAILED,
            f"服务 {service} 无法继续运行，需要处理：{fatal}",
            f"{service} can't go on and needs a person: {fatal}",
        )
