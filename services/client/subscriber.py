"""Reacting to events from synchronous Python: keeps its place, drops repeats, gives typed events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from schemas.envelope import Event


@dataclass(frozen=True, slots=True)
class Unknown:
    """The data of an event whose type or version this program does not know: the type and the parsed JSON."""

    type: str
    body: Any


@dataclass(frozen=True, slots=True)
class Received:
    """One event and where it stands. `event.data` is a payload object, or `Unknown`."""

    topic: str
    partition: int
    offset: int
    event: Event[Any]
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that is no event, or other content under an id that was seen: `code` is stable, `text` for people."""

    topic: str
    partition: int
    offset: int
    code: str
    text: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


Handler = Callable[[Sequence[Received], Connection], None]
SkippedHandler = Callable[[Skipped, Connection], None]


class Subscriber:
    """Reads whole topics in one process; the place is kept in a database, by default `sqlite:///<name>.db`."""

    def __init__(
        self,
        bootstrap_servers: str,
        name: str,
        topics: Collection[str],
        *,
        place: str | Engine | None = None,
        batch_size: int = 500,
        keep_ids: timedelta = timedelta(days=30),
        on_skipped: SkippedHandler | None = None,
        **kafka: Any,
    ) -> None:
        raise NotImplementedError

    def run(self, handle: Handler, *, until: threading.Event | None = None) -> None:
        """Read and handle until `until` is set."""
        raise NotImplementedError
