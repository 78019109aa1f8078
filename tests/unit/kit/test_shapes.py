"""Events recognised by what their headers look like are read as the codec reads them, and all else is left to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from schemas.envelope import Event
from services.kit.pages import Page
from services.kit.reading import Item, Reader, Wanted
from services.kit.record_batch import Ready, RecordBatch, body_of
from services.kit.records import StoredRecord
from services.kit.shapes import Shapes
from services.kit.wiring import Inlet
from tests.support.ledger import PARTITIONS, AccountOpened, EntryMade
from tests.unit.kit.builders import Desk

TIME = b"2026-03-23T09:30:00+08:00"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PLACE = TopicPartition("ledger.entries", 3)
BODY = b'{"amount": 5}'

Headers = dict[str, bytes | None]
Record = tuple[bytes | None, bytes | None, Headers]


def headers(**changed: bytes) -> Headers:
    """Headers as they should be, some of them changed."""
    usual: Headers = {
        "ce_specversion": b"1.0",
        "ce_id": b"e-1",
        "ce_source": b"//bank/exim-nmg",
        "ce_type": EntryMade.TYPE.encode(),
        "ce_time": TIME,
        "ce_subject": b"a1",
        "content-type": b"application/json",
    }
    return {**usual, **changed}


def page(records: Sequence[Record]) -> Page:
    batch = RecordBatch()
    for key, value, named in records:
        assert batch.append(body_of(key, value, named.items()))  # type: ignore[arg-type]
    ready = Ready(batch.build(0))
    ready._set_producer_state(-1, -1, -1)
    return Page(PLACE, bytes(ready._build()), 0)


def both_ways(records: Sequence[Record]) -> tuple[tuple[list[Item], Wanted], tuple[list[Item], Wanted]]:
    """Items read from a page, and from whole records, each with the keys that are wanted."""
    desk, wanted, careful = Desk(), Wanted(), Wanted()
    made = page(records)
    items = Reader(desk.wiring, desk.tasks).read_page(made, made.take(len(records)), wanted)
    whole = [
        StoredRecord(*PLACE, number, 0, key, value, list(named.items()))  # type: ignore[arg-type]
        for number, (key, value, named) in enumerate(records)
    ]
    return (items, wanted), (Reader(desk.wiring, desk.tasks).read(*PLACE, whole, careful), careful)


def told(item: Item) -> tuple[Any, ...]:
    """All that matters of an item."""
    event = item.event
    said = None
    if event is not None:
        # Faults compare by what they say; so do bodies.
        said = [getattr(event, name) for name in Event.__slots__ if name != "data"] + [repr(event.data)]
    flags = (item.special, item.error, item.misplaced, item.known, item.decide, item.digest, item.origin)
    return said, flags, item.inlet is not None, item.record


def mostly(*usual: bytes) -> some.SearchStrategy[bytes]:
    """Values as they should be, now and then anything else."""
    return some.sampled_from(usual) | some.sampled_from(usual) | some.binary(max_size=40) | some.text().map(str.encode)


KEYS = mostly(b"a1", b"a2", b"account-3", "满洲里".encode())
HEADERS = some.fixed_dictionaries(
    {
        "ce_specversion": mostly(b"1.0"),
        "ce_id": mostly(b"1", b"2", "编号".encode(), b"x" * 257),
        "ce_source": mostly(b"//bank/exim-nmg", b"//bank/exim-hlj", b"//commerce/heihe"),
        "ce_type": mostly(EntryMade.TYPE.encode(), AccountOpened.TYPE.encode()),
        "ce_time": mostly(TIME, b"2026-03-23T01:30:00Z", b"1999-12-31T23:59:59Z", b"2026-03-23T09:30:00"),
        "ce_subject": KEYS,
        "content-type": mostly(b"application/json"),
    },
    optional={
        "ce_correlationid": mostly(b"case", b"other") | some.none(),
        "ce_causationid": mostly(b"cause", b"because"),
        "traceparent": mostly(TRACE, TRACE.upper(), b""),
        "ce_traceparent": mostly(TRACE),
        "other": some.binary(max_size=8) | some.none(),
    },
)
VALUES = some.sampled_from(
    [
        BODY,
        BODY,
        BODY,
        b'{"amount": 6, "more": 1}',
        b'{"amount": "much"}',
        b"",
        None,
        b"[",
        b'{"amount": 5, "a": "\\u0000"}',
    ]
)


@some.composite
def records(draw: some.DrawFn) -> list[Record]:
    """Records of a few shapes, each of which comes several times with other values."""
    found = []
    for _ in range(draw(some.integers(1, 12))):
        named = draw(HEADERS) if not found or draw(some.booleans()) else dict(draw(some.sampled_from(found))[2])
        if draw(some.booleans()):
            named["ce_id"] = draw(some.sampled_from([b"1", b"2", b"3", b"\x00", b"\xff"]))
        subject = named["ce_subject"]
        found.append((draw(some.sampled_from([subject, subject, subject, b"a1", None])), draw(VALUES), named))
    return found


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=400)
@given(records())
def test_whatever_stands_on_a_page_is_read_as_from_whole_records(given_records: list[Record]) -> None:
    (items, wanted), (whole, careful) = both_ways(given_records)

    assert [told(item) for item in items] == [told(item) for item in whole]
    assert wanted == careful


def find(shapes: Shapes, named: Headers, key: bytes = b"a1") -> object:
    made = page([(key, BODY, named)])
    ((_, found_key, value, begin, end),) = made.take(1)
    return shapes.find(made.data, begin, end, found_key, value)


def inlet() -> Inlet:
    return Desk().wiring.inlets["ledger.entries"]


def test_events_that_differ_in_id_time_and_subject_alone_are_of_one_shape() -> None:
    shapes = Shapes(inlet().known, inlet().topic.accepts_source)
    first = find(shapes, headers())

    assert first is not None
    other = headers(ce_id=b"e-2", ce_time=b"2027-01-01T00:00:00+00:00", ce_subject=b"a2")
    assert find(shapes, other, b"a2") is first
    assert find(shapes, headers(ce_source=b"//bank/exim-hlj")) is not first
    assert find(shapes, headers(ce_id=b"e-100")) is not first


def test_a_source_that_may_not_write_the_topic_has_no_shape() -> None:
    shapes = Shapes(inlet().known, inlet().topic.accepts_source)

    assert find(shapes, headers(ce_source=b"//commerce/heihe")) is None
    assert find(shapes, headers(ce_type=b"ledger.miracle_made.v1")) is None


def test_shapes_are_forgotten_before_they_are_too_many() -> None:
    shapes = Shapes(inlet().known, inlet().topic.accepts_source)
    for number in range(1200):
        assert find(shapes, headers(ce_source=f"//bank/{number:04}".encode())) is not None

    assert sum(map(len, shapes._by_size.values())) <= 500


def test_a_key_in_its_place_is_wanted_and_one_elsewhere_is_sent_on() -> None:
    keys = [f"k-{number}".encode() for number in range(40)]
    (items, wanted), _ = both_ways([(key, BODY, headers(ce_subject=key, ce_id=key)) for key in keys])

    misplaced = {item.event.subject for item in items if item.misplaced and item.event}
    assert 0 < len(misplaced) < len(keys)
    assert set(wanted["account"]) == {key.decode() for key in keys} - misplaced
    assert PARTITIONS > 1
