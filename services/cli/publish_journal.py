"""What `kouan publish` remembers of a file, so that it is published once however often it is started or killed.

A journal belongs to exactly these events on exactly this cluster. It is a file of JSON Lines: a head, then one line for
every run of events that the broker has confirmed, on the disk before the next are sent. What was sent and not noted is
sent again under the same id, which readers drop.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.client.preparing import Prepared


class JournalBusy(Exception):
    """Another process is publishing these events to this cluster right now."""


class JournalDamaged(Exception):
    """The journal holds what was never written to it; the text says where."""


def digest_of(records: Sequence[Prepared]) -> str:
    """What these events are known by: the same events in the same order always have the same digest."""
    digest = hashlib.sha256()
    for record in records:
        event = record.event
        for part in (record.topic.encode(), event.source.encode(), event.id.encode(), record.key, record.value):
            digest.update(len(part).to_bytes(4, "big"))
            digest.update(part)
    return digest.hexdigest()


class Journal:
    """Which of the events (by index, from 0) are known to be confirmed. Open one with `opened`."""

    def __init__(self, path: Path, descriptor: int, head: dict[str, Any]) -> None:
        self.path = path
        self.confirmed: set[int] = set()
        self.last_at: datetime | None = None
        self._descriptor = descriptor
        self._head = head

    def load(self) -> None:
        """Read what earlier runs have noted. A line that a killed run left unfinished is taken away.

        Raises:
            JournalDamaged: another line makes no sense.
        """
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.ftruncate(self._descriptor, len(whole))
        lines = whole.splitlines()
        for number, line in enumerate(lines, 1):
            try:
                self._read(number, json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise JournalDamaged(f"{self.path}:{number}: {error!r}") from None
        if not lines:
            self._append(self._head)

    def forget(self) -> None:
        """Begin as if nothing had been published."""
        os.ftruncate(self._descriptor, 0)

    def note(self, indexes: Collection[int]) -> None:
        """Put down what the broker confirmed; it is on the disk when this returns."""
        at = datetime.now().astimezone()
        for first, last in _runs(sorted(indexes)):
            self._append({"confirmed": [first, last], "at": at.isoformat(timespec="seconds")})
        self.confirmed.update(indexes)
        self.last_at = at

    def _read(self, number: int, entry: dict[str, Any]) -> None:
        if number == 1:
            if (entry["digest"], entry["cluster"]) != (self._head["digest"], self._head["cluster"]):
                raise ValueError("the journal of other events")
            return
        first, last = entry["confirmed"]
        if not 0 <= first <= last < self._head["events"]:
            raise ValueError("events that the file does not have")
        self.confirmed.update(range(first, last + 1))
        self.last_at = datetime.fromisoformat(entry["at"])

    def _append(self, entry: dict[str, Any]) -> None:
        os.write(self._descriptor, json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        os.fsync(self._descriptor)


@contextmanager
def opened(
    folder: Path, records: Sequence[Prepared], cluster_id: str, file: str, *, restart: bool = False
) -> Iterator[Journal]:
    """The journal of these events on this cluster, held for this process alone until the end of the block.

    Raises:
        JournalBusy: another process holds it.
        JournalDamaged: what it holds makes no sense; only `restart` helps.
        OSError: the folder can't be written.
    """
    digest = digest_of(records)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{digest[:32]}-{cluster_id}.jsonl"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalBusy(str(path)) from None
        head = {"file": file, "digest": digest, "cluster": cluster_id, "events": len(records)}
        journal = Journal(path, descriptor, head)
        if restart:
            journal.forget()
        journal.load()
        yield journal
    finally:
        os.close(descriptor)


def _runs(numbers: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Ascending numbers as runs without gaps: first and last of each."""
    if not numbers:
        return []
    breaks = [(one, other) for one, other in pairwise(numbers) if other > one + 1]
    firsts = [numbers[0], *(other for _, other in breaks)]
    lasts = [*(one for one, _ in breaks), numbers[-1]]
    return zip(firsts, lasts, strict=True)
