"""HTTP request → CloudEvents as parsed JSON objects: structured, batched and binary mode of the HTTP binding."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson
from starlette.datastructures import Headers

from schemas.faults import Fault, pointer_to
from services.gateway.limits import unsupported
from services.gateway.problems import Problem

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
JSON: Final = "application/json"

_DEPTH_LIMIT: Final = 32


class Events(NamedTuple):
    """What one request carries. `pointers` are where each event stands in it; `headers` tells binary mode."""

    objects: list[Any]
    pointers: Sequence[str]


def media_type(headers: Headers) -> tuple[str, dict[str, str]]:
    """The media type of a body, lower case, and its parameters.

    Raises:
        Problem: 415 when it is given twice, or names a charset other than UTF-8.
    """
    given = headers.getlist("content-type")
    if len(given) > 1:
        raise unsupported("Content-Type 出现多次，请只写一次。", "Content-Type is given more than once; send it once.")
    name, *rest = (given[0] if given else "").split(";")
    pairs = (part.partition("=") for part in rest)
    parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
    if parameters.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
        raise unsupported("字符集须为 UTF-8。", "The charset has to be UTF-8.")
    return name.strip().lower(), parameters


def read_events(kind: str, headers: Headers, body: bytes, batch_limit: int) -> Events:
    """The events of a request whose media type is `kind`.

    Raises:
        Problem: 400 for what is not JSON or no batch, 413 for a batch that is too long, 415 for other media types.
    """
    if kind not in {STRUCTURED, BATCH, JSON}:
        raise unsupported(
            f"收到 {kind[:80] or '空'}；请用 {STRUCTURED}、{BATCH}，或 {JSON} 加 ce-* 请求头。",
            f"Got {kind[:80] or 'none'}; send {STRUCTURED}, {BATCH}, or {JSON} with ce-* headers.",
        )
    binary = any(map(is_attribute, headers))
    if kind == JSON:
        if not binary:
            raise unsupported(
                f"{JSON} 需要 ce-* 请求头（二进制模式）；或改用 {STRUCTURED}。",
                f"{JSON} needs ce-* headers (binary mode); or send {STRUCTURED}.",
            )
        data = _parsed(body, "/data")
        return Events([{**_attributes(headers), "data": data}], ("",))
    if binary:
        raise bad_request(
            "mixed-modes",
            "结构化或批量模式下不得有 ce-* 请求头，请删除。",
            "Structured and batched mode have no ce-* headers; remove them.",
        )
    content = _parsed(body, "")
    if kind == STRUCTURED:
        return Events([content], ("",))
    if not isinstance(content, list) or not content:
        raise bad_request(
            "not-a-batch",
            "批量请求应为非空的 JSON 数组，每项一个 CloudEvent。",
            "A batch is a JSON array that is not empty, of one CloudEvent each.",
        )
    if len(content) > batch_limit:
        raise Problem(
            413,
            "batch-too-long",
            ("批量过长", "The batch is too long"),
            (f"每批最多 {batch_limit} 个事件；请分批发送。", f"A batch may have {batch_limit} events; send several."),
        )
    return Events(content, [f"/{index}" for index in range(len(content))])


def is_attribute(header: str) -> bool:
    """Whether a header, in lower case, holds an attribute of a CloudEvent."""
    return header.startswith("ce-")


def bad_request(name: str, zh: str, en: str, faults: Sequence[Fault] = ()) -> Problem:
    """The request can't be read as what it says it is."""
    return Problem(400, name, ("请求无法解读", "The request can't be read"), (zh, en), faults)


