"""`kouan rebuild` as a person meets it: what it shows, what it refuses, which code it ends with."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli import app
from services.cli.rebuild import _show, _show_switch
from services.kit.comparing import ROW, Difference, Differences
from services.kit.rebuild import Report
from services.kit.sides import Running


def kouan(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["rebuild", *arguments], env=environment)


def report(differences: Differences) -> Report:
    return Report(
        events=41_000, repeats=7, others=3, strangers=0, unpublished=2, seconds=2.0, compare_seconds=0.5,
        rows={"ledger_account": 120, "kit_deadline": 5}, differences=differences, database="data/ledger.rebuilt.db",
    )  # fmt: skip


def test_an_unknown_service_is_refused_with_the_names_there_are() -> None:
    result = kouan("laundry")
    assert result.exit_code == 2
    assert "referral_intake" in result.stderr


def test_a_broker_that_does_not_answer_ends_with_code_4_and_what_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.terminal.ANSWER_WITHIN_MS", 300)
    result = kouan("loan_desk", KOUAN_BOOTSTRAP_SERVERS="127.0.0.1:1", KOUAN_DATA_DIR=str(tmp_path))
    assert result.exit_code == 4
    assert "连不上 Kafka" in result.stderr
    assert "KOUAN_BOOTSTRAP_SERVERS" in result.stderr


def test_equal_databases_are_said_to_be_equal_with_the_speed(capsys: pytest.CaptureFixture[str]) -> None:
    _show("ledger", report(Differences(limit=20)))
    told = capsys.readouterr().out
    assert "一致" in told
    assert "20,500/s" in told
    assert "data/ledger.rebuilt.db" in told


def test_differences_are_shown_with_both_values_in_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    found = Differences(limit=2)
    found.add("ledger_account", [[Difference("ledger_account", "a[/]1", "balance", 37, None)]])
    found.add("kit_deadline", [[Difference("kit_deadline", "account / a4", ROW, None, True)]] * 2)
    _show("ledger", report(found))
    told = capsys.readouterr().out
    row = next(line for line in told.splitlines() if "a[/]1" in line)
    assert row.split() == ["ledger_account", "a[/]1", "balance", "37", "（空）null"]
    assert "无 missing" in told
    assert "3 rows differ; 2 differences are shown" in told


def test_accepting_differences_means_nothing_without_a_switch() -> None:
    result = kouan("loan_desk", "--accept-differences")
    assert result.exit_code == 2
    assert "--switch" in result.stderr


def test_a_switch_says_where_the_old_database_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    _show_switch("ledger", replace(report(Differences(limit=20)), replaced="data/ledger.replaced-20260323.db"))
    told = capsys.readouterr().out
    assert "已切换" in told
    assert "data/ledger.replaced-20260323.db" in told


def test_differences_that_forbid_a_switch_come_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    _show_switch("ledger", report(Differences(limit=20)))
    told = capsys.readouterr().out
    assert "未切换" in told
    assert "--accept-differences" in told


def test_a_service_that_runs_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def busy(*arguments: object, **options: object) -> Report:
        assert options["switch"]
        raise Running("another worker holds the file")

    monkeypatch.setattr("services.cli.rebuild.administering", lambda servers: nullcontext())
    monkeypatch.setattr("services.kit.rebuild.rebuild", busy)
    result = kouan("loan_desk", "--switch", KOUAN_DATA_DIR=str(tmp_path))
    assert result.exit_code == 6
    assert "请停止该服务的全部进程" in result.stderr
    assert "another worker holds the file" in result.stderr
