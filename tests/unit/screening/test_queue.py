"""The queue: what goes first, and for whom each case waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

from schemas.values import Lane, Side
from services.screening.domain.case import Case
from services.screening.domain.queue import Awaited, Queued, awaited_of, in_order
from tests.unit.screening import builders as told
from tests.unit.screening.builders import OPENED, after, given


def case(lane: Lane = Lane.ORDINARY, raised: bool = False, score: int = 40, days: float = 0) -> Case:
    known = given(told.registered()).case
    assert known is not None
    return replace(known, lane=lane, raised=raised, score=score, opened_at=OPENED + timedelta(days=days))


def order(**cases: Case) -> list[str]:
    queue = [Queued(name, one, awaited_of(one)) for name, one in cases.items()]
    found = {tuple(one.referral_id for one in in_order(some)) for some in permutations(queue)}
    (only,) = found
    return list(only)


def test_the_lane_goes_before_the_chain_the_chain_before_the_score_and_the_score_before_age() -> None:
    assert order(
        old=case(score=40, days=-30),
        resumption=case(lane=Lane.RESUMPTION, score=0),
        high=case(score=75),
        blocked=case(raised=True, score=0),
    ) == ["resumption", "blocked", "high", "old"]


def test_within_the_resumption_lane_a_blocked_chain_goes_first() -> None:
    lane = Lane.RESUMPTION
    assert order(other=case(lane, score=100), blocked=case(lane, raised=True)) == ["blocked", "other"]


def test_of_equals_the_older_goes_first_and_then_the_lesser_id() -> None:
    assert order(b=case(), a=case(), older=case(days=-1)) == ["older", "a", "b"]


def test_a_new_case_waits_for_both_sides() -> None:
    assert awaited_of(case()) == {Side.COMMERCE: Awaited.OPINION, Side.BANK: Awaited.OPINION}


def test_a_case_waits_for_the_side_that_has_not_spoken() -> None:
    known = given(told.registered(), told.supports(told.BANK, after(1))).case
    assert known is not None
    assert awaited_of(known) == {Side.COMMERCE: Awaited.OPINION}


def test_an_opinion_that_was_drafted_waits_for_its_checker() -> None:
    known = given(told.registered(), told.supports(told.BANK, after(1), checked_by=None)).case
    assert known is not None
    assert awaited_of(known)[Side.BANK] is Awaited.CHECK


def test_a_conference_waits_for_the_headquarters_that_have_not_answered() -> None:
    told_of = (told.registered(), told.supports(told.BANK, after(1)), told.opposes(told.COMMERCE, after(1)))
    known = given(*told_of, until=after(2)).case
    assert known is not None
    assert awaited_of(known) == {Side.COMMERCE: Awaited.CONFERENCE, Side.BANK: Awaited.CONFERENCE}


def test_a_held_case_still_waits_for_opinions() -> None:
    known = given(told.registered(), told.held()).case
    assert known is not None
    assert set(awaited_of(known)) == set(Side)


def test_a_decided_case_waits_for_nobody() -> None:
    known = given(told.registered(), told.withdrawn()).case
    assert known is not None
    assert awaited_of(known) == {}
