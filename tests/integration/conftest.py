"""A cluster for tests that rebuild a service: on the one of all tests its topics hold what others wrote, too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.system import empty_cluster


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a cluster with the catalogue's topics, for one module."""
    with empty_cluster(tmp_path_factory.mktemp("own-cluster")) as bootstrap_servers:
        yield bootstrap_servers
