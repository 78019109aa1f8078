"""Events recognised by what their headers look like, without taking each record's headers apart.

Publishers write the same headers in the same order, event after event; only some values differ. The first record of a
shape goes through the codec, which says whether its envelope is in every way as it should be. What follows in the same
shape has, byte for byte, the same specversion, source, type and content type under headers of the same names, so that
only the values that may differ are left to be looked at. Everything else, sound or not, is left to the codec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any, Final

from schemas.codec import ATTRIBUTE_LIMIT, read_text, read_time, read_trace, usual_envelope
from schemas.envelope import EVENT_LIMIT, Event, Payload
from schemas.upcasting import reader_of
from services.kit.ids import Moment
from services.kit.record_batch import bytes_at, headers_at, number_at

_ALIKE: Final = frozenset({b"ce_specversion", b"ce_source", b"ce_type", b"content-type"})
"""Headers whose values are the same in all events of a shape."""

_MOST_SHAPES: Final = 500
_MOST_MOMENTS: Final = 4096


class Moments(dict[bytes, Moment | None]):
    """Times by their text, None for what is no time: publishers send many events of the same second."""

    def __missing__(self, text: bytes) -> Moment | None:
        time = read_time(text)
        if len(self) >= _MOST_MOMENTS:
            self.clear()
        found = self[text] = None if time is None else Moment.of(time)
        return found


class Shape:
    """Headers of one length, with values that may differ at the same places: `unpack` gives what is alike and what
    may differ in turn, `alike` is what the former have to be."""

    __slots__ = (
        "_causation", "_correlation", "_id", "_kind", "_moments", "_read", "_source", "_subject", "_time", "_trace",
        "alike", "size", "unpack",
    )  # fmt: skip

    def __init__(
        self,
        size: int,
        unpack: Callable[[bytes, int], tuple[bytes, ...]],
        alike: tuple[bytes, ...],
        places: Mapping[bytes, int],
        envelope: Event[Any],
        read: Callable[[bytes], Payload],
        moments: Moments,
    ) -> None:
        self.size = size
        self.unpack = unpack
        self.alike = alike
        self._id, self._subject, self._time = places[b"ce_id"], places[b"ce_subject"], places[b"ce_time"]
        # At 0 stands what is alike, so 0 means that there is none.
        self._correlation = places.get(b"ce_correlationid", 0)
        self._causation = places.get(b"ce_causationid", 0)
        self._trace = places.get(b"traceparent") or places.get(b"ce_traceparent", 0)
        self._source = envelope.source
        self._kind = envelope.type
        self._read = read
        self._moments = moments

    def event(
        self, fields: tuple[bytes, ...], key: bytes | None, value: bytes | None
    ) -> tuple[Event[Any], Moment] | None:
        """The event of a record whose headers were recognised, with its time; None where it is left to the codec."""
        if fields[self._subject] != key or not value or len(value) > EVENT_LIMIT:
            return None
        # Most bodies escape nothing, and a single character is found sooner.
        if b"\\" in value and b"\\u0000" in value:
            return None
        moment = self._moments[fields[self._time]]
        try:
            id, subject = fields[self._id].decode(), key.decode()
            data = self._read(value)
        except ValueError:
            return None
        if moment is None or not id.isprintable() or not subject.isprintable():
            return None
        event: Event[Any] = Event(id, self._source, self._kind, moment.time, subject, data)
        if self._correlation:
            event.correlation_id = read_text(fields[self._correlation])
        if self._causation:
            event.causation_id = read_text(fields[self._causation])
        if self._trace:
            event.traceparent = read_trace(fields[self._trace])
        return event, moment


class Shapes:
    """The shapes that were met on one topic, by the length of their headers."""

    def __init__(self, known: Mapping[str, type[Payload]], accepts: Callable[[str], bool]) -> None:
        self._known = known
        self._accepts = accepts
        self._by_size: dict[int, list[Shape]] = {}
        self._number = 0
        self._moments = Moments()

    def find(self, data: bytes, begin: int, end: int, key: bytes | None, value: bytes | None) -> Shape | None:
        """The shape of the headers between two places; None where the record is left to the codec."""
        for shape in self._by_size.get(end - begin, ()):
            if shape.unpack(data, begin)[::2] == shape.alike:
                return shape
        return self._learn(data, begin, end, key, value)

    def _learn(self, data: bytes, begin: int, end: int, key: bytes | None, value: bytes | None) -> Shape | None:
        envelope = usual_envelope(key, value, headers_at(data, begin))
        if envelope is None or envelope.type not in self._known or not self._accepts(envelope.source):
            return None
        form, places = _layout(data, begin, end)
        unpack = Struct(form).unpack_from
        fields = unpack(data, begin)
        # What is no longer in bytes is no longer in characters, so it need not be looked at again.
        if any(len(fields[places[name]]) > ATTRIBUTE_LIMIT for name in (b"ce_id", b"ce_subject")):
            return None
        read = reader_of(self._known[envelope.type])
        shape = Shape(end - begin, unpack, fields[::2], places, envelope, read, self._moments)
        if self._number >= _MOST_SHAPES:
            self._by_size.clear()
            self._number = 0
        self._by_size.setdefault(shape.size, []).append(shape)
        self._number += 1
        return shape


def _layout(data: bytes, begin: int, end: int) -> tuple[str, dict[bytes, int]]:
    """How to unpack headers between two places: what is alike and what may differ in turn; and the places of the
    latter in that by their names."""
    form, since = "", begin
    places: dict[bytes, int] = {}
    number, at = number_at(data, begin)
    for _ in range(number):
        name, at = bytes_at(data, at)
        length, at = number_at(data, at)
        if length > 0 and name is not None and name not in _ALIKE:
            form += f"{at - since}s{length}s"
            places[name] = 2 * len(places) + 1
            since = at + length
        at += max(length, 0)
    return f"{form}{end - since}s", places
