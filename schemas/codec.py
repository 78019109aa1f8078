"""Bytes ↔ event: CloudEvents 1.0 on Kafka, binary mode out, binary and structured mode in.

Everything that arrives is hostile until it went through `decode`. What can't be an event raises `DecodeError`; an event
of a known type whose body breaks its schema raises `PayloadError`, which still carries the envelope, so that the
publisher can be told all faults at once. An older version of a type is given as its newest (see `upcasting`), except to
who asks for it as it was written; the event's `type` stays the one it came with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from schemas.envelope import EVENT_LIMIT, Event, Payload, payload_class
from schemas.faults import Fault, faults_of
from schemas.upcasting import STEPS, upcast

Headers = Sequence[tuple[str, bytes]]

STRUCTURED = "application/cloudevents+json"
JSON = b"application/json"
_ATTRIBUTES = ("specversion", "id", "source", "type", "time", "subject")
_REQUIRED = tuple(f"ce_{name}" for name in _ATTRIBUTES)
ATTRIBUTE_LIMIT = 256
"""The longest id, source or subject, in characters."""

_ATTRIBUTE_RULE = f"{{name}} must be 1 to {ATTRIBUTE_LIMIT} printable characters without control characters"


class DecodeError(Exception):
    """A record that is not an event of ours.

    `code` is stable, the text is for people; `source` and `id` are set where they could be read.
    """

    def __init__(self, code: str, text: str, source: str | None = None, id: str | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.source = source
        self.id = id


class PayloadError(Exception):
    """A well-formed envelope of a known type whose body breaks the schema: `body` as parsed, `faults` all of them."""

    def __init__(self, event: Event[None], body: Any, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.en}" for fault in faults[:5]))
        self.event = event
        self.body = body
        self.faults = faults


def decode(
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    known: Mapping[str, type[Payload]] | None = None,
    *,
    as_written: bool = False,
) -> Event[Any]:
    """The event that a Kafka record carries.

    `known` maps the event types that are expected to their payload classes; without it, all registered types are.
    `as_written` leaves the payload in the version that was written, as who passes it on or shows it needs it.

    Raises:
        DecodeError: the record is no event, or of a type that is not known.
        PayloadError: the body breaks the schema of its type.
    """
    event = usual_envelope(key, value, headers)
    if event is None:
        event = _unusual(key, value, headers)
        if event is None:
            return _decode_structured(key, value or b"", known, as_written)
    event.data = _body(event, value, known, as_written)  # type: ignore[arg-type]
    return event


def usual_envelope(key: bytes | None, value: bytes | None, headers: Headers) -> Event[Any] | None:
    """The envelope of a record in binary mode that is in every way as it should be, without data; None for any other.

    Kept apart because nearly all records are of this kind, and telling faults apart takes longer than reading.
    """
    try:
        named = dict(headers)
        subject = named["ce_subject"]
        id, source, kind = named["ce_id"].decode(), named["ce_source"].decode(), named["ce_type"].decode()
        moment = read_time(named["ce_time"])
        if (
            moment is None
            or subject != key
            or not value
            or named["content-type"] != JSON
            or named["ce_specversion"] != b"1.0"
            or len(value) > EVENT_LIMIT
            or len(named) != len(headers)
            or not 0 < len(id) <= ATTRIBUTE_LIMIT
            or not 0 < len(source) <= ATTRIBUTE_LIMIT
            or not id.isprintable()
            or not source.isprintable()
        ):
            return None
        text = subject.decode()
        if not 0 < len(text) <= ATTRIBUTE_LIMIT or not text.isprintable():
            return None
    except (KeyError, ValueError, AttributeError):
        return None
    event: Event[Any] = Event(id, source, kind, moment, text, None)
    # Besides the seven that must be there only these say something to us.
    if len(named) > 7:
        _add_optional(event, named)
    return event


def _add_optional(event: Event[Any], named: Mapping[str, bytes]) -> None:
    if "ce_correlationid" in named:
        event.correlation_id = read_text(named["ce_correlationid"])
    if "ce_causationid" in named:
        event.causation_id = read_text(named["ce_causationid"])
    trace = named.get("traceparent") or named.get("ce_traceparent")
    if trace is not None:
        event.traceparent = read_trace(trace)


def _unusual(key: bytes | None, value: bytes | None, headers: Headers) -> Event[Any] | None:
    """The envelope of any other record in binary mode, or what is wrong with it; None for structured mode."""
    if not value:
        raise DecodeError("empty-value", "the record has no value; an event has a JSON object as its value")
    named = dict(headers)
    content_type = named.get("content-type")
    if content_type is not None and content_type != JSON and content_type.startswith(b"application/cloudevents"):
        return None
    if len(value) > EVENT_LIMIT:
        raise _too_large(value, read_text(named.get("ce_source")), read_text(named.get("ce_id")))
    if len(named) != len(headers):
        raise DecodeError("repeated-header", "a header occurs more than once; send each CloudEvents header once")
    try:
        event = _envelope(
            named["ce_specversion"],
            named["ce_id"].decode(),
            named["ce_source"].decode(),
            named["ce_type"].decode(),
            named["ce_time"].decode(),
            named["ce_subject"].decode(),
        )
    except (KeyError, UnicodeDecodeError, AttributeError):
        raise _broken_headers(named) from None
    if key != named["ce_subject"]:
        raise DecodeError(
            "key-mismatch",
            f"the record's key is not its ce_subject {event.subject!r}; send the subject as key",
            event.source,
            event.id,
        )
    _add_optional(event, named)
    return event


def _decode_structured(
    key: bytes | None, value: bytes, known: Mapping[str, type[Payload]] | None, as_written: bool
) -> Event[Any]:
    try:
        event = decode_structured(value, known, as_written=as_written)
    except PayloadError as error:
        # A refusal would go out under the subject, which is somebody else's where the record has another key.
        _hold_to_key(key, error.event)
        raise
    _hold_to_key(key, event)
    return event


def _hold_to_key(key: bytes | None, event: Event[Any]) -> None:
    if key is None or key != event.subject.encode():
        raise DecodeError(
            "key-mismatch",
            f"the record's key is not its subject {event.subject!r}; send the subject as key",
            event.source,
            event.id,
        )


def decode_structured(
    value: bytes,
    known: Mapping[str, type[Payload]] | None = None,
    *,
    closed: bool = False,
    as_written: bool = False,
) -> Event[Any]:
    """The event written as one JSON object (structured mode); `known` and `as_written` as with `decode`.

    `closed` is the writer's view: it refuses fields that the schema does not know, and leaves the version as written.

    Raises:
        DecodeError: not a CloudEvent, or of a type that is not known.
        PayloadError: the body breaks the schema of its type.
    """
    if len(value) > EVENT_LIMIT * 2:
        raise _too_large(value, None, None)
    _refuse_nul(value, None, None)
    try:
        attributes = from_json(value)
    except ValueError as error:
        raise DecodeError("undecodable", f"the value is not JSON: {error}") from None
    if not isinstance(attributes, dict):
        raise DecodeError("undecodable", "the value is JSON, but not an object; a structured CloudEvent is one")
    missing = [name for name in _ATTRIBUTES if not isinstance(attributes.get(name), str)]
    if missing or "data" not in attributes:
        missing += [] if "data" in attributes else ["data"]
        raise DecodeError(
            "missing-attribute",
            f"missing or not text: {', '.join(missing)}; see the CloudEvents attributes in the contracts",
            _text_or_none(attributes.get("source")),
            _text_or_none(attributes.get("id")),
        )
    event = _envelope(
        attributes["specversion"].encode(),
        attributes["id"],
        attributes["source"],
        attributes["type"],
        attributes["time"],
        attributes["subject"],
    )
    event.correlation_id = _text_or_none(attributes.get("correlationid"))
    event.causation_id = _text_or_none(attributes.get("causationid"))
    trace = attributes.get("traceparent")
    event.traceparent = read_trace(trace.encode()) if isinstance(trace, str) else None
    cls = _class_of(event, known)
    try:
        payload = cls.model_validate(attributes["data"], extra="forbid" if closed else None)
    except ValidationError as error:
        raise PayloadError(event, attributes["data"], faults_of(error)) from None
    event.data = payload if closed or as_written else upcast(payload)
    return event


def to_binary(event: Event[Payload]) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of an event in CloudEvents binary mode, as they go onto a topic.

    Raises:
        ValueError: the payload is larger than the limit of an event, or not one of the event's type.
    """
    _same_type(event)
    # What `model_dump_json` does, without turning the bytes into text and back.
    value = event.data.__pydantic_serializer__.to_json(event.data, exclude_none=True)
    if len(value) > EVENT_LIMIT:
        raise ValueError(f"event {event.id} has {len(value)} bytes; the limit of an event is {EVENT_LIMIT}")
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        ("ce_type", event.type.encode()),
        ("ce_time", event.time.isoformat().encode()),
        ("ce_subject", event.subject.encode()),
        ("content-type", JSON),
    ]
    for name, text in (
        ("ce_correlationid", event.correlation_id),
        ("ce_causationid", event.causation_id),
        ("traceparent", event.traceparent),
    ):
        if text is not None:
            headers.append((name, text.encode()))
    return event.subject.encode(), value, headers


