"""An enterprise with open cases, and the bulletins it was told of; what its cases and the clock make of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from schemas.bulletin import (
    BulletinMatched,
    BulletinRoundHeld,
    EnterpriseCaseClosed,
    EnterpriseCaseEnded,
    EnterpriseNoted,
    EnterpriseSeen,
)
from schemas.cooperation import CooperationRefused
from schemas.envelope import Event, Payload
from services.cooperation.domain.bulletins import Bulletins, Profile, fit
from services.cooperation.domain.refusals import refuse_by_table
from services.kit.door import Deadline
from services.kit.transitions import CLOCK, OURS, Transition, Transitions

ROUND: Final = "round"
"""Deadline: the bulletins are to be looked through again."""

BETWEEN_ROUNDS: Final = timedelta(days=7)
MOST_ROUNDS: Final = 12
"""So many since a case was last heard of; without an end, whoever reads in years of old cases would hold them all."""


class Status(StrEnum):
    """Whether bulletins are looked for."""

    FOLLOWED = "followed"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Enterprise:
    """One enterprise. `cases` are its open ones, by id; `told` are ids of bulletins, for ever; `rounds` were held since
    one of its cases was last registered or amended."""

    credit_code: str
    status: Status
    cases: Mapping[str, Profile] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    looked_at: datetime | None = None
    rounds: int = 0


class BulletinOutlook(Protocol):
    """The context of decisions about enterprises."""

    @property
    def bulletins(self) -> Bulletins:
        """All bulletins that were published."""


def deadlines(enterprise: Enterprise | None) -> Iterator[Deadline]:
    """The next round, while a case is open and was heard of not too long ago."""
    if enterprise is None or enterprise.status is not Status.FOLLOWED or enterprise.rounds >= MOST_ROUNDS:
        return
    if enterprise.looked_at is not None:
        yield Deadline(ROUND, enterprise.looked_at + BETWEEN_ROUNDS)


def evolve(enterprise: Enterprise | None, payload: Payload) -> Enterprise:
    """The enterprise after one of its own events."""
    if isinstance(payload, EnterpriseNoted):
        return _noted(enterprise, payload)
    if enterprise is None:
        raise ValueError(f"{payload.TYPE} of an enterprise that no case is about")
    if isinstance(payload, EnterpriseCaseClosed):
        cases = {name: case for name, case in enterprise.cases.items() if name != payload.referral_id}
        return replace(enterprise, cases=cases, status=Status.FOLLOWED if cases else Status.IDLE)
    if isinstance(payload, BulletinMatched):
        return replace(enterprise, told=(*enterprise.told, payload.bulletin_id))
    if isinstance(payload, BulletinRoundHeld):
        return replace(enterprise, looked_at=payload.held_at, rounds=enterprise.rounds + 1)
    raise TypeError(f"{payload.TYPE} is not a record of an enterprise")


def _noted(enterprise: Enterprise | None, noted: EnterpriseNoted) -> Enterprise:
    case = noted.case
    profile = Profile(
        side=case.side,
        industry=case.industry,
        size_class=case.size_class,
        ownership=case.ownership,
        province=case.province,
        zone=case.zone,
        need=case.need,
        key_area=case.key_area,
    )
    before = enterprise or Enterprise(noted.credit_code, Status.IDLE)
    cases = {**before.cases, case.referral_id: profile}
    # While rounds are being held the day of the next one stays. It never goes back, however old the case that is noted:
    # what a round says has its id from its day.
    going_on = before.status is Status.FOLLOWED and before.rounds < MOST_ROUNDS
    looked_at = before.looked_at
    if looked_at is None or (looked_at < noted.noted_at and not going_on):
        looked_at = noted.noted_at
    return replace(before, status=Status.FOLLOWED, cases=cases, looked_at=looked_at, rounds=0)


RECORDS: Final = (EnterpriseNoted, EnterpriseCaseClosed, BulletinMatched, BulletinRoundHeld)

TABLE: Final = Transitions(
    "enterprise",
    (
        Transition(
            EnterpriseSeen, (None, *Status), OURS, {EnterpriseNoted: Status.FOLLOWED, BulletinMatched: Status.FOLLOWED}
        ),
        Transition(
            EnterpriseCaseEnded,
            (None, *Status),
            OURS,
            {EnterpriseCaseClosed: (Status.FOLLOWED, Status.IDLE)},
            silent=True,
        ),
        Transition(ROUND, (Status.FOLLOWED,), CLOCK, {BulletinMatched: None, BulletinRoundHeld: None}),
    ),
    status=lambda enterprise: enterprise.status,
    evolve=evolve,
    records=RECORDS,
    refused=CooperationRefused,
    refuse=refuse_by_table,
)


def note_case(
    enterprise: Enterprise | None, event: Event[EnterpriseSeen], outlook: BulletinOutlook
) -> Iterator[Payload]:
    """A case was registered or amended: the bulletins that fit it and were not told yet are told."""
    noted = EnterpriseNoted(credit_code=event.data.credit_code, case=event.data.case, noted_at=event.time)
    yield noted
    after = evolve(enterprise, noted)
    yield from _matches(after, (noted.case.referral_id,), event.time, outlook)


def close_case(
    enterprise: Enterprise | None, event: Event[EnterpriseCaseEnded], outlook: BulletinOutlook
) -> Iterator[Payload]:
    """A case is over; one that was never noted passes without a word."""
    case = event.data.referral_id
    if enterprise is not None and case in enterprise.cases:
        yield EnterpriseCaseClosed(credit_code=enterprise.credit_code, referral_id=case, closed_at=event.time)


def hold_round(enterprise: Enterprise, event: Event[Deadline], outlook: BulletinOutlook) -> Iterator[Payload]:
    """What was published since is held against all open cases."""
    found = tuple(_matches(enterprise, sorted(enterprise.cases), event.time, outlook))
    yield from found
    yield BulletinRoundHeld(credit_code=enterprise.credit_code, new=len(found), held_at=event.time)


def _matches(
    enterprise: Enterprise, cases: Iterable[str], at: datetime, outlook: BulletinOutlook
) -> Iterator[BulletinMatched]:
    """The bulletins that fit and were not told yet, each by the first of the cases that it fits."""
    tried = [(case, enterprise.cases[case]) for case in cases]
    for bulletin in outlook.bulletins.in_force(at):
        if bulletin.bulletin_id in enterprise.told:
            continue
        for case, profile in tried:
            reasons = fit(bulletin, profile)
            if reasons is None:
                continue
            yield BulletinMatched(
                bulletin_id=bulletin.bulletin_id,
                title_zh=bulletin.title_zh,
                title_en=bulletin.title_en,
                valid_to=bulletin.valid_to,
                credit_code=enterprise.credit_code,
                referral_id=case,
                side=profile.side,
                province=profile.province,
                zone=profile.zone,
                reasons=reasons,
                matched_at=at,
            )
            break


ROUTES: Final = TABLE.routes({EnterpriseSeen: note_case, EnterpriseCaseEnded: close_case})
DUE: Final = TABLE.due(hold_round)
