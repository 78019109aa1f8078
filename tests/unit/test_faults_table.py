"""The table that fault tests end with: every fault has its words, and cases are counted as people count them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console

from tests.faults.table import FAULTS, rows_of, table_of

FOLDER = Path(__file__).parents[1] / "faults"


def report(test: str, outcome: str = "passed", when: str = "call", seconds: float = 1.0) -> pytest.TestReport:
    """What pytest tells of one part of a case."""
    return pytest.TestReport(test, ("", 0, ""), {}, outcome, None, when, duration=seconds)  # type: ignore[arg-type]


def test_every_fault_test_and_nothing_else_has_its_words() -> None:
    tests = [
        name for file in FOLDER.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    ]
    assert sorted(tests) == sorted(FAULTS)


def test_cases_of_one_test_are_one_row_and_a_case_that_failed_in_any_part_failed() -> None:
    case = "tests/faults/test_a.py::test_one"
    (row,) = rows_of(
        [
            report(f"{case}[a::b-[x]]", when="setup", seconds=0.5),
            report(f"{case}[a::b-[x]]"),
            report(f"{case}[b]"),
            report(f"{case}[b]", "failed", "teardown"),
            report(f"{case}[c]", "skipped", "setup"),
        ]
    )
    assert (row.file, row.test, row.numbers, row.seconds) == ("test_a.py", "test_one", (3, 1, 1, 1), 4.5)


def test_tests_of_other_folders_make_no_row() -> None:
    assert rows_of([report("tests/unit/test_a.py::test_one")]) == []


def test_the_table_shows_each_fault_in_both_languages_and_the_sums() -> None:
    console = Console(record=True, width=160)
    file = "tests/faults/test_ledger_points.py"
    console.print(table_of(rows_of([report(f"{file}::test_a_worker_is_killed[{n}]") for n in range(46)])))
    text = console.export_text()
    assert re.search(
        r"test_ledger_points.py +│ 在每个命名点被杀 · killed at each named point +│ +46 │ +46 │ +0 │", text
    )
    assert re.search(r"合计 · total +│ +│ +46 │", text)
