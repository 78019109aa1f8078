"""Incremental fetch sessions: what is asked of a broker, and what it answers, is what changed since the fetch before.

A service reads dozens of partitions, of which hardly any has something new at a given moment. The client asks for all
of them each time, and writes and reads an entry of each: half of what a service did that takes one event at a time,
and work for the broker as well. In a session the broker remembers what was asked.

Source: KIP-227 of Apache Kafka, and the consumer that it ships, which does the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka.protocol.fetch import FetchRequest

_WITH_SESSIONS: Final = 7
"""The first version of fetch requests that has sessions."""

_UNKNOWN_SESSION: Final = 70
_LAST_EPOCH: Final = 2**31 - 1

Place = tuple[str, int]


class Session:
    """A session with one broker. It begins with a request for everything, and again whenever something went wrong."""

    def __init__(self) -> None:
        self._id = 0
        # 0 begins a session, in the place of the one that the id names.
        self._epoch = 0
        self._known: dict[Place, tuple[int, int]] = {}

    def request(self, whole: FetchRequest) -> SessionRequest:
        """What is sent in the place of a request for all that is wanted now."""
        wanted = {(topic, number): (offset, most) for topic, parts in whole.topics for number, offset, most in parts}
        changed = {place: how for place, how in wanted.items() if self._known.get(place) != how}
        gone = self._known.keys() - wanted.keys()
        self._known = wanted
        return SessionRequest(whole, self._id, self._epoch, changed, gone)

    def answered(self, response: Any) -> None:
        """Take note of what the broker says of the session."""
        code = getattr(response, "error_code", 0)
        if code:
            self.broken()
            if code == _UNKNOWN_SESSION:
                self._id = 0
            return
        self._id = getattr(response, "session_id", 0)
        if self._id:
            self._epoch = self._epoch % _LAST_EPOCH + 1
        else:
            # The broker has no room for it, or is too old.
            self.broken()

    def broken(self) -> None:
        """What the broker remembers is not known: everything is asked for the next time."""
        self._epoch = 0
        self._known = {}


class SessionRequest(FetchRequest):  # type: ignore[misc]
    """A fetch request within a session; a broker that knows none gets the whole of it."""

    def __init__(
        self, whole: FetchRequest, id: int, epoch: int, changed: Mapping[Place, tuple[int, int]], gone: Iterable[Place]
    ) -> None:
        self.__dict__.update(whole.__dict__)
        self._session = (id, epoch)
        self._changed = changed
        self._gone = gone

    def build(self, request_struct_class: Any) -> Any:
        """The request as the broker's version has it."""
        if request_struct_class.API_VERSION < _WITH_SESSIONS:
            return super().build(request_struct_class)
        topics: dict[str, list[tuple[int, int, int]]] = {}
        for (topic, number), how in self._changed.items():
            topics.setdefault(topic, []).append((number, *how))
        forgotten: dict[str, list[int]] = {}
        for topic, number in self._gone:
            forgotten.setdefault(topic, []).append(number)
        asked = FetchRequest(
            self._max_wait_ms,
            self._min_bytes,
            self._max_bytes,
            self._isolation_level,
            list(topics.items()),
            self._rack_id,
        ).build(request_struct_class)
        asked.session_id, asked.session_epoch = self._session
        asked.forgotten_topics_data = list(forgotten.items())
        return asked
