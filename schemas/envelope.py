"""CloudEvents attributes and the base of every payload.

An event is an envelope (who said what, when, about which subject) and a payload (the fact itself). Payload classes
register themselves by their type, so that a type exists in exactly one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

P = TypeVar("P")

EVENT_LIMIT = 256 * 1024
"""The largest payload of one event, in bytes as it travels."""

_NOTHING_HELD: Final[Mapping[str, str]] = MappingProxyType({})

_REGISTRY: dict[str, type[Payload]] = {}


class Model(BaseModel):
    """Base of everything that is written inside a payload.

    Readers ignore fields they do not know, so that a publisher may be newer than its reader; publishers are checked
    with `extra="forbid"` before anything leaves them (see `codec.check_outgoing`).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", str_max_length=4000, allow_inf_nan=False)


class Payload(Model):
    """The fact that one event type and version carries. Subclasses set `TYPE`, for example `referral.submitted.v1`."""

    TYPE: ClassVar[str]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        kind = cls.__dict__.get("TYPE")
        if kind is None:
            return
        if kind in _REGISTRY and _REGISTRY[kind].__qualname__ != cls.__qualname__:
            raise TypeError(f"event type {kind} is defined twice: {_REGISTRY[kind].__qualname__}, {cls.__qualname__}")
        _REGISTRY[kind] = cls


def payload_class(kind: str) -> type[Payload] | None:
    """The payload class of an event type, or None where the type is not known."""
    return _REGISTRY.get(kind)


def registered_types() -> dict[str, type[Payload]]:
    """All known event types with their payload classes, sorted by type."""
    return dict(sorted(_REGISTRY.items()))


class Event(Generic[P]):
    """One CloudEvent: the envelope's attributes and the typed payload.

    `time` is when it happened in the publisher's system (with offset); `subject` is the record's key;
    `correlation_id` is shared by all events of one case, `causation_id` names the event that led to this one.
    `holders` never travels: it says which of the claims that an input needs are held already, and by which key.
    """

    __slots__ = (
        "causation_id",
        "correlation_id",
        "data",
        "holders",
        "id",
        "source",
        "subject",
        "time",
        "traceparent",
        "type",
    )

    def __init__(
        self,
        id: str,
        source: str,
        type: str,
        time: datetime,
        subject: str,
        data: P,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        traceparent: str | None = None,
    ) -> None:
        self.id = id
        self.source = source
        self.type = type
        self.time = time
        self.subject = subject
        self.data = data
        self.correlation_id = correlation_id
        self.causation_id = causation_id
        self.traceparent = traceparent
        self.holders = _NOTHING_HELD

    def __repr__(self) -> str:
        return f"Event({self.type} {self.id} of {self.subject} from {self.source} at {self.time.isoformat()})"
