"""A case in joint screening: what is known of it, and which moments it waits for. Events change it in `evolving`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from schemas.opinion import ConferenceOutcome, OpinionCode, Verdict
from schemas.referral import ChainRole
from schemas.values import Currency, FinancingNeed, KeyArea, Lane, Side
from services.kit.door import Deadline


class Status(StrEnum):
    """Where a case stands. Holds stand beside it, on a case that is not closed."""

    OPEN = "open"
    CONFERENCE = "conference"
    SHORTLISTED = "shortlisted"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


UNDECIDED: Final = frozenset({Status.OPEN, Status.CONFERENCE})
CLOSED: Final = frozenset({Status.DECLINED, Status.EXPIRED, Status.WITHDRAWN})

REMINDER: Final = "reminder"
EXPIRY: Final = "expiry"
"""Due at the deadline, which escalates, and again at the end of the grace. One name: cases that are open have it."""
DECISION: Final = "decision"
CONFERENCE: Final = "conference"
"""Due when both headquarters have answered, or else at the conference's deadline."""


@dataclass(frozen=True, slots=True)
class Said:
    """One reason of an opinion."""

    code: OpinionCode
    text: str


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one side said of the case. `carried_from` is the forerunner that it was taken over from."""

    verdict: Verdict
    given_by: str
    given_at: datetime
    reasons: tuple[Said, ...]
    on_behalf_of: str | None = None
    checked_by: str | None = None
    checked_at: datetime | None = None
    carried_from: str | None = None

    @property
    def counts_from(self) -> datetime:
        """When it became the side's opinion."""
        return self.checked_at or self.given_at


@dataclass(frozen=True, slots=True)
class Draft:
    """An opinion that waits for its checker; `id` is that of the event that gave it."""

    id: str
    opinion: Opinion


@dataclass(frozen=True, slots=True)
class Answer:
    """What a headquarters wants to become of the case."""

    outcome: ConferenceOutcome
    given_at: datetime


@dataclass(frozen=True, slots=True)
class Conference:
    """Both headquarters confer, until the deadline at most."""

    called_at: datetime
    deadline: datetime
    commerce: Answer | None = None
    bank: Answer | None = None

    @property
    def answers(self) -> Mapping[Side, Answer]:
        """The answers on record."""
        both = {Side.COMMERCE: self.commerce, Side.BANK: self.bank}
        return {side: answer for side, answer in both.items() if answer is not None}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the case asks for, in its present version. `amount` is decimal text."""

    credit_code: str | None
    zone: str
    need: FinancingNeed
    amount: str
    currency: Currency
    term_months: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the case stands in a supply chain."""

    chain_id: str
    role: ChainRole
    key_link: bool


@dataclass(frozen=True, slots=True)
class Case:
    """One referral in joint screening.

    days_left: working days, while holds have stopped the clock that was running.
    resumed_at: when the last hold was released.
    pace: the lane at the opening, by which all deadlines were promised.
    remind_at: None once reminded, or where nobody is to be.
    grace_until: end of the grace, once the case was escalated.
    asked: None for cases scored before it was told.
    raised: whether a key link of its chain is blocked.
    """

    status: Status
    lane: Lane
    revision: int
    opened_at: datetime
    deadline: datetime
    deadline_provisional: bool
    score: int
    policy_version: str
    key_areas: tuple[KeyArea, ...]
    commerce: Opinion | None
    bank: Opinion | None
    holds: tuple[str, ...]
    days_left: int | None
    resumed_at: datetime | None
    pace: Lane
    remind_at: datetime | None
    grace_until: datetime | None
    extended: bool
    commerce_draft: Draft | None
    bank_draft: Draft | None
    conference: Conference | None
    asked: Asked | None
    chain: Place | None
    raised: bool

    @property
    def held(self) -> bool:
        """Whether a hold stands on the case."""
        return bool(self.holds)

    @property
    def opinions(self) -> Mapping[Side, Opinion]:
        """The opinions on record, the commerce side's first."""
        both = {Side.COMMERCE: self.commerce, Side.BANK: self.bank}
        return {side: opinion for side, opinion in both.items() if opinion is not None}

    def draft_of(self, side: Side) -> Draft | None:
        """The opinion of a side that waits for its checker."""
        return self.commerce_draft if side is Side.COMMERCE else self.bank_draft

    @property
    def missing(self) -> tuple[Side, ...]:
        """The sides whose opinion is not on record."""
        return tuple(side for side in Side if side not in self.opinions)

    @property
    def unchecked(self) -> tuple[Side, ...]:
        """Those of them whose opinion waits for its checker."""
        return tuple(side for side in self.missing if self.draft_of(side) is not None)

    def of_verdict(self, verdict: Verdict) -> tuple[Side, ...]:
        """The sides that support, or those that oppose."""
        return tuple(side for side, opinion in self.opinions.items() if opinion.verdict is verdict)

    @property
    def clock_ends(self) -> datetime:
        """The end of what runs now: the time for opinions, the grace after it, or the conference."""
        if self.status is Status.CONFERENCE and self.conference is not None:
            return self.conference.deadline
        return self.grace_until or self.deadline

    @property
    def complete_at(self) -> datetime | None:
        """When everything that a decision needs was there; None where a side has not spoken."""
        if self.commerce is None or self.bank is None:
            return None
        return self._not_before_release(max(self.opened_at, self.commerce.counts_from, self.bank.counts_from))

    @property
    def conferred_at(self) -> datetime | None:
        """When both headquarters had answered; None where one has not."""
        conference = self.conference
        if conference is None or conference.commerce is None or conference.bank is None:
            return None
        answered = max(conference.called_at, conference.commerce.given_at, conference.bank.given_at)
        return self._not_before_release(answered)

    def _not_before_release(self, moment: datetime) -> datetime:
        return moment if self.resumed_at is None else max(moment, self.resumed_at)


_FIELDS: Final = tuple((field.name, getattr(Case, field.name)) for field in fields(Case))


def changed(case: Case, **changes: Any) -> Case:
    """The case with other values in the fields named: as `dataclasses.replace`, in half of its time.

    Every event of every case comes through here, twice: where the table is held, and where the kit folds.
    """
    after: Case = object.__new__(Case)
    for name, slot in _FIELDS:
        slot.__set__(after, changes[name] if name in changes else slot.__get__(case))
    return after


def deadlines(case: Case | None) -> Iterator[Deadline]:
    """The moments for which a case that no hold stops waits: its decision, once all needed is there, or else its end.

    The decision is a deadline of its own, due when the last thing that it needs was said. So the same opinions make
    the same event with the same id and time, whichever of the two topics brought its opinion first.
    """
    if case is None or case.status not in UNDECIDED or case.held:
        return
    if case.status is Status.CONFERENCE:
        conferred_at = case.conferred_at
        yield Deadline(CONFERENCE, case.clock_ends if conferred_at is None else _whole_second(conferred_at))
        return
    complete_at = case.complete_at
    if complete_at is not None:
        yield Deadline(DECISION, _whole_second(complete_at))
        return
    yield Deadline(EXPIRY, case.clock_ends)
    if case.remind_at is not None and case.grace_until is None:
        yield Deadline(REMINDER, case.remind_at)


def _whole_second(moment: datetime) -> datetime:
    """The moment, or else the next whole second: due times are kept in milliseconds, rounded down, and a decision must
    not be dated before the opinions that it rests on.
    """
    return moment if not moment.microsecond else moment.replace(microsecond=0) + timedelta(seconds=1)
