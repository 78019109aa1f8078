"""Recorded referrals, scored by another version and by the one in force on their day: what would have been otherwise.

Pure, and in one pass over the record in any order: each referral is scored as it is read, and only what came of it is
kept. A referral that was amended counts as it was when it was scored last; where no score is on record, as it was
amended last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.reference import china_date
from schemas.referral import Referral, ReferralAmended, ReferralRegistered
from schemas.scoring import ScreeningScored
from schemas.values import Industry, Lane, Ownership, SizeClass
from services.screening.domain.outlook import Scoring
from services.screening.policy import Policies, Policy
from services.screening.policy_rules import Facts, facts_of


class RecordedScore(Payload):
    """What counts here of a score on record. Checking all its rules would take longer than scoring anew."""

    revision: int
    policy_digest: str
    score: int


RECORDED: Final[Mapping[str, type[Payload]]] = {
    ReferralRegistered.TYPE: ReferralRegistered,
    ReferralAmended.TYPE: ReferralAmended,
    ScreeningScored.TYPE: RecordedScore,
}
"""What a simulation learns from: event types, each with the payload as which it is to be read."""

FRONT: Final = 4
"""The front of the queue is its first quarter: what policy favours should be found there more often."""


class Group(StrEnum):
    """Whom policy means to favour. Told from the referral itself, so that every version is measured by the same."""

    MANUFACTURING_MEDIUM_LONG_TERM = "manufacturing_medium_long_term"
    MICRO_OR_SMALL = "micro_or_small"
    PRIVATE_ENTERPRISE = "private_enterprise"
    RESUMPTION_OF_WORK = "resumption_of_work"


_MICRO_OR_SMALL: Final = frozenset({SizeClass.MICRO, SizeClass.SMALL})
_MEMBERS: Final[Mapping[Group, Callable[[Referral], bool]]] = {
    Group.MANUFACTURING_MEDIUM_LONG_TERM: lambda referral: (
        referral.enterprise is not None
        and referral.enterprise.industry is Industry.MANUFACTURING
        and referral.term_months > 12
    ),
    Group.MICRO_OR_SMALL: lambda referral: (
        referral.enterprise is not None and referral.enterprise.size_class in _MICRO_OR_SMALL
    ),
    Group.PRIVATE_ENTERPRISE: lambda referral: (
        referral.enterprise is not None and referral.enterprise.ownership is Ownership.PRIVATE
    ),
    Group.RESUMPTION_OF_WORK: lambda referral: referral.lane is Lane.RESUMPTION,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a version made of a referral, in short."""

    version: str
    score: int
    stops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """One referral under both versions: the one in force on its day, and the other."""

    referral_id: str
    revision: int
    at: datetime
    lane: Lane
    groups: tuple[Group, ...]
    before: Judged
    after: Judged

    @property
    def changed(self) -> bool:
        """Whether it would have been decided otherwise, or stood elsewhere in the queue by its own score."""
        return self.before.score != self.after.score or self.before.stops != self.after.stops


@dataclass(frozen=True, slots=True)
class Moved:
    """A referral that changed, with its places in both queues, from 1; None where a hard stop keeps it out."""

    replayed: Replayed
    place_before: int | None
    place_after: int | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many stand in the queue and in its front, and how many of these belong to each group."""

    queue: int
    front: int
    of_queue: Mapping[Group, int]
    of_front: Mapping[Group, int]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the other version would have changed. `unlike_record` counts scores on record that can't be reproduced."""

    version: str
    referrals: int
    newly_stopped: int
    no_longer_stopped: int
    raised: int
    lowered: int
    compared_with_record: int
    unlike_record: int
    before: Counts
    after: Counts
    changed: tuple[Moved, ...]


