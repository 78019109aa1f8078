"""The catalogue and the contracts as one AsyncAPI 3.0 document: what stands where, who says it, how it looks.

Built from the catalogue's files, the contracts and their examples alone, so that equal input gives equal text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import yaml

from schemas.envelope import EVENT_LIMIT, payload_class
from schemas.json_schema import documents
from topics.acl import parties_of, user_of_service
from topics.definition import (
    GATEWAY,
    OPERATORS,
    PUBLISHED,
    Catalogue,
    CatalogueError,
    Flaw,
    Kind,
    Topic,
    covers,
    is_for_the_gateway,
)
from topics.plan import configs_of
from topics.titles import TITLES, chinese_titles, first_sentence

Document = dict[str, Any]

VERSION: Final = "1.0.0"
"""Of the document: the first number rises when an event's version is withdrawn, the second when one is added."""

_BINDING: Final = "0.5.0"
_HEADERS: Final = "CloudEventHeaders"
_CARRIED: Final = "original-record"
_TIME: Final = "2020-04-01T09:30:00+08:00"
_SYSTEMS: Final = {
    "//commerce/": "//commerce/15",
    "//bank/": "//bank/exim-nmg",
    "//partner/": "//partner/frontier-guarantee",
}
# Keys that follow from the payload; what else records are keyed by, the publisher chooses.
_KEY_IN_PAYLOAD: Final = {"entry_version": "entry_key", "indicator_subject": "code"}


_ABOUT: Final = """\
商务与银行两侧的系统互不调用，只发布事件并对事件作出反应。
每个主题只放一类内容；记录的键与 ce_subject 相同，同一事项因此保持先后。
事件采用 CloudEvents 1.0 的二进制或结构化模式，正文不超过 {limit} KB。
发布方只写契约中的字段；读取方忽略不认识的字段和类型。来源和编号都相同的事件只计一次。

The systems of both sides never call each other: they publish events and react to events. Each topic holds one kind of
thing; a record's key is its ce_subject, which keeps one matter in order. Events are CloudEvents 1.0, in binary or
structured mode, with at most {limit} KB. Publishers send no fields but those of the contract; readers ignore fields and
types that they do not know. An event that comes again with the same source and id counts once.
"""


def document(catalogue: Catalogue) -> Document:
    """The document.

    Raises:
        CatalogueError: an event of the catalogue has no contract, or no Chinese title.
    """
    contracts = documents()
    titles = _titles(catalogue, contracts)
    parts = _parts(contracts)
    schemas = {
        parts[kind][name]: _schema(part, parts[kind])
        for kind, contract in contracts.items()
        for name, part in contract.get("$defs", {}).items()
    }
    messages = {kind: _message(kind, contracts[kind], titles[kind], catalogue, parts[kind]) for kind in contracts}
    return {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {topic.name: _channel(topic) for topic in catalogue.topics.values()},
        "operations": dict(sorted(_operations(catalogue))),
        "components": {
            "messages": {**messages, _CARRIED: _carried()},
            "schemas": {_HEADERS: _headers(), **dict(sorted(schemas.items()))},
            "securitySchemes": {
                "scram": {
                    "type": "scramSha512",
                    "description": "每个系统一个用户，经 TLS 连接 · One user a system, over TLS",
                }
            },
        },
    }


def as_yaml(made: Document) -> str:
    """The document as YAML, in its own order and without anchors."""
    head = "# 由主题目录和契约生成，请勿手改 · Generated from catalogue and contracts: change those, not this.\n"
    return head + yaml.dump(made, Dumper=_Plain, allow_unicode=True, sort_keys=False, width=120)


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice: other tools read anchors badly."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _titles(catalogue: Catalogue, contracts: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    catalogue.check_types(contracts)
    chinese = chinese_titles()
    stems = {kind: kind.rpartition(".")[0] for kind in contracts}
    flaws = [
        Flaw(TITLES.name, stem, "has no Chinese title here") for stem in sorted(set(stems.values()) - chinese.keys())
    ]
    flaws += [Flaw(TITLES.name, stem, "is no event") for stem in sorted(chinese.keys() - set(stems.values()))]
    if flaws:
        raise CatalogueError(flaws)
    return {
        kind: {"zh": chinese[stem], "en": first_sentence(str(contracts[kind]["description"]))}
        for kind, stem in stems.items()
    }


