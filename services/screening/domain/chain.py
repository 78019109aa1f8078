"""Supply chains: what cases tell their chain, what blocks it, and whom it tells.

A chain hears of its members from their cases alone. A key link that is held, declined or expired blocks it, and one
that has been waiting for opinions for half of its time; then every member that is still open is told, and again when
nothing blocks the chain any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from schemas.chain import (
    BlockedLink,
    LinkStanding,
    ScreeningChainEased,
    ScreeningChainLinkRecorded,
    ScreeningChainLinkTold,
    ScreeningChainRaised,
    ScreeningChainStateTold,
    chain_key,
)
from schemas.envelope import Event, Payload
from schemas.referral import ChainRole
from schemas.scoring import ScreeningScored
from schemas.screening import Refusal, ScreeningOpened, ScreeningRefused
from schemas.values import Lane
from services.kit.door import Deadline, Early, Output, To
from services.kit.transitions import CLOCK, OURS, Transition, Transitions
from services.screening.domain.case import Case, Place, Status
from services.screening.domain.evolving import evolve
from services.screening.domain.outlook import Outlook
from services.screening.domain.pace import PACES
from services.screening.domain.refusals import Code, refuse

BLOCKED: Final = frozenset({LinkStanding.LATE, LinkStanding.HELD, LinkStanding.DECLINED, LinkStanding.EXPIRED})
_OPEN: Final = frozenset({LinkStanding.WAITING, LinkStanding.LATE, LinkStanding.HELD})

_STANDING: Final[Mapping[Status, LinkStanding]] = {
    Status.SHORTLISTED: LinkStanding.SHORTLISTED,
    Status.DECLINED: LinkStanding.DECLINED,
    Status.EXPIRED: LinkStanding.EXPIRED,
    Status.WITHDRAWN: LinkStanding.LEFT,
}
"""What a case's status means to its chain; every other is one of waiting."""

LATE: Final = "late"
"""Name of the deadlines of a chain, with the id of the link behind it."""

CHAIN_RECORDS: Final[tuple[type[Payload], ...]] = (ScreeningChainLinkRecorded,)


class ChainStatus(StrEnum):
    """Whether a key link keeps the others waiting."""

    FREE = "free"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Link:
    """One member; `since` it stands so, `late_from` it counts as late if it goes on waiting."""

    referral_id: str
    role: ChainRole
    key_link: bool
    standing: LinkStanding
    since: datetime
    late_from: datetime | None

    @property
    def blocks(self) -> bool:
        """Whether the others wait for it."""
        return self.key_link and self.standing in BLOCKED


@dataclass(frozen=True, slots=True)
class Chain:
    """A supply chain: its members in the order of their ids. Who left is not among them."""

    chain_id: str
    links: tuple[Link, ...]

    @property
    def blocked_by(self) -> tuple[Link, ...]:
        """The key links for which the others wait."""
        return tuple(link for link in self.links if link.blocks)

    @property
    def status(self) -> ChainStatus:
        """Whether anything blocks it."""
        return ChainStatus.BLOCKED if self.blocked_by else ChainStatus.FREE

    def link(self, referral_id: str) -> Link | None:
        """The member of that case."""
        return next((link for link in self.links if link.referral_id == referral_id), None)


def evolve_chain(chain: Chain | None, recorded: ScreeningChainLinkRecorded) -> Chain:
    """The chain after one of its own events."""
    gone = {recorded.referral_id, recorded.replaces}
    links = [link for link in (chain.links if chain else ()) if link.referral_id not in gone]
    if recorded.standing is not LinkStanding.LEFT:
        links.append(
            Link(
                recorded.referral_id,
                recorded.role,
                recorded.key_link,
                recorded.standing,
                recorded.since,
                recorded.late_from,
            )
        )
    return Chain(recorded.chain_id, tuple(sorted(links, key=lambda link: link.referral_id)))


CHAIN_TABLE: Final = Transitions(
    "chain",
    (
        Transition(
            ScreeningChainLinkTold,
            (None, *ChainStatus),
            OURS,
            {ScreeningChainLinkRecorded: (*ChainStatus,), ScreeningChainStateTold: None},
        ),
        Transition(
            LATE,
            (*ChainStatus,),
            CLOCK,
            {ScreeningChainLinkRecorded: ChainStatus.BLOCKED, ScreeningChainStateTold: None},
        ),
    ),
    status=lambda chain: chain.status,
    evolve=evolve_chain,
    records=CHAIN_RECORDS,
    refused=ScreeningRefused,
    refuse=lambda event, chain, wrong: refuse(event, Code.WRONG_PARTY),
)


def chain_deadlines(chain: Chain | None) -> Iterator[Deadline]:
    """Each key link that waits will be late some day."""
    for link in chain.links if chain else ():
        if link.late_from is not None:
            yield Deadline(f"{LATE}:{link.referral_id}", link.late_from)


# --- decisions of a chain ---------------------------------------------------------------------------------------------


