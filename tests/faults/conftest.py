"""Which fault tests are run (a selection, or all where `KOUAN_TEST_THOROUGH` is set, as `make faults` does); dice."""

from __future__ import annotations

import os
import random

import pytest

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


@pytest.fixture
def dice() -> random.Random:
    """Chance from a seed that is printed: `KOUAN_TEST_SEED` repeats it."""
    return new_dice()
