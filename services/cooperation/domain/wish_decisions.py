"""Matchmaking, decided: what each input makes of a wish. `TABLE` says who may do what; README.md shows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Protocol

from schemas.cooperation import CooperationRefused
from schemas.envelope import Event, Payload
from schemas.matchmaking import (
    ROUNDS,
    MatchAnswered,
    MatchTakenUp,
    MatchTurnedDown,
    WishClosed,
    WishMatched,
    WishOpened,
    WishRoundHeld,
    WishSubmitted,
    WishUnmatched,
    WishWithdrawn,
    ZoneAnswer,
)
from schemas.values import side_of
from services.cooperation.domain.filing import Kind
from services.cooperation.domain.matching import MatchRules, match
from services.cooperation.domain.outlook import Outlook
from services.cooperation.domain.parties import is_concerned
from services.cooperation.domain.refusals import Code, refuse, refuse_by_table
from services.cooperation.domain.wish import RECORDS, ROUND, Status, Wish, deadlines, evolve
from services.kit.door import Deadline, Invalid
from services.kit.transitions import CLOCK, REFERRER, SIDES, Party, Transition, Transitions

TABLE: Final = Transitions(
    "wish",
    (
        Transition(WishSubmitted, (None,), SIDES, {WishOpened: Status.OPEN, WishMatched: None, WishUnmatched: None}),
        Transition(WishWithdrawn, (Status.OPEN, Status.TAKEN_UP), REFERRER, {WishClosed: Status.CLOSED}),
        Transition(
            MatchAnswered,
            (Status.OPEN,),
            frozenset({Party.COMMERCE}),
            {MatchTakenUp: Status.TAKEN_UP, MatchTurnedDown: None},
            (Code.NOT_CONCERNED, Code.NOT_MATCHED, Code.ZONE_ANSWERED),
        ),
        Transition(ROUND, (Status.OPEN,), CLOCK, {WishMatched: None, WishRoundHeld: None, WishClosed: Status.CLOSED}),
    ),
    status=lambda wish: wish.status,
    evolve=evolve,
    records=RECORDS,
    refused=CooperationRefused,
    refuse=refuse_by_table,
    referrer=lambda wish: wish.side,
)


class MatchOutlook(Outlook, Protocol):
    """The context of decisions about wishes."""

    @property
    def matching(self) -> MatchRules:
        """The points of matchmaking."""


def open_wish(wish: None, event: Event[WishSubmitted], outlook: MatchOutlook) -> Iterator[Payload]:
    """A wish is recorded and held against the zones at once."""
    told, side = event.data, side_of(event.source)
    _check_subject(event, told.wish_id)
    if side is None:
        raise Invalid("wrong-source", f"{event.source} is neither side; wishes come from //commerce/… or //bank/…")
    opened = WishOpened(
        wish_id=event.subject,
        side=side,
        credit_code=told.credit_code,
        enterprise=told.enterprise,
        industry=told.industry,
        from_province=told.from_province,
        needs=told.needs,
        key_area=told.key_area,
        provinces=told.provinces,
        jobs=told.jobs,
        investment_10k_cny=told.investment_10k_cny,
        submitted_from=event.source,
        opened_at=event.time,
    )
    yield opened
    yield _round(evolve(None, opened), event.subject, event.time, outlook)


def close_wish(wish: Wish, event: Event[WishWithdrawn], outlook: MatchOutlook) -> Iterator[Payload]:
    """The side that submitted a wish takes it back."""
    _check_subject(event, event.data.wish_id)
    yield _closed(wish, event, event.data.code.value)


def take_answer(wish: Wish, event: Event[MatchAnswered], outlook: MatchOutlook) -> Iterator[Payload]:
    """A zone, its province or the ministry for it, answers a match once."""
    told = event.data
    _check_subject(event, told.wish_id)
    if not is_concerned(event, told.zone, outlook.directory):
        yield refuse(event, Code.NOT_CONCERNED, told.zone)
    elif told.zone not in wish.named:
        yield refuse(event, Code.NOT_MATCHED, told.zone)
    elif wish.named[told.zone] is not None:
        yield refuse(event, Code.ZONE_ANSWERED, told.zone)
    elif told.answer is ZoneAnswer.TURNED_DOWN and told.code is not None:
        yield MatchTurnedDown(
            wish_id=event.subject,
            zone=told.zone,
            code=told.code,
            text=told.text,
            submitted_from=wish.submitted_from,
            turned_down_at=event.time,
        )
    else:
        yield MatchTakenUp(
            wish_id=event.subject,
            zone=told.zone,
            enterprise=wish.enterprise,
            text=told.text,
            submitted_from=wish.submitted_from,
            taken_up_at=event.time,
        )


def hold_round(wish: Wish, event: Event[Deadline], outlook: MatchOutlook) -> Iterator[Payload]:
    """The next round tells only what is new; after the last one the wish is closed."""
    if wish.round >= ROUNDS:
        yield _closed(wish, event, "rounds_over")
    else:
        yield _round(wish, event.subject, event.time, outlook)


def _round(wish: Wish, wish_id: str, at: datetime, outlook: MatchOutlook) -> Payload:
    """What one round finds: new zones, in the first round why there are none, later that there is nothing new."""
    directory, number = outlook.directory, wish.round + 1
    next_round_at = at + timedelta(days=outlook.matching.days_between_rounds)
    zones = ((zone, directory.zone_profile(zone.code, at)) for zone in directory.zones(at))
    found, why = match(wish.wanted, zones, outlook.matching)
    new = tuple(one for one in found if one.zone not in wish.named)
    if new:
        return WishMatched(
            wish_id=wish_id,
            round=number,
            enterprise=wish.enterprise,
            industry=wish.wanted.industry,
            matches=new,
            next_round_at=next_round_at,
            submitted_from=wish.submitted_from,
            matched_at=at,
        )
    if number == 1:
        return WishUnmatched(
            wish_id=wish_id,
            round=number,
            why=why,
            next_round_at=next_round_at,
            submitted_from=wish.submitted_from,
            unmatched_at=at,
        )
    return WishRoundHeld(wish_id=wish_id, round=number, next_round_at=next_round_at, held_at=at)


def _closed(wish: Wish, event: Event[WishWithdrawn] | Event[Deadline], code: str) -> WishClosed:
    return WishClosed(wish_id=event.subject, code=code, submitted_from=wish.submitted_from, closed_at=event.time)


def _check_subject(event: Event[WishSubmitted] | Event[WishWithdrawn] | Event[MatchAnswered], wish_id: str) -> None:
    if wish_id != event.subject:
        raise Invalid(
            "subject-mismatch",
            f"wish_id {wish_id} is not the event's subject {event.subject}; send the wish's id as both",
        )


WISHES: Final = Kind(
    name="wish",
    records=RECORDS,
    evolve=TABLE.fold,
    routes=TABLE.routes({WishSubmitted: open_wish, WishWithdrawn: close_wish, MatchAnswered: take_answer}),
    deadlines=deadlines,
    due=TABLE.due(hold_round),
)
