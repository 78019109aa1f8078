"""Keys are placed where Java, aiokafka and kafka-python place them, so that all clients agree on a key's task."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as reference
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from topics.partitioning import murmur2, partition_of

on_a_busy_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@on_a_busy_machine
@given(some.binary(max_size=600))
@example(b"")
@example(b"\xff" * 256)
@example(b"\x80" * 257)
@example("满洲里".encode())
def test_the_hash_is_the_one_of_other_clients(key: bytes) -> None:
    assert murmur2(key) == reference(key) & 0xFFFFFFFF


@on_a_busy_machine
@given(some.binary(max_size=40), some.integers(1, 64))
def test_a_key_goes_to_the_partition_that_other_clients_choose(key: bytes, partitions: int) -> None:
    numbers = list(range(partitions))

    assert partition_of(key, partitions) == DefaultPartitioner()(key, numbers, numbers)


@pytest.mark.parametrize(
    ("key", "expected"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"abc", 479470107)],
)
def test_the_hash_gives_the_values_of_kafkas_own_tests(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected & 0xFFFFFFFF
