"""Times of the scenario: written relative to the day of the run, so that what shall be overdue always is."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from schemas.reference import CHINA_TIME

_MOMENT = re.compile(r"-(?P<days>[0-9]+)d (?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})|-(?P<minutes>[0-9]+)m")
_DAY = re.compile(r"\{(?P<days>[+-][0-9]+)d\}")


class WrongTime(ValueError):
    """A time of the scenario that can't be read."""


def moment(text: str, now: datetime) -> datetime:
    """A moment before `now`, in China time: `-12d 09:30` (so many days ago, at that hour) or `-45m` (minutes ago).

    Raises:
        WrongTime: neither of these forms, or not in the past.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise WrongTime(f"{text!r} is neither like '-12d 09:30' nor like '-45m'")
    here = now.astimezone(CHINA_TIME)
    if match["minutes"]:
        return here.replace(microsecond=0) - timedelta(minutes=int(match["minutes"]))
    day = here.date() - timedelta(days=int(match["days"]))
    try:
        hour = time(int(match["hour"]), int(match["minute"]), tzinfo=CHINA_TIME)
    except ValueError as error:
        raise WrongTime(f"{text!r}: {error}") from error
    then = datetime.combine(day, hour)
    if then > now:
        raise WrongTime(f"{text!r} is not over yet; times of the scenario lie in the past")
    return then


def fill_days(value: object, now: datetime) -> object:
    """`value` with every `{+300d}` or `{-20d}` in its texts replaced by that day in China, counted from `now`."""
    if isinstance(value, dict):
        return {name: fill_days(child, now) for name, child in value.items()}
    if isinstance(value, list):
        return [fill_days(child, now) for child in value]
    if isinstance(value, str):
        return _DAY.sub(lambda match: (_today(now) + timedelta(days=int(match["days"]))).isoformat(), value)
    return value


def _today(now: datetime) -> date:
    return now.astimezone(CHINA_TIME).date()
