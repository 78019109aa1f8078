"""`kouan policy`: checks files, explains scores on record and tries versions; read from files as from topics."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from schemas.codec import to_structured
from schemas.envelope import Event
from services.cli import app
from services.screening.policy import load_policies
from tests.unit.screening import builders as told
from tests.unit.screening.recorded import DRAFT, registered, scored, with_draft

DAY = told.OPENED.replace(year=2025)
SHIPPED = load_policies()


def run(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(app, ["policy", *map(str, arguments)], env={"COLUMNS": "200", **environment})


def write(file: Path, *events: Event[Any]) -> Path:
    lines = [json.dumps(to_structured(event), ensure_ascii=False) for event in events]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped versions and a draft."""
    path = tmp_path / "policies"
    path.mkdir()
    return with_draft(path, private_enterprise=50)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Two referrals on record, with their scores and an event that does not matter here."""
    first = registered("A", told.referral(term_months=72), DAY)
    second = registered("B", told.referral(country=None, need="outbound_investment"), DAY)
    other = told.withdrawn(DAY)
    return write(tmp_path / "record.jsonl", first, scored(SHIPPED, first), other, second, scored(SHIPPED, second))


# --- check ------------------------------------------------------------------------------------------------------------


def test_the_shipped_policies_pass_the_check() -> None:
    result = run("check")
    assert result.exit_code == 0, result.stderr
    assert "no faults" in result.stdout


def test_a_file_is_checked_with_its_digest_and_all_its_faults(folder: Path) -> None:
    path = folder / f"{DRAFT}.yaml"
    text = path.read_text("utf-8").replace("ownership == 'private'", "ownership == 'privat'").replace("2031", "2021")
    path.write_text(text, "utf-8")
    result = run("check", path, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [fault["code"] for fault in found["faults"]] == ["effective_out_of_order", "unknown_code"]
    assert all(fault["file"] == path.name and fault["line"] for fault in found["faults"])
    assert [(one["file"], one["released"]) for one in found["versions"]] == [(path.name, False)]


def test_a_fault_is_shown_with_file_line_and_both_languages(folder: Path) -> None:
    with (folder / "2020-03-23.yaml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    result = run("check", KOUAN_SCREENING_POLICIES=str(folder))
    assert result.exit_code == 1
    assert "2020-03-23.yaml" in result.stderr
    assert "已发布的版本不得改动" in result.stderr
    assert "a released version never changes" in result.stderr


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = run("check", tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert "none.yaml" in result.stderr


# --- explain ----------------------------------------------------------------------------------------------------------


def test_a_score_is_explained_by_its_rules(record: Path) -> None:
    result = run("explain", "A", "--file", record)
    assert result.exit_code == 0, result.stderr
    assert "75 = 30 + 25 + 20" in result.stdout
    assert "working_capital_term_too_long" in result.stdout
    assert "民营企业" in result.stdout
    assert "the same when scored anew" in result.stdout


def test_what_could_not_be_evaluated_is_named(record: Path) -> None:
    result = run("explain", "B", "--file", record, "--json")
    found = json.loads(result.stdout)
    (rule,) = [one for one in found["rules"] if one["code"] == "outbound_direction_not_permitted"]
    assert (rule["outcome"], rule["failure"], rule["missing"]) == ("not_evaluable", "input_missing", ["country"])
    assert (found["key_area_claimed"], found["key_areas"]) == ("border_trade_chain", ["two_way_investment"])
    assert found["points"] == found["score"] == sum(one["points"] for one in found["rules"])


def test_another_version_shows_what_it_would_change(record: Path, folder: Path) -> None:
    arguments = ("explain", "A", "--file", record, "--folder", folder, "--policy", DRAFT)
    compared = json.loads(run(*arguments, "--json").stdout)["compared"]
    assert (compared["score"], compared["difference"], compared["hard_stops"]) == (105, 30, [])
    assert {one["code"] for one in compared["changes"]} == {"working_capital_term_too_long", "private_enterprise"}
    result = run(*arguments)
    assert "105" in result.stdout
    assert "+30" in result.stdout


@pytest.mark.parametrize("changes", [{"score": 76}, {"hard_stops": ()}, {"key_areas": ()}])
def test_a_score_that_does_not_hold_ends_with_code_1_and_says_why(tmp_path: Path, changes: dict[str, Any]) -> None:
    one = registered("A", told.referral(term_months=72), DAY)
    file = write(tmp_path / "record.jsonl", one, scored(SHIPPED, one, **changes))
    result = run("explain", "A", "--file", file)
    assert result.exit_code == 1
    assert any(name in result.stderr for name in ("points_do_not_add_up", "stops_differ", "differs_when_scored_anew"))


def test_a_score_by_a_text_that_is_not_here_is_proven_by_its_sum_alone(tmp_path: Path) -> None:
    one = registered("A", told.referral(), DAY)
    file = write(tmp_path / "record.jsonl", one, scored(SHIPPED, one, policy_digest="0" * 64))
    result = run("explain", "A", "--file", file)
    assert result.exit_code == 0, result.stderr
    assert "not scored anew" in result.stdout


def test_a_case_without_a_score_ends_with_code_5(record: Path) -> None:
    result = run("explain", "C", "--file", record)
    assert result.exit_code == 5
    assert "没有评分记录" in result.stderr


# --- simulate ---------------------------------------------------------------------------------------------------------


def test_a_simulation_tells_who_would_be_decided_otherwise(record: Path, folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "changed.csv"
    result = run("simulate", DRAFT, "--file", record, "--folder", folder, "--json", "--csv", to)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["referrals"], found["no_longer_stopped"], found["raised"], found["unlike_record"]) == (2, 1, 2, 0)
    assert found["shares"]["before"]["of_queue"]["private_enterprise"] == 1.0
    with to.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["referral_id"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"A", "B"}
    assert (rows["A"]["hard_stops_before"], rows["A"]["hard_stops_after"]) == ("working_capital_term_too_long", "")
    assert (rows["A"]["place_before"], rows["A"]["place_after"], rows["B"]["place_after"]) == ("", "1", "2")


def test_a_simulation_is_shown_as_tables(record: Path, folder: Path) -> None:
    result = run("simulate", DRAFT, "--file", record, "--folder", folder, "--from", "2025-01-01", "--to", "2025-12-31")
    assert result.exit_code == 0, result.stderr
    assert "2 件推荐" in result.stdout
    assert "working_capital_term_too_long → –" in result.stdout


def test_what_cannot_be_read_is_passed_over_and_told(record: Path) -> None:
    with record.open("a", encoding="utf-8") as file:
        file.write('not an event\n{"type": "referral.registered.v1"}\n')
    result = run("simulate", "2020-03-23", "--file", record, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["referrals"] == 2
    assert "2 条" in result.stderr
    assert "record.jsonl:6" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told_of"),
    [
        (["simulate", "2050"], "2020-03-23, 2024-07-01"),
        (["simulate", "2020-03-23", "--from", "2025-02-01", "--to", "2025-01-01"], "--from"),
        (["explain", "A", "--policy", "2050"], "2020-03-23, 2024-07-01"),
    ],
)
def test_wrong_use_is_answered_with_what_is_right(record: Path, arguments: list[str], told_of: str) -> None:
    result = run(*arguments, "--file", record)
    assert result.exit_code == 2
    assert told_of in result.stderr


def test_policies_with_faults_are_shown_before_anything_is_read(record: Path, folder: Path) -> None:
    (folder / "2020-03-23.yaml").write_text("tilt: [", "utf-8")
    result = run("simulate", DRAFT, "--file", record, "--folder", folder)
    assert result.exit_code == 2
    assert "unreadable" in result.stderr
