"""The AsyncAPI document as one page that needs nothing but a browser: no server, no network, no other file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from topics.asyncapi import Document

KINDS: Final = {
    "input": ("各方写入", "input"),
    "reference": ("名录", "reference"),
    "record": ("服务记录", "record"),
    "announcement": ("服务告知", "announcement"),
    "internal": ("服务内部", "internal"),
    "dead_letters": ("死信", "dead letters"),
    "redrive": ("重投", "redrive"),
}
"""What kinds of topics are called, in the order of the page."""

USERS: Final = {
    "commerce": ("商务侧各系统", "commerce side"),
    "commerce-mofcom": ("商务部", "Ministry of Commerce"),
    "bank": ("银行侧各系统", "bank side"),
    "bank-exim": ("进出口银行总行", "Exim Bank HQ"),
    "partner": ("合作机构各系统", "partners"),
    "kouan-referral-intake": ("推荐受理", "referral intake"),
    "kouan-screening": ("共同筛选", "screening"),
    "kouan-cooperation": ("合作与规划", "cooperation"),
    "kouan-loan-desk": ("贷款跟踪", "loan desk"),
    "kouan-risk-monitor": ("风险监测", "risk monitor"),
    "kouan-liaison": ("对口联络", "liaison"),
    "kouan-gateway": ("网关", "gateway"),
    "kouan-operators": ("运维人员", "operators"),
}
"""What users are called for people; one that is not here goes by its own name."""

_TYPES: Final = {
    "string": "文本 text",
    "integer": "整数 integer",
    "number": "数字 number",
    "boolean": "是/否 true or false",
    "object": "对象 object",
    "array": "列表 list",
    "date": "日期 date",
    "date-time": "时间 time",
}
_CURL: Final = """\
curl -sS "$GATEWAY/events" -H "Authorization: Bearer $KOUAN_KEY" \\
  -H 'Content-Type: application/cloudevents+json' -H Idempotency-Key:{id} --data-binary @- <<'EVENT'
{body}
EVENT
"""
_EXAMPLES: Final = 2
_DEEPEST: Final = 6


@dataclass(frozen=True, slots=True)
class Row:
    """One field of an event, as the table of its fields shows it."""

    path: str
    depth: int
    type: str
    required: bool
    unit: str
    description: str
    rules: str
    example: str


def page(made: Document) -> str:
    """The page, as HTML in one piece."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    topics = [_topic(name, channel, made) for name, channel in made["channels"].items()]
    order = list(KINDS)
    topics.sort(key=lambda topic: (order.index(topic["kind"]), topic["name"]))
    homes: dict[str, list[Mapping[str, Any]]] = {}
    for topic in topics:
        for kind in topic["events"]:
            homes.setdefault(kind, []).append(topic)
    schemas = made["components"]["schemas"]
    events = [
        _event(kind, message, homes[kind], schemas)
        for kind, message in made["components"]["messages"].items()
        if "payload" in message
    ]
    about_zh, about_en = made["info"]["description"].strip().split("\n\n")
    return environment.get_template("page.html.j2").render(
        version=made["info"]["version"],
        about={"zh": about_zh, "en": about_en},
        kinds=KINDS,
        topics=topics,
        events=events,
        headers=list(_rows(schemas["CloudEventHeaders"], schemas)),
    )


def _topic(name: str, channel: Mapping[str, Any], made: Document) -> dict[str, Any]:
    kafka = channel["bindings"]["kafka"]
    settings = kafka["topicConfiguration"]
    kept = settings["retention.ms"]
    return {
        "name": name,
        "title": channel["x-title"],
        "kind": channel["x-kind"],
        "owner": channel["x-owner"],
        "key": channel["x-key"],
        "sources": channel["x-sources"],
        "partitions": kafka["partitions"],
        "replicas": kafka["replicas"],
        "in_sync": channel["x-min-insync-replicas"],
        "kept": "永久 for ever" if kept < 0 else f"{kept / 86_400_000:g} 天 days",
        "compacted": "compact" in settings["cleanup.policy"],
        "largest": f"{settings['max.message.bytes'] / 1024 / 1024:g} MiB",
        "writers": _users("send", name, made),
        "readers": _users("receive", name, made),
        "events": [kind for kind in channel["messages"] if kind in made["components"]["messages"] and "." in kind],
    }


def _users(action: str, topic: str, made: Document) -> list[dict[str, Any]]:
    names = [
        operation["tags"][0]["name"]
        for operation in made["operations"].values()
        if operation["action"] == action and operation["channel"]["$ref"] == f"#/channels/{topic}"
    ]
    return [{"name": name, "zh": zh, "en": en} for name in names for zh, en in [USERS.get(name, (name, name))]]


