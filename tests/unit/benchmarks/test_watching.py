"""What is told of a process that was measured."""

from __future__ import annotations

import pytest

from tests.benchmarks.watching import run


def test_the_memory_of_a_process_is_not_that_of_whoever_made_it() -> None:
    held = bytearray(300_000_000)
    ended = run("tests.benchmarks.gateway", "--help")
    assert "--rounds" in ended.output
    assert 5 < ended.peak_mb < len(held) / 1e6


def test_a_command_that_fails_ends_the_program_with_what_it_wrote() -> None:
    with pytest.raises(SystemExit, match="--not-there"):
        run("tests.benchmarks.gateway", "--not-there")
