"""A cluster of brokers in containers of the test's own, of which each can be stopped, killed and cut off.

The containers have fixed addresses in a network of their own, which this machine reaches without a proxy in between: a
packet that is dropped in a broker's network namespace is missing on the very connection that a client holds.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from docker.errors import APIError
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from services.embedded.broker import JVM_OPTIONS, wait_until_answers
from services.embedded.container import (
    BROKER_PORT,
    CLIENT_PORT,
    CONTROLLER_PORT,
    DATA,
    KafkaContainer,
    connect_engine,
    find_image,
    remove_orphans,
)
from services.embedded.java import new_cluster_id

READY_SECONDS = 240
STOP_SECONDS = 40
"""How long a broker may take to hand its partitions over and end; after that the engine kills it."""
COORDINATOR_SECONDS = 60
"""How long a group may be without a broker that keeps it, or that says so."""
REPLICAS = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
}
"""What a topic is made with on three brokers: each record on all of them, acknowledged when two have it."""
PATIENCE = {"controller.quorum.fetch.timeout.ms": "6000", "controller.quorum.election.timeout.ms": "3000"}
"""On a busy machine, controllers that wait no longer than 2 s elect each other all the time."""
_NETWORK = "kouan-test"


class Node(KafkaContainer):
    """One broker, which is a controller as well, at an address that outlives its restarts."""

    def __init__(self, image: str, number: int, voters: Mapping[int, str], network: str, cluster_id: str) -> None:
        several = len(voters) > 1
        super().__init__(image, cluster_id=cluster_id, settings=REPLICAS | PATIENCE if several else None)
        # Brokers that live for a minute gain nothing from being compiled well, and three of them start at once.
        self.with_env("KAFKA_JVM_PERFORMANCE_OPTS", f"{JVM_OPTIONS} -XX:TieredStopAtLevel=1")
        self.number = number
        self.address = voters[number]
        self._voters = voters
        endpoint = self.get_docker_client().client.api.create_endpoint_config(ipv4_address=self.address)
        # `with_kwargs` forgets those before, among them the label by which `remove_orphans` knows whose it is.
        self.with_kwargs(**self._kwargs, network=network, networking_config={network: endpoint})

    def start(self) -> Self:
        """Start it without waiting: alone, none of several answers."""
        # What would remove it after this run is one more image to pull; `remove_orphans` does that work.
        testcontainers_config.ryuk_disabled = True
        self._choose_address()
        return DockerContainer.start(self)

    def _choose_address(self) -> None:
        self.bootstrap_servers = f"{self.address}:{CLIENT_PORT}"
        self._settings |= {
            "node.id": str(self.number),
            "listeners": ",".join(
                f"{name}://0.0.0.0:{port}"
                for name, port in (("PLAINTEXT", CLIENT_PORT), ("BROKER", BROKER_PORT), ("CONTROLLER", CONTROLLER_PORT))
            ),
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers},BROKER://{self.address}:{BROKER_PORT},"
            f"CONTROLLER://{self.address}:{CONTROLLER_PORT}",
            "inter.broker.listener.name": "BROKER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": ",".join(
                f"{number}@{address}:{CONTROLLER_PORT}" for number, address in self._voters.items()
            ),
            "log.dirs": DATA,
        }
        for key, value in self._settings.items():
            self.with_env("KAFKA_" + key.upper().replace(".", "_"), value)

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._runs()

    def ask_to_end(self) -> None:
        """Stop it as an operator does (SIGTERM), and wait until it has ended."""
        self.get_wrapped_container().stop(timeout=STOP_SECONDS)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.get_wrapped_container().kill()

    def begin(self) -> None:
        """Start it again, without waiting."""
        self.get_wrapped_container().start()

    @contextmanager
    def losing(self, *rules: str) -> Iterator[None]:
        """Lose the packets that iptables rules (`INPUT -p tcp --dport 9092`) describe, for a while.

        The rules lie in the broker's own network namespace: nothing else on this machine is touched.
        """
        tables = ["nsenter", "--target", str(self._pid), "--net", "iptables", "--wait"]
        laid: list[list[str]] = []
        try:
            for rule in rules:
                chain, *match = rule.split()
                subprocess.run([*tables, "-A", chain, *match, "-j", "DROP"], check=True, capture_output=True)
                laid.append([*tables, "-D", chain, *match, "-j", "DROP"])
            yield
        finally:
            for command in laid:
                # A broker that ended meanwhile took its namespace and the rules with it.
                subprocess.run(command, check=False, capture_output=True)

    @property
    def _pid(self) -> int:
        container = self.get_wrapped_container()
        container.reload()
        return int(container.attrs["State"]["Pid"])


class Cluster:
    """Brokers that know each other; `bootstrap_servers` names them all."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.bootstrap_servers = ",".join(f"{node.address}:{CLIENT_PORT}" for node in nodes)
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def wait_whole(self, seconds: float = READY_SECONDS) -> None:
        """Wait until every broker answers and every replica of every topic is in sync."""
        end = time.monotonic() + seconds
        while missing := self._missing():
            assert time.monotonic() < end, f"{missing} after {seconds:g} s\n{self.logs()}"
            time.sleep(0.2)

    def coordinator(self, group: str) -> Node:
        """The broker that keeps a consumer group, as the cluster says when it is asked for it."""
        return self._node(asyncio.run(_coordinator(self.bootstrap_servers, group)))

    def leader(self, topic: str, partition: int) -> Node:
        """The broker that leads a partition."""
        return self._node(self._admin.list_topics(topic, timeout=20).topics[topic].partitions[partition].leader)

    def make_whole(self) -> None:
        """Start whatever has ended, and wait until all is in sync."""
        for node in self.nodes:
            if not node.runs:
                node.begin()
        self.wait_whole()

    def logs(self) -> str:
        """The end of every broker's log, for a test that failed."""
        return "\n".join(f"--- broker {node.number}:\n{node.log_tail(12)}" for node in self.nodes)

    def _node(self, number: int) -> Node:
        return next(node for node in self.nodes if node.number == number)

    def _missing(self) -> str:
        for node in self.nodes:
            if not wait_until_answers(node.bootstrap_servers, 1, lambda: False):
                return f"broker {node.number} does not answer"
        try:
            told = self._admin.list_topics(timeout=5)
        except KafkaException as error:
            return str(error)
        if len(told.brokers) < len(self.nodes):
            return f"{len(told.brokers)} brokers are known"
        for name, topic in told.topics.items():
            for partition in topic.partitions.values():
                if partition.leader < 0 or len(partition.isrs) < len(partition.replicas):
                    return f"{name}[{partition.id}] is in sync on {partition.isrs} of {partition.replicas}"
        return ""


