"""All deciding services on a broker and databases of their own, as processes that tests kill, pause and start again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient

from services.embedded.broker import free_ports
from services.embedded.processes import Process, Workers, worker, worker_environment
from services.embedded.smtp import SmtpProcess
from services.registry import SERVICES
from tests.support.brokers import broker_is_named, running_broker
from tests.support.outcome import Databases, End, ends_of
from tests.support.scenario import Input, Scenario
from topics.definition import load_catalogue
from topics.plan import apply, plan, read_cluster

ALL_SERVICES = tuple(SERVICES)
CHUNKS = 25
STILL_SECONDS = 150.0
"""Longer than an effect's lease, after which an attempt that was lost is made again."""
PROGRESS_SECONDS = 120.0


@contextmanager
def empty_cluster(folder: Path) -> Iterator[str]:
    """Bootstrap servers of a broker that holds the catalogue's topics and nothing in them."""
    with running_broker(folder) as bootstrap_servers:
        create_catalogue(bootstrap_servers, anew=broker_is_named())
        yield bootstrap_servers


def create_catalogue(bootstrap_servers: str, *, anew: bool = False) -> None:
    """Create what a cluster lacks of the catalogue's topics; `anew`: delete those of another run before."""
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers.split(","))) as admin:
        if anew:
            _delete_topics(admin)
        apply(plan(load_catalogue(), read_cluster(admin)), admin)


def _delete_topics(admin: KafkaAdminClient) -> None:
    there = set(admin.list_topics()) & set(load_catalogue().topics)
    if there:
        admin.delete_topics(sorted(there))
        wait_until(lambda: not there & set(admin.list_topics()), 30, "the topics of another run are deleted")


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until the condition holds; fails with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still not: {what}")
        time.sleep(0.05)


class Stillness:
    """How long something has been the same: a busy machine takes its time, and only what stands still hangs."""

    def __init__(self) -> None:
        self._last: object = None
        self._since = time.monotonic()

    def lasts(self, now: object) -> float:
        """For how many seconds it has been as it is now."""
        if now != self._last:
            self._last, self._since = now, time.monotonic()
        return time.monotonic() - self._since


