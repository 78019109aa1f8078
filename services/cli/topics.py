"""`kouan topics`: what the cluster lacks of the catalogue, and doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from services.cli.terminal import DEFAULT_SERVERS, BootstrapServers, Exit, administering, err, fail, out

if TYPE_CHECKING:
    from rich.table import Table

    from topics.definition import Catalogue
    from topics.plan import ClusterState, Plan

commands = typer.Typer(
    no_args_is_help=True, help="主题：对照目录检查或建立 · Topics: compare with the catalogue, create and adjust"
)


@commands.command("plan")
def show_plan(bootstrap_servers: BootstrapServers = DEFAULT_SERVERS) -> None:
    """列出集群与目录的差异，不作改动 · Show what `apply` would do; changes nothing."""
    from topics.plan import plan, read_cluster

    catalogue = _catalogue()
    with administering(bootstrap_servers) as admin:
        state = read_cluster(admin)
    wanted = plan(catalogue, state)
    _show(wanted, state)
    if wanted.conflicts:
        _refuse(wanted)


@commands.command("apply")
def apply_plan(bootstrap_servers: BootstrapServers = DEFAULT_SERVERS) -> None:
    """建立缺少的主题、调整设置，从不删除 · Create missing topics and adjust settings; never deletes."""
    from topics.plan import ClusterError, apply, plan, read_cluster

    catalogue = _catalogue()
    with administering(bootstrap_servers) as admin:
        state = read_cluster(admin)
        wanted = plan(catalogue, state)
        _show(wanted, state)
        if wanted.conflicts:
            _refuse(wanted)
        try:
            apply(wanted, admin)
        except ClusterError as error:
            reasons = "；".join(error.reasons)
            fail(Exit.FAILED, f"集群拒绝了部分改动：{reasons}", f"The cluster refused some of it: {reasons}")
    if not wanted.empty:
        done = f"{len(wanted.creations)} 个已建立，{len(wanted.adjustments)} 个已调整"
        out().print(f"[green]完成[/] {done} · done")


def _catalogue() -> Catalogue:
    from topics.definition import CatalogueError, load_catalogue

    try:
        return load_catalogue()
    except CatalogueError as error:
        console = err()
        for flaw in error.flaws:
            console.print(f"  {flaw}", style="red", markup=False)
        fail(Exit.USAGE, "主题目录有误，见上。", "The topic catalogue has the faults above; correct its files.")


def _refuse(wanted: Plan) -> None:
    names = ", ".join(conflict.topic.name for conflict in wanted.conflicts)
    fail(
        Exit.CONFLICT,
        f"分区数不能改动：{names}。改动会使同一键的记录分散到不同分区。未作任何改动。"
        "请把目录改回原分区数，或新建主题并迁移。",
        f"Partition counts can't be changed: {names}. A key's new records would leave its old ones. Nothing was "
        "changed. Put the catalogue back to the count there is, or make a new topic and move over.",
    )


def _show(wanted: Plan, state: ClusterState) -> None:
    console = out()
    console.print(f"集群 Cluster [bold]{state.cluster_id}[/] · {state.brokers} broker(s)")
    table = _table()
    _fill(table, wanted)
    if table.row_count:
        console.print(table)
    if wanted.shortfalls:
        fewest = min(shortfall.replication for shortfall in wanted.shortfalls)
        console.print(
            f"[yellow]注意[/] {len(wanted.shortfalls)} 个主题副本不足（最少 {fewest} 个），节点故障时可能丢失数据。\n"
            f"[yellow]Note[/]  {len(wanted.shortfalls)} topics have fewer replicas than the catalogue asks for "
            f"(as few as {fewest}): a lost broker can lose data."
        )
    if wanted.strangers:
        console.print(f"目录之外，不予处理 · not in the catalogue, left alone: {', '.join(wanted.strangers)}")
    if wanted.empty:
        console.print(f"[green]一致[/] {len(wanted.unchanged)} 个主题无需改动 · nothing to do")


def _table() -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("动作 Action", no_wrap=True)
    table.add_column("主题 Topic", no_wrap=True)
    table.add_column("内容 What")
    return table


def _fill(table: Table, wanted: Plan) -> None:
    for creation in wanted.creations:
        topic = creation.topic
        kept = "永久 for ever" if topic.retention_ms < 0 else f"{topic.retention_ms / 86_400_000:g} d"
        table.add_row(
            "[green]新建 create[/]",
            topic.name,
            f"{topic.partitions} 分区 partitions × {creation.replication} 副本 replicas，{kept}",
        )
    for adjustment in wanted.adjustments:
        for change in adjustment.changes:
            table.add_row(
                "[yellow]调整 adjust[/]", adjustment.topic.name, f"{change.setting}: {change.now} → {change.wanted}"
            )
    for conflict in wanted.conflicts:
        table.add_row(
            "[red]拒绝 refuse[/]",
            conflict.topic.name,
            f"partitions: {conflict.partitions} ↛ {conflict.topic.partitions}",
        )
