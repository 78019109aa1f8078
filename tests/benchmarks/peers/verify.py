"""Reads what a contestant wrote and compares it with what it was given; shares no code with kit or peers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

HEADERS = (
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_correlationid",
    "ce_causationid",
    "content-type",
    "traceparent",
)
QUIET_SECONDS = 30.0
SHOWN = 5


class WrongOutput(Exception):
    """What a contestant wrote does not follow from its input; the text lists the first faults."""


@dataclass(frozen=True, slots=True)
class Given:
    """An input as far as the output depends on it; `times` counts how often it is on the topic."""

    id: str
    amount: Decimal
    term: int
    zone: str
    trace: str
    times: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the broker, read."""

    key: str
    headers: dict[str, str]
    body: dict[str, Any]


def inputs(servers: str, topic: str) -> dict[str, Given]:
    """What is on the input topic, by referral."""
    found: dict[str, Given] = {}
    for record in _records(servers, topic, {}):
        headers, body = record.headers, record.body
        times = found[record.key].times + 1 if record.key in found else 1
        amount = Decimal(body["amount_cny"])
        found[record.key] = Given(headers["ce_id"], amount, body["term_months"], body["zone"], _trace(headers), times)
    return found


def ends(servers: str, topic: str) -> dict[int, int]:
    """The offset at which each partition of the topic ends now."""
    consumer = _consumer(servers)
    try:
        partitions = consumer.list_topics(topic, timeout=QUIET_SECONDS).topics[topic].partitions
        return {each: consumer.get_watermark_offsets(TopicPartition(topic, each))[1] for each in partitions}
    finally:
        consumer.close()


def verify(servers: str, topic: str, given: dict[str, Given], since: dict[int, int], *, drops_repeats: bool) -> None:
    """Compare what was written since those offsets with what it has to be.

    Raises:
        WrongOutput: an event is missing, too many, or has a wrong field or header; or an id stands there twice.
    """
    faults = faults_in(_records(servers, topic, since), given, drops_repeats=drops_repeats)
    if faults:
        raise WrongOutput(f"{len(faults)} faults on {topic}:\n" + "\n".join(faults[:SHOWN]))


def faults_in(records: Iterable[Record], given: dict[str, Given], *, drops_repeats: bool) -> list[str]:
    """What is wrong with the outputs, in words; empty where nothing is."""
    faults: list[str] = []
    written: Counter[str] = Counter()
    ids: set[str] = set()
    for record in records:
        subject, id = record.headers.get("ce_subject", ""), record.headers.get("ce_id", "")
        expected = given.get(subject)
        if expected is None:
            faults.append(f"{subject!r} was not among the inputs")
            continue
        if drops_repeats and id in ids:
            faults.append(f"{subject}: the id {id} stands there twice")
        ids.add(id)
        written[subject] += 1
        faults.extend(f"{subject}: {fault}" for fault in _differences(record, expected))
    for subject, expected in given.items():
        times = 1 if drops_repeats else expected.times
        if written[subject] != times:
            faults.append(f"{subject}: written {written[subject]} times instead of {times}")
    return faults


def _differences(record: Record, given: Given) -> Iterator[str]:
    headers = record.headers
    for name in HEADERS:
        if not headers.get(name):
            yield f"the header {name} is missing"
    wanted = {
        "ce_type": "hop.scored.v1",
        "ce_subject": record.key,
        "ce_causationid": given.id,
        "content-type": "application/json",
    }
    for name, text in wanted.items():
        if headers.get(name) != text:
            yield f"the header {name} is {headers.get(name)!r} instead of {text!r}"
    if _trace(headers) != given.trace:
        yield f"the trace is {_trace(headers)!r} instead of {given.trace!r}"
    body = {**record.body, "amount_cny": Decimal(record.body.get("amount_cny", "NaN"))}
    expected = {
        "referral_id": headers.get("ce_subject"),
        "eligible": given.amount > 0,
        "score": given.term,
        "amount_cny": given.amount,
        "zone": given.zone,
    }
    if body != expected:
        yield f"the body is {body} instead of {expected}"


def _trace(headers: dict[str, str]) -> str:
    """Steps of one trace have its id in common, and may each have a span of their own."""
    return "".join(headers.get("traceparent", "").split("-")[1:2])


def _read(message: Message) -> Record:
    headers = {name: (raw or b"").decode() for name, raw in message.headers() or []}  # type: ignore[union-attr]
    return Record((message.key() or b"").decode(), headers, json.loads(message.value() or b"null"))


def _consumer(servers: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "verify",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )


def _records(servers: str, topic: str, since: dict[int, int]) -> Iterator[Record]:
    """All committed records of the topic from those offsets to the end of each partition."""
    consumer = _consumer(servers)
    try:
        open_partitions = set(consumer.list_topics(topic, timeout=QUIET_SECONDS).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, each, since.get(each, OFFSET_BEGINNING)) for each in open_partitions])
        while open_partitions:
            messages = consumer.consume(5000, timeout=1.0)
            for message in messages:
                error = message.error()
                if error is None:
                    yield _read(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
