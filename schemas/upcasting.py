"""Older versions of an event type, read as its newest, so that who reads meets one class whatever stands on a topic.

A step leads from one version to the next; several follow one another. The class of the newest version has the plain
name, older ones end in their version: `LoanRejectionReportedV1`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from schemas.envelope import Payload

Old = TypeVar("Old", bound=Payload)
New = TypeVar("New", bound=Payload)

STEPS: Final[dict[type[Payload], tuple[type[Payload], Callable[[Any], Payload]]]] = {}
"""By outdated class: the class of the next version, and what makes its payload."""


def upcaster(old: type[Old], new: type[New]) -> Callable[[Callable[[Old], New]], Callable[[Old], New]]:
    """Declares the function that makes the next version's payload of an older one's. It has to take every sound one.

    Raises:
        TypeError: `new` is not the next version of the type of `old`.
    """
    stem, _, version = old.TYPE.rpartition(".v")
    if f"{stem}.v{int(version) + 1}" != new.TYPE:
        raise TypeError(f"{new.TYPE} is not the version after {old.TYPE}")

    def declare(step: Callable[[Old], New]) -> Callable[[Old], New]:
        STEPS[old] = (new, step)
        return step

    return declare


def newest(cls: type[Payload]) -> type[Payload]:
    """The class of the newest version of what a class carries; itself where there is no newer one."""
    while cls in STEPS:
        cls = STEPS[cls][0]
    return cls


def upcast(payload: Payload) -> Payload:
    """The payload as the newest version has it."""
    while (step := STEPS.get(type(payload))) is not None:
        payload = step[1](payload)
    return payload


def reader_of(cls: type[Payload]) -> Callable[[bytes], Payload]:
    """What reads JSON bodies of a class as the newest version; raises ValueError on a body that breaks the schema."""
    validate: Callable[[bytes], Payload] = cls.__pydantic_validator__.validate_json
    return validate if cls not in STEPS else lambda body: upcast(validate(body))
