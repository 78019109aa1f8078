"""`kouan queue`: the cases that wait for a side, in the order in which they are to be taken, read from the topics."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from services.cli.records import Unreadable, consuming, events_of_topics, partitions_of, records_of, warn
from services.cli.terminal import DEFAULT_SERVERS, BootstrapServers, out

if TYPE_CHECKING:
    from schemas.envelope import Event, Payload
    from schemas.referral import Referral
    from services.kit.working_days import WorkingDays
    from services.screening.domain.case import Case
    from services.screening.domain.queue import Queued

REFERRALS, SCREENING = "referral.events", "screening.events"

SIDES = {"commerce": "商务 commerce", "bank": "银行 bank"}
AWAITED = {"opinion": "意见 opinion", "check": "复核 check", "conference": "会商答复 conference"}
_LANES = {"resumption": "复工复产 resumption", "ordinary": "普通 ordinary"}


def show(
    side: Annotated[
        Literal["commerce", "bank"] | None,
        typer.Option("--side", help="只看等待这一方的案件 · only what waits for this side", show_default=False),
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="ZONE", help="只看这一合作区 · only this zone", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="以 JSON 输出全部内容 · everything, as JSON")] = False,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """等待处理的案件，按办理次序 · The cases that wait for a side, in the order in which they are to be taken.

    次序：复工复产通道、产业链受阻、得分、先后。主题已不保留立案记录的案件列在最后，并注明记录不全。
    Order: resumption lane, blocked chain, score, age. Cases whose opening the topic no longer holds come last, marked.
    """
    from schemas.loading import load_contracts
    from schemas.referral import ReferralAmended, ReferralRegistered
    from services.kit.working_days import WorkingDays
    from services.screening.domain.evolving import RECORDS

    load_contracts()
    unreadable = Unreadable()
    with consuming(bootstrap_servers, "kouan-queue") as consumer:

        def read(topic: str, known: tuple[type[Payload], ...]) -> Iterator[Event[Any]]:
            records = records_of(consumer, partitions_of(consumer, (topic,)))
            return events_of_topics(records, {payload.TYPE: payload for payload in known}, unreadable)

        fragments: dict[str, Event[Any]] = {}
        cases = undecided(read(SCREENING, RECORDS), fragments)
        referrals = latest(read(REFERRALS, (ReferralRegistered, ReferralAmended)), {*cases, *fragments})
    warn(unreadable)
    queue = queued(cases, referrals, side, zone)
    now, calendar = datetime.now(UTC), WorkingDays()
    told = [_told(number, one, now, calendar) for number, one in enumerate(queue, 1)]
    told += incomplete(fragments, referrals, zone)
    if as_json:
        from services.cli.policy_report import print_json

        print_json(told)
    else:
        _show_table(told, side)


def undecided(events: Iterable[Event[Any]], fragments: dict[str, Event[Any]] | None = None) -> dict[str, Case]:
    """The cases that these events leave undecided. Of each case they have to come in order; repeats do not matter.

    A case whose opening is not among them can't be told; `fragments` gets the last event of each that no event decides.
    """
    from schemas.screening import (
        ScreeningDeclined,
        ScreeningExpired,
        ScreeningOpened,
        ScreeningShortlisted,
        ScreeningWithdrawn,
    )
    from services.screening.domain.case import UNDECIDED
    from services.screening.domain.evolving import evolve

    cases: dict[str, Case] = {}
    seen: dict[str, set[str]] = {}
    decided: set[str] = set()
    parts: dict[str, Event[Any]] = {} if fragments is None else fragments
    ends = (ScreeningShortlisted, ScreeningDeclined, ScreeningExpired, ScreeningWithdrawn)
    for event in events:
        key = event.subject
        if key in decided or event.id in seen.setdefault(key, set()):
            continue
        seen[key].add(event.id)
        if key not in cases and not isinstance(event.data, ScreeningOpened):
            parts[key] = event
            if isinstance(event.data, ends):
                decided.add(key)
                del parts[key], seen[key]
            continue
        cases[key] = evolve(cases.get(key), event.data)
        if cases[key].status not in UNDECIDED:
            # There are many more of these than of others, so that no more than their ids are kept.
            decided.add(key)
            del cases[key], seen[key]
    return cases


def latest(events: Iterable[Event[Any]], wanted: Collection[str]) -> dict[str, Referral]:
    """The referrals of these cases, as they were amended last."""
    found: dict[str, tuple[int, Referral]] = {}
    for event in events:
        revision = getattr(event.data, "revision", 1)
        if event.subject in wanted and revision >= found.get(event.subject, (0, None))[0]:
            found[event.subject] = (revision, event.data.referral)
    return {key: referral for key, (_, referral) in found.items()}


def queued(
    cases: Mapping[str, Case], referrals: Mapping[str, Referral], side: str | None = None, zone: str | None = None
) -> list[Queued]:
    """The queue of these cases, of one side and zone if given; a case whose referral is not there has no zone."""
    from services.screening.domain.queue import Queued, awaited_of, in_order

    found = []
    for key, case in cases.items():
        referral, awaited = referrals.get(key), awaited_of(case)
        there = referral.zone if referral else ""
        if awaited and side in (None, *awaited) and zone in (None, there):
            found.append(Queued(key, case, awaited, referral.name if referral else "", there))
    return in_order(found)


def incomplete(
    fragments: Mapping[str, Event[Any]], referrals: Mapping[str, Referral], zone: str | None = None
) -> list[dict[str, Any]]:
    """What is known of cases whose opening is not on the topic any more, by id: whose turn it is can't be told."""
    found = []
    for key, last in sorted(fragments.items()):
        referral = referrals.get(key)
        there = referral.zone if referral else ""
        if zone in (None, there):
            found.append(
                {
                    "place": None,
                    "referral_id": key,
                    "name": referral.name if referral else "",
                    "zone": there,
                    "incomplete": True,
                    "last_type": last.type,
                    "last_at": last.time.isoformat(),
                }
            )
    return found


