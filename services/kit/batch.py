"""What one transaction writes: the outcome of a batch of inputs, ready for wide statements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.kit.record_batch import RecordBatch


class TaskId(NamedTuple):
    """One partition number of one aggregate."""

    aggregate: str
    partition: int


class Target(NamedTuple):
    """The partition of a topic that messages go to."""

    topic: str
    partition: int


class Entry:
    """A state in memory: `version` 0 and `state` None where the database has no row."""

    __slots__ = ("state", "version")

    def __init__(self, version: int, state: Any) -> None:
        self.version = version
        self.state = state


class Pack(NamedTuple):
    """Records of one task to one target, in order, ready to be sent: one row of the outbox."""

    task: TaskId
    target: Target
    records: bytes
    number: int


@dataclass(slots=True)
class Batch:
    """Everything that one transaction writes. Rows are lists in the order of their table's columns."""

    epochs: dict[TaskId, int] = field(default_factory=dict)
    positions: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    inbox: list[tuple[str, str, int, int]] = field(default_factory=list)
    redriven: list[tuple[str, str, int]] = field(default_factory=list)
    states: dict[str, dict[str, Entry]] = field(default_factory=dict)
    before: dict[str, dict[str, tuple[Any, int]]] = field(default_factory=dict)
    packs: dict[tuple[TaskId, Target], list[RecordBatch]] = field(default_factory=dict)
    now_ms: int = 0
    deadlines_set: list[tuple[str, str, str, int, int]] = field(default_factory=list)
    deadlines_gone: list[tuple[str, str, str]] = field(default_factory=list)
    deadlines_fired: list[tuple[str, str, str, int]] = field(default_factory=list)
    effects_opened: list[tuple[Any, ...]] = field(default_factory=list)
    leased: int = 0
    effects_closed: list[tuple[str, str, str]] = field(default_factory=list)
    parked: list[tuple[str, int, int, str, str, int, str, bytes]] = field(default_factory=list)
    unparked: list[tuple[str, int, int]] = field(default_factory=list)
    parked_before: dict[tuple[TaskId, str], dict[str, int]] = field(default_factory=dict)
    claims_made: list[tuple[str, str, str]] = field(default_factory=list)
    claims_freed: list[tuple[str, str]] = field(default_factory=list)
    applied: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    still_early: set[tuple[TaskId, str, str]] = field(default_factory=set)
    awaited: set[tuple[TaskId, str]] = field(default_factory=set)
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def send(self, task: TaskId, target: Target, body: bytes) -> None:
        """Add one record, by its body, behind those of the same task and target."""
        packs = self.packs.setdefault((task, target), [])
        if not packs or not packs[-1].append(body):
            packs.append(RecordBatch())
            packs[-1].append(body)

    def count(self, outcome: str) -> None:
        """Count one input under its outcome."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
