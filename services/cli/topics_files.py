"""`kouan topics import` and `export`: catalogue files from a cluster, and what others need from the catalogue."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.terminal import DEFAULT_SERVERS, BootstrapServers, Exit, administering, fail, out
from services.cli.topics import Folder, Systems, catalogue_in, fail_systems

if TYPE_CHECKING:
    from topics.definition import Catalogue


class Format(StrEnum):
    """What the catalogue can be written as."""

    STRIMZI = "strimzi"
    ACL = "acl"
    ASYNCAPI = "asyncapi"
    HTML = "html"


def import_topics(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(help="主题名称，可用 * · Names of topics, with * for any; all by default", metavar="[NAME]…"),
    ] = None,
    to: Annotated[
        Path, typer.Option("--to", help="写入此文件夹 · Folder to write the files to", file_okay=False)
    ] = Path("topics-imported"),
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
    folder: Folder = None,
) -> None:
    """为目录之外的主题生成待填写的文件 · Begin a catalogue file for each topic that only the cluster knows."""
    from topics.importing import write_drafts
    from topics.plan import plan, read_cluster

    known = catalogue_in(folder)
    with administering(bootstrap_servers) as admin:
        state = read_cluster(admin)
    wanted = patterns or ["*"]
    names = [name for name in plan(known, state).strangers if any(fnmatchcase(name, one) for one in wanted)]
    console = out()
    if not names:
        console.print("没有目录之外的主题 · the cluster has no such topic beside the catalogue")
        return
    written, left = write_drafts(state, names, to)
    for file in written:
        console.print(f"[green]+[/] {file}", soft_wrap=True)
    for one in left:
        console.print(f"[yellow]![/] {one.name}  {one.zh} · {one.en}", soft_wrap=True, markup=True)
    if written:
        console.print(
            "请填写文件中的空白处，放入目录文件夹，再运行 kouan topics validate。\n"
            "Fill in the empty places, put the files into the catalogue's folder, then run `kouan topics validate`."
        )


def export(
    what: Annotated[
        Format,
        typer.Option(
            "--format",
            help="strimzi：Kubernetes 资源 resources；acl：kafka-acls 命令 commands；asyncapi：接口文档 document；"
            "html：可离线阅读的网页 a page to read offline",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="写入文件，缺省为标准输出 · File to write; else standard output"),
    ] = None,
    folder: Folder = None,
    system: Systems = None,
    cluster: Annotated[
        str, typer.Option("--strimzi-cluster", help="Strimzi 的 Kafka 资源名称 · Name of Strimzi's Kafka resource")
    ] = "kouan",
) -> None:
    """把目录写成他人所用的格式 · Write the catalogue as what others work with."""
    from topics.acl import SystemsError

    known = catalogue_in(folder)
    try:
        text = _written(known, what, system or [], cluster)
    except SystemsError as error:
        fail_systems(error)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(Exit.USAGE, f"无法写入 {output}：{error.strerror}", f"{output} can't be written: {error.strerror}")
    out().print(f"[green]已写入[/] {output} · written", soft_wrap=True)


def _written(known: Catalogue, what: Format, systems: list[str], cluster: str) -> str:
    from topics.acl import as_commands, rights
    from topics.asyncapi import as_yaml, document
    from topics.page import page
    from topics.strimzi import as_resources

    match what:
        case Format.STRIMZI:
            return as_resources(known, cluster, systems)
        case Format.ACL:
            return as_commands(rights(known, systems))
        case Format.ASYNCAPI:
            return as_yaml(document(known))
        case Format.HTML:
            return page(document(known))
