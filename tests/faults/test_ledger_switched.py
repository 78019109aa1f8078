"""A ledger's database is replaced by a rebuilt one while a worker that should have been stopped only sleeps."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from services.kit.sides import Running
from tests.support.ledger.rebuilding import publish, rebuilt
from tests.support.ledger.running import running_ledger

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.thorough]


def test_a_worker_that_sleeps_through_the_switch_writes_nothing_from_what_it_remembers(
    kafka: str, postgres_database: str, tmp_path: Path
) -> None:
    with running_ledger(kafka, tmp_path, postgres_database) as ledger, ledger.worker() as asleep:
        publish(ledger)
        ledger.must_be_right()
        asleep.pause()
        publish(ledger)
        deadline = time.monotonic() + 60
        while True:
            try:
                report = rebuilt(ledger, switch=True)
                break
            except Running:
                # Only when its session has ended it counts as gone.
                assert time.monotonic() < deadline
                time.sleep(0.5)
        assert report.replaced is not None
        asleep.resume()
        ledger.must_be_right()
