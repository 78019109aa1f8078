"""Records as they stand on a topic: as the consumer gives them, and as the kit keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Record(Protocol):
    """A Kafka record as the consumer gives it; headers may hold None values."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class StoredRecord:
    """A record taken off a page, or out of the database where it was parked."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    @classmethod
    def packed(cls, record: Record) -> tuple[Any, ...]:
        """The record as plain values that can be packed."""
        headers = [(name, value) for name, value in record.headers]
        return (record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, headers)
