"""Whose matter an input is about: duplicates of other open cases, cases that it resembles, and the claims it makes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.envelope import Event
from schemas.referral import AmendmentSubmitted, DuplicateFound, ReferralSubmitted
from schemas.resemblance import Resemblance, ResemblanceFlagged
from schemas.values import Side
from services.referral_intake.domain.scopes import Scope, seek, stem_of


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Another open case about the same matter, and the scope that says so."""

    scope: Scope
    holder: str

    def told(self, side: Side, source: str, at: datetime) -> DuplicateFound:
        """The event that tells of it."""
        assert self.scope.rule is not None
        return DuplicateFound(
            duplicate_of=self.holder,
            rule=self.scope.rule,
            scope=self.scope.name,
            side=side,
            source=source,
            found_at=at,
        )


@dataclass(frozen=True, slots=True)
class Matter:
    """What a referral is about. `duplicate`: nothing else counts then. `claims` are those that it is to hold."""

    duplicate: Duplicate | None
    resembles: tuple[Resemblance, ...]
    claims: tuple[str, ...]

    def flagged(self, known: tuple[str, ...], source: str, at: datetime) -> tuple[ResemblanceFlagged, ...]:
        """The event that tells of cases that this one resembles, if there are any that are not known yet."""
        fresh = tuple(one for one in self.resembles if one.referral_id not in known)
        return (ResemblanceFlagged(resembles=fresh, source=source, flagged_at=at),) if fresh else ()


def claims_wanted(scopes: tuple[Scope, ...], event: Event[Any]) -> tuple[str, ...]:
    """Every claim that an input would make or meet; none for inputs that bring no referral."""
    if not isinstance(event.data, ReferralSubmitted | AmendmentSubmitted):
        return ()
    return tuple(claim for sought in seek(scopes, event.data.referral, event.time) for claim in sought.known_as)


def matter_of(
    event: Event[ReferralSubmitted] | Event[AmendmentSubmitted], scopes: tuple[Scope, ...], held: tuple[str, ...] = ()
) -> Matter:
    """What the referral of an input is about. A claim that its case holds already is kept, with its window.

    What only resembles another case is claimed by the first alone, so that all later ones are compared with that.
    """
    resembles: list[Resemblance] = []
    claims: list[str] = []
    for sought in seek(scopes, event.data.referral, event.time):
        scope, holder = sought.scope, sought.holder(event.holders, event.subject)
        kept = [claim for claim in held if stem_of(claim) == stem_of(sought.claims[0])]
        if kept:
            claims += kept
        elif holder is None:
            claims += sought.claims
        elif scope.rule is not None:
            return Matter(Duplicate(scope, holder), (), ())
        else:
            resembles.append(Resemblance(referral_id=holder, rule=scope.name, zh=scope.zh, en=scope.en))
    return Matter(None, tuple(resembles), tuple(claims))
