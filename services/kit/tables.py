"""The kit's own tables. They stand in every service's database, beside the state tables of its aggregates."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, LargeBinary
from sqlmodel import Field, SQLModel

Serial = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only in a column that says INTEGER."""

APPLIED = 1
DEAD = 2
"""Outcomes in the inbox."""


class Task(SQLModel, table=True):
    """One partition number of one aggregate. Whoever raised `epoch` last owns it; every transaction asserts it."""

    __tablename__ = "kit_task"

    aggregate: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    epoch: int


class Position(SQLModel, table=True):
    """How far a topic's partition has been applied: the next offset to read, and which topic (by id) it counts in."""

    __tablename__ = "kit_position"

    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    next_offset: int = Field(sa_type=BigInteger)
    topic_id: str


class Inbox(SQLModel, table=True):
    """What was taken in: one row an input, so that a repeat is recognised however late it comes."""

    __tablename__ = "kit_inbox"
    __table_args__ = ({"sqlite_with_rowid": False},)

    source: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    digest: int = Field(sa_type=BigInteger)
    outcome: int


class Outbox(SQLModel, table=True):
    """Messages committed and not yet confirmed by the broker: one row a batch, task and target partition."""

    __tablename__ = "kit_outbox"

    seq: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    aggregate: str
    partition: int
    topic: str
    target: int
    records: bytes = Field(sa_type=LargeBinary)


class DeadlineRow(SQLModel, table=True):
    """A moment at which a state has to be looked at again, in milliseconds since the epoch."""

    __tablename__ = "kit_deadline"
    __table_args__ = (Index("kit_deadline_due", "aggregate", "partition", "due_ms"),)

    aggregate: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    partition: int
    due_ms: int = Field(sa_type=BigInteger)


class EffectRow(SQLModel, table=True):
    """Something to be done to the outside world; `payload` is the event that asked, attempts are counted before."""

    __tablename__ = "kit_effect"
    __table_args__ = (Index("kit_effect_next", "aggregate", "partition", "next_ms"),)

    aggregate: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    partition: int
    key: str
    event_id: str
    payload: str
    correlation: str
    traceparent: str
    time_ms: int = Field(sa_type=BigInteger)
    attempts: int
    next_ms: int = Field(sa_type=BigInteger)


class Parked(SQLModel, table=True):
    """An input that came before what it needs; `record` is the whole record, `seq` keeps the order."""

    __tablename__ = "kit_parked"
    __table_args__ = (Index("kit_parked_key", "aggregate", "partition", "key"),)

    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    record_offset: int = Field(primary_key=True, sa_type=BigInteger)
    aggregate: str
    key: str
    since_ms: int = Field(sa_type=BigInteger)
    reason: str
    record: bytes = Field(sa_type=LargeBinary)


class Claim(SQLModel, table=True):
    """A text that only one state may hold at a time, across all tasks and workers."""

    __tablename__ = "kit_claim"

    aggregate: str = Field(primary_key=True)
    claim: str = Field(primary_key=True)
    key: str
