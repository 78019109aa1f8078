"""Fills the hop's input topic with synthetic referrals as CloudEvents with full headers."""

from __future__ import annotations

import random
import sys
import uuid

import orjson
from confluent_kafka import Producer

from tests.benchmarks.hop import HopSubmitted

HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_source", b"//commerce/manzhouli"),
    ("ce_type", HopSubmitted.TYPE.encode()),
    ("ce_time", b"2026-01-05T08:00:00+08:00"),
    ("content-type", b"application/json"),
    ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
]


def load(bootstrap_servers: str, topic: str, count: int, seed: int = 1) -> None:
    """Publish `count` referrals, keyed and placed as Java would, and wait for their confirmation."""
    chance = random.Random(seed)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
            "batch.num.messages": 10_000,
        }
    )
    for number in range(count):
        id = str(uuid.UUID(int=(number << 64) | chance.getrandbits(62)))
        referral = f"R{number:08d}"
        body = {
            "referral_id": referral,
            "occurred_at": "2026-01-05T08:00:00+08:00",
            "enterprise": {
                "uscc": "914403001922038216",
                "name": "满洲里边境贸易有限公司",
                "size": "small",
                "ownership": "private",
            },
            "zone": "manzhouli",
            "key_area": "border_trade_chain",
            "amount_cny": f"{chance.randint(1, 9999) * 1000}.00",
            "term_months": chance.choice((12, 36, 60)),
            "purpose": "working_capital for goods that wait at the port, to be repaid from their sale " * 2,
        }
        key = referral.encode()
        producer.produce(
            topic, key=key, value=orjson.dumps(body), headers=[*HEADERS, ("ce_id", id.encode()), ("ce_subject", key)]
        )
        if number % 10_000 == 0:
            producer.poll(0)
    if producer.flush(120):
        sys.exit("the broker did not confirm all referrals in time")
