"""The line between a worker and its broker: packets are dropped by iptables in the broker's own network namespace.

Unlike the relay of `test_ledger_outages.py`, which ends what it broke with a reset, the connections stay as they are:
both ends send again what was lost, and go on with the same connection or give it up by themselves.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, needs_packets_to_be_lost, running_cluster
from tests.support.history import Watch
from tests.support.ledger.load import load
from tests.support.ledger.running import running_ledger
from tests.support.ledger.surviving import must_have_survived, started

pytestmark = [pytest.mark.broker, pytest.mark.thorough, pytest.mark.timeout(600)]

SECONDS = 12
"""How long the load takes; faults strike within it."""
REQUESTS = "INPUT -p tcp --dport 9092"
ANSWERS = "OUTPUT -p tcp --sport 9092"
ONE_IN_TWENTY = "-m statistic --mode random --probability 0.05"


@pytest.fixture(scope="module")
def alone() -> Iterator[Cluster]:
    needs_packets_to_be_lost()
    with running_cluster(brokers=1) as cluster:
        yield cluster


@pytest.mark.parametrize(
    "rules", [(REQUESTS,), (ANSWERS,), (REQUESTS, ANSWERS)], ids=["requests", "answers", "both ways"]
)
def test_no_packet_passes_for_a_while(
    alone: Cluster, tmp_path: Path, dice: random.Random, rules: tuple[str, ...]
) -> None:
    with running_ledger(alone.bootstrap_servers, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        with load(ledger, dice, SECONDS):
            for _ in range(2):
                time.sleep(dice.uniform(1, 2))
                with alone.nodes[0].losing(*rules):
                    time.sleep(dice.uniform(2, 4))
        must_have_survived(ledger, worker, before, watch)


@pytest.mark.postgres
def test_a_group_is_cut_off_for_longer_than_its_session(
    alone: Cluster, tmp_path: Path, postgres_database: str, dice: random.Random
) -> None:
    """The broker takes the workers for dead, and they come back knowing nothing of it."""
    with (
        running_ledger(alone.bootstrap_servers, tmp_path, postgres_database) as ledger,
        Watch(ledger.history.database) as watch,
    ):
        workers = [started(ledger, label) for label in "ab"]
        with load(ledger, dice, seconds=20):
            time.sleep(dice.uniform(1, 2))
            with alone.nodes[0].losing(REQUESTS, ANSWERS):
                time.sleep(dice.uniform(9, 12))
        for worker, before in workers:
            must_have_survived(ledger, worker, before, watch)


def test_one_packet_in_twenty_is_lost(alone: Cluster, tmp_path: Path, dice: random.Random) -> None:
    with running_ledger(alone.bootstrap_servers, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        with alone.nodes[0].losing(f"{REQUESTS} {ONE_IN_TWENTY}", f"{ANSWERS} {ONE_IN_TWENTY}"):
            with load(ledger, dice, SECONDS):
                time.sleep(SECONDS)
            must_have_survived(ledger, worker, before, watch)
