"""The kit's consumer on a real broker: pages of what is there, in sessions, and what the rest of the kit asks of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from confluent_kafka import Producer

from services.kit.fetching import PageConsumer, Taken
from tests.support.brokers import create_topics, unique

pytestmark = pytest.mark.broker

PARTITIONS = 12


@pytest.fixture
def topic(kafka: str) -> str:
    name = unique("fetching")
    create_topics(kafka, {name: PARTITIONS})
    return name


@asynccontextmanager
async def consumer(servers: str, topic: str, **settings: int) -> AsyncIterator[PageConsumer]:
    one = PageConsumer(
        bootstrap_servers=servers, group_id=topic, enable_auto_commit=False, auto_offset_reset="none",
        isolation_level="read_committed", fetch_max_wait_ms=200, **settings,
    )  # fmt: skip
    await one.start()
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    one.assign(places)
    for place in places:
        one.seek(place, 0)
    try:
        yield one
    finally:
        await one.stop()


def publish(servers: str, topic: str, *values: bytes, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": servers})
    for value in values:
        producer.produce(topic, value, b"key", partition)
    assert producer.flush(30) == 0


def values(taken: list[Taken]) -> list[bytes | None]:
    return [value for one in taken for _, _, value, _, _ in one.found]


async def read(one: PageConsumer, number: int, most: int = 100) -> list[bytes | None]:
    """So many records, within 30 seconds."""
    found: list[bytes | None] = []
    end = time.monotonic() + 30
    while len(found) < number and time.monotonic() < end:
        taken = await one.getpages(500, most)
        assert sum(len(each.found) for each in taken) <= most
        found += values(taken)
    return found


def test_records_come_in_order_so_many_at_a_time_and_the_position_follows(kafka: str, topic: str) -> None:
    sent = [str(number).encode() for number in range(250)]

    async def go() -> None:
        publish(kafka, topic, *sent)
        async with consumer(kafka, topic) as one:
            assert await read(one, len(sent), most=40) == sent
            assert await one.position(TopicPartition(topic, 0)) == len(sent)
            one.seek(TopicPartition(topic, 0), 240)
            assert await read(one, 10) == sent[240:]

    asyncio.run(go())


def test_the_broker_is_asked_for_what_changed_and_idle_partitions_count_as_looked_at(kafka: str, topic: str) -> None:
    async def go() -> None:
        async with consumer(kafka, topic) as one:
            for number in range(6):
                publish(kafka, topic, str(number).encode(), partition=number % 2)
                assert await read(one, 1) == [str(number).encode()]
            ((_, session),) = one._answers._sessions.items()
            assert session._epoch > 1
            # Deadlines wait for such moments of every partition, whether something stands on it or not.
            idle = TopicPartition(topic, PARTITIONS - 1)
            since = int(time.time() * 1000)
            end = time.monotonic() + 30
            while (one.last_poll_timestamp(idle) or 0) < since and time.monotonic() < end:
                await one.getpages(200, 10)
            assert one.last_poll_timestamp(idle) >= since
            assert one.last_stable_offset(idle) == 0

    asyncio.run(go())


def test_a_session_that_the_broker_has_forgotten_is_begun_anew(kafka: str, topic: str) -> None:
    async def go() -> None:
        async with consumer(kafka, topic) as one:
            publish(kafka, topic, b"before")
            assert await read(one, 1) == [b"before"]
            ((_, session),) = one._answers._sessions.items()
            session._id += 1
            publish(kafka, topic, b"after")
            assert await read(one, 1) == [b"after"]

    asyncio.run(go())


def test_a_partition_that_is_paused_is_not_fetched_and_comes_back_where_it_was(kafka: str, topic: str) -> None:
    async def go() -> None:
        place = TopicPartition(topic, 0)
        async with consumer(kafka, topic) as one:
            publish(kafka, topic, b"1")
            assert await read(one, 1) == [b"1"]
            one.pause(place)
            publish(kafka, topic, b"2")
            publish(kafka, topic, b"other", partition=3)
            assert await read(one, 1) == [b"other"]
            one.resume(place)
            assert await read(one, 1) == [b"2"]

    asyncio.run(go())
