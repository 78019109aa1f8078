"""`kouan topics`: is the catalogue sound, what does the cluster lack of it, and doing it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from services.cli.terminal import DEFAULT_SERVERS, BootstrapServers, Exit, administering, err, fail, out

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient
    from rich.table import Table

    from topics.acl import Right
    from topics.definition import Catalogue, Flaw
    from topics.plan import ClusterState, Plan

commands = typer.Typer(
    no_args_is_help=True,
    help="主题：检查目录，对照集群检查或建立 · Topics: check the catalogue, compare, create, adjust",
)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--catalogue",
        help="目录文件夹，缺省为随附目录 · Folder of the catalogue; by default the one shipped",
        exists=True,
        file_okay=False,
    ),
]
ClusterId = Annotated[
    str | None,
    typer.Option(
        "--cluster-id",
        envvar="KOUAN_CLUSTER_ID",
        help="只对此编号的集群操作 · Refuse any other cluster than this one",
        metavar="ID",
    ),
]
Acls = Annotated[
    bool, typer.Option("--acls", help="连同读写权限 · Rights of writers and readers as well (needs an authorizer)")
]
Systems = Annotated[
    list[str] | None,
    typer.Option(
        "--system",
        help="逐一列出某侧系统，使其各有用户 · A system of a side, to get a user of its own (repeatable)",
        metavar="//SIDE/SYSTEM",
    ),
]


@commands.command("validate")
def validate(folder: Folder = None) -> None:
    """只检查目录文件，一次列出全部错误 · Check the files of the catalogue alone; tells all faults at once."""
    known = catalogue_in(folder, against_contracts=True)
    events = {event for topic in known.topics.values() for event in topic.events}
    out().print(f"[green]有效[/] {len(known.topics)} 个主题，{len(events)} 种事件 · topics and events; no faults")


@commands.command("plan")
def show_plan(
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
    folder: Folder = None,
    cluster_id: ClusterId = None,
    acls: Acls = False,
    system: Systems = None,
) -> None:
    """列出集群与目录的差异，不作改动；有差异时退出码为 7 · Show what `apply` would do; changes nothing."""
    known = catalogue_in(folder)
    with administering(bootstrap_servers) as admin:
        work = _work_out(known, admin, cluster_id, acls, system)
    _show(work)
    if work.plan.conflicts:
        _refuse(work.plan)
    if not work.empty:
        raise typer.Exit(Exit.PENDING)


@commands.command("apply")
def apply_plan(
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
    folder: Folder = None,
    cluster_id: ClusterId = None,
    acls: Acls = False,
    system: Systems = None,
) -> None:
    """建立缺少的主题、调整设置，从不删除 · Create missing topics and adjust settings; never deletes."""
    from topics.acl import grant_rights
    from topics.plan import ClusterError, apply

    known = catalogue_in(folder)
    with administering(bootstrap_servers) as admin:
        work = _work_out(known, admin, cluster_id, acls, system)
        _show(work)
        if work.plan.conflicts:
            _refuse(work.plan)
        try:
            apply(work.plan, admin)
            grant_rights(work.missing, admin)
        except ClusterError as error:
            _fail_refused(error)
    if not work.empty:
        done = f"{len(work.plan.creations)} 个已建立，{len(work.plan.adjustments)} 个已调整"
        granted = f"，{len(work.missing)} 项权限已授予" if work.missing else ""
        out().print(f"[green]完成[/] {done}{granted} · done")


def catalogue_in(folder: Path | None, *, against_contracts: bool = False) -> Catalogue:
    """The catalogue in a folder, or the one shipped; ends the command with all that is wrong with it."""
    from topics.definition import CatalogueError, load_catalogue

    try:
        known = load_catalogue(folder)
        if against_contracts:
            from schemas.json_schema import documents

            known.check_types(documents())
    except CatalogueError as error:
        _fail_faulty(error.flaws)
    return known


def fail_systems(error: Exception) -> NoReturn:
    """End the command because systems that were named can't be given users."""
    fail(Exit.USAGE, f"--system 有误：{error}", f"--system is wrong: {error}")