def _told(number: int, one: Queued, now: datetime, calendar: WorkingDays) -> dict[str, Any]:
    case = one.case
    return {
        "place": number,
        "referral_id": one.referral_id,
        "name": one.name,
        "zone": one.zone,
        "incomplete": False,
        "lane": case.lane,
        "chain": case.chain.chain_id if case.chain else None,
        "chain_blocked": case.raised,
        "score": case.score,
        "opened_at": case.opened_at.isoformat(),
        "awaited": dict(one.awaited),
        "held": case.held,
        "deadline": None if case.held else case.clock_ends.isoformat(),
        "deadline_provisional": case.deadline_provisional,
        "working_days_left": case.days_left if case.held else max(0, calendar.between(now, case.clock_ends)),
        "overdue": not case.held and now > case.deadline,
    }


def _show_table(told: list[dict[str, Any]], side: str | None) -> None:
    from rich.markup import escape

    from schemas.reference import china_date
    from services.cli.policy_report import new_table

    console = out()
    if not told:
        console.print("没有等待处理的案件 · no case is waiting")
        return
    table = new_table()
    table.add_column("", justify="right")
    for title in ("案件 Case", "合作区 Zone", "通道 Lane"):
        table.add_column(title, overflow="fold")
    table.add_column("得分 Score", justify="right")
    for title in ("等待 Awaited", "截止 Deadline", "剩余工作日 Days left"):
        table.add_column(title, overflow="fold")
    for one in told:
        name = f"[bold]{one['referral_id']}[/]\n{escape(one['name'])}"
        if one["incomplete"]:
            last = f"{one['last_type']}\n{china_date(datetime.fromisoformat(one['last_at']))}"
            table.add_row("–", name, one["zone"], "[yellow]记录不全 incomplete[/]", "", "不详 unknown", last, "")
            continue
        lane = _LANES[one["lane"]] + (f"\n[red]链受阻 chain blocked[/] {one['chain']}" if one["chain_blocked"] else "")
        awaited = "\n".join(
            f"{SIDES[who]}: {AWAITED[what]}" for who, what in one["awaited"].items() if side in (None, who)
        )
        if one["held"]:
            deadline, left = "[yellow]冻结中 held[/]", str(one["working_days_left"])
        else:
            day = str(china_date(datetime.fromisoformat(one["deadline"])))
            deadline = day + ("（暂定 provisional）" if one["deadline_provisional"] else "")
            left = (
                f"[red]{one['working_days_left']} 已逾期 overdue[/]"
                if one["overdue"]
                else str(one["working_days_left"])
            )
        table.add_row(str(one["place"]), name, one["zone"], lane, str(one["score"]), awaited, deadline, left)
    console.print(table)
    console.print(f"{len(told)} 件 cases")
    if any(one["incomplete"] for one in told):
        console.print(
            "记录不全：主题已不保留其立案记录，截止列为最近一次记录；详见 kouan case 编号。\n"
            "incomplete: the topic no longer holds how they were opened; under Deadline stands what was said last. "
            "See `kouan case ID`.",
            soft_wrap=True,
        )
