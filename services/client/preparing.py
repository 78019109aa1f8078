"""Before anything is sent: every check that a reader would make, all faults at once, and the record as it will stand.

Three forms come in: an event made in Python (`prepare`), a CloudEvent as a parsed JSON object (`prepare_object`) and as
JSON text (`prepare_json`). All are held against the writer's view of the contract: unknown fields are faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, Self, TypeGuard

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from schemas.codec import to_binary
from schemas.envelope import EVENT_LIMIT, Event, Payload, payload_class
from schemas.faults import Fault, bounded, faults_of, pointer_to
from schemas.loading import load_contracts
from services.client.identity import derived_id
from topics.definition import Catalogue, NotPublishableError

ATTRIBUTES: Final = frozenset(
    {
        *("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"),
        *("correlationid", "causationid", "traceparent", "data"),
    }
)
"""The attributes that an event of ours may have in structured mode."""

_TEXTS: Final = ("specversion", "id", "source", "type", "time", "subject")
_REQUIRED: Final = (*_TEXTS, "data")
_USUAL: Final = frozenset({*_REQUIRED, "datacontenttype"})
_texts_of: Final = itemgetter(*_TEXTS)
_OPTIONAL: Final = ("correlationid", "causationid")
_ATTRIBUTE_LIMIT: Final = 256
_TEXT_LIMIT: Final = EVENT_LIMIT * 2
_JSON: Final = re.compile(r"application/json(\s*;.*)?", re.IGNORECASE)
_TRACE: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Refused(Exception):
    """The event may not be published as it is; `faults` are all that is wrong with it.

    Pointers start at the CloudEvent: `/source`, `/data/amount/currency`; empty for the whole.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = bounded(faults)
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.en}" for fault in self.faults))


