"""Who takes part in a race, and what a run is given to read."""

from __future__ import annotations

import pytest

from tests.benchmarks.peers.contestants import CONTESTANTS, Run
from tests.benchmarks.race import Course, choose


def test_the_kit_takes_part_once_whether_named_or_not() -> None:
    assert [each.name for each in choose("faust,quix")] == ["kit", "faust", "quix"]
    assert [each.name for each in choose("quix,kit")] == ["kit", "quix"]


def test_a_name_that_nobody_bears_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(SystemExit, match=r"flink.*faststream"):
        choose("flink")


def test_all_repeats_come_before_the_clock_starts() -> None:
    course = Course("topic", events=100_000, warm=20_000)
    assert course.total == 120_000
    assert 2 * course.repeats <= course.warm


def test_the_kit_is_timed_over_as_many_events_as_everybody_else(tmp_path: object) -> None:
    course = Course("topic", events=100_000, warm=20_000)
    run = Run("servers:1", "topic", "target", course.total, course.warm, course.repeats, folder=tmp_path)  # type: ignore[arg-type]
    *_, count, warm = CONTESTANTS["kit"].command(run)
    assert int(count) - int(warm) == course.events
