"""What the benchmark of screening lets it decide about: registered referrals of all kinds, and opinions."""

from __future__ import annotations

import random
import sys
from datetime import datetime, timedelta
from datetime import time as dt_time
from typing import Any

from confluent_kafka import Producer

from schemas.codec import to_binary
from schemas.envelope import Event
from schemas.opinion import OpinionGiven
from schemas.reference import CHINA_TIME
from schemas.referral import ReferralRegistered
from tests.benchmarks.policy_simulate import referral_of

PLACES = ("NMG", "LN", "JL", "HLJ", "GX", "YN", "XJ")
"""Ids begin with where the referral comes from, as the parties write them."""


TODAY = datetime.combine(datetime.now(CHINA_TIME), dt_time(), CHINA_TIME)
"""Nothing is to fall due while it is measured."""


def id_of(number: int) -> str:
    """The id of the n-th referral."""
    return f"{PLACES[number % len(PLACES)]}-2026-{number:07d}"


def registered(number: int, chance: random.Random | None = None) -> Event[Any]:
    """The registration of the n-th referral, as intake puts it on record."""
    id, at = id_of(number), TODAY + timedelta(milliseconds=10 * number)
    payload = ReferralRegistered(
        referral=referral_of(chance or random.Random(number), number),
        side="commerce",
        source="//commerce/15",
        registered_at=at,
        directory_versions=(),
    )
    return Event(f"{id}/registered", "//kouan/referral_intake", payload.TYPE, at, id, payload, id)


def opinion(number: int, source: str, hours: int) -> Event[Any]:
    """The support of one side, so many hours after the registration."""
    id, at = id_of(number), TODAY + timedelta(milliseconds=10 * number, hours=hours)
    payload = OpinionGiven.model_validate(
        {
            "referral_id": id,
            "verdict": "support",
            "reasons": [{"code": "sound_operation", "text": "企业连续三年盈利，订单充足。"}],
            "given_by": "clerk-1",
            "checked_by": "clerk-2",
        }
    )
    return Event(f"{id}/{source}", source, payload.TYPE, at, id, payload, id)


def load(servers: str, topic: str, count: int) -> None:
    """Publish so many registrations and wait for their confirmation."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    chance = random.Random(1)
    for number in range(count):
        key, value, headers = to_binary(registered(number, chance))
        producer.produce(topic, key=key, value=value, headers=headers)
        if number % 5000 == 0:
            producer.poll(0)
    if producer.flush(120):
        sys.exit("the broker did not confirm all referrals in time")
