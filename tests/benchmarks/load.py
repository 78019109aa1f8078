"""Fills the hop's input topic with synthetic referrals as CloudEvents with full headers."""

from __future__ import annotations

import random
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
CONFIRMED_SECONDS = 120
OPEN_MS = 600_000
"""How long a transaction may stay open while workers join."""


def load(
    bootstrap_servers: str, topic: str, count: int, seed: int = 1, *, first: int = 0, scattered: bool = False
) -> None:
    """Publish `count` referrals, keyed and placed as Java would, and wait for their confirmation.

    They are numbered from `first`. Their ids rise with their numbers, as those of most publishers do with time, unless
    they are to be `scattered`, as random ones (UUIDv4) are.
    """
    producer = _producer(bootstrap_servers)
    _produce(producer, topic, count, seed, first=first, scattered=scattered)


@contextmanager
def loaded_unseen(bootstrap_servers: str, topic: str, count: int) -> Iterator[Callable[[], None]]:
    """Publish `count` referrals that nobody sees who reads what is committed, until the function given is called."""
    name = f"bench-{uuid.uuid4()}"
    producer = _producer(bootstrap_servers, **{"transactional.id": name, "transaction.timeout.ms": OPEN_MS})
    producer.init_transactions()
    producer.begin_transaction()
    _produce(producer, topic, count, 1, first=0, scattered=False)
    yield producer.commit_transaction


def _producer(bootstrap_servers: str, **settings: object) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
            "batch.num.messages": 10_000,
            # What it reports while the broker's coordinator wakes up passes by itself.
            "log_level": 3,
            **settings,
        }
    )


def _produce(producer: Producer, topic: str, count: int, seed: int, *, first: int, scattered: bool) -> None:
    chance = random.Random(seed)
    for number in range(first, first + count):
        high = chance.getrandbits(64) if scattered else number
        id = str(uuid.UUID(int=(high << 64) | chance.getrandbits(62)))
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
    if producer.flush(CONFIRMED_SECONDS):
        sys.exit("the broker did not confirm all referrals in time")
