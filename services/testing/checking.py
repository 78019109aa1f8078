"""What a publisher of any language wrote, held against the contracts: every fault of every record, with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from schemas.codec import DecodeError, decode
from schemas.envelope import Event
from schemas.faults import Fault
from services.client.preparing import Prepared, Refused, prepare_object
from services.testing.reading import Reading, Record
from topics.definition import PUBLISHED, Catalogue

STRUCTURED = b"application/cloudevents"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with one record. The fault's pointer starts at the CloudEvent: `/source`, `/data/loan_id`."""

    record: Record
    fault: Fault

    def __str__(self) -> str:
        return f"{self.record}  {self.fault.pointer or '/'}  {self.fault.code}: {self.fault.zh} {self.fault.en}"


class ContractBroken(AssertionError):
    """What was written breaks its contracts; `findings` holds everything that is wrong."""

    def __init__(self, topic: str, read: int, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        broken = len({(finding.record.partition, finding.record.offset) for finding in findings})
        heading = f"{topic}: {read} 条记录中 {broken} 条不符合契约 / {broken} of {read} records break their contracts"
        super().__init__("\n".join([heading, *map(str, findings)]))


class Checking:
    """`kouan_check(topic)`: is everything that was written to a topic since the test began right?"""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def __call__(self, topic: str) -> list[Event[Any]]:
        """The events, all of them right by the writer's view of their contracts, in which unknown fields are faults.

        Raises:
            ContractBroken: with every fault of every record.
            AssertionError: nothing was written, so there was nothing to check.
            LookupError: the topic is not one that publishers write.
        """
        records = self._reading.records(topic)
        if self._reading.catalogue.topics[topic].kind not in PUBLISHED:
            raise LookupError(
                f"{topic} 由 kouan 的服务写入 / {topic} is written by kouan's services, not by publishers"
            )
        if not records:
            raise AssertionError(
                f"{topic}: 测试开始以来没有写入任何记录；发布者是否等待了确认？"
                f" / nothing was written since the test began; did the publisher wait for its confirmations?"
            )
        events, findings = check(records, self._reading.catalogue)
        if findings:
            raise ContractBroken(topic, len(records), findings)
        return events


def check(records: Sequence[Record], catalogue: Catalogue) -> tuple[list[Event[Any]], list[Finding]]:
    """The events of the records that are right, and all that is wrong with the others."""
    events: list[Event[Any]] = []
    findings: list[Finding] = []
    seen: dict[tuple[str, str], tuple[Record, Prepared]] = {}
    for record in records:
        try:
            prepared = _prepared(record, catalogue)
        except Refused as refused:
            findings += (Finding(record, fault) for fault in refused.faults)
            continue
        event = prepared.event
        first, other = seen.setdefault((event.source, event.id), (record, prepared))
        if (other.key, other.value) == (prepared.key, prepared.value):
            events.append(event)
        else:
            zh = f"与 {first} 的来源和 id 相同而内容不同，请换用新的 id。"
            en = f"Same source and id as {first}, other content; give it an id of its own."
            findings.append(Finding(record, _fault("id_reused", "/id", zh, en)))
    return events, findings


def _prepared(record: Record, catalogue: Catalogue) -> Prepared:
    """What the writer should have sent, if it is what stands there.

    Raises:
        Refused: it is not.
    """
    prepared = prepare_object(_attributes(record), catalogue)
    faults = []
    if prepared.topic != record.topic:
        event = prepared.event
        zh = f"来自 {event.source} 的 {event.type} 应发布到 {prepared.topic}。"
        en = f"{event.type} from {event.source} belongs on {prepared.topic}."
        faults.append(_fault("wrong_topic", "", zh, en))
    if record.key != prepared.key:
        zh = f"记录的键是 {record.key!r}，应为 subject；请以 subject 为键。"
        en = f"The record's key is {record.key!r}; send the subject as key."
        faults.append(_fault("key_mismatch", "/subject", zh, en))
    if not faults:
        # The last word is with the code by which our services read.
        try:
            decode(record.key, record.value, record.headers)
        except DecodeError as error:
            faults.append(_fault(error.code.replace("-", "_"), "", "服务无法读取该记录。", error.text))
    if faults:
        raise Refused(tuple(faults))
    return prepared


def _attributes(record: Record) -> dict[str, Any]:
    """The CloudEvent as the JSON object of structured mode, whichever mode it travels in."""
    named = dict(record.headers)
    if len(named) != len(record.headers):
        zh, en = "同名的头出现多次，请只发送一次。", "A header occurs more than once; send each once."
        raise Refused((_fault("repeated_header", "", zh, en),))
    structured = named.get("content-type", b"").lower().startswith(STRUCTURED)
    body = _json(record.value, "" if structured else "/data")
    if structured:
        if not isinstance(body, dict):
            zh, en = "应为一个 JSON 对象（结构化 CloudEvent）。", "Has to be one JSON object, a structured CloudEvent."
            raise Refused((_fault("wrong_type", "", zh, en),))
        attributes = body
    else:
        attributes = {name.removeprefix("ce_"): _text(value) for name, value in named.items() if name.startswith("ce_")}
        for header, name in (("content-type", "datacontenttype"), ("traceparent", "traceparent")):
            if header in named:
                attributes[name] = _text(named[header])
        attributes["data"] = body
    # With it CloudEvents' own libraries name the record's key, which is checked as what it became.
    attributes.pop("partitionkey", None)
    return attributes


def _json(value: bytes | None, pointer: str) -> Any:
    try:
        return from_json(value or b"", allow_inf_nan=False)
    except ValueError as error:
        zh, en = f"不是有效的 JSON：{error}；请更正。", f"Not valid JSON: {error}; correct it."
        raise Refused((_fault("bad_json", pointer, zh, en),)) from None


def _text(value: bytes) -> str | bytes:
    """Text where it is UTF-8; what is not stays as it is, to be found out as no text."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _fault(code: str, pointer: str, zh: str, en: str) -> Fault:
    return Fault(code=code, pointer=pointer, zh=zh, en=en)
