"""Which fault tests are run (a selection, or, as by `make faults`, all of them), dice, and the table at the end."""

from __future__ import annotations

import os
import random
import sys
from itertools import chain

import pytest
from rich.console import Console

from tests.faults.table import rows_of, table_of
from tests.support.ledger.load import new_dice


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long and finds seldom; a test that is named on the command line is run all the same."""
    named = any("::" in argument for argument in config.args) or config.option.keyword
    if named or os.environ.get("KOUAN_TEST_THOROUGH"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with one row for each fault; say nothing where none was tried."""
    told = chain.from_iterable(terminalreporter.stats.values())
    rows = rows_of(report for report in told if isinstance(report, pytest.TestReport))
    if rows:
        # In a file or a CI's log nobody says how wide a line may be.
        Console(width=None if sys.stdout.isatty() else 160).print(table_of(rows))


@pytest.fixture
def dice() -> random.Random:
    """Chance from a seed that is printed: `KOUAN_TEST_SEED` repeats it."""
    return new_dice()
