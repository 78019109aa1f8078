"""`kouan policy propose`, `confirm` and `status`: how both headquarters agree on a policy version over the topics."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from services.cli.records import Unreadable, consuming, events_of_topics, partitions_of, records_of, warn
from services.cli.terminal import ANSWER_WITHIN_MS, DEFAULT_SERVERS, BootstrapServers, Exit, err, fail, out, short

if TYPE_CHECKING:
    from kafka import KafkaConsumer

    from schemas.envelope import Payload
    from services.screening.policy import Policies
    from services.screening.policy_agreed import PolicyBook, TextStanding

_OTHER = {"commerce": "bank", "bank": "commerce"}
_SIDES = {"commerce": "商务 commerce", "bank": "银行 bank"}
_STANDINGS = {
    "released": "已发布 released",
    "agreed": "[green]双方已确认 agreed[/]",
    "proposed": "[yellow]待确认 to be confirmed[/]",
    "outdone": "[red]名称已被占用 name taken[/]",
    "faulty": "[red]有问题 faulty[/]",
    "unknown": "[yellow]文本未知 text unknown[/]",
}

_Hq = Literal["commerce", "bank"]
_Of = Annotated[
    _Hq, typer.Option("--side", help="代表哪一方总部 · the side whose headquarters speaks", show_default=False)
]
_By = Annotated[str, typer.Option("--by", metavar="PERSON", help="负责人编号 · id of the person who answers for it")]


def propose(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", help="政策文件 · the policy file")
    ],
    side: _Of,
    by: _By,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """提出政策版本，由另一方总部确认后生效 · Propose a policy version to the other headquarters.

    先按 kouan policy check 检查。退出码：0 已提出；1 有问题；2 用法有误；3 名称已被占用；4 连不上。

    The file is checked first. Exit codes: 0 proposed; 1 faults; 2 wrong use; 3 the name is taken; 4 Kafka is away.
    """
    from schemas.policy import PolicyProposed, digest_of
    from services.cli.policy_report import show_faults
    from services.screening.policy import version_of
    from services.screening.policy_check import check_file
    from services.screening.policy_files import Written

    content = file.read_bytes()
    try:
        told = content.decode()
    except UnicodeDecodeError:
        fail(
            Exit.FAILED,
            f"{file.name} 不是 UTF-8 文本，未提出。",
            f"{file.name} is no UTF-8 text; nothing was proposed.",
        )
    text = version_of(Written(file.name, content)).text
    faults = check_file(file).faults
    if faults or text is None:
        show_faults(faults)
        fail(
            Exit.FAILED,
            f"{file.name} 有以上 {len(faults)} 处问题，未提出。",
            f"{file.name} has the {len(faults)} faults above; nothing was proposed.",
        )
    known = _read(bootstrap_servers)
    digest = digest_of(told)
    for one in known.standings():
        if one.version == text.version and one.digest == digest:
            out().print(f"{text.version} 已提出过，无需重复 · was proposed before: {_STANDINGS[one.standing]}")
            return
    taken = text.version in known.policies.versions or any(one.version == text.version for one in known.standings())
    if taken:
        fail(
            Exit.CONFLICT,
            f"版本 {text.version} 已另有文本；版本不可更改，请换一个名称。",
            f"Version {text.version} has another text already, and a version never changes; choose another name.",
        )
    payload = PolicyProposed.model_construct(
        policy_version=text.version,
        effective_from=text.effective_from,
        text=told,
        digest=digest,
        proposed_by=by,
    )
    _publish(side, payload, text.version, f"policy-proposed/{text.version}/{digest}", bootstrap_servers)
    out().print(
        f"[green]已提出[/] {text.version}，待另一方总部确认 · proposed; the other headquarters confirms it by",
        soft_wrap=True,
    )
    out().print(
        f"kouan policy confirm {text.version} --digest {digest[:12]} --side {_OTHER[side]} --by …", soft_wrap=True
    )


def confirm(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="政策版本 · the version")],
    side: _Of,
    by: _By,
    digest: Annotated[
        str,
        typer.Option(
            "--digest",
            metavar="SHA256",
            help="所读文本的 SHA-256，至少前 12 位 · SHA-256 of the text that was read, its first 12 digits at least",
        ),
    ],
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """确认另一方总部提出的版本 · Confirm the version that the other headquarters proposed.

    文本见 kouan policy status VERSION。退出码：0 已确认；2 用法有误；3 不能确认；4 连不上。

    Read its text with `kouan policy status VERSION`. Exit codes: 0 confirmed; 2 wrong use; 3 not to be confirmed; 4
    Kafka is away.
    """
    from schemas.policy import PolicyConfirmed

    book = _read(bootstrap_servers)
    meant = [one for one in book.standings() if one.version == version and one.digest.startswith(digest)]
    if len(digest) < 12 or len(meant) != 1:
        fail(
            Exit.CONFLICT,
            f"没有摘要为 {digest} 的版本 {version}；请用 kouan policy status 核对。",
            f"No text of version {version} has the digest {digest}; see `kouan policy status`.",
        )
    (text,) = meant
    if text.standing in ("agreed", "released"):
        out().print(f"{version} {_STANDINGS[text.standing]}，无需再确认 · needs no more")
        return
    if text.standing != "proposed" or side in text.sides:
        _refuse(text, side)
    payload = PolicyConfirmed.model_construct(policy_version=version, digest=text.digest, confirmed_by=by)
    _publish(side, payload, version, f"policy-confirmed/{version}/{text.digest}", bootstrap_servers)
    out().print(
        f"[green]已确认[/] {version}，自 {text.effective_from} 起生效，且不早于明日 · "
        f"confirmed; it applies from {text.effective_from}, not before tomorrow",
        soft_wrap=True,
    )


def status(
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="显示该版本的文本 · show the text of this version")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="以 JSON 输出全部内容 · everything, as JSON")] = False,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """各政策版本的情况：已发布、待确认、有问题 · How policy versions stand: released, agreed on, waiting, faulty."""
    from services.cli.policy_report import print_json

    book = _read(bootstrap_servers)
    standings = [one for one in book.standings() if version in (None, one.version)]
    if version is not None and not standings and version not in book.policies.versions:
        fail(Exit.USAGE, f"没有名为 {version} 的政策版本。", f"There is no policy version {version}.")
    if as_json:
        print_json({"in_force": _today(book), "released": _released(book), "texts": [_told(one) for one in standings]})
        return
    _show_table(book, standings)
    for one in standings if version is not None else ():
        out().print(f"\nsha256 {one.digest}")
        out().print(one.text, markup=False, soft_wrap=True)


def read_book(consumer: KafkaConsumer, released: Policies) -> PolicyBook:
    """The released versions and what the policy topics say of others."""
    from schemas.loading import load_contracts
    from schemas.policy import PolicyConfirmed, PolicyProposed
    from services.screening.policy_agreed import PolicyBook
    from topics.definition import load_catalogue

    load_contracts()
    book = PolicyBook(released)
    known = {payload.TYPE: payload for payload in (PolicyProposed, PolicyConfirmed)}
    unreadable = Unreadable()
    for topic in load_catalogue().references_of("screening"):
        if topic.events.isdisjoint(known):
            continue
        for event in events_of_topics(records_of(consumer, partitions_of(consumer, (topic.name,))), known, unreadable):
            if topic.accepts_source(event.source):
                book.learn(event)
    warn(unreadable)
    return book


def _read(servers: str) -> PolicyBook:
    from services.cli.policy import load_or_fail

    released = load_or_fail(None)
    with consuming(servers, "kouan-policy") as consumer:
        return read_book(consumer, released)


def _publish(side: str, payload: Payload, version: str, reference: str, servers: str) -> None:
    from schemas.values import BANK_HQ, COMMERCE_HQ
    from services.cli.terminal import fail_unreachable, quieten_clients
    from services.client.delivery import Unavailable, UnconfirmedError
    from services.client.preparing import Refused
    from services.client.publisher import Publisher

    quieten_clients()
    headquarters = {"commerce": f"//commerce/{COMMERCE_HQ}", "bank": f"//bank/{BANK_HQ}"}
    try:
        with Publisher(servers, headquarters[side], connect_within_s=ANSWER_WITHIN_MS / 1000) as publisher:
            publisher.publish(payload, subject=version, reference=reference)
    except Refused as error:
        for fault in error.faults:
            err().print(f"[red]{fault.pointer or '/'}[/] {fault.zh} {fault.en}", soft_wrap=True)
        fail(Exit.FAILED, "未发布。", "Nothing was published.")
    except Unavailable as error:
        fail_unreachable(servers, error.reason)
    except UnconfirmedError as error:
        fail(
            Exit.BROKER,
            f"Kafka 未确认：{short(error)}。请重新运行同一命令，重复的会被识别。",
            f"The broker did not confirm it: {short(error)}. Run the same command again; repeats are recognised.",
        )


def _refuse(text: TextStanding, side: str) -> NoReturn:
    if side in text.sides and text.standing == "proposed":
        zh, en = (
            "这是本方提出的，须由另一方总部确认",
            "your own side proposed it; the other headquarters has to confirm it",
        )
    elif text.standing == "unknown":
        zh, en = "没有它的文本", "nobody proposed that text"
    else:
        zh, en = "它不可能生效（见 kouan policy status）", "it can never apply (see `kouan policy status`)"
    fail(Exit.CONFLICT, f"不能确认 {text.version}：{zh}。", f"{text.version} can't be confirmed: {en}.")


# --- what is told -----------------------------------------------------------------------------------------------------


def _today(book: PolicyBook) -> str:
    from datetime import UTC, datetime

    from schemas.reference import china_date

    return book.policies.in_force(china_date(datetime.now(UTC))).version


def _released(book: PolicyBook) -> list[dict[str, str | date]]:
    agreed = {one.version for one in book.standings() if one.standing == "agreed"}
    policies = (book.policies.version(name) for name in book.policies.versions if name not in agreed)
    return [{"version": one.version, "digest": one.digest, "effective_from": one.effective_from} for one in policies]


def _told(one: TextStanding) -> dict[str, object]:
    return {
        "version": one.version,
        "digest": one.digest,
        "standing": one.standing,
        "sides": list(one.sides),
        "proposed_by": one.proposed_by,
        "effective_from": one.effective_from,
        "applies_from": one.applies_from,
        "outdone_by": one.outdone_by,
        "faults": [{"line": fault.line, **fault.fault.model_dump()} for fault in one.faults],
    }


def _show_table(book: PolicyBook, standings: list[TextStanding]) -> None:
    from services.cli.policy_report import new_table, show_faults

    table = new_table()
    for title in ("版本 Version", "情况 Standing", "支持方 Sides", "生效 Effective", "适用 Applies from", "SHA-256"):
        table.add_column(title, overflow="fold")
    today = _today(book)
    for released in _released(book):
        name = str(released["version"])
        mark = " · [green]现行 in force[/]" if name == today else ""
        day = str(released["effective_from"])
        table.add_row(name, _STANDINGS["released"] + mark, "", day, day, str(released["digest"])[:12])
    for one in standings:
        mark = " · [green]现行 in force[/]" if one.standing == "agreed" and one.version == today else ""
        table.add_row(
            one.version,
            _STANDINGS[one.standing] + mark,
            " + ".join(_SIDES[side] for side in one.sides),
            str(one.effective_from or ""),
            str(one.applies_from or ""),
            one.digest[:12],
        )
    out().print(table)
    faults = [fault for one in standings for fault in one.faults]
    if faults:
        show_faults(faults)