@dataclass(frozen=True, slots=True)
class Prepared:
    """One checked event and the record in which it travels: CloudEvents binary mode, placed by murmur2 of the key."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    event: Event[Any]

    def without_payload(self) -> Self:
        """Let go of the event's payload, which stands in `value`: its many small objects cost who keeps many of them
        more than all the checks.
        """
        self.event.data = None
        return self


def fill(
    source: str,
    payload: Payload,
    *,
    subject: str,
    reference: str,
    time: datetime | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    traceparent: str | None = None,
) -> Event[Payload]:
    """The event of a payload. `reference` gives the id (see `derived_id`); `time` is now unless given.

    A retry that leaves the time to be filled in has another time under the same id. Readers take it for the repeat that
    it is: they compare key and payload, not the envelope.

    Raises:
        ValueError: the reference or the source is blank.
    """
    return Event(
        derived_id(source, reference),
        source,
        payload.TYPE,
        time or datetime.now(UTC),
        subject,
        payload,
        correlation_id,
        causation_id,
        traceparent,
    )


def prepare(event: Event[Payload], catalogue: Catalogue) -> Prepared:
    """Check an event made in Python and encode it. Payloads that were made without validation are caught too.

    Raises:
        Refused: with every fault.
    """
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time.isoformat() if isinstance(event.time, datetime) else event.time,
        "subject": event.subject,
        "correlationid": event.correlation_id,
        "causationid": event.causation_id,
        "traceparent": event.traceparent,
        "data": event.data,
    }
    if isinstance(event.data, BaseModel):
        if getattr(event.data, "TYPE", None) != event.type:
            raise Refused((_TYPE_OF_PAYLOAD,))
        try:
            attributes["data"] = event.data.model_dump(mode="json", exclude_none=True, warnings=False)
        except (ValueError, TypeError, RecursionError):
            raise Refused((_NOT_JSON,)) from None
    return prepare_object({name: value for name, value in attributes.items() if value is not None}, catalogue)


def prepare_json(text: bytes, catalogue: Catalogue) -> Prepared:
    """Check a CloudEvent given as JSON text (structured mode) and encode it.

    Raises:
        Refused: with every fault.
    """
    if len(text) > _TEXT_LIMIT:
        raise Refused((_too_large("", len(text)),))
    try:
        attributes = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(
            (_fault("bad_json", "", f"不是有效的 JSON：{error}；请更正。", f"Not valid JSON: {error}; correct it."),)
        ) from None
    if not isinstance(attributes, dict):
        raise Refused((_NOT_AN_OBJECT,))
    return prepare_object(attributes, catalogue)


def prepare_object(attributes: Mapping[str, Any], catalogue: Catalogue) -> Prepared:
    """Check a CloudEvent given as the parsed JSON object of structured mode, `data` within, and encode it.

    Raises:
        Refused: with every fault.
    """
    load_contracts()
    faults = [] if _is_sound(attributes) else [*_faults_of_attributes(attributes)]
    topic = _topic(attributes, catalogue, faults)
    data = None
    if attributes.get("data") is not None and not any(fault.code == "not_publishable" for fault in faults):
        # What our own services say has contracts too; their faults would not help anybody who may not publish it.
        data = _checked(attributes, faults)
    if faults or data is None or topic is None:
        raise Refused(tuple(faults))
    event: Event[Payload] = Event(
        attributes["id"],
        attributes["source"],
        attributes["type"],
        datetime.fromisoformat(attributes["time"]),
        attributes["subject"],
        data,
        attributes.get("correlationid"),
        attributes.get("causationid"),
        attributes.get("traceparent"),
    )
    try:
        key, value, headers = to_binary(event)
    except ValueError:
        raise Refused((_too_large("/data", len(data.model_dump_json(exclude_none=True).encode())),)) from None
    if b"\\u0000" in value and (nul := tuple(_faults_of_texts(attributes["data"]))):
        raise Refused(nul)
    return Prepared(topic, key, value, headers, event)


def _topic(attributes: Mapping[str, Any], catalogue: Catalogue, faults: list[Fault]) -> str | None:
    """Where this source writes this type, or None with what forbids it added to the faults."""
    source, kind = attributes.get("source"), attributes.get("type")
    if not _is_short_text(source) or not _is_short_text(kind) or payload_class(kind) is None:
        return None
    try:
        return _topic_name(catalogue, source, kind)
    except NotPublishableError as error:
        zh = f"{kind} 由本系统的服务写出，不能由外部发布，请核对 type。"
        faults.append(_fault("not_publishable", "/type", zh, str(error.args[0])))
    except LookupError as error:
        zh = f"来源 {source} 不能发布 {kind}，请核对 source。"
        faults.append(_fault("not_allowed", "/source", zh, str(error.args[0])))
    return None


@lru_cache(maxsize=4096)
def _topic_name(catalogue: Catalogue, source: str, kind: str) -> str:
    return catalogue.topic_of_publisher(source, kind).name


def _checked(attributes: Mapping[str, Any], faults: list[Fault]) -> Payload | None:
    """The payload, or None with its faults added to the others."""
    kind = attributes.get("type")
    cls = payload_class(kind) if isinstance(kind, str) else None
    if cls is None:
        return None
    try:
        return cls.model_validate(attributes["data"], extra="forbid")
    except ValidationError as error:
        found = [fault.model_copy(update={"pointer": f"/data{fault.pointer}"}) for fault in faults_of(error)]
        told = {fault.pointer for fault in found}
        faults += found
        faults += (fault for fault in _faults_of_texts(attributes["data"]) if fault.pointer not in told)
        return None


def _is_sound(attributes: Mapping[str, Any]) -> bool:
    """Whether nothing is wrong with the attributes: the usual case, told in fewer steps than looking for each fault."""
    if not attributes.keys() <= _USUAL:
        return False
    try:
        texts = _texts_of(attributes)
        printable = "".join(texts).isprintable()
    except (KeyError, TypeError):
        return False
    lengths = [*map(len, texts)]
    return (
        printable
        and min(lengths) > 0
        and max(lengths) <= _ATTRIBUTE_LIMIT
        and attributes["specversion"] == "1.0"
        and attributes.get("datacontenttype", "application/json") == "application/json"
        and attributes.get("data") is not None
        and payload_class(attributes["type"]) is not None
        and _is_moment(attributes["time"])
    )


def _faults_of_attributes(attributes: Mapping[str, Any]) -> Iterator[Fault]:
    for name in sorted(map(str, attributes.keys() - ATTRIBUTES)):
        yield _fault(
            "unknown_attribute",
            pointer_to([name]),
            "未知的属性，请删除；业务字段应写在 data 之内。",
            "Not an attribute of our events; remove it, or move it into data.",
        )
    for name in _REQUIRED:
        if attributes.get(name) is None:
            yield _fault("missing", f"/{name}", "缺少必填属性，请补充。", "A required attribute is missing; add it.")
    for name in (*_TEXTS, *_OPTIONAL):
        value = attributes.get(name)
        if value is not None and not _is_short_text(value):
            yield _fault(
                "bad_attribute",
                f"/{name}",
                f"应为 1 至 {_ATTRIBUTE_LIMIT} 个可打印字符的文本，不含控制字符；请更正。",
                f"Has to be text of 1 to {_ATTRIBUTE_LIMIT} printable characters; correct it.",
            )
        elif name == "specversion" and value is not None and value != "1.0":
            yield _fault("unsupported_version", "/specversion", "specversion 必须为 1.0。", "Send CloudEvents 1.0.")
        elif name == "time" and value is not None and not _is_moment(value):
            yield _fault(
                "bad_time",
                "/time",
                f"不是 2000 至 2199 年间带时差的时间：{value[:40]}；请写成 2026-01-05T09:30:00+08:00 的形式。",
                f"Not a time with offset from 2000 to 2199: {value[:40]}; write it like 2026-01-05T09:30:00+08:00.",
            )
        elif name == "type" and value is not None and payload_class(value) is None:
            yield _fault(
                "unknown_type",
                "/type",
                f"未知的事件类型 {value[:80]}；可用类型见主题目录。",
                f"{value[:80]} is no event type; the catalogue of topics lists them.",
            )
    yield from _faults_of_extras(attributes)


def _faults_of_extras(attributes: Mapping[str, Any]) -> Iterator[Fault]:
    content = attributes.get("datacontenttype")
    if content is not None and not (isinstance(content, str) and _JSON.fullmatch(content)):
        yield _fault(
            "unsupported_content",
            "/datacontenttype",
            "data 须为 JSON：请写 application/json 或省略。",
            "The data has to be JSON: write application/json, or leave it out.",
        )
    schema = attributes.get("dataschema")
    if schema is not None and not (isinstance(schema, str) and schema.isprintable()):
        yield _fault("bad_attribute", "/dataschema", "应为 URI 文本；请更正。", "Has to be a URI; correct it.")
    trace = attributes.get("traceparent")
    if trace is not None and not (isinstance(trace, str) and _TRACE.fullmatch(trace)):
        yield _fault(
            "bad_trace",
            "/traceparent",
            "不是 W3C traceparent（00-…）；请更正或省略。",
            "Not a W3C traceparent (00-…); correct it, or leave it out.",
        )


def _faults_of_texts(data: Any) -> Iterator[Fault]:
    """Texts, names included, that databases and C libraries end at U+0000, or that can't be written as UTF-8."""
    nodes: list[tuple[tuple[str | int, ...], Any]] = [((), data)]
    while nodes:
        place, node = nodes.pop()
        if isinstance(node, str):
            yield from _faults_of_text(place, node)
        elif isinstance(node, Mapping):
            for name, child in node.items():
                yield from _faults_of_text(place, str(name))
                nodes.append(((*place, str(name)), child))
        elif isinstance(node, list | tuple):
            nodes += (((*place, index), child) for index, child in enumerate(node))


