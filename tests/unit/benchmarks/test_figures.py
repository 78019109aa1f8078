"""Figures of a measurement: goals, what became slower by ratio, and what is kept of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from services.embedded.broker import kafka_version
from tests.benchmarks.all import BENCHES, Bench, Done, chosen, measure, summary
from tests.benchmarks.figures import Result, about, keep, slower


def before(*results: Result) -> dict[str, Any]:
    """Figures as an earlier run kept them."""
    return {"commit": "abc1234", "results": [{"name": each.name, "value": each.value} for each in results]}


@pytest.mark.parametrize(
    ("result", "met"),
    [
        (Result("few", 0.8, least=0.8), True),
        (Result("few", 0.79, least=0.8), False),
        (Result("ms", 59.9, below=60), True),
        (Result("ms", 60.0, below=60), False),
        (Result("free", 1.0), None),
    ],
)
def test_a_goal_is_a_least_value_or_one_to_stay_below(result: Result, met: bool | None) -> None:
    assert result.met is met


def test_a_ratio_that_lost_more_than_a_tenth_is_told_with_the_commit_before() -> None:
    (text,) = slower([Result("a / b", 0.89, ratio=True)], before(Result("a / b", 1.0)))
    assert "abc1234" in text
    assert "1.00 → 0.89" in text
    assert slower([Result("a / b", 0.91, ratio=True)], before(Result("a / b", 1.0))) == []


def test_a_ratio_that_has_to_stay_below_its_goal_is_told_when_it_grew() -> None:
    assert slower([Result("peak", 1.2, below=1.25, ratio=True)], before(Result("peak", 1.0)))
    assert not slower([Result("peak", 0.5, below=1.25, ratio=True)], before(Result("peak", 1.0)))


def test_what_only_the_clock_measured_is_not_held_against_another_machine() -> None:
    assert slower([Result("events/s", 10.0)], before(Result("events/s", 1000.0))) == []


def test_what_was_not_measured_before_is_no_news() -> None:
    assert slower([Result("a / b", 0.1, ratio=True)], before()) == []
    assert slower([Result("a / b", 0.1, ratio=True)], None) == []


def test_figures_are_kept_with_their_results_and_found_by_kind_and_size(tmp_path: Path) -> None:
    worse = [Result("kit / bare", 0.4, ratio=True)]
    first, told = keep("hop", {"kit": [1.0]}, 10, [Result("kit / bare", 0.5, ratio=True)], tmp_path)
    assert told == []
    first.rename(tmp_path / "hop-20260101-000000.json")
    assert keep("hop", {"kit": [2.0]}, 20, worse, tmp_path)[1] == []
    assert keep("hop-other", {}, 10, worse, tmp_path)[1] == []
    file, told = keep("hop", {"kit": [2.0]}, 10, worse, tmp_path)
    assert "0.50 → 0.40" in told[0]
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert (kept["events_per_second"], kept["slower"]) == ({"kit": [2.0]}, told)


def test_figures_say_with_what_they_were_measured() -> None:
    told = about()
    assert {"aiokafka", "kafka", "sqlite", "java", "postgresql"} <= told["versions"].keys()
    assert told["versions"]["kafka"] == kafka_version()
    assert re.fullmatch(r"[0-9a-f]{7,}\+?", told["commit"])


def test_what_became_slower_is_told_once_more_at_the_end() -> None:
    done = Done(BENCHES[0], 1.0, {"results": [], "slower": ["kit / bare 0.50 → 0.40"]})
    console = Console(record=True, width=120)
    summary([done], console)
    assert "hop: kit / bare 0.50 → 0.40" in console.export_text()


def test_results_come_back_from_the_file_as_they_were(tmp_path: Path) -> None:
    result = Result("kit / bare", 0.5, least=0.6, ratio=True)
    file, _ = keep("hop", {}, 10, [result], tmp_path)
    assert Done(BENCHES[0], 1.0, json.loads(file.read_text(encoding="utf-8"))).results == [result]


def test_a_quick_run_leaves_out_what_has_no_small_size() -> None:
    assert "race 1M" in [bench.name for bench in chosen("", quick=False)]
    assert "race 1M" not in [bench.name for bench in chosen("", quick=True)]


def test_an_unknown_name_ends_the_program() -> None:
    with pytest.raises(SystemExit, match="nonsense"):
        chosen("hop,nonsense", quick=False)


def test_a_measurement_that_failed_is_told_and_the_others_are_shown(tmp_path: Path) -> None:
    failed = measure(Bench("broken", "no_such_module"), quick=False, folder=tmp_path)
    assert failed.figures is None
    file, _ = keep("hop", {}, 10, [Result("kit / bare", 0.7, least=0.6)], tmp_path)
    good = Done(BENCHES[0], 1.0, json.loads(file.read_text(encoding="utf-8")))
    console = Console(record=True, width=120)
    assert not summary([good, failed], console)
    told = console.export_text()
    assert "kit / bare" in told
    assert "1 / 1" in told
    assert "broken" in told
    assert summary([good], console)
