"""What may be said of a referral on topics that both sides read, as long as the enterprise has not agreed to more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from schemas.faults import ECHO_LIMIT, Fault
from services.referral_intake.domain.asked import Readable

_SHORTEST: Final = 3
"""Texts and numbers of fewer characters tell nothing of an enterprise, and stand in too many words and numbers."""


def unquoted(faults: tuple[Fault, ...], readable: Readable, body: Any = None) -> tuple[Fault, ...]:
    """The faults with … wherever their texts quote what was written. Code and place say enough to whoever wrote it.

    Rules quote what they could read; complaints of the schema quote what stands at their place in the `body`, any JSON
    value.
    """
    written = {*_leaves(readable.model_dump(mode="json"))}
    written.update(text for fault in faults for text in _texts(_at(body, fault.pointer)))
    longest_first = sorted((text for text in written if len(text) >= _SHORTEST), key=len, reverse=True)
    # What is part of a longer word or number is no quotation; in Chinese there is nothing between words.
    quoted = re.compile(
        "|".join(rf"(?<![0-9A-Za-z_]){re.escape(one)}(?![0-9A-Za-z_])" for one in longest_first) or "$."
    )
    return tuple(
        fault.model_copy(update={"zh": quoted.sub("…", fault.zh), "en": quoted.sub("…", fault.en)}) for fault in faults
    )


def _leaves(value: Any) -> Iterator[str]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _leaves(part)
    yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    """A text or number as faults quote it, which cut what is long."""
    if isinstance(value, str):
        yield value
        yield value[: ECHO_LIMIT - 1]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _at(body: Any, pointer: str) -> Any:
    """What stands at a JSON Pointer; None where there is nothing."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(body, dict):
            body = body.get(name)
        elif isinstance(body, list) and name.isdecimal() and int(name) < len(body):
            body = body[int(name)]
        else:
            return None
    return body
