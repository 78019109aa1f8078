"""What crosses on its way to a case: topics overtake one another, and the result must not tell which was read first."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest

from schemas.envelope import Event
from schemas.screening import ScreeningDeclined, ScreeningExpired
from services.cooperation.domain.consortium import Consortium, Status
from services.kit.door import Early
from tests.unit.cooperation.partners import (
    ANSWERED,
    REGISTERED,
    SHORTLISTED,
    Desk,
    after,
    closed,
    consent,
    given,
    kinds,
    large,
    registered,
    screened_out,
    shortlisted,
    withdrawn,
)


def readings(*topics: Sequence[Event[Any]]) -> Iterator[list[tuple[int, Event[Any]]]]:
    """Every order in which two topics can be read, each of them in its own order; with the topic's number."""
    first, second = topics
    for places in combinations(range(len(first) + len(second)), len(first)):
        left, right = deque(first), deque(second)
        yield [(0, left.popleft()) if n in places else (1, right.popleft()) for n in range(len(first) + len(second))]


def read(order: Sequence[tuple[int, Event[Any]]]) -> Desk:
    """The desk after it, with what comes early waiting before all later ones of its topic."""
    desk, waiting = Desk(), (deque[Event[Any]](), deque[Event[Any]]())
    for topic, one in order:
        waiting[topic].append(one)
        moved = True
        while moved:
            moved = any([_take_next(desk, queue) for queue in waiting])
    assert not any(waiting)
    return desk


def _take_next(desk: Desk, queue: deque[Event[Any]]) -> bool:
    if not queue:
        return False
    try:
        desk.tell(queue[0])
    except Early:
        return False
    queue.popleft()
    return True


def result(desk: Desk) -> tuple[Consortium, Counter[str]]:
    """The state, and what was said, whatever the order."""
    told = [f"{to.key} {to.payload!r}" for to in desk.told]
    return desk.now, Counter([*(repr(one) for one in desk.said), *told])


ENDINGS = {
    "withdrawn before it is shortlisted": ([withdrawn(SHORTLISTED)], []),
    "withdrawn after it was shortlisted": ([shortlisted(), withdrawn()], []),
    "declined": ([screened_out(ScreeningDeclined)], [closed(after(10), by="screening.declined.v1")]),
    "expired": ([screened_out(ScreeningExpired)], [closed(after(10), by="screening.expired.v1")]),
    "over with its loan": ([shortlisted()], [closed(after(100))]),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_the_end_of_a_case_is_the_same_in_whatever_order_the_topics_are_read(name: str) -> None:
    of_screening, of_intake = ENDINGS[name]
    body = large().model_copy(update={"zone_plan": "MZL-PLAN-2020-01"})
    orders = list(readings([registered(body), *of_intake], of_screening))
    assert len(orders) > 1
    desks = [read(order) for order in orders]
    assert desks[0].now.status is Status.CLOSED
    assert [result(desk) for desk in desks] == [result(desks[0])] * len(desks)


def test_a_case_that_was_withdrawn_after_its_shortlist_says_what_it_ended() -> None:
    (desk, *_) = [read(order) for order in readings([registered(large())], [shortlisted(), withdrawn()])]
    assert kinds(desk.said)[-3:] == ["invitation_ended", "invitation_ended", "closed"]


def test_what_screening_ends_waits_for_the_registration_behind_a_consent() -> None:
    desk = given(consent("partner", at=REGISTERED))
    with pytest.raises(Early, match="registered"):
        desk.tell(withdrawn(ANSWERED))