def _info() -> Document:
    return {
        "title": "口岸协作事件接口 · Events of the border cooperation zones",
        "version": VERSION,
        "description": _ABOUT.format(limit=EVENT_LIMIT // 1024),
        "license": {"name": "按部署方约定 · as agreed with the operator"},
    }


def _servers() -> Document:
    return {
        "production": {
            "host": "{host}:{port}",
            "protocol": "kafka-secure",
            "description": "运行环境：SASL/SCRAM，经 TLS · Where the system runs: SASL/SCRAM over TLS",
            "variables": {
                "host": {"description": "由运维方告知 · Told by the operators", "default": "kafka.example"},
                "port": {"description": "由运维方告知 · Told by the operators", "default": "9093"},
            },
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
            "bindings": {"kafka": {"bindingVersion": _BINDING}},
        },
        "local": {
            "host": "127.0.0.1:9092",
            "protocol": "kafka",
            "description": "本机试用，由 kouan up 启动 · On one's own machine, started by `kouan up`",
            "bindings": {"kafka": {"bindingVersion": _BINDING}},
        },
    }


def _channel(topic: Topic) -> Document:
    configs = configs_of(topic, topic.replication)
    events = sorted(topic.events) or [_CARRIED]
    return {
        "address": topic.name,
        "title": f"{topic.title.zh} · {topic.title.en}",
        "description": f"按 {topic.key.name} 为键：{topic.key.why.zh}\n\nKeyed by {topic.key.name}: {topic.key.why.en}",
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in events},
        "tags": [{"name": f"kind:{topic.kind}"}, {"name": f"owner:{topic.owner}"}],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "replicas": topic.replication,
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup_policy],
                    "retention.ms": topic.retention_ms,
                    "retention.bytes": int(configs["retention.bytes"]),
                    "max.message.bytes": topic.max_message_bytes,
                },
                "bindingVersion": _BINDING,
            }
        },
        "x-title": topic.title.model_dump(),
        "x-kind": topic.kind.value,
        "x-owner": topic.owner.value,
        "x-key": topic.key.model_dump(),
        "x-min-insync-replicas": int(configs["min.insync.replicas"]),
        "x-sources": list(topic.sources),
    }


def _operations(catalogue: Catalogue) -> Iterator[tuple[str, Document]]:
    parties = parties_of(catalogue)
    for topic in catalogue.topics.values():
        for user, group in _senders(topic, parties):
            yield f"{user}.send.{topic.name}", _operation("send", user, topic, group)
        for user, group in _receivers(topic, parties):
            yield f"{user}.receive.{topic.name}", _operation("receive", user, topic, group)


def _senders(topic: Topic, parties: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    if topic.kind not in PUBLISHED:
        yield from ((user_of_service(writer), None) for writer in topic.writers)
        return
    yield user_of_service(GATEWAY), None
    yield from ((user, None) for user, source in parties.items() if source in topic.sources)


def _receivers(topic: Topic, parties: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    yield from ((user_of_service(reader), reader) for reader in topic.readers)
    if is_for_the_gateway(topic):
        yield user_of_service(GATEWAY), None
    if topic.kind is Kind.DEAD_LETTERS:
        yield user_of_service(OPERATORS), None
    for user, source in parties.items():
        if any(prefix == source or covers(prefix, source) for prefix in topic.subscribers):
            yield user, None


def _operation(action: str, user: str, topic: Topic, group: str | None) -> Document:
    verb = {"send": ("写入", "writes"), "receive": ("读取", "reads")}[action]
    made: Document = {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "title": f"{user} {verb[0]}{topic.title.zh} · {user} {verb[1]} {topic.name}",
        "tags": [{"name": user}],
        "messages": [
            {"$ref": f"#/channels/{topic.name}/messages/{kind}"} for kind in sorted(topic.events) or [_CARRIED]
        ],
    }
    if group is not None:
        made["bindings"] = {"kafka": {"groupId": {"type": "string", "enum": [group]}, "bindingVersion": _BINDING}}
    return made


def _headers() -> Document:
    def text(description: str, **more: Any) -> Document:
        return {"type": "string", "description": description, **more}

    return {
        "type": "object",
        "description": "CloudEvents 1.0 属性（二进制模式）· CloudEvents 1.0 attributes (binary mode). In structured "
        "mode the value is one JSON object with these names without ce_; content-type is application/cloudevents+json.",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject"],
        "properties": {
            "ce_specversion": text("CloudEvents 版本 · version", const="1.0"),
            "ce_id": text(
                "同一来源内唯一，重发时不变 · Unique within the source; stays when sent again", maxLength=256
            ),
            "ce_source": text(
                "发布系统 · The system that publishes", pattern="^//[a-z]+/", examples=["//bank/exim-nmg"]
            ),
            "ce_type": text("事件类型及版本 · Event type and version", examples=["referral.submitted.v1"]),
            "ce_time": text("发生时间，带时差 · When it happened, with offset", format="date-time", examples=[_TIME]),
            "ce_subject": text("与记录的键相同 · The same as the record's key", examples=["NMG-2020-000123"]),
            "ce_correlationid": text("同一案件的事件共用 · Shared by all events of one case"),
            "ce_causationid": text("引起本事件的事件 · The event that led to this one"),
            "traceparent": text("W3C Trace Context"),
            "content-type": text("二进制模式 · binary mode", const="application/json"),
        },
    }


def _message(
    kind: str, contract: Mapping[str, Any], title: Mapping[str, str], catalogue: Catalogue, parts: Mapping[str, str]
) -> Document:
    homes = [topic for topic in catalogue.topics.values() if kind in topic.events]
    key = homes[0].key
    head = {"$schema", "$id", "$defs", "examples", "title"}
    body = {name: part for name, part in contract.items() if name not in head}
    return {
        "name": kind,
        "title": f"{title['zh']} · {title['en']}",
        "summary": " ".join(str(contract["description"]).split()),
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": f"#/components/schemas/{_HEADERS}"},
                {"type": "object", "properties": {"ce_type": {"type": "string", "const": kind}}},
            ]
        },
        "payload": _schema(body, parts),
        "examples": [_example(kind, number, body, homes[0]) for number, body in enumerate(contract["examples"], 1)],
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"{key.name}: {key.why.en}", "examples": [key.example]},
                "bindingVersion": _BINDING,
            }
        },
        "x-title": dict(title),
        "x-json-schema": contract["$id"],
    }


