"""`kouan chain`: the enterprises of a supply chain, and whose case unblocks whose, read from the topics."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.queue import AWAITED, REFERRALS, SCREENING, SIDES, latest, undecided
from services.cli.records import Unreadable, consuming, events_of_topics, partitions_of, records_of, warn
from services.cli.terminal import DEFAULT_SERVERS, BootstrapServers, Exit, fail, out

if TYPE_CHECKING:
    from schemas.envelope import Event, Payload
    from schemas.referral import Referral
    from services.screening.domain.case import Case
    from services.screening.domain.chain import Chain, Link

_ROLES = {"upstream": "上游 upstream", "core": "核心 core", "downstream": "下游 downstream"}
_STANDINGS = {
    "waiting": "待意见 waiting",
    "late": "[red]意见迟延 late[/]",
    "held": "[red]冻结 held[/]",
    "shortlisted": "[green]拟支持 shortlisted[/]",
    "declined": "[red]未通过 declined[/]",
    "expired": "[red]已逾期 expired[/]",
}


def show(
    chain_id: Annotated[str, typer.Argument(metavar="ID", help="产业链编号 · the chain, as the referrals name it")],
    as_json: Annotated[bool, typer.Option("--json", help="以 JSON 输出全部内容 · everything, as JSON")] = False,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """产业链各企业的案件，谁受阻、谁等谁 · The cases of a supply chain: which is blocked, and who waits for it.

    退出码：0；4 连不上；5 没有这条产业链。 Exit codes: 0; 4 Kafka can't be reached; 5 no such chain.
    """
    from schemas.chain import ScreeningChainLinkRecorded, chain_key
    from schemas.loading import load_contracts
    from schemas.referral import ReferralAmended, ReferralRegistered
    from services.screening.domain.evolving import RECORDS

    load_contracts()
    unreadable = Unreadable()
    with consuming(bootstrap_servers, "kouan-chain") as consumer:

        def read(topic: str, known: tuple[type[Payload], ...], keys: Collection[str]) -> Iterator[Event[Any]]:
            wanted = {key.encode() for key in keys}
            records = records_of(consumer, partitions_of(consumer, (topic,)))
            named = {payload.TYPE: payload for payload in known}
            return events_of_topics((one for one in records if one.key in wanted), named, unreadable)

        chain = folded(read(SCREENING, (ScreeningChainLinkRecorded,), (chain_key(chain_id),)))
        if chain is None or not chain.links:
            fail(
                Exit.UNKNOWN_CASE,
                f"没有产业链 {chain_id} 的记录。请核对编号（区分大小写）。",
                f"Nothing is on record of chain {chain_id}. Check the id; capitals matter.",
            )
        members = {link.referral_id for link in chain.links}
        cases = undecided(read(SCREENING, RECORDS, members))
        referrals = latest(read(REFERRALS, (ReferralRegistered, ReferralAmended), members), members)
    warn(unreadable)
    told = told_of(chain, cases, referrals)
    if as_json:
        from services.cli.policy_report import print_json

        print_json({"chain_id": chain_id, "blocked": bool(chain.blocked_by), "links": told})
    else:
        _show_table(chain_id, told)


def folded(events: Iterable[Event[Any]]) -> Chain | None:
    """The chain that these events of it lead to; they have to come in order."""
    from services.screening.domain.chain import evolve_chain

    chain: Chain | None = None
    for event in events:
        chain = evolve_chain(chain, event.data)
    return chain


def told_of(chain: Chain, cases: Mapping[str, Case], referrals: Mapping[str, Referral]) -> list[dict[str, Any]]:
    """Every member, those first that block the others: how it stands, who has to act, and whom that unblocks."""
    from services.screening.domain.queue import awaited_of

    links = sorted(chain.links, key=lambda link: (not link.blocks, not link.key_link, link.referral_id))
    return [
        {
            "referral_id": link.referral_id,
            "name": referrals[link.referral_id].name if link.referral_id in referrals else "",
            "role": link.role,
            "key_link": link.key_link,
            "standing": link.standing,
            "since": link.since.isoformat(),
            "late_from": link.late_from and link.late_from.isoformat(),
            "awaited": awaited_of(cases[link.referral_id]) if link.referral_id in cases else {},
            "holds": list(cases[link.referral_id].holds) if link.referral_id in cases else [],
            "blocks": link.blocks,
            "unblocks": _waiting_for(link, chain, cases),
        }
        for link in links
    ]


def _waiting_for(link: Link, chain: Chain, cases: Mapping[str, Case]) -> list[str]:
    """The cases that stand still for this one: all others of its chain that are undecided."""
    if not link.blocks:
        return []
    return [one.referral_id for one in chain.links if one is not link and one.referral_id in cases]


def _show_table(chain_id: str, told: list[dict[str, Any]]) -> None:
    from datetime import datetime

    from rich.markup import escape

    from schemas.reference import china_date
    from services.cli.policy_report import new_table

    table = new_table()
    for title in ("案件 Case", "环节 Link", "情况 Standing", "自 Since", "等待 Awaited", "解除后放行 Unblocks"):
        table.add_column(title, overflow="fold")
    for one in told:
        awaited = [f"{SIDES[side]}: {AWAITED[what]}" for side, what in one["awaited"].items()]
        awaited += [f"解除冻结 release of {hold}" for hold in one["holds"]]
        table.add_row(
            f"[bold]{one['referral_id']}[/]\n{escape(one['name'])}",
            _ROLES[one["role"]] + ("\n[bold]关键 key link[/]" if one["key_link"] else ""),
            _STANDINGS[one["standing"]],
            str(china_date(datetime.fromisoformat(one["since"]))),
            "\n".join(awaited),
            "\n".join(one["unblocks"]),
        )
    blocked = [one["referral_id"] for one in told if one["blocks"]]
    console = out()
    console.print(f"产业链 Chain [bold]{chain_id}[/] · {len(told)} 件 cases", end=" · ")
    console.print(
        f"[red]受阻 blocked by {', '.join(blocked)}[/]" if blocked else "[green]未受阻 not blocked[/]", soft_wrap=True
    )
    console.print(table)
