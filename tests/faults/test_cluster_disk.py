"""The broker's disk is full: it stops by itself, and what it had acknowledged is there when there is room again."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.support.cluster import Node, running_cluster
from tests.support.disk import small_disk
from tests.support.history import Watch
from tests.support.ledger.load import load
from tests.support.ledger.running import running_ledger
from tests.support.ledger.surviving import must_have_survived, started

pytestmark = [pytest.mark.broker, pytest.mark.thorough, pytest.mark.timeout(600)]


END_SECONDS = 60
"""With every segment that it can't write to, a broker closes its only folder and ends."""


def wait_until_ended(node: Node) -> None:
    """Fail where a broker goes on without room."""
    end = time.monotonic() + END_SECONDS
    while node.runs:
        assert time.monotonic() < end, f"it did not notice that its disk is full\n{node.log_tail()}"
        time.sleep(0.1)


def test_the_disk_of_the_broker_is_full_until_it_gives_up(tmp_path: Path, dice: random.Random) -> None:
    with small_disk(512) as disk:
        # The broker runs as a user of its own, whose number this machine need not know.
        disk.folder.chmod(0o777)
        with running_cluster(brokers=1, data=disk.folder) as cluster:
            (node,) = cluster.nodes
            with (
                running_ledger(cluster.bootstrap_servers, tmp_path) as ledger,
                Watch(ledger.history.database) as watch,
            ):
                worker, before = started(ledger)
                with load(ledger, dice, seconds=20):
                    time.sleep(dice.uniform(1, 2))
                    disk.fill()
                    wait_until_ended(node)
                    time.sleep(dice.uniform(0, 2))
                    disk.free()
                    node.begin()
                cluster.wait_whole()
                must_have_survived(ledger, worker, before, watch)
