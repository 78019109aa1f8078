"""Days and moments, as deadlines count them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from schemas.reference import CHINA_TIME


def end_of(day: date) -> datetime:
    """The last second of a day in China."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=CHINA_TIME)


def whole_second(moment: datetime) -> datetime:
    """The moment, or else the next whole second: due times are kept in milliseconds, rounded down, and nothing may be
    dated before what it rests on.
    """
    return moment if not moment.microsecond else moment.replace(microsecond=0) + timedelta(seconds=1)
