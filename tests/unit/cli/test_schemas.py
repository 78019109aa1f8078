"""`kouan schemas`: writes the contracts, and says what a change of them would break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from schemas.json_schema import PUBLISHED, contracts
from services.cli import app


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["schemas", *map(str, arguments)], env={"COLUMNS": "160"})


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A copy of the published contracts, to be made different."""
    folder = tmp_path / "published"
    assert run("export", "--to", folder).exit_code == 0
    return folder


def rewrite(folder: Path, kind: str, **properties: Any) -> None:
    """Give fields of a released contract another description; None takes one out."""
    path = folder / f"{kind}.json"
    document = json.loads(path.read_bytes())
    for name, schema in properties.items():
        if schema is None:
            del document["properties"][name]
            document["required"] = [one for one in document["required"] if one != name]
        else:
            document["properties"][name] = schema
    path.write_text(json.dumps(document), encoding="utf-8")


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_the_contracts_are_compatible_with_what_is_published() -> None:
    result = run("check")
    assert result.exit_code == 0, result.stderr
    assert "compatible" in result.stdout


def test_export_writes_one_file_for_each_type_and_version(released: Path) -> None:
    assert texts(released) == texts(PUBLISHED)
    assert set(texts(released)) == {f"{kind}.json" for kind in contracts()}


def test_export_twice_changes_nothing(released: Path) -> None:
    result = run("export", "--to", released)
    assert result.exit_code == 0
    assert "0 changed" in result.stdout


def test_check_names_type_field_and_rule_of_all_that_breaks_in_both_languages(released: Path) -> None:
    rewrite(released, "opinion.given.v1", given_at={"type": "string"}, given_by=None)
    rewrite(released, "loan.applied.v1", note={"type": "string"})
    (released / "loan.wished.v1.json").write_bytes((released / "loan.applied.v1.json").read_bytes())

    result = run("check", "--against", released)

    assert result.exit_code == 3
    for told in (
        "loan.applied.v1 /note  field-removed",
        "loan.wished.v1  type-removed",
        "opinion.given.v1 /given_at  field-removed",
        "opinion.given.v1 /given_by  required-added",
        "缺少它",
        "A new field is required",
        "4 changes",
    ):
        assert told in result.stderr


def test_check_takes_the_direction_from_the_catalogue(released: Path) -> None:
    """A code that is new is welcome from a party, and strange to those who read what kouan writes."""
    for kind in ("opinion.given.v1", "screening.opinion_recorded.v1"):
        rewrite(released, kind, verdict={"type": "string", "enum": ["support"]})

    result = run("check", "--against", released)

    assert result.exit_code == 3
    assert "screening.opinion_recorded.v1 /verdict  enum-widened" in result.stderr
    assert "opinion.given.v1 " not in result.stderr


def test_check_lets_through_what_is_new_and_says_that_it_is_not_published_yet(released: Path) -> None:
    (released / "loan.rejection_reported.v2.json").unlink()
    rewrite(released, "opinion.given.v1", reasons=None)

    result = run("check", "--against", released)

    assert result.exit_code == 0, result.stderr
    assert "新增 new: loan.rejection_reported.v2" in result.stdout
    assert "compatible changes: opinion.given.v1" in result.stdout
    assert "kouan schemas export" in result.stdout


def test_export_does_not_write_over_what_it_would_break(released: Path) -> None:
    rewrite(released, "loan.applied.v1", note={"type": "string"})
    (released / "opinion.given.v1.json").unlink()
    before = texts(released)

    result = run("export", "--to", released)

    assert result.exit_code == 3
    assert "loan.applied.v1 /note" in result.stderr
    assert texts(released) == before


def test_a_folder_without_contracts_and_a_file_that_is_no_contract_are_told(tmp_path: Path) -> None:
    empty = run("check", "--against", tmp_path)
    assert empty.exit_code == 2
    assert "kouan schemas export" in empty.stderr

    (tmp_path / "opinion.given.v1.json").write_text("[]", encoding="utf-8")
    unreadable = run("check", "--against", tmp_path)
    assert unreadable.exit_code == 2
    assert "opinion.given.v1.json" in unreadable.stderr