def follow_link(chain: Chain | None, event: Event[ScreeningChainLinkTold], outlook: Outlook) -> Iterator[Output]:
    """A member joined, stands otherwise, or left."""
    told = event.data
    known = chain.link(told.referral_id) if chain else None
    standing, since, late_from = told.standing, told.told_at, None
    if standing is LinkStanding.WAITING:
        if known is not None and known.standing in (LinkStanding.WAITING, LinkStanding.LATE):
            # Only its role was amended: its time runs on.
            standing, since, late_from = known.standing, known.since, known.late_from
        if told.key_link and standing is LinkStanding.WAITING:
            late_from = late_from or outlook.working_days.after(since, PACES[told.lane].opinions // 2)[0]
    recorded = ScreeningChainLinkRecorded(
        chain_id=told.chain_id,
        referral_id=told.referral_id,
        role=told.role,
        key_link=told.key_link,
        standing=standing,
        replaces=told.replaces,
        since=since,
        late_from=late_from,
    )
    yield from _record(chain, recorded)


def become_late(chain: Chain, event: Event[Deadline], outlook: Outlook) -> Iterator[Output]:
    """A key link has been waiting for too long."""
    link = chain.link(event.data.name.partition(":")[2])
    assert link is not None, "a deadline ends with the link that asked for it"
    yield from _record(
        chain,
        ScreeningChainLinkRecorded(
            chain_id=chain.chain_id,
            referral_id=link.referral_id,
            role=link.role,
            key_link=link.key_link,
            standing=LinkStanding.LATE,
            since=event.time,
        ),
    )


def _record(chain: Chain | None, recorded: ScreeningChainLinkRecorded) -> Iterator[Output]:
    """Note it, and tell the open members when that blocks the chain or frees it; who joins or leaves is told alone."""
    before, after = chain or Chain(recorded.chain_id, ()), evolve_chain(chain, recorded)
    yield recorded
    blocked_by = tuple(BlockedLink(referral_id=link.referral_id, standing=link.standing) for link in after.blocked_by)
    if bool(before.blocked_by) != bool(blocked_by):
        told: Iterable[str] = (link.referral_id for link in after.links if link.standing in _OPEN)
    elif blocked_by and before.link(recorded.referral_id) is None and recorded.standing in _OPEN:
        told = (recorded.referral_id,)
    else:
        told = ()
    for referral_id in told:
        yield To(
            referral_id,
            ScreeningChainStateTold(chain_id=recorded.chain_id, referral_id=referral_id, blocked_by=blocked_by),
        )


# --- what a case has to do with it ------------------------------------------------------------------------------------


def follow_chain(case: Case | None, event: Event[ScreeningChainStateTold], outlook: Outlook) -> Iterator[Output]:
    """The case goes ahead, or no longer does. Word from a chain that it has left, or once it is closed, is nothing."""
    if case is None:
        raise Early("the referral is not registered yet")
    told = event.data
    if case.chain is None or case.chain.chain_id != told.chain_id or standing_of(case) not in _OPEN:
        return
    if told.blocked_by and not case.raised:
        yield ScreeningChainRaised(
            referral_id=event.subject, chain_id=told.chain_id, blocked_by=told.blocked_by, raised_at=event.time
        )
    elif case.raised and not told.blocked_by:
        yield ScreeningChainEased(referral_id=event.subject, chain_id=told.chain_id, eased_at=event.time)


def standing_of(case: Case) -> LinkStanding:
    """How a case stands as a link of its chain."""
    standing = _STANDING.get(case.status, LinkStanding.WAITING)
    return LinkStanding.HELD if case.held and standing in (LinkStanding.WAITING, LinkStanding.SHORTLISTED) else standing


Decide = Callable[[Any, Event[Any], Any], Iterable[Output]]


def telling_the_chain(decide: Decide) -> Decide:
    """The same decision, after which the case's chain is told if the case joined it, stands otherwise, or left."""

    def decided(case: Case | None, event: Event[Any], outlook: Any) -> Iterator[Output]:
        outputs = list(decide(case, event, outlook))
        yield from outputs
        if _in_a_chain(case, outputs):
            yield from _tell(case, outputs, event)

    return decided


def _in_a_chain(case: Case | None, outputs: Sequence[Output]) -> bool:
    if case is not None and case.chain is not None:
        return True
    return any(isinstance(output, ScreeningScored) and output.chain is not None for output in outputs)


def _tell(case: Case | None, outputs: Sequence[Output], event: Event[Any]) -> Iterator[To]:
    now = case
    for output in outputs:
        if not isinstance(output, To) and not isinstance(output, Refusal):
            now = evolve(now, output)
    before, after = _seen(case), _seen(now)
    if before == after or now is None:
        return
    if before is not None and (after is None or before[0].chain_id != after[0].chain_id):
        yield _told(event, now.lane, before[0], LinkStanding.LEFT, None)
    if after is not None:
        repaired = next((one.repairs for one in outputs if isinstance(one, ScreeningOpened)), None)
        yield _told(event, now.lane, *after, repaired)


def _seen(case: Case | None) -> tuple[Place, LinkStanding] | None:
    return None if case is None or case.chain is None else (case.chain, standing_of(case))


def _told(event: Event[Any], lane: Lane, place: Place, standing: LinkStanding, replaces: str | None) -> To:
    return To(
        chain_key(place.chain_id),
        ScreeningChainLinkTold(
            chain_id=place.chain_id,
            referral_id=event.subject,
            role=place.role,
            key_link=place.key_link,
            standing=standing,
            replaces=replaces,
            lane=lane,
            told_at=event.time,
        ),
    )
