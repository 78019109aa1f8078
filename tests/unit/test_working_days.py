"""Working days are counted by the official Chinese calendar, and a guess is marked as one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from schemas.reference import CHINA_TIME
from services.kit.working_days import (
    AnnouncedYear,
    CorrectedDay,
    Overrides,
    OverridesError,
    WorkingDays,
    china_day,
    load_overrides,
)

CALENDAR = WorkingDays(Overrides())


def days(month: int, first: int, last: int) -> list[date]:
    return [date(2026, month, day) for day in range(first, last + 1)]


def noon(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 12, tzinfo=CHINA_TIME)


def end_of(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 23, 59, 59, tzinfo=CHINA_TIME)


OFF_2026 = [
    *days(1, 1, 3),
    *days(2, 15, 23),
    *days(4, 4, 6),
    *days(5, 1, 5),
    *days(6, 19, 21),
    *days(9, 25, 27),
    *days(10, 1, 7),
]
WORKED_2026 = [
    date(2026, 1, 4),
    date(2026, 2, 14),
    date(2026, 2, 28),
    date(2026, 5, 9),
    date(2026, 9, 20),
    date(2026, 10, 10),
]


@pytest.mark.parametrize("day", OFF_2026, ids=str)
def test_nobody_works_on_the_holidays_of_2026(day: date) -> None:
    assert not CALENDAR.is_working_day(day)


@pytest.mark.parametrize("day", WORKED_2026, ids=str)
def test_the_make_up_days_of_2026_are_worked(day: date) -> None:
    assert CALENDAR.is_working_day(day)


def test_every_other_day_of_2026_follows_its_weekday() -> None:
    year = [date(2026, 1, 1) + timedelta(days=count) for count in range(365)]
    plain = [day for day in year if day not in OFF_2026 and day not in WORKED_2026]
    assert [CALENDAR.is_working_day(day) for day in plain] == [day.weekday() < 5 for day in plain]


@pytest.mark.parametrize(
    ("start", "count", "due"),
    [
        (noon(2026, 3, 2), 1, end_of(2026, 3, 3)),
        (noon(2026, 3, 6), 1, end_of(2026, 3, 9)),
        (noon(2026, 3, 2), 10, end_of(2026, 3, 16)),
        (noon(2026, 2, 13), 1, end_of(2026, 2, 14)),
        (noon(2026, 2, 14), 1, end_of(2026, 2, 24)),
        (noon(2026, 2, 13), 10, end_of(2026, 3, 5)),
        (noon(2026, 9, 30), 2, end_of(2026, 10, 9)),
        (noon(2026, 9, 30), 3, end_of(2026, 10, 10)),
        (noon(2026, 9, 30), 5, end_of(2026, 10, 13)),
        (noon(2020, 3, 23), 10, end_of(2020, 4, 7)),
    ],
)
def test_a_deadline_is_the_end_of_the_last_working_day(start: datetime, count: int, due: datetime) -> None:
    assert CALENDAR.after(start, count) == (due, False)


def test_the_day_in_china_counts_whatever_the_offset_of_the_moment() -> None:
    late_in_utc = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)
    assert china_day(late_in_utc) == date(2026, 3, 3)
    assert CALENDAR.after(late_in_utc, 1) == (end_of(2026, 3, 4), False)


def test_a_moment_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="has no offset"):
        CALENDAR.after(datetime(2026, 3, 2), 1)


@pytest.mark.parametrize("count", [0, -3])
def test_fewer_than_one_day_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        CALENDAR.after(noon(2026, 3, 2), count)


def test_a_deadline_past_the_official_calendar_is_provisional() -> None:
    due, provisional = CALENDAR.after(noon(2050, 12, 30), 3)
    assert provisional
    assert due == end_of(2051, 1, 4)


def test_a_deadline_that_only_passes_through_an_unknown_year_is_provisional() -> None:
    announced = tuple(AnnouncedYear(year=year, off=(), worked=(), source="x") for year in (2050, 2052))
    calendar = WorkingDays(Overrides(years=announced))
    assert calendar.after(noon(2050, 12, 29), 1) == (end_of(2050, 12, 30), False)
    assert calendar.after(noon(2050, 12, 29), 265)[1]


def test_a_year_announced_later_becomes_official() -> None:
    announced = AnnouncedYear(
        year=2050, off=(date(2050, 1, 4), date(2050, 1, 5)), worked=(date(2050, 1, 8),), source="x"
    )
    calendar = WorkingDays(Overrides(years=(announced,)))
    assert calendar.after(noon(2050, 1, 3), 1) == (end_of(2050, 1, 6), False)
    assert calendar.after(noon(2050, 1, 7), 1) == (end_of(2050, 1, 8), False)


def test_an_announced_year_replaces_what_the_library_says_of_it() -> None:
    calendar = WorkingDays(Overrides(years=(AnnouncedYear(year=2026, off=(), worked=(), source="x"),)))
    assert calendar.is_working_day(date(2026, 10, 1))
    assert not calendar.is_working_day(date(2026, 10, 10))


@pytest.mark.parametrize("working", [True, False])
def test_a_corrected_day_goes_before_the_library(working: bool) -> None:
    corrections = tuple(
        CorrectedDay(day=day, working=working, source="x")
        for day in (date(2026, 10, 1), date(2026, 10, 10), date(2026, 3, 2), date(2026, 3, 7))
    )
    calendar = WorkingDays(Overrides(days=corrections))
    assert {calendar.is_working_day(correction.day) for correction in corrections} == {working}


def test_the_shipped_override_file_can_be_read() -> None:
    assert isinstance(load_overrides(), Overrides)


def test_a_faulty_override_file_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(
        "years: [{year: soon, off: [], worked: [], source: x}]\ndays: [{day: 2031-02-03, source: x}]\nmore: 1\n"
    )
    with pytest.raises(OverridesError) as caught:
        load_overrides(path)
    assert all(part in str(caught.value) for part in (str(path), "years.0.year", "days.0.working", "more"))


def test_an_override_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OverridesError, match=r"missing\.yaml"):
        load_overrides(tmp_path / "missing.yaml")


@given(some.datetimes(timezones=some.sampled_from([UTC, CHINA_TIME])), some.integers(1, 30))
def test_every_moment_has_a_deadline_after_it(moment: datetime, count: int) -> None:
    due, _ = CALENDAR.after(moment, count)
    assert due.utcoffset() == timedelta(hours=8)
    assert china_day(due) > china_day(moment) or china_day(moment) >= date.max - timedelta(days=1)


@given(
    some.datetimes(datetime(2004, 1, 1), datetime(2026, 11, 1), timezones=some.just(CHINA_TIME)),
    some.integers(1, 15),
)
def test_counting_back_gives_the_days_that_were_counted(moment: datetime, count: int) -> None:
    due, _ = CALENDAR.after(moment, count)
    assert CALENDAR.between(moment, due) == count
    assert CALENDAR.is_working_day(china_day(due))
