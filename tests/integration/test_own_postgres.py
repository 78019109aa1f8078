"""The PostgreSQL server that tests start for themselves, and what becomes of it when they are killed."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from tests.support.brokers import in_ci
from tests.support.postgres import PostgresUnavailable, connection_url, find_binaries, own_postgres

pytestmark = pytest.mark.postgres

STARTED = """
import sys, time
from tests.support.postgres import own_postgres

with own_postgres() as server:
    sys.stdout.write(server.url + chr(10))
    sys.stdout.flush()
    time.sleep(600)
"""


def test_a_server_whose_test_run_was_killed_is_ended_by_the_next_one() -> None:
    try:
        find_binaries()
    except PostgresUnavailable as error:
        if in_ci():
            raise
        pytest.skip(str(error))
    with subprocess.Popen([sys.executable, "-c", STARTED], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        url = connection_url(run.stdout.readline().strip())
        psycopg.connect(url).close()
        run.kill()
    # It was started as a daemon, and does not end with the one that started it.
    psycopg.connect(url).close()
    with own_postgres() as server:
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        psycopg.connect(connection_url(server.url)).close()
