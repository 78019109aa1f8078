"""What every way of starting a broker shares: the broker's settings, the handle on it, and the test that it answers."""

from __future__ import annotations

import logging
import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

from kafka.admin import KafkaAdminClient

Origin = Literal["environment", "docker", "java"]
Say = Callable[[str], None]

POM = Path(__file__).with_name("pom.xml")

_PORTS = range(15_000, 32_000)
_CHANCE = random.SystemRandom()
"""Ports are drawn, so that two who ask at once hardly ever get the same; not by a generator that tests seed."""

HEAP = "-Xms256m -Xmx512m"
JVM_OPTIONS = "-XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true"
"""Serial collection: with two cores and half a gigabyte its pauses are short, and it takes no cycles in between."""

BROKER_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    # Sessions of a second let a test, or an operator in a hurry, see a dead worker replaced soon.
    "group.min.session.timeout.ms": "1000",
    # A dead letter carries an input of 4 MB with its headers and coordinates: 5 MB, and room for the record batch.
    "message.max.bytes": str(6 * 1024 * 1024),
    "replica.fetch.max.bytes": str(6 * 1024 * 1024),
    "num.partitions": "4",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The cleaner's default buffer alone would fill a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "4",
}
"""Settings of a single broker for one machine, the same in a container and beside the program."""


class BrokerUnavailable(Exception):
    """No broker answers and none can be started; the text says why and what to do, in Chinese and English."""


class Started(NamedTuple):
    """What a way of starting gives back: the bootstrap list, and how to end what it started."""

    bootstrap_servers: str
    end: Callable[[], None]


class Broker:
    """A broker that answers: where it listens, how it came about, and the way to let go of it.

    `bootstrap_servers` is a Kafka bootstrap list, `origin` one of `environment`, `docker`, `java`. `stop()` ends what
    was started here (never a broker that the environment named) and may be called again.
    """

    def __init__(self, bootstrap_servers: str, origin: Origin, closing_steps: ExitStack | None = None) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.origin = origin
        self._closing_steps = closing_steps or ExitStack()

    def stop(self) -> None:
        """End the broker and release its data folder."""
        self._closing_steps.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Broker({self.bootstrap_servers!r}, {self.origin!r})"


def kafka_version() -> str:
    """The Kafka version that the project runs, as the Maven project names it."""
    match = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", POM.read_text(encoding="utf-8"))
    if match is None:
        raise BrokerUnavailable(f"{POM.name} 缺少 kafka.version\n{POM.name} names no kafka.version")
    return match.group(1)


def free_ports(count: int) -> list[int]:
    """Different TCP ports of the loopback interface that nobody listens on at this moment.

    They lie below those that the system gives to outgoing connections, one of which might take a port between now and
    the moment at which somebody listens on it.
    """
    found: list[int] = []
    with ExitStack() as stack:
        for port in _CHANCE.sample(_PORTS, len(_PORTS)):
            if len(found) == count:
                break
            each = stack.enter_context(closing(socket.socket()))
            with suppress(OSError):
                each.bind(("127.0.0.1", port))
                found.append(port)
    return found


def answers(bootstrap_servers: str, seconds: float = 5.0) -> bool:
    """Whether a broker there answers a metadata request with at least itself within `seconds`."""
    if not any(_listens(address) for address in bootstrap_servers.split(",")):
        return False
    milliseconds = int(seconds * 1000)
    with _quiet_client():
        try:
            admin = KafkaAdminClient(
                bootstrap_servers=bootstrap_servers.split(","),
                client_id="kouan-ready",
                bootstrap_timeout_ms=milliseconds,
                request_timeout_ms=milliseconds,
            )
        except Exception:
            return False
        with closing(admin):
            try:
                return bool(admin.describe_cluster()["brokers"])
            except Exception:
                return False


def wait_until_answers(bootstrap_servers: str, seconds: float, alive: Callable[[], bool]) -> bool:
    """Wait until the broker answers; False as soon as `alive` says that it has ended, or after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answers(bootstrap_servers):
            return True
        if not alive():
            return False
        time.sleep(0.1)
    return False


def _listens(address: str) -> bool:
    host, _, port = address.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
            return True
    except (OSError, ValueError):
        return False


@contextmanager
def _quiet_client() -> Iterator[None]:
    # The client reports each attempt that fails; while a broker starts, failing is what is expected.
    logger = logging.getLogger("kafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
