"""Another team's project with our pytest plugin, run as that team would run it: in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from services.embedded.kafka import VARIABLE
from tests.support.brokers import in_ci, jar_cache

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "examples" / "integrator"

UNUSED = """\
import sys


def test_whoever_does_not_use_the_plugin_loads_nothing_of_it():
    assert "services.testing.plugin" in sys.modules
    assert not {"kafka", "pydantic", "testcontainers", "schemas"} & sys.modules.keys()


def test_where_no_broker_can_be_got(kouan_broker):
    pass
"""


@pytest.fixture(scope="module")
def plugin() -> list[str]:
    """What makes pytest load the plugin: nothing where kouan is installed, as it always is in CI."""
    installed = any(point.name == "kouan" for point in entry_points(group="pytest11"))
    assert installed or not in_ci(), "the installed package does not bring its plugin; see [project.entry-points]"
    return [] if installed else ["-p", "services.testing.plugin"]


def run_pytest(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """A pytest run in the folder, which names no broker and leaves nothing behind."""
    environment = {name: value for name, value in os.environ.items() if name not in {VARIABLE, "PYTEST_ADDOPTS"}}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", f"kouan_cache={jar_cache()}", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.broker
def test_the_example_of_an_integrator_passes_as_it_stands(plugin: list[str]) -> None:
    ways = ["-o", "kouan_ways=docker"] if in_ci() else []

    done = run_pytest(EXAMPLE, [*plugin, *ways])

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout, done.stdout


def test_the_plugin_is_inert_until_it_is_used_and_no_broker_is_a_failure_and_no_skip(
    plugin: list[str], tmp_path: Path
) -> None:
    tmp_path.joinpath("pytest.ini").write_text("[pytest]\nkouan_ways = environment\n", encoding="utf-8")
    tmp_path.joinpath("test_unused.py").write_text(UNUSED, encoding="utf-8")

    done = run_pytest(tmp_path, plugin)

    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert VARIABLE in done.stdout