def _attributes(headers: Headers) -> dict[str, str]:
    """The attributes that stand in `ce-*` headers, where they are percent-encoded UTF-8."""
    found: dict[str, str] = {}
    faults: list[Fault] = []
    for raw_name, raw in headers.raw:
        name = raw_name.decode("latin-1")
        if name == "traceparent":
            found[name] = raw.decode("latin-1")
            continue
        if not name.startswith("ce-"):
            continue
        name = name.removeprefix("ce-")
        if name in found:
            faults.append(
                Fault(
                    code="repeated_header",
                    pointer=pointer_to([name]),
                    zh=f"请求头 ce-{name[:40]} 出现多次，请只写一次。",
                    en=f"The header ce-{name[:40]} is given more than once; send it once.",
                )
            )
        try:
            found[name] = unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            faults.append(
                Fault(
                    code="bad_text",
                    pointer=pointer_to([name]),
                    zh=f"请求头 ce-{name[:40]} 不是百分号编码的 UTF-8，请更正。",
                    en=f"The header ce-{name[:40]} is not percent-encoded UTF-8; correct it.",
                )
            )
    if "data" in found:
        faults.append(
            Fault(
                code="unknown_attribute",
                pointer="/data",
                zh="data 是请求内容，不得写在请求头中，请删除 ce-data。",
                en="The data is the body of the request; remove the header ce-data.",
            )
        )
    if faults:
        raise bad_request("bad-headers", "请更正 ce-* 请求头。", "Correct the ce-* headers.", faults)
    return found


def _parsed(body: bytes, place: str) -> Any:
    """The JSON value of a body: strict, of bounded depth, and with no name twice in an object.

    Raises:
        Problem: 400, with the place where it is wrong.
    """
    if not body:
        raise bad_request("empty-body", "请求内容为空。", "The request has no body.")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _not_json(place, f"第 {error.lineno} 行第 {error.colno} 列", str(error)) from None
    quotes = _quotes_of(content)
    if quotes is None:
        raise _too_deep(place)
    # Each name and each text has two quotes, so that a name which the parser dropped for a later one shows here.
    # An escaped quote hides them, and the slower way has to look.
    if b'\\"' in body or body.count(b'"') != quotes:
        _refuse_repeated(body, place)
    return content


def _quotes_of(content: Any) -> int | None:
    """How many quotes the texts and names of a value have; None when it is nested too deep."""
    count = 0
    level = [content]
    for _ in range(_DEPTH_LIMIT):
        deeper: list[Any] = []
        for node in level:
            if type(node) is str:
                count += 2
            elif type(node) is dict:
                count += 2 * len(node)
                deeper += node.values()
            elif type(node) is list:
                deeper += node
        if not deeper:
            return count
        level = deeper
    return None


def _refuse_repeated(body: bytes, place: str) -> None:
    """Raise when a name stands twice in one object: which of the two is meant nobody can tell."""

    repeated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        repeated.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)

    try:
        json.loads(body, object_pairs_hook=note, parse_int=str)
    except RecursionError:
        raise _too_deep(place) from None
    if repeated:
        faults = [
            Fault(
                code="repeated_name",
                pointer=place,
                zh=f"同一对象中名称 {name[:80]} 出现多次，请只保留一个。",
                en=f"The name {name[:80]} stands more than once in one object; keep one.",
            )
            for name in dict.fromkeys(repeated)
        ]
        raise bad_request("not-json", "JSON 对象中有重复的名称。", "An object of the JSON has a name twice.", faults)


def _not_json(place: str, where: str, reason: str) -> Problem:
    fault = Fault(
        code="bad_json",
        pointer=place,
        zh=f"不是有效的 UTF-8 JSON（{where}），请更正。",
        en=f"Not valid JSON in UTF-8: {reason[:200]}; correct it.",
    )
    return bad_request("not-json", "请求内容不是有效的 JSON。", "The body is not valid JSON.", [fault])


def _too_deep(place: str) -> Problem:
    fault = Fault(
        code="too_deep",
        pointer=place,
        zh=f"嵌套超过 {_DEPTH_LIMIT} 层，请更正。",
        en=f"Nested more than {_DEPTH_LIMIT} levels deep; correct it.",
    )
    return bad_request("not-json", "JSON 嵌套过深。", "The JSON is nested too deep.", [fault])


def within(pointer: str, faults: Sequence[Fault]) -> Iterator[Fault]:
    """Faults of an event as faults of the request in which it stands."""
    return (
        (fault.model_copy(update={"pointer": pointer + fault.pointer}) for fault in faults) if pointer else iter(faults)
    )