def _example(kind: str, number: int, body: Any, topic: Topic) -> Document:
    return {
        "name": f"{kind}-{number}",
        "headers": {
            "ce_specversion": "1.0",
            "ce_id": str(uuid5(NAMESPACE_URL, f"{kind}-{number}")),
            "ce_source": _SYSTEMS.get(topic.sources[0], topic.sources[0]),
            "ce_type": kind,
            "ce_time": _TIME,
            "ce_subject": _subject(kind, body, topic),
            "content-type": "application/json",
        },
        "payload": body,
    }


def _subject(kind: str, body: Any, topic: Topic) -> str:
    cls = payload_class(kind)
    field = _KEY_IN_PAYLOAD.get(topic.key.name)
    if cls is None or field is None:
        return topic.key.example
    return str(getattr(cls.model_validate(body), field))


def _parts(contracts: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """For each contract the names under which its parts (`$defs`) stand among the components.

    A part has its own name, and is shared; where two contracts call different things by one name, each of the two keeps
    all its parts to itself.
    """
    seen: dict[str, Any] = {}
    clashing = {
        name
        for contract in contracts.values()
        for name, part in contract.get("$defs", {}).items()
        if seen.setdefault(name, part) != part
    }
    return {
        kind: {
            name: f"{kind}.{name}" if clashing & contract.get("$defs", {}).keys() else name
            for name in contract.get("$defs", {})
        }
        for kind, contract in contracts.items()
    }


def _schema(node: Any, parts: Mapping[str, str]) -> Any:
    """A JSON Schema 2020-12 as AsyncAPI's schema object, in which nothing may stand beside a `$ref`."""
    if isinstance(node, list):
        return [_schema(child, parts) for child in node]
    if not isinstance(node, dict):
        return node
    made = {name: _schema(child, parts) for name, child in node.items() if name != "$ref"}
    if "$ref" not in node:
        return made
    reference = {"$ref": f"#/components/schemas/{parts[node['$ref'].removeprefix('#/$defs/')]}"}
    return {"allOf": [reference], **made} if made else reference


def _carried() -> Document:
    return {
        "name": _CARRIED,
        "title": "原始记录 · A record as it came",
        "summary": "原样保留的字节和消息头 · Bytes and headers as they came; kouan_… headers say from where and why",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {
                name: {"type": "string", "description": description}
                for name, description in (
                    ("kouan_topic", "来自哪个主题 · The topic that it came from"),
                    ("kouan_partition", "分区 · Its partition there"),
                    ("kouan_offset", "位移 · Its offset there"),
                    ("kouan_reason", "原因代码 · Why it could not be processed, as a code"),
                    ("kouan_text", "说明 · The same in words"),
                    (
                        "kouan_dead_letter_id",
                        "死信编号，重投时须带上 · Id of the dead letter, to be kept when sent again",
                    ),
                )
            },
        },
        "x-title": {"zh": "原始记录", "en": "A record as it came"},
    }
