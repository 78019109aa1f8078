"""What people read of the tables is what the code runs from."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.cli.transitions import placed, readme_of, tables_of
from services.kit.transitions import Transitions
from services.registry import SERVICES

TABLES = [pytest.param(name, table, id=f"{name}-{table.name}") for name in SERVICES for table in tables_of(name)]


@pytest.mark.parametrize(("service", "table"), TABLES)
def test_the_readme_shows_the_table_that_the_code_runs_from(service: str, table: Transitions) -> None:
    text = readme_of(service).read_text("utf-8")
    assert placed(text, table) == text, f"kouan transitions {service} --write"


def test_the_command_prints_the_tables_of_a_service() -> None:
    result = CliRunner().invoke(app, ["transitions", "loan_desk"])
    assert result.exit_code == 0
    (table,) = tables_of("loan_desk")
    assert table.markdown() in result.stdout


def test_the_command_names_the_services_there_are() -> None:
    result = CliRunner().invoke(app, ["transitions", "laundry"])
    assert result.exit_code == 2
    assert "loan_desk" in result.stderr


def test_a_readme_without_the_markers_is_left_alone() -> None:
    (table,) = tables_of("loan_desk")
    assert placed("# Loan desk\n", table) is None
    assert placed("<!-- transitions: loan -->\nold\n<!-- end of transitions -->\nrest", table) == (
        f"<!-- transitions: loan -->\n{table.markdown()}\n<!-- end of transitions -->\nrest"
    )