def to_structured(event: Event[Payload]) -> dict[str, Any]:
    """The event as one JSON object (structured mode), ready for `json.dumps`.

    Raises:
        ValueError: the payload is not one of the event's type.
    """
    _same_type(event)
    return {**attributes_of(event), "data": event.data.model_dump(mode="json", exclude_none=True)}


def attributes_of(event: Event[Any]) -> dict[str, str]:
    """All that structured mode says of an event beside its data; what the event does not have is left out."""
    attributes = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time.isoformat(),
        "subject": event.subject,
        "datacontenttype": "application/json",
        "correlationid": event.correlation_id,
        "causationid": event.causation_id,
        "traceparent": event.traceparent,
    }
    return {name: text for name, text in attributes.items() if text is not None}


def _same_type(event: Event[Payload]) -> None:
    """What was read as a newer version than it came in must not be written under the old one's name."""
    if event.type != event.data.TYPE:
        raise ValueError(f"event {event.id} of type {event.type} has a payload of {event.data.TYPE}")


def _envelope(version: bytes, id: str, source: str, kind: str, time: str, subject: str) -> Event[Any]:
    moment = read_time(time.encode("utf-8", "replace"))
    if (
        moment is not None
        and version == b"1.0"
        and 0 < len(id) <= ATTRIBUTE_LIMIT
        and 0 < len(source) <= ATTRIBUTE_LIMIT
        and 0 < len(subject) <= ATTRIBUTE_LIMIT
        and id.isprintable()
        and source.isprintable()
        and subject.isprintable()
    ):
        return Event(id, source, kind, moment, subject, None)
    raise _broken_envelope(version, id, source, time, subject)