def _faults_of_text(place: tuple[str | int, ...], text: str) -> Iterator[Fault]:
    if "\x00" in text:
        zh, en = "文本中含有 U+0000，请删除。", "The text contains U+0000, which no field may; remove it."
        yield _fault("nul_character", _shown("/data" + pointer_to(place)), zh, en)


def _is_short_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _ATTRIBUTE_LIMIT and value.isprintable()


def _is_moment(text: str) -> bool:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and 2000 <= moment.year <= 2199


def _shown(pointer: str) -> str:
    return pointer.encode("utf-8", "replace").decode()


def _fault(code: str, pointer: str, zh: str, en: str) -> Fault:
    return Fault(code=code, pointer=pointer, zh=zh, en=en)


def _too_large(pointer: str, size: int) -> Fault:
    return _fault(
        "event_too_large",
        pointer,
        f"事件有 {size} 字节，超过 {EVENT_LIMIT} 的上限；请以引用代替文件内容。",
        f"The event has {size} bytes; the limit is {EVENT_LIMIT}. Refer to files instead of sending them.",
    )


_NOT_AN_OBJECT: Final = _fault(
    "wrong_type",
    "",
    "应为一个 JSON 对象（结构化 CloudEvent）。",
    "Has to be one JSON object, a structured CloudEvent.",
)
_NOT_JSON: Final = _fault(
    "wrong_type",
    "/data",
    "内容无法写成 JSON；请用契约中的类型构造。",
    "The payload can't be written as JSON; make it with the types of its contract.",
)
_TYPE_OF_PAYLOAD: Final = _fault(
    "wrong_type",
    "/type",
    "事件的 type 与其内容的类型不同；请使用内容类的 TYPE。",
    "The event's type is not that of its payload; use the TYPE of the payload's class.",
)
