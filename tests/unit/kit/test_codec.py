"""Whatever arrives becomes an event or a reason why not; nothing else ever leaves `decode`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from schemas import codec
from schemas.codec import DecodeError, PayloadError, decode, to_binary, to_structured
from schemas.envelope import EVENT_LIMIT, Event
from tests.support.ledger import AccountRequested, EntryMade

TIME = "2026-03-23T09:30:00+08:00"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
KNOWN = {EntryMade.TYPE: EntryMade, AccountRequested.TYPE: AccountRequested}
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "1",
    "source": "//bank/exim-nmg",
    "type": EntryMade.TYPE,
    "time": TIME,
    "subject": "a1",
}


def binary(body: bytes = b'{"amount": 5}', key: bytes | None = b"a1", **changed: bytes | None) -> Event[Any]:
    """Decode a record in binary mode with some headers replaced, or taken out by None."""
    headers: dict[str, bytes | None] = {f"ce_{name}": text.encode() for name, text in ATTRIBUTES.items()}
    headers |= {"content-type": b"application/json"} | changed
    return decode(key, body, [(name, value) for name, value in headers.items() if value is not None], KNOWN)


def structured(key: bytes | None = b"a1", **changed: Any) -> Event[Any]:
    """Decode a record in structured mode with some attributes replaced, or taken out by `...`."""
    event = {**ATTRIBUTES, "data": {"amount": 5}} | changed
    value = json.dumps({name: each for name, each in event.items() if each is not ...}).encode()
    return decode(key, value, [("content-type", b"application/cloudevents+json; charset=utf-8")], KNOWN)


def test_binary_and_structured_mode_give_the_same_event() -> None:
    extensions = {"ce_correlationid": b"case", "ce_causationid": b"cause", "traceparent": TRACE.encode()}
    one = binary(**extensions)
    other = structured(correlationid="case", causationid="cause", traceparent=TRACE)

    for name in Event.__slots__:
        assert getattr(one, name) == getattr(other, name), name
    assert (one.time, one.data, one.traceparent) == (datetime.fromisoformat(TIME), EntryMade(amount=5), TRACE)


def test_what_goes_out_comes_in_again_in_both_modes() -> None:
    event = Event(
        "1", "//bank/a", EntryMade.TYPE, datetime.fromisoformat(TIME), "满洲里", EntryMade(amount=5), "c", "d"
    )
    key, value, headers = to_binary(event)
    again = decode(key, value, headers, KNOWN)
    text = json.dumps(to_structured(event)).encode()
    once_more = decode(key, text, [("content-type", b"application/cloudevents+json")], KNOWN)

    assert to_binary(again) == to_binary(once_more) == (key, value, headers)


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("empty-value", {"body": b""}),
        ("too-large", {"body": b'{"amount": 5, "x": "' + b"x" * EVENT_LIMIT + b'"}'}),
        ("undecodable", {"body": b"\xff\xfe"}),
        ("undecodable", {"body": b'{"amount": 5'}),
        ("undecodable", {"body": b'{"amount": 5, "x": "\\ud800"}'}),
        ("nul-character", {"body": b'{"amount": 5, "x": "\\u0000"}'}),
        ("nul-character", {"body": b'{"amount": 5, "\\u0000": 1}'}),
        ("missing-attribute", {"ce_id": None}),
        ("missing-attribute", {"ce_subject": None}),
        ("missing-attribute", {"ce_source": b"\xff"}),
        ("bad-attribute", {"ce_id": b"with\0nul"}),
        ("bad-attribute", {"ce_id": b"x" * 257}),
        ("bad-attribute", {"ce_id": b""}),
        ("bad-attribute", {"ce_source": b"//bank/\x7f"}),
        ("bad-attribute", {"ce_subject": b"a\n1", "key": b"a\n1"}),
        ("unsupported-version", {"ce_specversion": b"0.3"}),
        ("bad-time", {"ce_time": b"yesterday"}),
        ("bad-time", {"ce_time": b"2026-03-23T09:30:00"}),
        ("bad-time", {"ce_time": b"1999-12-31T00:00:00Z"}),
        ("unknown-type", {"ce_type": b"ledger.miracle_made.v1"}),
        ("key-mismatch", {"key": b"a2"}),
        ("key-mismatch", {"key": None}),
    ],
)
def test_what_is_no_event_says_why_in_binary_mode(code: str, changed: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as caught:
        binary(**changed)

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("missing-attribute", {"id": ...}),
        ("missing-attribute", {"data": ...}),
        ("missing-attribute", {"time": 5}),
        ("bad-attribute", {"id": ""}),
        ("bad-attribute", {"source": "x" * 257}),
        ("unsupported-version", {"specversion": "0.3"}),
        ("bad-time", {"time": "2026-03-23"}),
        ("nul-character", {"id": "with\0nul"}),
        ("unknown-type", {"type": "ledger.miracle_made.v1"}),
        ("key-mismatch", {"key": b"a2"}),
        ("key-mismatch", {"key": None}),
        ("too-large", {"data": {"amount": 5, "x": "x" * 2 * EVENT_LIMIT}}),
    ],
)
def test_what_is_no_event_says_why_in_structured_mode(code: str, changed: dict[str, Any]) -> None:
    with pytest.raises(DecodeError) as caught:
        structured(**changed)

    assert caught.value.code == code


@pytest.mark.parametrize("key", [None, b"a2"])
def test_a_body_that_breaks_its_schema_is_not_told_of_under_a_key_that_is_not_the_records(key: bytes | None) -> None:
    with pytest.raises(DecodeError) as caught:
        structured(key, data={"amount": "much"})

    assert caught.value.code == "key-mismatch"


@pytest.mark.parametrize("value", [b"[]", b"5", b"null", b"\xff", b"{"])
def test_a_structured_value_that_is_no_object_is_undecodable(value: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(b"a1", value, [("content-type", b"application/cloudevents+json")], KNOWN)

    assert caught.value.code == "undecodable"


def test_a_header_that_occurs_twice_is_refused_as_nobody_can_say_which_one_counts() -> None:
    headers = [(f"ce_{name}", text.encode()) for name, text in ATTRIBUTES.items()]

    with pytest.raises(DecodeError) as caught:
        decode(b"a1", b'{"amount": 5}', [*headers, ("ce_id", b"2")], KNOWN)
    assert caught.value.code == "repeated-header"


def test_source_and_id_are_told_where_they_can_be_trusted_so_that_a_repeat_is_recognised() -> None:
    with pytest.raises(DecodeError) as known:
        binary(ce_type=b"ledger.miracle_made.v1")
    with pytest.raises(DecodeError) as not_known:
        binary(ce_id=b"with\0nul")

    assert (known.value.source, known.value.id) == ("//bank/exim-nmg", "1")
    assert (not_known.value.source, not_known.value.id) == (None, None)


def test_a_body_that_breaks_its_schema_keeps_its_envelope_and_names_all_faults() -> None:
    with pytest.raises(PayloadError) as caught:
        binary(b'{"amount": "much", "letter": []}')

    assert caught.value.event.id == "1"
    assert {fault.pointer for fault in caught.value.faults} == {"/amount", "/letter"}


def test_a_trace_of_another_form_counts_as_none() -> None:
    assert binary(traceparent=b"01-rubbish").traceparent is None


def test_fields_that_a_newer_publisher_added_are_ignored() -> None:
    assert binary(b'{"amount": 5, "currency": "CNY"}').data == EntryMade(amount=5)


def test_an_event_larger_than_the_limit_does_not_go_out() -> None:
    body = AccountRequested.model_construct(name="x" * EVENT_LIMIT, close_at=None)

    with pytest.raises(ValueError, match="the limit of an event"):
        to_binary(Event("1", "//bank/a", AccountRequested.TYPE, datetime.fromisoformat(TIME), "a1", body))


HEADERS = some.lists(
    some.tuples(some.sampled_from([*(f"ce_{name}" for name in ATTRIBUTES), "content-type", "other"]), some.binary()),
    max_size=8,
)

on_a_busy_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@on_a_busy_machine
@given(some.none() | some.binary(), some.none() | some.binary(), HEADERS)
def test_no_bytes_whatever_raise_anything_but_the_two_errors(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    with pytest.raises((DecodeError, PayloadError)):
        decode(key, value, headers, KNOWN)


JSON_VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=8,
)


@on_a_busy_machine
@given(some.dictionaries(some.sampled_from([*ATTRIBUTES, "data", "correlationid"]), JSON_VALUES))
def test_no_json_object_raises_anything_but_the_two_errors(event: dict[str, Any]) -> None:
    with pytest.raises((DecodeError, PayloadError)):
        decode(b"a1", json.dumps(event).encode(), [("content-type", b"application/cloudevents+json")], KNOWN)


def mostly(*usual: bytes) -> some.SearchStrategy[bytes]:
    """Values as they should be, now and then anything else."""
    return some.sampled_from(usual) | some.sampled_from(usual) | some.binary(max_size=300) | some.text().map(str.encode)


NEARLY_RIGHT = some.fixed_dictionaries(
    {
        "ce_specversion": mostly(b"1.0"),
        "ce_id": mostly(b"1", "编号".encode()),
        "ce_source": mostly(b"//bank/exim-nmg"),
        "ce_type": mostly(EntryMade.TYPE.encode()),
        "ce_time": mostly(TIME.encode(), b"2026-03-23T01:30:00Z", b"1999-12-31T23:59:59Z", b"2026-03-23T09:30:00"),
        "ce_subject": mostly(b"a1", "满洲里".encode()),
        "content-type": mostly(b"application/json", b"application/cloudevents+json"),
    },
    optional={
        "ce_correlationid": mostly(b"case", b""),
        "ce_causationid": mostly(b"cause"),
        "traceparent": mostly(TRACE.encode()),
        "ce_traceparent": mostly(TRACE.encode(), TRACE.upper().encode()),
        "other": some.binary(max_size=8),
    },
)


@settings(on_a_busy_machine, max_examples=300)
@given(NEARLY_RIGHT, some.booleans(), some.sampled_from([b'{"amount": 5}', b"", None]))
def test_the_short_way_gives_what_the_careful_way_gives_or_nothing(
    named: dict[str, bytes], keyed: bool, value: bytes | None
) -> None:
    key, headers = named["ce_subject"] if keyed else b"a1", list(named.items())
    short = codec.usual_envelope(key, value, headers)
    if short is not None:
        careful = codec._unusual(key, value, headers)
        assert careful is not None
        assert [getattr(short, name) for name in Event.__slots__] == [
            getattr(careful, name) for name in Event.__slots__
        ]


def test_the_short_way_is_taken_by_what_is_as_it_should_be() -> None:
    headers = [(f"ce_{name}", text.encode()) for name, text in ATTRIBUTES.items()]
    headers += [("content-type", b"application/json"), ("traceparent", TRACE.encode())]
    assert codec.usual_envelope(b"a1", b"{}", headers) is not None
