"""The way of a case from step to step, and when a rate counts as held."""

from __future__ import annotations

import pytest

from tests.benchmarks.end_to_end import Passage, climb
from tests.benchmarks.end_to_end import results as goals
from tests.benchmarks.figures import Result
from tests.benchmarks.way import DUE, OPENED, REGISTERED, STEPS, SUBMITTED, percentiles, steps


def test_the_steps_are_the_times_between_the_moments_of_a_case() -> None:
    found = steps({"A": {DUE: 10.0, SUBMITTED: 10.004, REGISTERED: 10.010, OPENED: 10.030}})
    names = {(begin, end): name for begin, end, name in STEPS}
    assert found[names[DUE, SUBMITTED]] == [pytest.approx(4)]
    assert found[names[SUBMITTED, REGISTERED]] == [pytest.approx(6)]
    assert found[names[REGISTERED, OPENED]] == [pytest.approx(20)]


def test_a_case_that_got_stuck_counts_in_the_steps_that_it_made() -> None:
    found = steps({"A": {DUE: 1.0, SUBMITTED: 2.0}, "B": {DUE: 1.0}})
    assert [len(values) for values in found.values()] == [1, 0, 0, 0, 0, 0]


def test_the_steps_follow_upon_each_other() -> None:
    ends = [end for _, end, _ in STEPS]
    assert [begin for begin, _, _ in STEPS[1:]] == ends[:-1]


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentiles([float(number) for number in range(200, 0, -1)]) == (100.0, 198.0, 200.0)
    assert percentiles([7.0]) == (7.0, 7.0, 7.0)
    assert percentiles([1.0] * 99 + [float("inf")] * 2) == (1.0, float("inf"), float("inf"))


def test_a_rate_is_not_held_when_the_last_cases_take_much_longer_than_the_first() -> None:
    assert Passage(20, [40.0] * 100, {}).held
    assert not Passage(20, [60.0 + 10 * number for number in range(100)], {}).held
    assert not Passage(20, [40.0] * 90 + [float("inf")] * 30, {}).held


def test_a_rate_is_not_held_when_already_the_first_cases_are_late() -> None:
    assert not Passage(50, [12_000.0] * 100, {}).held


@pytest.mark.parametrize(
    ("asked", "capacity", "tried", "found"),
    [
        ((20, 50), 33, [25, 32, 40], 32),
        ((20, 50), 49, [25, 32, 40], 40),
        ((20, 50), 80, [63, 79, 99], 79),
        ((20, 50), 10, [16, 12, 9], 9),
        ((2,), 0, [1, 0], 0),
    ],
)
def test_the_highest_rate_is_looked_for_above_those_held_and_below_those_not(
    asked: tuple[int, ...], capacity: int, tried: list[int], found: int
) -> None:
    rates = []

    def at(rate: int) -> Passage:
        rates.append(rate)
        return Passage(rate, [40.0 if rate <= capacity else 5000.0] * 8, {})

    passages = [at(rate) for rate in asked]
    rates.clear()
    assert climb(passages, at) == found
    assert rates == [rate for rate in tried if rate]


def test_the_goals_are_those_of_one_rate() -> None:
    found = goals([Passage(20, [10.0] * 100, {}), Passage(50, [70.0] * 100, {})], 50)
    assert [(result.value, result.met) for result in found] == [(70.0, False), (70.0, True), (50, None)]
    assert all(isinstance(result, Result) for result in found)
