"""What is not applied: dead letters, early inputs that wait, records on a wrong partition. Nothing of it is lost."""

from __future__ import annotations

import marshal
import time
import traceback
from collections import deque
from dataclasses import dataclass, field

from services.kit.batch import Batch, Target
from services.kit.failures import TooManyUnexpected
from services.kit.reading import DEAD_LETTER_SOURCE, OWN_HEADERS, Item, dead_letter_id
from services.kit.record_batch import body_of
from services.kit.records import StoredRecord
from services.kit.store import MARSHAL
from services.kit.tables import DEAD
from services.kit.task import Task
from services.kit.wiring import Wiring
from topics.partitioning import partition_of


@dataclass(slots=True)
class Limits:
    """How many early inputs of a key may wait, and how much may go wrong within a minute."""

    park_limit: int = 100
    unexpected_per_minute: int = 5
    failures: deque[float] = field(default_factory=deque)

    def unexpected(self, reason: str) -> None:
        """Note an unexpected failure; raise when there were too many within a minute."""
        now = time.monotonic()
        self.failures.append(now)
        while self.failures and self.failures[0] < now - 60:
            self.failures.popleft()
        if len(self.failures) > self.unexpected_per_minute:
            raise TooManyUnexpected(reason)


def bury(batch: Batch, wiring: Wiring, item: Item, task: Task, code: str, text: str) -> None:
    """A dead letter: the original bytes and headers, where they stood, and why they could not be processed."""
    record, service = item.record, wiring.service.name
    assert record is not None
    letter = dead_letter_id(service, record)
    stamps = {
        "dead_letter_id": letter,
        "reason": code,
        "text": text[:2000],
        "service": service,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp),
    }
    if item.redrives is not None:
        # What came round again keeps the place where it first stood.
        first = {
            name.removeprefix(OWN_HEADERS): value for name, value in record.headers if name.startswith(OWN_HEADERS)
        }
        for name in ("topic", "partition", "offset", "timestamp"):
            stamps[name] = first.get(name, b"").decode("utf-8", "replace") or stamps[name]
    headers = [
        (name, value) for name, value in record.headers if value is not None and not name.startswith(OWN_HEADERS)
    ]
    headers += [(f"{OWN_HEADERS}{name}", value.encode("utf-8", "replace")) for name, value in stamps.items()]
    topic = wiring.dead_letters
    target = Target(topic.name, record.partition % topic.partitions)
    batch.send(item.task, target, body_of(record.key, record.value, headers))
    batch.inbox.append((DEAD_LETTER_SOURCE, letter, item.digest, DEAD))
    if item.parked:
        unpark(batch, item, task)
    batch.count("dead")
    batch.notes.append(
        (
            "dead letter",
            {
                "dead_letter_id": letter,
                "reason": code,
                "text": text[:500],
                "place": f"{record.topic}[{record.partition}]@{record.offset}",
                "case": "" if record.key is None else record.key[:200].decode("utf-8", "backslashreplace"),
                "event_id": item.event.id if item.event is not None else None,
            },
        )
    )


def note_failure(batch: Batch, item: Item, failure: Exception, limits: Limits) -> str:
    """Log an exception that nobody foresaw and count it; returns what the dead letter says of it.

    Raises:
        TooManyUnexpected: too many within a minute, or of an input that can't be a dead letter.
    """
    frames = traceback.extract_tb(failure.__traceback__)
    place = f"{frames[-1].name}, line {frames[-1].lineno}" if frames else "the database"
    text = f"{type(failure).__name__}: {failure}"
    batch.notes.append(("unexpected failure", {"error": text[:500], "at": place}))
    limits.unexpected(f"{text} in {place}")
    if not item.is_record:
        raise TooManyUnexpected(f"{text} in {place}: a deadline or an effect's result can't be put aside") from failure
    return text


def park(batch: Batch, item: Item, task: Task, reason: str, now_ms: int) -> None:
    """Put an early input into the database; whatever comes later under its key on its topic waits behind it."""
    record, event = item.record, item.event
    assert record is not None
    assert event is not None
    _remember(batch, item, task, event.subject)
    packed = marshal.dumps(StoredRecord.packed(record), MARSHAL)
    batch.parked.append(
        (record.topic, record.partition, record.offset, item.task.aggregate, event.subject, now_ms, reason, packed)
    )
    counts = task.parked.setdefault(event.subject, {})
    counts[record.topic] = counts.get(record.topic, 0) + 1
    batch.count("parked")


def unpark(batch: Batch, item: Item, task: Task) -> None:
    """A parked input is settled, whatever came of it."""
    record, event = item.record, item.event
    assert record is not None
    assert event is not None
    _remember(batch, item, task, event.subject)
    batch.unparked.append((record.topic, record.partition, record.offset))
    counts = task.parked[event.subject]
    counts[record.topic] -= 1
    if not counts[record.topic]:
        del counts[record.topic]
    if not counts:
        del task.parked[event.subject]


def _remember(batch: Batch, item: Item, task: Task, key: str) -> None:
    """How many waited under a key before this batch, should it have to be decided again."""
    if (item.task, key) not in batch.parked_before:
        batch.parked_before[item.task, key] = dict(task.parked.get(key, {}))


def waits(batch: Batch, item: Item, task: Task) -> bool:
    """Whether an input stands behind a parked one of its key and topic that is still early."""
    event = item.event
    if not item.is_record or event is None or not (item.parked or event.subject in task.parked):
        return False
    record = item.record
    assert record is not None
    if item.parked:
        return (item.task, event.subject, record.topic) in batch.still_early
    return record.topic in task.parked[event.subject]


def send_on(batch: Batch, item: Item) -> None:
    """A record that a foreign client put on a wrong partition: one reader sends it on, the others leave it out."""
    inlet = item.inlet
    assert inlet is not None
    if not inlet.sends_on:
        batch.count("misplaced")
        return
    record = item.record
    assert record is not None
    target = Target(record.topic, partition_of(record.key or b"", inlet.topic.partitions))
    headers = [(name, value) for name, value in record.headers if value is not None]
    batch.send(item.task, target, body_of(record.key, record.value, headers))
    batch.count("sent-on")
