"""Broker, network, database and disk fail under load, come back, and nobody can tell from what is left."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.broker import wait_until_answers
from services.embedded.container import KafkaContainer
from tests.support.disk import small_disk
from tests.support.history import Watch
from tests.support.ledger.load import load
from tests.support.ledger.running import running_ledger
from tests.support.ledger.surviving import must_have_survived, started
from tests.support.mischief import BROKER_SECONDS
from tests.support.network import Network, Weather, broker_behind_a_network
from tests.support.postgres import end_connections

pytestmark = pytest.mark.broker

SECONDS = 10
"""How long the load takes; faults strike within it."""

IMPATIENT = {"message.timeout.ms": 700, "request.timeout.ms": 500}
"""Settings of a publisher that gives a record up sooner than a broker is there again."""


@pytest.fixture(scope="module")
def hidden() -> Iterator[tuple[KafkaContainer, Network]]:
    with broker_behind_a_network() as both:
        yield both


@pytest.fixture
def network(hidden: tuple[KafkaContainer, Network]) -> Network:
    return hidden[1]


@pytest.mark.parametrize(
    "weather",
    [
        pytest.param(Weather.DEAF, marks=pytest.mark.thorough),
        Weather.MUTE,
        pytest.param(Weather.CUT, marks=pytest.mark.thorough),
    ],
)
def test_the_line_to_the_broker_goes_dead_and_comes_back(
    network: Network, tmp_path: Path, dice: random.Random, weather: Weather
) -> None:
    with running_ledger(network.address, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        with load(ledger, dice, SECONDS):
            time.sleep(dice.uniform(1, 3))
            with network.becomes(weather):
                time.sleep(dice.uniform(2, 4))
        must_have_survived(ledger, worker, before, watch)


@pytest.mark.thorough
def test_connections_are_slow_and_reset_again_and_again(network: Network, tmp_path: Path, dice: random.Random) -> None:
    with running_ledger(network.address, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        with load(ledger, dice, SECONDS):
            network.delay(0.02)
            for _ in range(12):
                time.sleep(dice.uniform(0.1, 1.0))
                network.reset()
            network.delay(0)
        must_have_survived(ledger, worker, before, watch)


@pytest.mark.parametrize("patient", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_the_broker_is_killed_twice(
    hidden: tuple[KafkaContainer, Network], tmp_path: Path, dice: random.Random, patient: bool
) -> None:
    """A publisher without patience is never told of some records whether they came, and sends no more of them."""
    container, network = hidden
    with running_ledger(network.address, tmp_path) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        with load(ledger, dice, SECONDS, **({} if patient else IMPATIENT)):
            for _ in range(2):
                time.sleep(dice.uniform(0.5, 2))
                container.get_wrapped_container().kill()
                time.sleep(dice.uniform(0, 2))
                container.get_wrapped_container().start()
        # Who has given everything up does not wait for the broker.
        assert wait_until_answers(network.address, BROKER_SECONDS, lambda: True)
        must_have_survived(ledger, worker, before, watch)
        fates = {one.fate for publisher in ledger.history.publishers for one in publisher.sent}
        assert fates == ({"acknowledged"} if patient else {"acknowledged", "unknown"})


@pytest.mark.postgres
def test_postgresql_ends_its_connections_again_and_again(
    kafka: str, tmp_path: Path, postgres_database: str, dice: random.Random
) -> None:
    with running_ledger(kafka, tmp_path, postgres_database) as ledger, Watch(ledger.history.database) as watch:
        worker, before = started(ledger)
        ended = 0
        with load(ledger, dice, SECONDS):
            until = time.monotonic() + SECONDS - 1
            while time.monotonic() < until:
                time.sleep(dice.uniform(0.05, 0.6))
                ended += end_connections(postgres_database)
        must_have_survived(ledger, worker, before, watch)
        assert ended >= 5


@pytest.mark.thorough
def test_the_disk_under_sqlite_is_full_for_a_while(kafka: str, tmp_path: Path, dice: random.Random) -> None:
    with (
        small_disk(64) as disk,
        running_ledger(kafka, tmp_path, f"sqlite:///{disk.folder}/ledger.db") as ledger,
        Watch(ledger.history.database) as watch,
    ):
        worker, before = started(ledger)
        with load(ledger, dice, SECONDS):
            time.sleep(dice.uniform(1, 2))
            disk.fill()
            time.sleep(3)
            disk.free()
        must_have_survived(ledger, worker, before, watch)
        assert "database or disk is full" in worker.log.read_text()


@pytest.mark.postgres
@pytest.mark.thorough
def test_workers_join_and_leave_under_load(
    kafka: str, tmp_path: Path, postgres_database: str, dice: random.Random
) -> None:
    with running_ledger(kafka, tmp_path, postgres_database) as ledger, Watch(ledger.history.database) as watch:
        workers = [ledger.worker(label) for label in "abc"]
        workers[0].start().wait_ready()
        with load(ledger, dice, 3 * SECONDS):
            for number in range(12):
                worker = workers[1 + number % 2]
                time.sleep(dice.uniform(0.2, 1.2))
                if worker.alive:
                    worker.ask_to_stop()
                    # Before it has read its own program, a process knows no better than to end by the signal.
                    assert worker.wait_ended() in {0, -signal.SIGTERM}, worker.tail()
                else:
                    worker.start()
                    # The last ones leave wherever they are by then, which may be on their way in.
                    if number < 8:
                        worker.wait_ready()
        ledger.must_be_right(90)
        assert watch.fell == []
        # Each time that a task changes hands its epoch grows.
        assert max(epoch for (epoch,) in ledger.history.database.query("SELECT epoch FROM kit_task")) >= 4