def _broken_envelope(version: bytes, id: str, source: str, time: str, subject: str) -> DecodeError:
    """What is wrong with attributes that are all there. Source and id are told on only where they can be trusted."""
    for name, text in (("id", id), ("source", source)):
        if not 0 < len(text) <= ATTRIBUTE_LIMIT or not text.isprintable():
            return DecodeError("bad-attribute", _ATTRIBUTE_RULE.format(name=name))
    if not 0 < len(subject) <= ATTRIBUTE_LIMIT or not subject.isprintable():
        return DecodeError("bad-attribute", _ATTRIBUTE_RULE.format(name="subject"), source, id)
    if version != b"1.0":
        return DecodeError("unsupported-version", "specversion is not 1.0; send CloudEvents 1.0", source, id)
    shown = time[:40]
    return DecodeError(
        "bad-time",
        f"time {shown!r} is not RFC 3339 with an offset and a year from 2000 to 2199: 2026-01-05T09:30:00+08:00",
        source,
        id,
    )


def _class_of(event: Event[Any], known: Mapping[str, type[Payload]] | None) -> type[Payload]:
    cls = payload_class(event.type) if known is None else known.get(event.type)
    if cls is None:
        raise DecodeError(
            "unknown-type",
            f"type {event.type[:80]!r} is not one that may stand here; the catalogue lists them",
            event.source,
            event.id,
        )
    return cls


