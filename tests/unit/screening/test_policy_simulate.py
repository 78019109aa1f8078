"""What another version would have changed, told from what is on record."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode, to_binary
from schemas.envelope import Event
from services.screening.policy import Policies, UnknownVersionError, load_policies
from services.screening.policy_simulate import RECORDED, Group, Replay, Simulation
from tests.unit.screening import builders as told
from tests.unit.screening.recorded import DRAFT, amended, registered, scored, with_draft

DAY = told.OPENED.replace(year=2025)
LARGE = {**told.REFERRAL_EXAMPLE["enterprise"], "size_class": "large", "ownership": "state"}  # type: ignore[dict-item]


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Policies:
    """The shipped versions, and a draft that favours private enterprises more and knows no limit of terms."""
    return load_policies(with_draft(tmp_path_factory.mktemp("policies"), private_enterprise=50))


def replayed(policies: Policies, *events: Event[Any], **days: date) -> Simulation:
    """The simulation of the draft, of events as they are read from a topic."""
    replay = Replay(policies, DRAFT, **days)
    for event in events:
        replay.take(decode(*to_binary(event), RECORDED))
    return replay.result()


def changed(simulation: Simulation) -> dict[str, tuple[int | None, int | None]]:
    return {one.replayed.referral_id: (one.place_before, one.place_after) for one in simulation.changed}


def test_who_is_stopped_no_longer_enters_the_queue_and_who_is_favoured_rises(policies: Policies) -> None:
    stopped = registered("A", told.referral(term_months=72, enterprise=LARGE), DAY)
    state = registered("B", told.referral(lane="ordinary", enterprise={**LARGE, "size_class": "small"}), DAY)
    private = registered("C", told.referral(enterprise={**LARGE, "ownership": "private"}), DAY)
    found = replayed(policies, stopped, state, private)
    assert changed(found) == {"A": (None, 2), "C": (2, 1)}
    assert (found.referrals, found.no_longer_stopped, found.newly_stopped) == (3, 1, 0)
    assert (found.raised, found.lowered) == (1, 0)
    assert (found.before.queue, found.after.queue) == (2, 3)


def test_a_version_that_is_in_force_itself_changes_nothing(policies: Policies) -> None:
    replay = Replay(policies, "2024-07-01")
    for number in range(20):
        replay.take(registered(f"R{number}", told.referral(term_months=6 * number + 1), DAY))
    found = replay.result()
    assert (found.referrals, found.changed, found.before) == (20, (), found.after)


def test_the_queue_goes_by_lane_then_score_then_age(policies: Policies) -> None:
    urgent = registered("Z", told.referral(lane="resumption", enterprise=LARGE), DAY + timedelta(days=3))
    old = registered("Y", told.referral(), DAY)
    new = registered("X", told.referral(), DAY + timedelta(days=1))
    favoured = registered("W", told.referral(term_months=24), DAY + timedelta(days=2))
    found = replayed(policies, new, urgent, favoured, old)
    assert changed(found) == {"Y": (3, 3), "X": (4, 4), "W": (2, 2)}


def test_an_amended_referral_counts_as_it_was_scored_last_in_whatever_order_it_is_read(policies: Policies) -> None:
    first = registered("A", told.referral(enterprise=LARGE), DAY)
    second = amended("A", told.referral(), 2, DAY + timedelta(days=1))
    refused = amended("A", told.referral(term_months=72), 3, DAY + timedelta(days=2))
    events = (first, second, refused, scored(policies, first), scored(policies, second))
    found = {str(replayed(policies, *order)) for order in permutations(events)}
    assert len(found) == 1
    (one,) = replayed(policies, *events).changed
    assert (one.replayed.revision, one.replayed.before.score, one.replayed.after.score) == (2, 45, 75)


def test_without_a_score_on_record_the_last_amendment_counts(policies: Policies) -> None:
    found = replayed(policies, registered("A", told.referral(), DAY), amended("A", told.referral(), 2, DAY))
    assert [one.replayed.revision for one in found.changed] == [2]


def test_repeats_change_nothing(policies: Policies) -> None:
    one = registered("A", told.referral(), DAY)
    record = scored(policies, one)
    assert replayed(policies, one, record, one, record) == replayed(policies, one, record)


@pytest.mark.parametrize(("first", "last", "count"), [(-1, 0, 1), (0, 0, 1), (1, 9, 0), (-9, -1, 0)])
def test_only_referrals_of_the_days_asked_for_count(policies: Policies, first: int, last: int, count: int) -> None:
    day = DAY.date()
    one = registered("A", told.referral(), DAY.replace(hour=0, minute=5))
    days = {"first": day + timedelta(days=first), "last": day + timedelta(days=last)}
    assert replayed(policies, one, **days).referrals == count


def test_scores_that_cannot_be_reproduced_are_counted(policies: Policies) -> None:
    one, other = (registered(name, told.referral(), DAY) for name in "AB")
    records = (scored(policies, one), scored(policies, other, policy_digest="0" * 64))
    found = replayed(policies, one, other, *records)
    assert (found.compared_with_record, found.unlike_record) == (2, 1)


def test_the_shares_count_those_whom_policy_means_to_favour(policies: Policies) -> None:
    bodies = [
        told.referral(term_months=24),
        told.referral(enterprise=LARGE),
        told.referral(lane="resumption", enterprise=LARGE),
        told.referral(subject_kind="zone_plan", enterprise=None, need="zone_infrastructure"),
    ]
    found = replayed(policies, *(registered(str(number), body, DAY) for number, body in enumerate(bodies)))
    assert found.before.of_queue == {
        Group.MANUFACTURING_MEDIUM_LONG_TERM: 1,
        Group.MICRO_OR_SMALL: 1,
        Group.PRIVATE_ENTERPRISE: 1,
        Group.RESUMPTION_OF_WORK: 1,
    }
    assert (found.before.queue, found.before.front, found.before.of_front[Group.RESUMPTION_OF_WORK]) == (4, 1, 1)


def test_nothing_on_record_is_an_empty_simulation(policies: Policies) -> None:
    found = replayed(policies)
    assert (found.referrals, found.changed, found.before.front) == (0, (), 0)


def test_a_version_that_is_not_there_is_refused(policies: Policies) -> None:
    with pytest.raises(UnknownVersionError, match=DRAFT):
        Replay(policies, "2050")


def test_a_referral_older_than_the_first_version_is_replayed_by_it(policies: Policies, tmp_path: Path) -> None:
    one = registered("A", told.referral(), DAY.replace(year=2019))
    assert replayed(policies, one).changed[0].replayed.before.version == "2020-03-23"
