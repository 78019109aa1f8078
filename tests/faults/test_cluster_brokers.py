"""Three brokers with every record on all of them: each may go, two may go, and nothing that was acknowledged is lost.

Both databases: on SQLite a worker reads its partitions by itself, on PostgreSQL two share them as a consumer group.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, Node, needs_packets_to_be_lost, running_cluster
from tests.support.history import Watch
from tests.support.ledger import PARTITIONS
from tests.support.ledger.load import load
from tests.support.ledger.running import RunningLedger, running_ledger
from tests.support.ledger.surviving import must_have_survived, must_hold_no_more, started

pytestmark = [pytest.mark.broker, pytest.mark.thorough, pytest.mark.timeout(600)]

GO_ON_SECONDS = 75
"""The cluster misses a broker after 9 s; a client that is told nothing gives a request up after 40 s."""


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(three: Cluster) -> Iterator[Cluster]:
    """All three brokers in sync, however the test before ended."""
    three.make_whole()
    yield three
    three.make_whole()


def must_go_on(ledger: RunningLedger) -> None:
    """What is sent now is applied, while the fault lasts: accounts on all partitions."""
    end = time.monotonic() + GO_ON_SECONDS
    keys = {f"meanwhile-{uuid.uuid4().hex[:8]}" for _ in range(4 * PARTITIONS)}
    publisher = ledger.history.publisher(**{"message.timeout.ms": GO_ON_SECONDS * 1000})
    for key in keys:
        publisher.event(ledger.topic("accounts"), "ledger.account_requested.v1", key, {"name": f"of {key}"})
    publisher.flush(GO_ON_SECONDS)
    while left := keys - {key for (key,) in ledger.history.database.query("SELECT key FROM ledger_account")}:
        assert time.monotonic() < end, f"{left} not applied after {GO_ON_SECONDS} s\n{ledger.logs()}"
        time.sleep(0.1)


def must_be_kept_by_another(cluster: Cluster, group: str, first: Node) -> None:
    """The cluster names another coordinator of a group, while the first one is gone."""
    end = time.monotonic() + GO_ON_SECONDS
    while cluster.coordinator(group) is first:
        assert time.monotonic() < end, f"broker {first.number}, which is gone, is still said to keep {group}"
        time.sleep(0.2)


def test_every_broker_is_restarted_in_turn_under_load(cluster: Cluster, tmp_path: Path, dice: random.Random) -> None:
    with running_ledger(cluster.bootstrap_servers, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        with load(ledger, dice, seconds=60):
            for node in dice.sample(cluster.nodes, 3):
                time.sleep(dice.uniform(0, 2))
                node.ask_to_end()
                must_go_on(ledger)
                node.begin()
                cluster.wait_whole()
        must_have_survived(ledger, worker, before, watch)


def test_a_broker_is_killed_and_the_others_carry_on(cluster: Cluster, tmp_path: Path, dice: random.Random) -> None:
    with running_ledger(cluster.bootstrap_servers, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        with load(ledger, dice, seconds=25):
            time.sleep(dice.uniform(1, 3))
            killed = dice.choice(cluster.nodes)
            killed.kill()
            must_go_on(ledger)
            time.sleep(dice.uniform(1, 3))
            killed.begin()
        must_have_survived(ledger, worker, before, watch)


@pytest.mark.postgres
def test_the_broker_that_keeps_the_group_is_killed(
    cluster: Cluster, tmp_path: Path, postgres_database: str, dice: random.Random
) -> None:
    with (
        running_ledger(cluster.bootstrap_servers, tmp_path, postgres_database) as ledger,
        Watch(ledger.history.database) as watch,
    ):
        workers = [started(ledger, label) for label in "ab"]
        with load(ledger, dice, seconds=30):
            time.sleep(dice.uniform(1, 3))
            first = cluster.coordinator(ledger.name)
            first.kill()
            must_go_on(ledger)
            must_be_kept_by_another(cluster, ledger.name, first)
            first.begin()
        ledger.must_be_right(90)
        for worker, before in workers:
            must_hold_no_more(worker, before)
        assert watch.fell == []


def test_two_of_three_brokers_are_gone_for_a_while(cluster: Cluster, tmp_path: Path, dice: random.Random) -> None:
    with running_ledger(cluster.bootstrap_servers, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        with load(ledger, dice, seconds=20):
            time.sleep(dice.uniform(1, 3))
            gone = dice.sample(cluster.nodes, 2)
            for node in gone:
                node.kill()
            time.sleep(dice.uniform(4, 8))
            worker.check_alive()
            for node in gone:
                node.begin()
        cluster.wait_whole()
        must_have_survived(ledger, worker, before, watch)


@pytest.mark.parametrize("ports", [(9092,), (9093, 9094)], ids=["from its clients", "from the other brokers"])
def test_a_leader_is_cut_off_and_others_take_over(
    cluster: Cluster, tmp_path: Path, dice: random.Random, ports: tuple[int, ...]
) -> None:
    """Between brokers the leader goes on taking what it may not acknowledge any more; it has to give it up again."""
    needs_packets_to_be_lost()
    with running_ledger(cluster.bootstrap_servers, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        leader = cluster.leader(ledger.topic("entries"), 0)
        with load(ledger, dice, seconds=40):
            time.sleep(dice.uniform(1, 3))
            with leader.losing(*_both_ways(ports)):
                time.sleep(dice.uniform(12, 15))
        cluster.wait_whole()
        must_have_survived(ledger, worker, before, watch)


def _both_ways(ports: tuple[int, ...]) -> list[str]:
    ends = [(chain, end) for chain in ("INPUT", "OUTPUT") for end in ("--dport", "--sport")]
    return [f"{chain} -p tcp {end} {port}" for port in ports for chain, end in ends]


@pytest.mark.postgres
def test_brokers_are_killed_and_workers_too(
    cluster: Cluster, tmp_path: Path, postgres_database: str, dice: random.Random
) -> None:
    """Both at once, at random: never more than one broker, now the one and now the other worker."""
    with (
        running_ledger(cluster.bootstrap_servers, tmp_path, postgres_database) as ledger,
        Watch(ledger.history.database) as watch,
    ):
        workers = [ledger.worker(label).start() for label in "ab"]
        for worker in workers:
            worker.wait_ready()
        with load(ledger, dice, seconds=40):
            for node in dice.sample(cluster.nodes, 2):
                time.sleep(dice.uniform(0.5, 2))
                node.kill()
                time.sleep(dice.uniform(0, 1.5))
                worker = dice.choice(workers)
                worker.kill()
                time.sleep(dice.uniform(0, 2))
                worker.start()
                node.begin()
                cluster.wait_whole()
        ledger.must_be_right(90)
        assert watch.fell == []
