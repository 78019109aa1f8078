"""Times of the scenario lie before the run, whenever it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.demo.times import WrongTime, fill_days, moment

NOON = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
JUST_AFTER_MIDNIGHT_IN_CHINA = datetime(2026, 3, 9, 16, 5, tzinfo=UTC)


def test_days_ago_at_an_hour_are_counted_from_the_day_in_china() -> None:
    assert moment("-12d 09:30", NOON).isoformat() == "2026-02-26T09:30:00+08:00"
    assert moment("-1d 16:00", JUST_AFTER_MIDNIGHT_IN_CHINA).isoformat() == "2026-03-09T16:00:00+08:00"


def test_minutes_ago_are_counted_from_the_run() -> None:
    assert moment("-45m", NOON) == NOON - timedelta(minutes=45)


@pytest.mark.parametrize("text", ["12d 09:30", "-12d", "-12d 9:30", "yesterday", "", "-1h", "+3d 09:00", "-12d 29:00"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(WrongTime):
        moment(text, NOON)


def test_a_time_of_today_that_is_not_over_yet_is_refused() -> None:
    with pytest.raises(WrongTime, match="not over yet"):
        moment("-0d 23:59", NOON)


def test_days_inside_the_data_are_filled_in_and_other_texts_are_left_alone() -> None:
    given = {"a": "{+30d}", "b": ["{-1d}", "-1d", 5], "c": {"d": "x{+1d}"}, "e": "{+-1d}"}
    filled = {"a": "2026-04-09", "b": ["2026-03-09", "-1d", 5], "c": {"d": "x2026-03-11"}, "e": "{+-1d}"}
    assert fill_days(given, NOON) == filled
