"""Ids of outputs, derived and time-ordered: the same input gives the same ids, whoever decides it and however often."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha1
from typing import Any, Final, NamedTuple
from zlib import crc32

MOST_OUTPUTS = 0xFFFF
"""How many outputs one input may have: their position takes four hexadecimal digits of the id."""

_MOST_SOURCES: Final = 10_000


class Moment(NamedTuple):
    """The time of an input as its outputs need it: `text` in ISO form, milliseconds since the epoch, and what the ids
    of outputs begin with."""

    time: datetime
    text: bytes
    ms: int
    beginning: str

    @classmethod
    def of(cls, time: datetime) -> Moment:
        """All of it from a time with offset."""
        ms = in_ms(time)
        return cls(time, time.isoformat().encode(), ms, _beginning(ms))


class Stems:
    """The stems of one service's output ids (see `output_stem`), with what all ids of a source share hashed once."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._begun: dict[str, Any] = {}

    def of(self, source: str, id: str, beginning: str) -> str:
        """The stem of an input's output ids; `beginning` is the one of its time."""
        begun = self._begun.get(source)
        if begun is None:
            if len(self._begun) >= _MOST_SOURCES:
                self._begun.clear()
            begun = self._begun[source] = sha1(f"{self._service}\0{source}\0".encode(), usedforsecurity=False)
        hashed = begun.copy()
        hashed.update(id.encode())
        digest = hashed.hexdigest()
        return f"{beginning}{digest[:3]}-8{digest[3:6]}-{digest[6:14]}"


def output_stem(service: str, source: str, id: str, time_ms: int) -> str:
    """What all output ids of one input share: a UUIDv8 less its last four digits, which are the output's position.

    48 bits are the input's time in milliseconds, so that indexes grow at their end; 56 bits a hash of service, source
    and id.
    """
    return Stems(service).of(source, id, _beginning(time_ms))


def _beginning(time_ms: int) -> str:
    digits = f"{time_ms & 0xFFFFFFFFFFFF:012x}"
    return f"{digits[:8]}-{digits[8:]}-8"


def in_ms(when: datetime) -> int:
    """A moment in milliseconds since the epoch, rounded down."""
    return int(when.timestamp() * 1000)


def moment_in(ms: int) -> datetime:
    """A moment in milliseconds since the epoch as a datetime."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def digest_of(key: bytes, value: bytes) -> int:
    """Digest of key and value that tells a repeat from another event under a reused id: CRC-32 and the length.

    It guards against mistakes; a publisher who makes two events collide on purpose harms only his own.
    """
    return crc32(value, crc32(key)) | len(value) << 32
