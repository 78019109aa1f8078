"""Waiting for what is true soon, without ever sleeping for a fixed time."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from pprint import pformat
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.1
_SHOWN = 2000


class Eventually:
    """`eventually(look)` asks `look` until its answer is truthy, and returns that answer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, look: Callable[[], T], what: str = "", *, seconds: float | None = None) -> T:
        """Ask until the answer is truthy; an `AssertionError` of `look` counts as "not yet".

        Args:
            look: gives the answer; called every tenth of a second.
            what: what is waited for, for the message.
            seconds: how long; by default the setting `kouan_seconds`.

        Raises:
            AssertionError: the time is up; with what was waited for, and the last answer.
        """
        limit = self.seconds if seconds is None else seconds
        end = time.monotonic() + limit
        while True:
            refusal: AssertionError | None = None
            try:
                answer = look()
                if answer:
                    return answer
                last = pformat(answer, width=110)
            except AssertionError as error:
                refusal, last = error, str(error)
            if time.monotonic() > end:
                name = what or _source(look)
                shown = last if len(last) <= _SHOWN else f"{last[:_SHOWN]}…"
                raise AssertionError(
                    f"{limit:g} 秒后仍未成立 / after {limit:g} s still not: {name}\n最后的结果 / last answer: {shown}"
                ) from refusal
            time.sleep(POLL_SECONDS)


def _source(look: Callable[[], object]) -> str:
    """The line of code that asks: a lambda has no name that would say anything."""
    try:
        return inspect.getsource(look).strip()
    except (OSError, TypeError):
        return repr(look)