class Replay:
    """Takes in recorded events in any order, repeats included, and tells in the end what would have been otherwise.

    Only referrals whose day in China lies from `first` to `last` count. Raises UnknownVersionError.
    """

    def __init__(self, policies: Policies, version: str, first: date = date.min, last: date = date.max) -> None:
        self._policies = policies
        self._other = policies.version(version)
        self._first, self._last = first, last
        self._revisions: dict[str, dict[int, Replayed | None]] = {}
        self._scored: dict[str, tuple[int, str, int]] = {}
        # Few different results occur over and over; one object of each is enough.
        self._judged: dict[Judged, Judged] = {}
        self._groups: dict[tuple[Group, ...], tuple[Group, ...]] = {}

    def take(self, event: Event[Any]) -> None:
        """Learn one event."""
        data = event.data
        if isinstance(data, RecordedScore):
            known = self._scored.get(event.subject)
            if known is None or data.revision > known[0]:
                self._scored[event.subject] = (data.revision, data.policy_digest, data.score)
        elif isinstance(data, ReferralRegistered | ReferralAmended):
            counts = self._first <= china_date(event.time) <= self._last
            self._revisions.setdefault(event.subject, {})[_revision(data)] = self.replay(event) if counts else None

    def replay(self, event: Event[ReferralRegistered] | Event[ReferralAmended]) -> Replayed:
        """One referral under both versions; nothing is kept of it."""
        referral = event.data.referral
        active = self._policies.in_force(china_date(event.time))
        facts = facts_of(referral)
        before = self._judge(active, facts)
        after = before if active is self._other else self._judge(self._other, facts)
        groups = tuple([group for group, is_member in _MEMBERS.items() if is_member(referral)])
        groups = self._groups.setdefault(groups, groups)
        return Replayed(event.subject, _revision(event.data), event.time, referral.lane, groups, before, after)

    def _judge(self, policy: Policy, facts: Facts) -> Judged:
        judged = _in_short(policy.score_facts(facts))
        return self._judged.setdefault(judged, judged)

    def result(self) -> Simulation:
        """What would have been otherwise, of all that was taken in."""
        counted = [one for one in map(self._as_scored, self._revisions) if one is not None]
        queues = [_queue(counted, judged) for judged in (_before, _after)]
        places = [{one.referral_id: place for place, one in enumerate(queue, 1)} for queue in queues]
        changed = [
            Moved(one, places[0].get(one.referral_id), places[1].get(one.referral_id)) for one in counted if one.changed
        ]
        recorded = [self._reproduced(one) for one in counted if one.referral_id in self._scored]
        return Simulation(
            version=self._other.version,
            referrals=len(counted),
            newly_stopped=sum(1 for one in counted if one.after.stops and not one.before.stops),
            no_longer_stopped=sum(1 for one in counted if one.before.stops and not one.after.stops),
            raised=sum(1 for one in counted if one.after.score > one.before.score),
            lowered=sum(1 for one in counted if one.after.score < one.before.score),
            compared_with_record=len(recorded),
            unlike_record=recorded.count(False),
            before=_counts(queues[0]),
            after=_counts(queues[1]),
            changed=tuple(sorted(changed, key=lambda one: (one.replayed.at, one.replayed.referral_id))),
        )

    def _as_scored(self, referral_id: str) -> Replayed | None:
        revisions = self._revisions[referral_id]
        scored = self._scored.get(referral_id)
        return revisions[scored[0] if scored and scored[0] in revisions else max(revisions)]

    def _reproduced(self, one: Replayed) -> bool:
        revision, digest, score = self._scored[one.referral_id]
        active = self._policies.version(one.before.version)
        return (revision, digest, score) == (one.revision, active.digest, one.before.score)


def _revision(data: ReferralRegistered | ReferralAmended) -> int:
    return data.revision if isinstance(data, ReferralAmended) else 1


def _in_short(scoring: Scoring) -> Judged:
    return Judged(scoring.version, scoring.score, tuple([stop.code for stop in scoring.hard_stops]))


def _before(one: Replayed) -> Judged:
    return one.before


def _after(one: Replayed) -> Judged:
    return one.after


def _queue(replayed: Sequence[Replayed], judged: Callable[[Replayed], Judged]) -> list[Replayed]:
    """Who is not stopped, in order: by lane, then score, then age."""
    lanes = {lane: place for place, lane in enumerate(Lane)}
    standing = [one for one in replayed if not judged(one).stops]
    return sorted(standing, key=lambda one: (lanes[one.lane], -judged(one).score, one.at, one.referral_id))


def _counts(queue: Sequence[Replayed]) -> Counts:
    front = queue[: -(-len(queue) // FRONT)]
    return Counts(len(queue), len(front), _members(queue), _members(front))


def _members(replayed: Sequence[Replayed]) -> Mapping[Group, int]:
    return {group: sum(1 for one in replayed if group in one.groups) for group in Group}