async def _coordinator(bootstrap_servers: str, group: str) -> int:
    """The number of the broker that keeps a group; asks until one answers.

    Not by librdkafka: where the coordinator that its admin client remembers is gone, it waits for it, and then aborts
    the whole process (confluentinc/librdkafka#4605).
    """
    end = time.monotonic() + COORDINATOR_SECONDS
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5000)
        try:
            await admin.start()
            return int(await admin.find_coordinator(group))
        except KafkaError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.2)
        finally:
            await admin.close()


@contextmanager
def running_cluster(brokers: int = 3, data: Path | None = None) -> Iterator[Cluster]:
    """Brokers that answer, removed afterwards; `data` is the folder of this machine on which the only one writes."""
    engine = connect_engine()
    remove_orphans(engine)
    image = find_image(engine, lambda text: None)
    _remove_networks(engine)
    network, prefix = _new_network(engine)
    voters = {number: f"{prefix}.{10 + number}" for number in range(1, brokers + 1)}
    cluster_id = new_cluster_id()
    nodes = [Node(image, number, voters, network.name or "", cluster_id) for number in voters]
    if data is not None:
        nodes[0].with_volume_mapping(str(data), DATA, "rw")
    try:
        for node in nodes:
            node.start()
        cluster = Cluster(nodes)
        cluster.wait_whole()
        yield cluster
    finally:
        for node in nodes:
            node.stop()
        network.remove()


def needs_packets_to_be_lost() -> None:
    """Skip a test where this machine does not let us lay iptables rules in a container's network namespace."""
    if os.geteuid() != 0:
        pytest.skip("需要 root 才能进入容器的网络命名空间 / entering a container's network namespace needs root")
    missing = [tool for tool in ("iptables", "nsenter") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"缺少 {'、'.join(missing)} / {', '.join(missing)} not installed")


def _new_network(engine: DockerClient) -> tuple[Network, str]:
    """A network with a range of addresses that nobody else has, and the first three numbers of them."""
    chance = random.SystemRandom()
    for _ in range(20):
        prefix = f"10.{chance.randrange(64, 250)}.{chance.randrange(256)}"
        ranges = IPAMConfig(pool_configs=[IPAMPool(subnet=f"{prefix}.0/24")])
        try:
            name = f"{_NETWORK}-{os.getpid()}-{prefix}"
            return engine.client.networks.create(name, driver="bridge", ipam=ranges), prefix
        except APIError as error:
            if "overlap" not in str(error):
                raise
    raise AssertionError("no range of addresses is free")


def _remove_networks(engine: DockerClient) -> None:
    """Remove the networks of test runs that were killed."""
    for network in engine.client.networks.list():
        owner = re.match(rf"{_NETWORK}-(\d+)-", network.name or "")
        if owner and not Path(f"/proc/{owner[1]}").exists():
            with suppress(APIError):
                network.remove()
