"""Records of a topic → events that a program can react to, and what is left out, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from zlib import crc32

from pydantic import RootModel
from pydantic_core import from_json

from schemas.codec import DecodeError, Headers, PayloadError, decode
from schemas.envelope import Event, Payload
from services.client.place import Ident


@dataclass(frozen=True, slots=True)
class Unknown:
    """The data of an event whose type or version this program does not know: the type and the parsed JSON."""

    type: str
    body: Any


@dataclass(frozen=True, slots=True)
class Received:
    """One event and where it stands. `event.data` is a payload object of the newest version, or `Unknown`."""

    topic: str
    partition: int
    offset: int
    event: Event[Any]
    value: bytes
    headers: list[tuple[str, bytes]]

    @property
    def ident(self) -> Ident:
        """Source and id: repeats have the same."""
        return self.event.source, self.event.id


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that is no event, or an event with other content than was seen under its id (`id-reused`).

    `code` is stable, `text` for people.
    """

    topic: str
    partition: int
    offset: int
    code: str
    text: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def sort_out(records: Iterable[Any]) -> tuple[list[tuple[Received, int]], list[Skipped]]:
    """Events, each with the digest of key and payload, and the records that are no events."""
    events: list[tuple[Received, int]] = []
    skipped: list[Skipped] = []
    for record in records:
        key, value, headers = record.key, record.value, record.headers
        place = (record.topic, record.partition, record.offset)
        try:
            event = _decoded(key, value, headers)
        except DecodeError as error:
            skipped.append(Skipped(*place, error.code, error.text, key, value, headers))
        except PayloadError as error:
            skipped.append(Skipped(*place, "schema", str(error), key, value, headers))
        else:
            events.append((Received(*place, event, value, headers), crc32(value, crc32(key)) | len(value) << 32))
    return events, skipped


def reused(one: Received) -> Skipped:
    """An event that can't be told from an earlier one, but has other content."""
    text = f"id {one.event.id} of {one.event.source} was read before with other content; its publisher has to change it"
    key = one.event.subject.encode()
    return Skipped(one.topic, one.partition, one.offset, "id-reused", text, key, one.value, one.headers)


class _Anything(RootModel[Any]):
    """Any JSON: the body of an event whose type is not known here."""


def _decoded(key: bytes | None, value: bytes | None, headers: Headers) -> Event[Any]:
    try:
        return decode(key, value, headers)
    except DecodeError as error:
        if error.code != "unknown-type" or value is None:
            raise
    # The type could be read, or it would not be called unknown.
    header = dict(headers).get("ce_type")
    kind = header.decode() if header is not None else str(from_json(value)["type"])
    event = decode(key, value, headers, {kind: cast("type[Payload]", _Anything)}, as_written=True)
    event.data = Unknown(kind, event.data.root)
    return event
