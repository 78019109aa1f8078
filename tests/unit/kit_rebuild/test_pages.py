"""Pages of a topic: what is recognised in their bytes, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException
from aiokafka.record.util import calc_crc32c

from services.kit.outputs import common_headers, output_body, output_headers
from services.kit.pages import Beginnings, Page, Unusual
from services.kit.record_batch import RecordBatch, body_of

PLACE = TopicPartition("ledger.events", 2)
SOURCE = "//kouan/ledger"
OPENED, BOOKED, OTHER = "ledger.account_opened.v1", "ledger.entry_booked.v1", "ledger.account_refused.v1"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TIME_MS = 1_774_238_400_000

_BASE, _CRC, _ATTRIBUTES = Struct(">q"), Struct(">I"), Struct(">h")


def id_of(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012d}"


def body(number: int, kind: str, *, value: bytes | None = None, key: bytes = b"a1") -> bytes:
    """An event as the kit writes it."""
    text = f'{{"number":{number}}}'.encode() if value is None else value
    common = common_headers(b"2026-03-23T12:00:00+08:00", key, b"cause")
    return output_body(key, text, output_headers(SOURCE, kind), id_of(number).encode(), common, TRACE)


def batch(base: int, bodies: Sequence[bytes], *, attributes: int = 0) -> bytes:
    """A batch as the broker gives it, with its first offset and checksum."""
    made = RecordBatch()
    for one in bodies:
        assert made.append(one)
    data = bytearray(made.build(TIME_MS))
    _BASE.pack_into(data, 0, base)
    _ATTRIBUTES.pack_into(data, 21, attributes)
    _CRC.pack_into(data, 17, calc_crc32c(memoryview(data)[21:]))
    return bytes(data)


def known() -> Beginnings[str]:
    return Beginnings(SOURCE.encode(), {OPENED.encode(): "opened", BOOKED.encode(): "booked"})


def test_events_are_told_by_type_id_key_and_body_across_batches() -> None:
    data = batch(10, [body(1, OPENED), body(2, BOOKED), body(3, OTHER)]) + batch(
        13, [body(4, BOOKED, key="账1".encode())]
    )
    page = Page(PLACE, data, 10, 99)
    events, strangers = page.events(known())
    assert [event[:4] for event in events] == [
        ("opened", id_of(1), "a1", b'{"number":1}'),
        ("booked", id_of(2), "a1", b'{"number":2}'),
        (None, id_of(3), "a1", b'{"number":3}'),
        ("booked", id_of(4), "账1", b'{"number":4}'),
    ]
    assert (strangers, page.next) == (0, 14)


def test_a_record_can_be_had_whole_from_its_place() -> None:
    page = Page(PLACE, batch(10, [body(1, OPENED)]) + batch(40, [body(2, BOOKED), body(3, BOOKED)]), 10, 99)
    events, _ = page.events(known())
    record = page.record_at(events[2][4])
    assert (record.topic, record.partition, record.offset, record.timestamp) == ("ledger.events", 2, 41, TIME_MS)
    assert (record.key, record.value) == (b"a1", b'{"number":3}')
    assert dict(record.headers)["ce_correlationid"] == b"a1"
    assert dict(record.headers)["traceparent"] == TRACE


def test_bodies_of_any_length_are_whole() -> None:
    values = [b"", b"x" * 63, b"x" * 64, b"x" * 8191, b"x" * 8192, b"x" * 300_000]
    data = b"".join(batch(number, [body(number, BOOKED, value=value)]) for number, value in enumerate(values))
    events, _ = Page(PLACE, data, 0, 99).events(known())
    assert [event[3] for event in events] == values


def test_hundreds_of_records_of_one_batch_are_found() -> None:
    events, _ = Page(PLACE, batch(0, [body(number, BOOKED) for number in range(700)]), 0, 700).events(known())
    assert [event[1] for event in events] == [id_of(number) for number in range(700)]


def test_records_before_the_first_wanted_and_from_the_end_on_are_left_out() -> None:
    data = batch(10, [body(number, BOOKED) for number in range(3)]) + batch(13, [body(3, BOOKED), body(4, BOOKED)])
    page = Page(PLACE, data + batch(15, [body(5, BOOKED)]), 11, 14)
    events, strangers = page.events(known())
    assert [event[1] for event in events] == [id_of(1), id_of(2), id_of(3)]
    assert (strangers, page.next) == (0, 14)


def test_events_of_others_and_records_without_an_id_are_strangers() -> None:
    foreign = body_of(b"a1", b"{}", [("ce_source", b"//bank/exim"), ("ce_type", OPENED.encode()), ("ce_id", b"1")])
    bare = body_of(None, None, [])
    events, strangers = Page(PLACE, batch(0, [foreign, body(1, OPENED), bare, foreign]), 0, 9).events(known())
    assert [event[1] for event in events] == [id_of(1)]
    assert strangers == 3


def test_headers_in_another_order_are_read_all_the_same() -> None:
    other = body_of(
        b"a1", b"{}", [("ce_id", b"id-first"), ("ce_source", SOURCE.encode()), ("ce_type", BOOKED.encode())]
    )
    late = body_of(b"a1", b"{}", [("ce_type", OPENED.encode()), ("ce_source", SOURCE.encode()), ("ce_id", b"id-last")])
    events, strangers = Page(PLACE, batch(0, [other, body(1, OPENED), late, other]), 0, 9).events(known())
    assert [event[:2] for event in events] == [
        ("booked", "id-first"), ("opened", id_of(1)), ("opened", "id-last"), ("booked", "id-first"),
    ]  # fmt: skip
    assert strangers == 0


def test_ids_of_another_length_are_not_cut() -> None:
    def with_id(text: bytes) -> bytes:
        return body_of(b"a1", b"{}", [("ce_source", SOURCE.encode()), ("ce_type", BOOKED.encode()), ("ce_id", text)])

    events, _ = Page(PLACE, batch(0, [with_id(b"short"), with_id(b"rather longer"), with_id(b"short")]), 0, 9).events(
        known()
    )
    assert [event[1] for event in events] == ["short", "rather longer", "short"]


def test_what_a_fetch_cut_off_is_left_to_the_next() -> None:
    data = batch(0, [body(1, OPENED)]) + batch(1, [body(2, BOOKED)])[:-1]
    page = Page(PLACE, data, 0, 9)
    assert len(page.events(known())[0]) == 1
    assert page.next == 1


@pytest.mark.parametrize("attributes", [0x01, 0x04, 0x10, 0x20], ids=["gzip", "zstd", "transaction", "mark"])
def test_what_is_compressed_or_of_a_transaction_is_left_to_the_client(attributes: int) -> None:
    with pytest.raises(Unusual):
        Page(PLACE, batch(0, [body(1, OPENED)], attributes=attributes), 0, 9)


def test_damage_on_the_way_is_noticed() -> None:
    data = bytearray(batch(0, [body(1, OPENED)]))
    data[-3] ^= 1
    with pytest.raises(CorruptRecordException, match=r"ledger\.events\[2\]@0"):
        Page(PLACE, bytes(data), 0, 9)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_records_are_taken_so_many_at_a_time_and_the_position_follows(most: int) -> None:
    data = batch(10, [body(number, BOOKED) for number in range(5)]) + batch(40, [body(5, BOOKED), body(6, BOOKED)])
    page = Page(PLACE, data, 12)
    found, positions = [], []
    while not page.empty:
        taken = page.take(most)
        assert len(taken) <= most
        found += taken
        positions.append(page.next_fetch_offset)
    assert [page.offset_at(one[0]) for one in found] == [12, 13, 14, 40, 41]
    assert [page.record_at(one[0]).offset for one in found] == [12, 13, 14, 40, 41]
    assert positions == sorted(positions)
    assert positions[-1] == page.next == 42


def test_a_page_whose_records_are_all_before_the_first_wanted_moves_the_position_and_gives_nothing() -> None:
    page = Page(PLACE, batch(10, [body(1, OPENED), body(2, BOOKED)]), 12)
    assert (page.take(10), page.empty, page.next_fetch_offset) == ([], True, 12)


def test_a_header_whose_name_is_no_text_does_not_stop_the_reader() -> None:
    raw = body_of(b"a1", b"{}", [("name", b"value"), ("none", b"")]).replace(b"name", b"\xff\xfe\xfd\xfc")
    ((place, *_),) = (page := Page(PLACE, batch(0, [raw]), 0)).take(1)
    assert page.record_at(place).headers == [("\ufffd" * 4, b"value"), ("none", b"")]
