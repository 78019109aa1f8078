"""What a fold works with: states at hand, how records of a type are read and who takes them, events read together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Protocol

from services.kit.database import Database
from services.kit.door import Aggregate, Effect
from services.kit.store import StateTable


class TopicRecord(Protocol):
    """A record of a topic, as the consumer gives it or as the outbox holds it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class States:
    """The states of one aggregate at hand, those among them that the database does not hold as they are now, and those
    that it holds at all."""

    def __init__(self, aggregate: Aggregate, database: Database) -> None:
        self.aggregate = aggregate
        self.rows = StateTable(aggregate, database)
        self.at_hand: dict[str, Any] = {}
        self.changed: dict[str, None] = {}
        self.stored: set[str] = set()
        self.elsewhere = False

    def rows_to_write(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Rows of states that are new to the database, and of those that changed since it took them."""
        at_hand, stored, values = self.at_hand, self.stored, self.rows.values
        # Versions count transactions of a worker, of which there was none yet.
        new = [(key, 1, *values(at_hand[key])) for key in self.changed if key not in stored]
        changed = [(key, 1, *values(at_hand[key])) for key in self.changed if key in stored] if stored else []
        return new, changed

    def keep(self, most: int) -> None:
        """All is written: forget the states that came first, until as many remain as may."""
        if not most:
            for known in (self.at_hand, self.changed, self.stored):
                known.clear()
            return
        self.stored.update(self.changed)
        self.changed.clear()
        for key in list(islice(self.at_hand, max(0, len(self.at_hand) - most))):
            del self.at_hand[key]
            self.stored.discard(key)


class Taker(NamedTuple):
    """What one aggregate does with one type of payload."""

    states: States
    owns: Callable[[Any], bool]
    evolve: Callable[[Any, Any], Any] | None
    opens: Effect | None
    closes: tuple[Effect, ...]


class Reading(NamedTuple):
    """How records of one event type are read and who takes them."""

    validate: Callable[[bytes], Any]
    takers: tuple[Taker, ...]


Step = tuple[str, tuple[Taker, ...], str, Any, int]
"""One event that somebody takes: id, takers, key, payload, place. A plain tuple, because there are millions."""


@dataclass(slots=True)
class Portion:
    """Events read together: their ids, what of them is to be folded, and the keys whose states are not at hand.
    `record_at` gives the record at a place."""

    number: int
    record_at: Callable[[int], TopicRecord]
    ids: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    absent: dict[str, list[str]] = field(default_factory=dict)


class Found(NamedTuple):
    """What the new database knows of a portion: ids that came before, and states by aggregate and key."""

    repeats: frozenset[str]
    states: dict[str, dict[str, Any]]