def _body(event: Event[Any], value: bytes, known: Mapping[str, type[Payload]] | None, as_written: bool) -> Payload:
    cls = (known.get(event.type) if known is not None else None) or _class_of(event, known)
    # Most bodies escape nothing, and a single character is found sooner.
    if b"\\" in value and b"\\u0000" in value:
        _refuse_nul(value, event.source, event.id)
    try:
        payload = cls.__pydantic_validator__.validate_json(value)
    except ValidationError as error:
        _refuse_nul(value, event.source, event.id)
        try:
            body = from_json(value)
        except ValueError as reason:
            raise DecodeError("undecodable", f"the value is not JSON: {reason}", event.source, event.id) from None
        raise PayloadError(event, body, faults_of(error)) from None
    return upcast(payload) if cls in STEPS and not as_written else payload


def _refuse_nul(value: bytes, source: str | None, id: str | None) -> None:
    """Databases and C libraries end a text at U+0000, so it is refused wherever it stands, escaped or not."""
    if b"\x00" not in value and b"\\u0000" not in value:
        return
    try:
        found = b"\x00" in value or _holds_nul(from_json(value))
    except ValueError as error:
        raise DecodeError("undecodable", f"the value is not JSON: {error}", source, id) from None
    if found:
        raise DecodeError("nul-character", "a text contains U+0000, which no field may; remove it", source, id)


def _holds_nul(node: Any) -> bool:
    if isinstance(node, str):
        return "\x00" in node
    if isinstance(node, dict):
        return any("\x00" in name or _holds_nul(child) for name, child in node.items())
    return isinstance(node, list) and any(map(_holds_nul, node))


def _broken_headers(named: Mapping[str, bytes | None]) -> DecodeError:
    """Which of the required headers are missing or no text, all at once."""
    faulty = [name for name in _REQUIRED if read_text(named.get(name)) is None]
    return DecodeError(
        "missing-attribute",
        f"headers missing or not UTF-8: {', '.join(faulty)}; send CloudEvents 1.0 in binary or structured mode",
        read_text(named.get("ce_source")),
        read_text(named.get("ce_id")),
    )


def _too_large(value: bytes, source: str | None, id: str | None) -> DecodeError:
    return DecodeError(
        "too-large", f"the value has {len(value)} bytes; the limit of an event is {EVENT_LIMIT}", source, id
    )


def read_time(raw: bytes) -> datetime | None:
    """A time as RFC 3339 writes it, with an offset and a year from 2000 to 2199; None for any other text."""
    try:
        moment = datetime.fromisoformat(raw.decode())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None and 2000 <= moment.year <= 2199 else None


def read_text(raw: bytes | None) -> str | None:
    """The text of a header, None where there is none or it is not a short printable one."""
    if raw is None:
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return text if 0 < len(text) <= ATTRIBUTE_LIMIT and text.isprintable() else None


def _text_or_none(value: Any) -> str | None:
    return read_text(value.encode("utf-8", "replace")) if isinstance(value, str) else None


def read_trace(raw: bytes) -> str | None:
    """A W3C traceparent of version 00; anything else counts as none, as the recommendation asks."""
    return raw.decode() if len(raw) == 55 and raw[:3] == b"00-" and raw.isascii() else None
