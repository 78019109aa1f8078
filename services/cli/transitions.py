"""`kouan transitions`: who may do what, as the services' tables say it, on the screen or in their READMEs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.terminal import Exit, fail, out

if TYPE_CHECKING:
    from services.kit.transitions import Transitions

_END = "<!-- end of transitions -->"


def show(
    service: Annotated[
        str | None, typer.Argument(metavar="[SERVICE]", help="服务名，默认全部 · a service; by default all of them")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="写入各服务的 README · write them into the services' READMEs")
    ] = False,
) -> None:
    """谁可以做什么：输入、状态、当事方、结果 · Who may do what: inputs, states, parties, results.

    退出码：0 成功；2 用法有误。 Exit codes: 0 done; 2 wrong use.
    """
    from services.registry import SERVICES

    if service is not None and service not in SERVICES:
        names = ", ".join(SERVICES)
        fail(Exit.USAGE, f"没有服务 {service}；可选：{names}。", f"There is no service {service}; choose of: {names}.")
    for name in SERVICES if service is None else (service,):
        tables = tables_of(name)
        if write:
            _write(name, tables)
        else:
            for table in tables:
                out().print(f"[bold]{name}: {table.name}[/]")
                out().print(table.markdown(), markup=False, soft_wrap=True, highlight=False)


def tables_of(service: str) -> tuple[Transitions, ...]:
    """The tables in a service's domain, by name; empty where it has none."""
    from services.kit.transitions import Transitions

    domain = import_module(f"services.{service}.domain")
    modules = [import_module(f"{domain.__name__}.{found.name}") for found in iter_modules(domain.__path__)]
    tables = {one.name: one for module in modules for one in vars(module).values() if isinstance(one, Transitions)}
    return tuple(tables[name] for name in sorted(tables))


def readme_of(service: str) -> Path:
    """Where a service's tables are shown."""
    return Path(str(import_module(f"services.{service}").__file__)).with_name("README.md")


def placed(text: str, table: Transitions) -> str | None:
    """A README with the table between its markers as it now is; None where the markers are missing."""
    begin = f"<!-- transitions: {table.name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(_END)
    return f"{before}{begin}\n{table.markdown()}\n{_END}{after}" if found and closed else None


def _write(service: str, tables: tuple[Transitions, ...]) -> None:
    readme = readme_of(service)
    for table in tables:
        text = placed(readme.read_text("utf-8"), table) if readme.exists() else None
        if text is None:
            begin = f"<!-- transitions: {table.name} -->"
            fail(
                Exit.USAGE,
                f"{readme} 中缺少标记 {begin} 与 {_END}；请先在要放表格的位置写上这两行。",
                f"{readme} lacks the markers {begin} and {_END}; write these two lines where the table is to stand.",
            )
        readme.write_text(text, "utf-8")
        out().print(f"{readme.parent.name}: {table.name}")
