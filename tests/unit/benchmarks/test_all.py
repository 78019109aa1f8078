"""What `make bench` keeps of a run that is broken off."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.all import BENCHES, Done, measured, remember


def test_a_run_that_resumes_finds_what_was_measured_at_its_commit(tmp_path: Path) -> None:
    first, second = BENCHES[:2]
    done = Done(first, 12.5, {"commit": "abc1234", "results": [{"name": "ratio", "value": 0.5}]})
    remember(done, tmp_path)
    assert measured(first, "abc1234", tmp_path) == done
    assert measured(first, "abc1235", tmp_path) is None
    assert measured(second, "abc1234", tmp_path) is None


def test_what_was_measured_with_code_that_is_in_no_commit_is_measured_again(tmp_path: Path) -> None:
    remember(Done(BENCHES[0], 3.0, {"commit": "abc1234+", "results": []}), tmp_path)
    assert measured(BENCHES[0], "abc1234+", tmp_path) is None


def test_what_did_not_come_to_its_end_is_measured_again(tmp_path: Path) -> None:
    remember(Done(BENCHES[0], 3.0, None), tmp_path)
    assert measured(BENCHES[0], "abc1234", tmp_path) is None
