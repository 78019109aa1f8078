"""What a race came to: ratios of rounds, goals, the table in a file, the chart."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks.report import Pair, Spread, chart, compared, markdown, ratios, results, spread, write_between

FOUND = {"kit": [30.0, 20.0, 40.0, 50.0], "streams": [20.0, 40.0, 40.0, 40.0], "faust": [2.0, 1.0, 2.0]}
TITLES = {"kit": "kit", "streams": "Kafka Streams", "faust": "Faust <& SQLModel>"}
ABOUT = {"when": "2026-01-05T08:00:00+0800", "commit": "abc1234", "machine": "2 × x86_64", "python": "3.11"}


def test_a_ratio_compares_two_runs_of_one_round() -> None:
    assert ratios(FOUND, Pair("kit", "streams")) == [1.5, 0.5, 1.0, 1.25]


def test_rounds_in_which_only_one_ran_have_no_ratio() -> None:
    assert ratios(FOUND, Pair("kit", "faust")) == [15.0, 20.0, 20.0]
    assert ratios(FOUND, Pair("kit", "quix")) == []


def test_a_spread_is_minimum_median_and_maximum() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == Spread(1.0, 2.5, 10.0)


def test_a_goal_is_met_by_the_median_and_not_by_the_best_round() -> None:
    missed = {"kit": [10.0, 10.0, 90.0], "quix": [10.0, 10.0, 10.0]}
    assert [(pair.other, met) for pair, _, met in compared(missed)] == [("quix", False)]
    assert [(pair.other, met) for pair, _, met in compared(FOUND)] == [("streams", True), ("faust", True)]


def test_a_comparison_without_goal_is_neither_met_nor_missed() -> None:
    assert [met for _, _, met in compared({"kit": [1.0], "aiokafka": [2.0]})] == [None]


def test_what_counts_of_a_race_are_its_ratios_so_that_a_slower_machine_alone_changes_nothing() -> None:
    fast = results({"kit": [100.0], "streams": [200.0], "aiokafka": [400.0]})
    slow = results({"kit": [50.0], "streams": [100.0], "aiokafka": [200.0]})
    assert fast == slow
    assert [(one.name, one.value, one.goal, one.ratio) for one in fast] == [
        ("kit / streams", 0.5, "≥ 1.00", True),
        ("kit / aiokafka", 0.25, "", True),
    ]


def test_the_markdown_table_has_speeds_ratios_and_where_they_were_measured() -> None:
    text = markdown(FOUND, TITLES, 100_000, ABOUT)
    assert "100,000 events · 2026-01-05 · abc1234" in text
    assert "| kit | 4 | 20 | 35 | 50 |" in text
    assert "| kit / streams | 0.50 | 1.12 | 1.50 | ≥ 1 met |" in text


def test_a_table_replaces_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("before\n<!-- one -->\nold\n<!-- end of one -->\n<!-- two -->kept<!-- end of two -->\n")
    for text in ("first", r"second \1"):
        write_between(file, "one", text)
    written = file.read_text(encoding="utf-8")
    assert written == (
        "before\n<!-- one -->\n\nsecond \\1\n\n<!-- end of one -->\n<!-- two -->kept<!-- end of two -->\n"
    )


def test_a_file_without_the_markers_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("nothing here\n")
    with pytest.raises(ValueError, match="has no markers"):
        write_between(file, "one", "text")
    assert file.read_text() == "nothing here\n"


def test_the_chart_is_well_formed_with_one_bar_each_the_fastest_first() -> None:
    drawing = ElementTree.fromstring(chart(FOUND, TITLES, 1_000_000))
    names = [text.text for text in drawing.iter() if text.get("text-anchor") == "end"]
    bars = [float(bar.get("width", 0)) for bar in drawing.iter() if bar.get("x") == "290" and bar.get("height")]
    assert names == ["Kafka Streams", "kit", "Faust <& SQLModel>"]
    assert bars == sorted(bars, reverse=True)
    assert len(bars) == 3