class Publisher:
    """The systems of both sides in one: sends inputs in order, each exactly once, to the partition that it names."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._failed: list[str] = []
        self._producer: Producer | None = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 20,
                # What it reports at the start, while the broker's coordinator wakes up, passes by itself.
                "log_level": 3,
                "queue.buffering.max.messages": 1_000_000,
                "message.max.bytes": 4 * 1024 * 1024,
            }
        )

    def close(self) -> None:
        """End the connections: the client has no other way than to be dropped."""
        self._producer = None

    def publish(self, inputs: Iterable[Input]) -> None:
        """Send, and wait until all are confirmed."""
        self.begin(inputs)
        self.confirm()

    def begin(self, inputs: Iterable[Input]) -> None:
        """Send, and wait for nothing."""
        producer = self._producer
        assert producer is not None
        for one in inputs:
            producer.produce(
                one.topic,
                key=one.key,
                value=one.value,
                headers=list(one.headers),
                partition=one.partition,
                timestamp=one.timestamp_ms,
                on_delivery=self._confirmed,
            )
            producer.poll(0)

    def confirm(self, seconds: float = 60) -> None:
        """Wait until all that was sent is confirmed."""
        assert self._producer is not None
        left = self._producer.flush(seconds)
        assert not left, f"{left} inputs were not confirmed"
        assert not self._failed, self._failed

    def _confirmed(self, error: object, message: object) -> None:
        if error is not None:
            self._failed.append(str(error))


class System:
    """The running whole. Databases are SQLite files in the folder unless a PostgreSQL URL is given; it then holds for
    the services `on_postgres`, and these alone have so many workers each."""

    def __init__(
        self,
        bootstrap_servers: str,
        folder: Path,
        *,
        database_url: str | None = None,
        on_postgres: Collection[str] = ALL_SERVICES,
        workers: int = 1,
        commands: Mapping[str, Sequence[str]] | None = None,
        **settings: object,
    ) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.folder = folder
        self.mails = folder / "mails.jsonl"
        self.database_url = database_url
        self.on_postgres = frozenset(on_postgres if database_url else ())
        self.databases = self.open_databases()
        self.publisher = Publisher(bootstrap_servers)
        # A port of its own choice might be taken by somebody's outgoing connection while the server is down.
        self.smtp = SmtpProcess(self.mails, port=free_ports(1)[0])
        self._settings = {"log_level": "WARNING", **settings}
        self._number = workers
        self._commands = commands or {}
        self._stack = ExitStack()
        self.epochs_before: dict[str, dict[tuple[str, int], int]] = {}
        self.workers = Workers(())

    def __enter__(self) -> System:
        self._stack.enter_context(self.smtp)
        self.workers = Workers([self.worker(name, label) for name in ALL_SERVICES for label in self._labels(name)])
        self._stack.enter_context(self.workers)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self.publisher.close()
        self.databases.close()

    def _labels(self, service: str) -> list[str]:
        number = self._number if service in self.on_postgres else 1
        return [f"{service}-{each}" for each in range(number)]

    def open_databases(self) -> Databases:
        """The services' databases, on a connection of the caller's own."""
        return Databases(self.folder / "data", self.database_url, self.on_postgres)

    def worker(self, service: str, label: str) -> Process:
        """One more worker of a service, not started; it is its maker who ends it."""
        environment = worker_environment(
            self.bootstrap_servers,
            self.folder / "data",
            smtp_port=self.smtp.port,
            database_url=self.database_url if service in self.on_postgres else None,
            **self._settings,
        )
        if service in self._commands:
            return Process(label, self._commands[service], environment, self.folder / "logs" / f"{label}.log")
        return worker(service, environment, self.folder / "logs", label)

    def workers_of(self, service: str) -> list[Process]:
        """The processes of one service."""
        return [self.workers[label] for label in self._labels(service)]

    # How far it is

    def progress(self, service: str) -> int:
        """How many records the service has read, by its database."""
        return sum(self.databases.positions(service).values())

    def unsettled(self) -> list[str]:
        """What is still under way; empty once every input and all that follows from it has been dealt with.

        The ends of the topics are asked before the databases and again after: a service that was found idle may have
        got something to do since, but only from a record that moved an end.
        """
        before = ends_of(self.bootstrap_servers)
        reasons = [f"{name}: {reason}" for name in ALL_SERVICES for reason in self._busy(name, before)]
        if not reasons and ends_of(self.bootstrap_servers) != before:
            reasons.append("records arrived meanwhile")
        return reasons

    def _busy(self, service: str, ends: Mapping[tuple[str, int], End]) -> Iterator[str]:
        catalogue = load_catalogue()
        positions = self.databases.positions(service)
        topics = {topic.name for topic in catalogue.inputs_of(service)}
        behind = sum(end - positions.get(place, 0) for place, end in ends.items() if place[0] in topics)
        if behind:
            yield f"{behind} records behind"
        for what, number in self.databases.pending(service, int(time.time() * 1000)).items():
            if number:
                yield f"{number} {what}"

    def settle(self, still_seconds: float = STILL_SECONDS) -> None:
        """Wait until nothing is under way any more; fails when what is under way has stood still for so long."""
        stillness = Stillness()
        while reasons := self.unsettled():
            self.workers.check_alive()
            if stillness.lasts(reasons) > still_seconds:
                logs = "\n".join(process.tail(8) for process in self.workers)
                raise AssertionError(f"still for {still_seconds:g} s: {'; '.join(reasons)}\n{logs}")
            time.sleep(0.1)


@contextmanager
def running_system(folder: Path, directory: Sequence[Input], **options: Any) -> Iterator[System]:
    """A system on a cluster of its own, with the directory published and every worker ready."""
    with (
        empty_cluster(folder / "broker") as bootstrap_servers,
        System(bootstrap_servers, folder, **options) as system,
    ):
        system.publisher.publish(directory)
        system.workers.wait_ready(PROGRESS_SECONDS)
        yield system


def publish(system: System, scenario: Scenario) -> None:
    """Publish a scenario's inputs in parts, each confirmed before the next."""
    for chunk in scenario.chunks(CHUNKS):
        system.publisher.publish(chunk)


@contextmanager
def publishing(system: System, scenario: Scenario) -> Iterator[None]:
    """Publishes beside what the block does; a failure of it is the block's failure too."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            publish(system, scenario)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=work, name="publishing")
    thread.start()
    try:
        yield
    finally:
        thread.join(120)
    assert not thread.is_alive(), "publishing did not end"
    assert not failures, failures