def _event(
    kind: str, message: Mapping[str, Any], homes: list[Mapping[str, Any]], schemas: Mapping[str, Any]
) -> dict[str, Any]:
    stem, _, number = kind.rpartition(".v")
    return {
        "type": kind,
        "newer": next((other for other in reversed(homes[0]["events"]) if _is_newer(other, stem, int(number))), None),
        "title": message["x-title"],
        "summary": message["summary"],
        "topics": [home["name"] for home in homes],
        "kinds": sorted({home["kind"] for home in homes}),
        "published": any(home["kind"] in ("input", "reference") for home in homes),
        "rows": list(_rows(message["payload"], schemas)),
        "examples": [_example(example, homes[0]["name"]) for example in message["examples"][:_EXAMPLES]],
        "reading": f"kcat -C -b \"$KAFKA\" -t {homes[0]['name']} -o beginning -e -f '%k %h\\n%s\\n\\n'",
    }


def _is_newer(other: str, stem: str, number: int) -> bool:
    its_stem, _, its_number = other.rpartition(".v")
    return its_stem == stem and int(its_number) > number


def _example(example: Mapping[str, Any], topic: str) -> dict[str, str]:
    headers = example["headers"]
    attributes = {name.removeprefix("ce_"): value for name, value in headers.items() if name != "content-type"}
    structured = {**attributes, "datacontenttype": "application/json", "data": example["payload"]}
    return {
        "structured": json.dumps(structured, ensure_ascii=False, indent=2),
        "kcat": kcat_command(example, topic),
        "curl": _CURL.format(id=shlex.quote(headers["ce_id"]), body=json.dumps(structured, ensure_ascii=False)),
    }


def kcat_command(example: Mapping[str, Any], topic: str) -> str:
    """What to type so that kcat publishes an example of the document; the brokers are taken from `$KAFKA`."""
    headers = example["headers"]
    given = " \\\n  ".join(f"-H {shlex.quote(f'{name}={value}')}" for name, value in headers.items())
    return (
        f'kcat -P -b "$KAFKA" -t {topic} -k {shlex.quote(headers["ce_subject"])} -X partitioner=murmur2_random \\\n'
        f"  {given} <<'EVENT'\n{json.dumps(example['payload'], ensure_ascii=False)}\nEVENT\n"
    )


def _rows(schema: Mapping[str, Any], schemas: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[Row]:
    """The fields of an object and of what is in it, outer before inner, each with its path."""
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        one = _resolved(field, schemas)
        inner = one
        here = f"{path}{name}"
        while inner.get("type") == "array" and "items" in inner:
            here += "[]"
            inner = _resolved(inner["items"], schemas)
        yield Row(
            path=here,
            depth=depth,
            type=_type(one, schemas),
            required=name in required,
            unit=str(one.get("unit", "")),
            description=one.get("description", ""),
            rules=_rules(inner, one),
            example=_shown(one),
        )
        if depth < _DEEPEST:
            for variant in inner.get("oneOf") or inner.get("anyOf") or [inner]:
                yield from _rows(_resolved(variant, schemas), schemas, f"{here}.", depth + 1)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with what it refers to in its place; "or null" is taken off, as absence is told by `required`."""
    if "$ref" in schema:
        return _resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for part in schema["allOf"]:
            merged |= _resolved(part, schemas)
        return merged | {name: value for name, value in schema.items() if name != "allOf"}
    variants = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(variants) == 1:
        return {**_resolved(variants[0], schemas), **{n: v for n, v in schema.items() if n not in ("anyOf", "default")}}
    return schema


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    if schema.get("type") == "array" and "items" in schema:
        return f"{_TYPES['array']} / {_type(_resolved(schema['items'], schemas), schemas)}"
    if "enum" in schema:
        return "代码 code"
    if "anyOf" in schema or "oneOf" in schema:
        kinds = dict.fromkeys(_type(_resolved(one, schemas), schemas) for one in schema.get("anyOf") or schema["oneOf"])
        return " / ".join(kinds)
    return _TYPES.get(schema.get("format", ""), _TYPES.get(str(schema.get("type", "")), "任意 any"))


def _rules(schema: Mapping[str, Any], outer: Mapping[str, Any]) -> str:
    told = []
    if "const" in schema:
        told.append(f"= {schema['const']}")
    if "enum" in schema:
        told.append(" · ".join(map(str, schema["enum"])))
    told += [f"{sign} {schema[name]}" for name, sign in _LIMITS if name in schema]
    least, most = schema.get("minLength"), schema.get("maxLength")
    if (least or most) and "pattern" not in schema:
        bounds = f"{least}–{most}" if least and most else f"≤ {most}" if most else f"≥ {least}"
        told.append(f"{bounds} 字符 characters")
    if "minItems" in outer or "maxItems" in outer:
        told.append(f"{outer.get('minItems', 0)}–{outer.get('maxItems', '…')} 项 items")
    if "pattern" in schema:
        told.append(schema["pattern"])
    return "\n".join(told)


_LIMITS: Final = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))


def _shown(schema: Mapping[str, Any]) -> str:
    examples = schema.get("examples") or [""]
    text = examples[0] if isinstance(examples[0], str) else json.dumps(examples[0], ensure_ascii=False)
    return text if len(text) <= 80 else ""
