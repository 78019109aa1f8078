"""What every test may ask for: a real broker, a real PostgreSQL, a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.brokers import in_ci, running_broker
from tests.support.postgres import PostgresUnavailable, fresh_database, running_postgres


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real broker, started once; a broker that can't start is a failure, never a skip."""
    with running_broker(tmp_path_factory.mktemp("broker")) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a real PostgreSQL server, started once; take `postgres_database` for a database of the test's own."""
    try:
        with running_postgres() as url:
            yield url
    except PostgresUnavailable as error:
        if in_ci():
            raise
        pytest.skip(str(error))


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """URL of a new, empty PostgreSQL database that is dropped after the test."""
    with fresh_database(postgres_url) as url:
        yield url
