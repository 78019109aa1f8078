"""Older versions of a type are read as its newest, written as they are, and shown as they came."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.codec import DecodeError, PayloadError, decode, decode_structured, to_binary, to_structured
from schemas.envelope import Event, Payload
from schemas.upcasting import newest, reader_of, upcast, upcaster
from tests.support.ledger import ClerkNamed, ClerkNamedV1, EntryMade

NOON = datetime.fromisoformat("2026-03-23T12:00:00+08:00")
OLD: Event[Any] = Event("1", "//bank/exim-nmg", ClerkNamedV1.TYPE, NOON, "c1", ClerkNamedV1(name="Ana"))
STRUCTURED = [("content-type", b"application/cloudevents+json")]


class Shelf(Payload):
    TYPE = "library.shelf_moved.v3"
    boxes: tuple[str, ...]


class ShelfV2(Payload):
    TYPE = "library.shelf_moved.v2"
    box: str


class ShelfV1(Payload):
    TYPE = "library.shelf_moved.v1"
    number: int


@upcaster(ShelfV1, ShelfV2)
def _to_v2(old: ShelfV1) -> ShelfV2:
    return ShelfV2(box=f"box {old.number}")


@upcaster(ShelfV2, Shelf)
def _to_v3(old: ShelfV2) -> Shelf:
    return Shelf(boxes=(old.box,))


def test_an_older_version_is_read_as_the_newest_and_keeps_the_type_it_came_with() -> None:
    event = decode(*to_binary(OLD))
    assert event.data == ClerkNamed(called="Ana")
    assert event.type == ClerkNamedV1.TYPE


def test_in_structured_mode_too() -> None:
    value = json.dumps(to_structured(OLD)).encode()
    assert decode(b"c1", value, STRUCTURED).data == ClerkNamed(called="Ana")
    assert decode_structured(value).data == ClerkNamed(called="Ana")


def test_who_passes_an_event_on_gets_it_as_it_was_written() -> None:
    value = json.dumps(to_structured(OLD)).encode()
    for event in (
        decode(*to_binary(OLD), as_written=True),
        decode(b"c1", value, STRUCTURED, as_written=True),
        decode_structured(value, closed=True),
    ):
        assert event.data == OLD.data
        assert to_binary(event) == to_binary(OLD)


def test_what_was_read_as_newer_is_not_written_under_its_old_type() -> None:
    event = decode(*to_binary(OLD))
    for write in (to_binary, to_structured):
        with pytest.raises(ValueError, match=r"1 of type ledger\.clerk_named\.v1 has a payload of .*v2"):
            write(event)


def test_faults_of_an_older_version_are_those_of_its_own_schema() -> None:
    key, _, headers = to_binary(OLD)
    with pytest.raises(PayloadError) as caught:
        decode(key, b'{"called": "Ana"}', headers)
    assert [(fault.code, fault.pointer) for fault in caught.value.faults] == [("missing", "/name")]


def test_a_version_that_is_not_expected_in_a_place_is_not_known_there() -> None:
    with pytest.raises(DecodeError, match="may stand here"):
        decode(*to_binary(OLD), {ClerkNamed.TYPE: ClerkNamed})


def test_several_versions_are_climbed_one_after_the_other() -> None:
    assert newest(ShelfV1) is newest(ShelfV2) is newest(Shelf) is Shelf
    assert upcast(ShelfV1(number=7)) == Shelf(boxes=("box 7",))
    assert reader_of(ShelfV1)(b'{"number": 7}') == Shelf(boxes=("box 7",))


def test_the_newest_version_is_read_as_it_is() -> None:
    made = EntryMade(amount=5)
    assert upcast(made) is made
    assert reader_of(EntryMade)(b'{"amount": 5}') == made
    with pytest.raises(ValidationError):
        reader_of(EntryMade)(b'{"amount": "much"}')


def test_a_step_over_a_version_or_to_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match=r"shelf_moved\.v3 is not the version after library\.shelf_moved\.v1"):
        upcaster(ShelfV1, Shelf)
    with pytest.raises(TypeError, match=r"clerk_named\.v2 is not the version after"):
        upcaster(ShelfV1, ClerkNamed)
