"""Events for tests of the command line, as publishers write them and as topics hold them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from kafka.consumer.fetcher import ConsumerRecord

from schemas.codec import to_binary
from schemas.envelope import Event, Payload
from schemas.referral import REFERRAL_EXAMPLE

MORNING = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)


def submitted(**given: Any) -> dict[str, Any]:
    """A sound `referral.submitted.v1` in structured mode; attributes as given."""
    event = {
        "specversion": "1.0",
        "id": "s-1",
        "source": "//commerce/15",
        "type": "referral.submitted.v1",
        "time": "2026-01-05T09:30:00+08:00",
        "subject": "MZL-2026-0001",
        "data": {"referral": copy.deepcopy(REFERRAL_EXAMPLE)},
    }
    return {**event, **given}


def lines(*events: dict[str, Any] | bytes) -> list[bytes]:
    """A file's lines; what is bytes already stays as it is."""
    return [one if isinstance(one, bytes) else json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in events]


def event(payload: Payload, **given: Any) -> Event[Any]:
    """An event with this payload about the case MZL-2026-0001."""
    attributes: dict[str, Any] = {
        "id": "e-1",
        "source": "//kouan/referral_intake",
        "type": payload.TYPE,
        "time": MORNING,
        "subject": "MZL-2026-0001",
        "data": payload,
    }
    return Event(**{**attributes, **given})


def record_of(one: Event[Any], topic: str = "referral.events", offset: int = 0, **given: Any) -> ConsumerRecord:
    """The event as it stands on a topic; further record fields as given."""
    key, value, headers = to_binary(one)
    return record(topic, offset, **{"key": key, "value": value, "headers": headers, **given})


def record(topic: str, offset: int = 0, **given: Any) -> ConsumerRecord:
    """A Kafka record."""
    fields: dict[str, Any] = dict.fromkeys(ConsumerRecord._fields)
    fields |= {"topic": topic, "partition": 2, "offset": offset, "timestamp": 1_767_577_000_000, "headers": []}
    return ConsumerRecord(**{**fields, **given})
