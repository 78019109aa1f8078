"""Record batches that we write are read by the client's own reader, record for record."""

from __future__ import annotations

import pytest
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kit.outputs import common_headers, output_body, output_headers
from services.kit.record_batch import FULL, Ready, RecordBatch, body_of, count_of, records_in
from topics.partitioning import partition_of, partitions_of

TIME_MS = 1_767_571_200_123

headers = st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=300)), max_size=12)
records = st.lists(
    st.tuples(st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=20_000), headers), max_size=40
)


def built(several: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]) -> bytes:
    batch = RecordBatch()
    for one in several:
        assert batch.append(body_of(*one))
    return batch.build(TIME_MS)


def sent(batch: bytes, *producer: int) -> bytes:
    ready = Ready(batch)
    ready._set_producer_state(*producer)
    return bytes(ready._build())


@settings(deadline=None, max_examples=60)
@given(records.filter(bool))
def test_what_is_written_is_what_the_client_reads(several: list) -> None:
    (batch,) = read(sent(built(several), 7, 3, 11))
    # The client checks only what it has not begun to read.
    assert batch.validate_crc()
    found = list(batch)

    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (7, 3, 11)
    assert [(one.key, one.value, list(one.headers)) for one in found] == several
    assert [(one.offset, one.timestamp) for one in found] == [(place, TIME_MS) for place in range(len(several))]


@settings(deadline=None, max_examples=40)
@given(records)
def test_what_is_written_is_what_we_read_ourselves(several: list) -> None:
    batch = built(several)

    assert list(records_in(batch)) == several
    assert count_of(batch) == len(several) == Ready(batch).record_count()


def test_places_and_lengths_of_several_bytes_are_read_back() -> None:
    several = [(b"k", b"v", []) for _ in range(20_000)]
    (batch,) = read(sent(built(several), 1, 0, 0))

    assert [one.offset for one in batch] == list(range(20_000))


def test_a_full_batch_takes_nothing_more_but_a_large_record_has_one_of_its_own() -> None:
    batch = RecordBatch()
    large = body_of(None, b"x" * (FULL + 1), [])

    assert batch.append(large)
    assert not batch.append(body_of(None, b"y", []))
    assert list(records_in(batch.build(0))) == [(None, b"x" * (FULL + 1), [])]


def test_another_sequence_is_written_over_the_one_before() -> None:
    ready = Ready(built([(b"k", b"v", [])]))
    ready._set_producer_state(1, 0, 5)
    ready._set_producer_state(2, 1, 0)
    (batch,) = read(bytes(ready._build()))

    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence, batch.validate_crc()) == (2, 1, 0, True)


def test_an_output_bears_its_cloudevents_headers() -> None:
    common = common_headers(b"2026-01-05T08:00:00+08:00", b"R-1", b"cause")
    id, trace = b"i" * 36, b"t" * 55
    body = output_body("推荐-1".encode(), b"{}", output_headers("//kouan/hop", "hop.scored.v1"), id, common, trace)
    batch = RecordBatch()
    batch.append(body)
    ((key, value, found),) = records_in(batch.build(0))

    assert (key, value) == ("推荐-1".encode(), b"{}")
    assert dict(found) == {
        "ce_specversion": b"1.0",
        "ce_source": b"//kouan/hop",
        "ce_type": b"hop.scored.v1",
        "content-type": b"application/json",
        "ce_id": id,
        "ce_subject": "推荐-1".encode(),
        "ce_time": b"2026-01-05T08:00:00+08:00",
        "ce_correlationid": b"R-1",
        "ce_causationid": b"cause",
        "traceparent": trace,
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=40), max_size=60), st.integers(1, 12))
def test_many_keys_are_placed_as_each_of_them_alone(keys: list[bytes], partitions: int) -> None:
    keys += [b"same length %d" % number for number in range(10, 30)]

    assert partitions_of(keys, partitions) == [partition_of(key, partitions) for key in keys]


@pytest.mark.parametrize("length", [0, 1, 3, 4, 9, 300])
def test_keys_of_one_length_are_placed_as_each_of_them_alone(length: int) -> None:
    keys = [bytes((seed * 37 + at * 11) % 256 for at in range(length)) for seed in range(50)]

    assert partitions_of(keys, 7) == [partition_of(key, 7) for key in keys]


def read(data: bytes) -> list:
    found, rest = [], MemoryRecords(data)
    while rest.has_next():
        found.append(rest.next_batch())
    return found
