"""The fixtures. pytest imports this module in every run of everybody who has kouan installed: it imports nothing heavy,
and starts nothing before a test asks for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from services.embedded.broker import Broker
    from services.testing.checking import Checking
    from services.testing.publishing import Publishing
    from services.testing.reading import Reading, Topics
    from services.testing.running import Services
    from services.testing.waiting import Eventually


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings, for the team's pytest.ini or pyproject.toml."""
    parser.addini(
        "kouan_ways",
        "how a Kafka broker is got, tried in this order: environment (KAFKA_BOOTSTRAP_SERVERS), docker, java",
        type="args",
        default=["environment", "docker", "java"],
    )
    parser.addini("kouan_seconds", "how long `eventually` waits, in seconds", default="30")
    parser.addini(
        "kouan_directory",
        "JSON Lines file of directory events that is published before the first service starts, relative to this file;"
        " without it, the sample of kouan's checkout where there is one",
    )
    parser.addini("kouan_cache", "folder that keeps Kafka's jars for the way `java`", default="~/.cache/kouan")


@pytest.fixture(scope="session")
def _kouan_running(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with warnings.catch_warnings():
        # kafka-python reads its message definitions with functions that the standard library has renamed, which would
        # end the run of a team that turns warnings into errors.
        warnings.simplefilter("ignore", DeprecationWarning)
        from services.embedded.kafka import BrokerUnavailable, find_or_start
        from services.testing.running import TopicsUnfit, apply_topics

    cache = Path(pytestconfig.getini("kouan_cache")).expanduser()
    with ExitStack() as steps:
        try:
            folder = tmp_path_factory.mktemp("kouan-broker")
            ways = pytestconfig.getini("kouan_ways")
            broker = steps.enter_context(find_or_start(folder, ways=ways, cache_dir=cache))
            apply_topics(broker.bootstrap_servers)
        except (BrokerUnavailable, TopicsUnfit) as error:
            # Never a skip: a run in which nothing was tested must not look like one in which all went well.
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        yield broker


@pytest.fixture(scope="session")
def kouan_broker(_kouan_running: Broker) -> str:
    """Bootstrap servers of a real Kafka broker that has every topic of the catalogue; one for the whole session."""
    return _kouan_running.bootstrap_servers


@pytest.fixture(scope="session")
def _kouan_topics(kouan_broker: str) -> Iterator[Topics]:
    from services.testing.reading import Topics

    with Topics(kouan_broker) as topics:
        yield topics


@pytest.fixture(scope="session")
def kouan_publish(kouan_broker: str) -> Iterator[Publishing]:
    """Publishes, and returns once the broker has confirmed: `kouan_publish(payload, source=…, subject=…)`."""
    from services.testing.publishing import Publishing

    with Publishing(kouan_broker) as publishing:
        yield publishing


@pytest.fixture(scope="session")
def kouan_services(
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
    _kouan_running: Broker,
    _kouan_topics: Topics,
    kouan_publish: Publishing,
) -> Iterator[Services]:
    """Starts services of kouan, once a session, and waits until they are ready: `kouan_services("referral_intake")`."""
    from services.testing.running import SAMPLE_DIRECTORY, Services

    named = pytestconfig.getini("kouan_directory")
    here = pytestconfig.inipath.parent if pytestconfig.inipath else pytestconfig.rootpath
    directory = here / named if named else SAMPLE_DIRECTORY
    with Services(
        _kouan_running, tmp_path_factory.mktemp("kouan-services"), directory, _kouan_topics, kouan_publish
    ) as services:
        yield services


@pytest.fixture
def kouan_read(_kouan_topics: Topics) -> Reading:
    """Reads what was written to a topic since the test began: `kouan_read("referral.events", subject="R-1")`."""
    from services.testing.reading import Reading

    return Reading(_kouan_topics, _kouan_topics.ends())


@pytest.fixture
def kouan_check(kouan_read: Reading) -> Checking:
    """Holds what was written to a topic since the test began against its contracts: `kouan_check("bank.loans")`."""
    from services.testing.checking import Checking

    return Checking(kouan_read)


@pytest.fixture
def eventually(pytestconfig: pytest.Config) -> Eventually:
    """Asks again until the answer is truthy, and gives it back: `eventually(lambda: kouan_read("loan.events"))`."""
    from services.testing.waiting import Eventually

    return Eventually(float(pytestconfig.getini("kouan_seconds")))