def _fail_faulty(flaws: Collection[Flaw]) -> NoReturn:
    from rich.text import Text

    console = err()
    for flaw in flaws:
        where = f"{flaw.file}{f' ({flaw.place})' if flaw.place else ''}"
        console.print(Text.assemble("  ", (where, "bold"), f"  {flaw.text}"), soft_wrap=True)
    fail(
        Exit.USAGE,
        f"主题目录有 {len(flaws)} 处错误，见上。",
        f"The topic catalogue has the {len(flaws)} faults above; correct its files.",
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done on a cluster: topics, and the rights that are missing (`None`: not asked for)."""

    state: ClusterState
    plan: Plan
    missing: tuple[Right, ...] = ()
    strange: tuple[Right, ...] = field(default=())

    @property
    def empty(self) -> bool:
        return self.plan.empty and not self.missing


def _work_out(
    known: Catalogue, admin: KafkaAdminClient, cluster_id: str | None, acls: bool, systems: list[str] | None
) -> _Work:
    from topics.acl import SystemsError, read_rights, rights, strangers
    from topics.plan import ClusterError, plan, read_cluster

    try:
        wanted = rights(known, systems or ()) if acls else ()
        state = read_cluster(admin)
        if cluster_id is not None and state.cluster_id != cluster_id:
            _fail_other_cluster(cluster_id, state.cluster_id)
        there = read_rights(admin) if acls else frozenset()
    except SystemsError as error:
        fail_systems(error)
    except ClusterError as error:
        _fail_refused(error)
    missing = tuple(right for right in wanted if right not in there)
    return _Work(state, plan(known, state), missing, strangers(wanted, there, known))


def _fail_refused(error: Exception) -> NoReturn:
    reasons = "；".join(getattr(error, "reasons", (str(error),)))
    fail(Exit.FAILED, f"集群拒绝了部分操作：{reasons}", f"The cluster refused some of it: {reasons}")


def _fail_other_cluster(wanted: str, found: str) -> NoReturn:
    fail(
        Exit.CONFLICT,
        f"这是另一个集群：编号为 {found}，应为 {wanted}。未作任何改动。请核对 --bootstrap-servers 与 --cluster-id。",
        f"This is another cluster: its id is {found}, not {wanted}. Nothing was changed. Check --bootstrap-servers and "
        "--cluster-id (KOUAN_CLUSTER_ID).",
    )


def _refuse(wanted: Plan) -> None:
    names = ", ".join(conflict.topic.name for conflict in wanted.conflicts)
    fail(
        Exit.CONFLICT,
        f"分区数不能改动：{names}。改动会使同一键的记录分散到不同分区。未作任何改动。"
        "请把目录改回原分区数，或新建主题并迁移。",
        f"Partition counts can't be changed: {names}. A key's new records would leave its old ones. Nothing was "
        "changed. Put the catalogue back to the count there is, or make a new topic and move over.",
    )


def _show(work: _Work) -> None:
    console = out()
    wanted = work.plan
    console.print(f"集群 Cluster [bold]{work.state.cluster_id}[/] · {work.state.brokers} broker(s)")
    table = _table()
    _fill(table, wanted)
    _fill_rights(table, work)
    if table.row_count:
        console.print(table)
    if wanted.shortfalls:
        fewest = min(shortfall.replication for shortfall in wanted.shortfalls)
        console.print(
            f"[yellow]注意[/] {len(wanted.shortfalls)} 个主题副本不足（最少 {fewest} 个），节点故障时可能丢失数据。\n"
            f"[yellow]Note[/]  {len(wanted.shortfalls)} topics have fewer replicas than the catalogue asks for "
            f"(as few as {fewest}): a lost broker can lose data."
        )
    if work.empty:
        console.print(f"[green]一致[/] {len(wanted.unchanged)} 个主题无需改动 · nothing to do")
    else:
        adjusted = len(wanted.adjustments)
        console.print(
            f"[green]+ {len(wanted.creations)}[/] 新建 create  [yellow]~ {adjusted}[/] 调整 change  "
            f"[red]! {len(wanted.conflicts)}[/] 拒绝 refused  = {len(wanted.unchanged)} 不变 unchanged"
        )


def _table() -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("主题 Topic", no_wrap=True)
    table.add_column("内容 What")
    return table


def _fill(table: Table, wanted: Plan) -> None:
    for creation in wanted.creations:
        topic = creation.topic
        kept = "永久 for ever" if topic.retention_ms < 0 else f"{topic.retention_ms / 86_400_000:g} d"
        table.add_row(
            "[green]+[/]",
            topic.name,
            f"{topic.partitions} 分区 partitions × {creation.replication} 副本 replicas "
            f"(≥ {creation.configs['min.insync.replicas']} 同步 in sync)，{kept}，{topic.cleanup_policy}",
        )
    for adjustment in wanted.adjustments:
        for change in adjustment.changes:
            table.add_row(
                "[yellow]~[/]",
                adjustment.topic.name,
                f"{change.setting}: [red]{change.now}[/] → [green]{change.wanted}[/]",
            )
    for conflict in wanted.conflicts:
        table.add_row(
            "[red]![/]",
            conflict.topic.name,
            f"partitions: {conflict.partitions} ↛ {conflict.topic.partitions}，键会离开原有记录 "
            "a key's new records would leave its old ones",
        )
    for name in wanted.strangers:
        table.add_row("[cyan]?[/]", name, "目录之外，不予处理 not in the catalogue, left alone")


def _fill_rights(table: Table, work: _Work) -> None:
    from topics.acl import grants

    for sign, whose in (("[green]+[/]", work.missing), ("[cyan]?[/]", work.strange)):
        for grant in grants(whose):
            name = f"{grant.name}*" if grant.prefixed else grant.name
            said = "权限 right" if whose is work.missing else "目录之外的权限 a right beside the catalogue"
            table.add_row(sign, name, f"{said}: User:{grant.user} {', '.join(grant.operations)} ({grant.resource})")
