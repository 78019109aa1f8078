"""`kouan policy`: checks policy files, explains scores, and tries versions on what is on record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.records import (
    Unreadable,
    consuming,
    events_of_file,
    events_of_topics,
    new_records_of,
    partitions_of,
    records_of,
    warn,
)
from services.cli.terminal import DEFAULT_SERVERS, BootstrapServers, Exit, fail

if TYPE_CHECKING:
    from schemas.envelope import Event
    from schemas.referral import Referral
    from schemas.scoring import ScreeningScored
    from services.screening.policy import Policies, Policy
    from services.screening.policy_simulate import Simulation

REFERRALS, SCREENING = "referral.events", "screening.events"

commands = typer.Typer(
    no_args_is_help=True,
    help="筛选政策：检查、解释、模拟 · Screening policy: check files, explain scores, simulate versions",
)

_Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        file_okay=False,
        envvar="KOUAN_SCREENING_POLICIES",
        metavar="DIR",
        help="政策版本的目录，默认随程序发布的版本 · Folder of policy versions; by default those that are shipped",
        show_default=False,
    ),
]
_File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        dir_okay=False,
        exists=True,
        metavar="FILE",
        help="从文件而非主题读取：每行一个 CloudEvent（JSON） · Read recorded events from JSON Lines, not from topics",
        show_default=False,
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="以 JSON 输出全部内容 · everything, as JSON")]
_Version = Annotated[str, typer.Argument(metavar="VERSION", help="政策版本，可为草案 · policy version, drafts too")]


@commands.command("check")
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]…", help="文件或目录，默认整个目录 · files or folders; by default the folder"),
    ] = None,
    folder: _Folder = None,
    as_json: _Json = False,
) -> None:
    """严格检查政策文件，一次列出全部问题 · Check policy files strictly; tells all faults at once.

    退出码：0 无误；1 有问题；2 用法有误。 Exit codes: 0 sound; 1 faults were found; 2 wrong use.
    """
    from services.cli.policy_report import show_checked
    from services.screening.policy import POLICIES, RELEASED
    from services.screening.policy_check import Checked, check_file, check_folder

    paths = files or [folder or POLICIES]
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        names = ", ".join(missing)
        fail(Exit.USAGE, f"没有这些文件：{names}。请核对路径。", f"Not there: {names}. Check the paths.")
    # The list is held against the versions beside it, so that naming it means all of them.
    whole = [path if path.is_dir() else path.parent for path in paths if path.is_dir() or path.name == RELEASED]
    found = [check_folder(path) for path in whole]
    found += [check_file(path) for path in paths if path.is_file() and path.name != RELEASED]
    checked = Checked(
        tuple(version for one in found for version in one.versions),
        tuple(fault for one in found for fault in one.faults),
    )
    show_checked(checked, as_json)
    if checked.faults:
        raise typer.Exit(Exit.FAILED)


@commands.command("explain")
def explain(
    case_id: Annotated[
        str, typer.Argument(metavar="CASE", help="案件编号，即推荐编号 · the case, that is the referral's id")
    ],
    version: Annotated[
        str | None,
        typer.Option(
            "--policy", metavar="VERSION", help="另以此版本评分并比较 · score by this version too, and compare"
        ),
    ] = None,
    as_json: _Json = False,
    file: _File = None,
    folder: _Folder = None,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """解释案件的记录得分：每条规则、输入与分值 · Explain a recorded score: each rule, its inputs, its points.

    退出码：0 得分成立；1 记录自相矛盾或重算不符；2 用法有误；4 连不上；5 没有记录。

    Exit codes: 0 the score holds; 1 the record contradicts itself, or comes out otherwise when scored anew; 2 wrong
    use; 4 Kafka can't be reached; 5 nothing is on record.
    """
    from services.cli.policy_report import show_explanation
    from services.screening.policy_explain import compare, proof

    policies = _policies(folder, file, bootstrap_servers)
    other = None if version is None else _version(policies, version)
    scored, referral = _recorded(case_id, file, bootstrap_servers)
    applied = policies.version(scored.policy_version) if scored.policy_version in policies.names else None
    # Only the very text that was applied can prove, or name, anything.
    policy = applied if applied and applied.digest == scored.policy_digest else None
    if other is not None and referral is None:
        fail(
            Exit.UNKNOWN_CASE,
            f"没有案件 {case_id} 第 {scored.revision} 版推荐的记录，无法另行评分。",
            f"Revision {scored.revision} of referral {case_id} is not on record, so it can't be scored anew.",
        )
    comparison = compare(scored, other, referral) if other and referral else None
    faults = proof(scored, policy, referral)
    show_explanation(scored, policy, referral is not None, faults, comparison, as_json)
    if faults:
        raise typer.Exit(Exit.FAILED)


def _recorded(case_id: str, file: Path | None, servers: str) -> tuple[ScreeningScored, Referral | None]:
    """The score on record last, and the referral that was scored; ends the command where there is no score."""
    from schemas.referral import ReferralAmended, ReferralRegistered
    from schemas.scoring import ScreeningScored

    scored: ScreeningScored | None = None
    referrals: dict[int, Referral] = {}
    for event in _events_of_case(case_id, file, servers):
        data = event.data
        if isinstance(data, ScreeningScored) and (scored is None or data.revision > scored.revision):
            scored = data
        elif isinstance(data, ReferralRegistered):
            referrals[1] = data.referral
        elif isinstance(data, ReferralAmended):
            referrals[data.revision] = data.referral
    if scored is None:
        fail(
            Exit.UNKNOWN_CASE,
            f"案件 {case_id} 没有评分记录。请核对编号（区分大小写）；刚提交的推荐请稍候。",
            f"No score of case {case_id} is on record. Check the id, capitals matter; a new referral takes a moment.",
        )
    return scored, referrals.get(scored.revision)


def _events_of_case(case_id: str, file: Path | None, servers: str) -> Iterator[Event[Any]]:
    from schemas.loading import load_contracts
    from schemas.referral import ReferralAmended, ReferralRegistered
    from schemas.scoring import ScreeningScored
    from services.cli.case import read_steps
    from topics.definition import Catalogue, load_catalogue

    load_contracts()
    if file is not None:
        unreadable = Unreadable()
        known = {payload.TYPE: payload for payload in (ReferralRegistered, ReferralAmended, ScreeningScored)}
        yield from events_of_file(file, known, unreadable, case_id)
        warn(unreadable)
        return
    topics = load_catalogue().topics
    steps = read_steps(case_id, Catalogue({name: topics[name] for name in (REFERRALS, SCREENING)}), servers)
    yield from (step.event for step in steps if step.event is not None and step.event.data is not None)


@commands.command("simulate")
def simulate(
    version: _Version,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="首日（北京时间） · first day, in China", show_default=False),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="末日（含） · last day, included", show_default=False),
    ] = None,
    as_json: _Json = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", dir_okay=False, help="把有变化的案件写成 CSV · write the cases that change as CSV"),
    ] = None,
    shown: Annotated[
        int, typer.Option("--show", min=0, help="最多列出多少个案件 · how many cases to show at the most")
    ] = 20,
    file: _File = None,
    folder: _Folder = None,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """按某一版本重放已记录的推荐，与当时生效的版本比较 · Replay recorded referrals under a version, and compare.

    不影响任何案件。 No case is influenced.
    """
    from services.cli.policy_outlook import show_simulation, write_changed

    days = (first.date() if first else date.min, last.date() if last else date.max)
    if days[0] > days[1]:
        fail(Exit.USAGE, "--from 晚于 --to；请调换。", "--from is after --to; swap them.")
    unreadable = Unreadable()
    simulation = _simulated(version, days, file, folder, bootstrap_servers, unreadable)
    warn(unreadable)
    if csv is not None:
        try:
            write_changed(csv, simulation)
        except OSError as error:
            fail(Exit.USAGE, f"无法写入 {csv}：{error.strerror}。", f"{csv} can't be written: {error.strerror}.")
    show_simulation(simulation, days, shown, as_json)


def _simulated(
    version: str,
    days: tuple[date, date],
    file: Path | None,
    folder: Path | None,
    servers: str,
    unreadable: Unreadable,
) -> Simulation:
    from services.screening.policy_simulate import RECORDED, Replay

    policies = _policies(folder, file, servers)
    _version(policies, version)
    replay = Replay(policies, version, *days)
    with _without_collector():
        if file is not None:
            for event in events_of_file(file, RECORDED, unreadable):
                replay.take(event)
        else:
            with consuming(servers, "kouan-policy") as consumer:
                records = records_of(consumer, partitions_of(consumer, (REFERRALS, SCREENING)))
                for event in events_of_topics(records, RECORDED, unreadable):
                    replay.take(event)
        return replay.result()


@contextmanager
def _without_collector() -> Iterator[None]:
    """Much is kept, and nothing of it in cycles: looking for some again and again would take much of the time."""
    import gc

    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@commands.command("shadow")
def shadow(
    version: Annotated[
        str,
        typer.Argument(
            metavar="VERSION",
            envvar="KOUAN_SCREENING_SHADOW_POLICY",
            help="影子版本，可为草案 · the shadow version, drafts too",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="每行一个 JSON 对象 · one JSON object a line")] = False,
    folder: _Folder = None,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """随新推荐的到来，以影子版本旁路评分，直到 Ctrl-C · Score new referrals beside the active version, until Ctrl-C.

    只读取主题，不影响任何案件。 Reads topics alone; no case is influenced.
    """
    from schemas.referral import ReferralAmended, ReferralRegistered
    from services.cli.policy_outlook import ShadowReport
    from services.screening.policy_simulate import Replay

    policies = _policies(folder, None, bootstrap_servers)
    _version(policies, version)
    replay = Replay(policies, version)
    report = ShadowReport(version, as_json)
    known = {payload.TYPE: payload for payload in (ReferralRegistered, ReferralAmended)}
    unreadable = Unreadable()
    with consuming(bootstrap_servers, "kouan-policy-shadow") as consumer:
        records = new_records_of(consumer, partitions_of(consumer, (REFERRALS,)))
        report.begin()
        try:
            for event in events_of_topics(records, known, unreadable):
                report.tell(replay.replay(event))
        except KeyboardInterrupt:
            report.end()
    warn(unreadable)


def _policies(folder: Path | None, file: Path | None, servers: str) -> Policies:
    """The versions of the folder and, unless events come from a file, those agreed on over the topics."""
    from services.cli.policy_agree import read_book

    released = load_or_fail(folder)
    if file is not None:
        return released
    with consuming(servers, "kouan-policy") as consumer:
        return read_book(consumer, released).policies


def load_or_fail(folder: Path | None) -> Policies:
    """The policy files; ends the command with all their faults where they have any."""
    from services.cli.policy_report import show_faults
    from services.screening.policy import POLICIES, PolicyError, load_policies

    try:
        return load_policies(folder or POLICIES)
    except PolicyError as error:
        show_faults(error.faults)
        count = len(error.faults)
        fail(
            Exit.USAGE,
            f"政策文件有以上 {count} 处问题；请更正后再试（kouan policy check 可随时检查）。",
            f"The policy files have the {count} faults above; correct them first (see `kouan policy check`).",
        )


def _version(policies: Policies, name: str) -> Policy:
    if name not in policies.names:
        names = ", ".join(policies.names)
        fail(
            Exit.USAGE,
            f"没有名为 {name} 的政策版本；可选：{names}。",
            f"There is no policy version {name}; choose of: {names}.",
        )
    return policies.version(name)
