"""What a worker holds in memory of a task that it owns."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from services.kit.batch import Entry


@dataclass(slots=True)
class Task:
    """A partition number of an aggregate, owned under `epoch`. The states in `cache` equal the committed ones, and are
    good until another worker raises the epoch. `parked` counts early inputs by key and topic."""

    epoch: int
    cache_entries: int
    cache: dict[str, Entry] = field(default_factory=dict)
    parked: dict[str, dict[str, int]] = field(default_factory=dict)

    def trim(self) -> None:
        """Drop the states that came first, until as many remain as may."""
        excess = len(self.cache) - self.cache_entries
        if excess > 0:
            for key in list(islice(self.cache, excess)):
                del self.cache[key]
