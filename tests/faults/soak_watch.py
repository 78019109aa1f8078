"""What is looked at while the soak runs: events on the topics, lag, positions, memory and open files of the workers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from services.embedded.processes import Process, resident_memory
from tests.support.outcome import Databases, Place
from tests.support.system import ALL_SERVICES, System
from topics.definition import load_catalogue

LOOK_SECONDS = 2.0
SAMPLE_SECONDS = 10.0
ANSWER_SECONDS = 10.0
LAST_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Look:
    """One look: seconds since the start, events on all topics so far, records behind by service, mails to be sent."""

    at: float
    events: int
    lag: dict[str, int]
    mails: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One worker at one moment: seconds since the start and since its own start, resident bytes, open files."""

    at: float
    age: float
    memory: int
    files: int


@dataclass(slots=True)
class Seen:
    """All that was seen. `fell`: positions in a database that went back."""

    looks: list[Look] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    fell: list[str] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)

    @property
    def events(self) -> int:
        """Events on all topics when last looked at."""
        return self.looks[-1].events if self.looks else 0

    @property
    def lag(self) -> int:
        """Records that all services together were behind when last looked at, and mails that were to be sent."""
        return sum(self.looks[-1].lag.values()) + self.looks[-1].mails if self.looks else 0


class Watch:
    """Looks every two seconds, from a thread of its own; `told` gets the lag of each look, None if nobody answers."""

    def __init__(self, system: System, told: Callable[[int | None], None]) -> None:
        self.seen = Seen()
        self._told = told
        self._workers: list[Process] = list(system.workers)
        self._databases = system.open_databases()
        self._bootstrap_servers = system.bootstrap_servers
        self._admin = self._connect()
        catalogue = load_catalogue()
        self._places = [
            TopicPartition(name, partition)
            for name, topic in catalogue.topics.items()
            for partition in range(topic.partitions)
        ]
        self._inputs = {name: {topic.name for topic in catalogue.inputs_of(name)} for name in ALL_SERVICES}
        self._positions: dict[tuple[str, Place], int] = {}
        self._births: dict[str, tuple[int, float]] = {}
        self._ending = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Begin; the clock of all that is noted starts here."""
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End, with a last look."""
        self._ending.set()
        self._thread.join(60)
        for _ in range(LAST_LOOKS):
            with suppress(Exception):
                self._look()
                break
            self._admin = self._connect()
        self._databases.close()

    def _run(self) -> None:
        sampled = -SAMPLE_SECONDS
        while not self._ending.wait(LOOK_SECONDS):
            if self.now - sampled >= SAMPLE_SECONDS:
                sampled = self.now
                self._sample()
            try:
                self._look()
            except Exception as error:
                # Broker or database do not answer: that is what the faults are for. Nobody sees into it meanwhile.
                self.seen.unanswered[repr(error)[:120]] += 1
                self._admin = self._connect()
                self._told(None)
            else:
                self._told(self.seen.lag)

    def _connect(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._bootstrap_servers, "log_level": 0})

    def _look(self) -> None:
        ends = self._ends()
        lag = {}
        for service in ALL_SERVICES:
            positions = self._positions_of(service, self._databases)
            lag[service] = sum(
                max(0, end - positions.get(place, 0))
                for place, end in ends.items()
                if place[0] in self._inputs[service]
            )
        [(mails,)] = self._databases.query("liaison", "SELECT count(*) FROM kit_effect")
        self.seen.looks.append(Look(self.now, sum(ends.values()), lag, mails))

    def _ends(self) -> dict[Place, int]:
        asked = {place: OffsetSpec.latest() for place in self._places}
        answers = self._admin.list_offsets(asked, request_timeout=ANSWER_SECONDS)
        return {
            (place.topic, place.partition): answer.result(ANSWER_SECONDS).offset for place, answer in answers.items()
        }

    def _positions_of(self, service: str, databases: Databases) -> dict[Place, int]:
        positions = databases.positions(service)
        for place, offset in positions.items():
            before = self._positions.get((service, place), 0)
            if offset < before:
                self.seen.fell.append(f"{service}: {place} went from {before} to {offset}")
            self._positions[service, place] = offset
        return positions

    def _sample(self) -> None:
        for worker in self._workers:
            with suppress(ProcessLookupError, FileNotFoundError, PermissionError):
                pid = worker.pid
                known, born = self._births.get(worker.name, (0, 0.0))
                if known != pid:
                    born = self.now
                    self._births[worker.name] = (pid, born)
                memory, files = resident_memory(pid), len(list(Path(f"/proc/{pid}/fd").iterdir()))
                self.seen.samples.setdefault(worker.name, []).append(Sample(self.now, self.now - born, memory, files))
