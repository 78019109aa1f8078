"""`kouan topics validate` and `export`, which need no broker."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from services.cli import app
from services.cli.terminal import Exit
from topics.definition import SHIPPED, load_catalogue


def kouan(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["topics", *arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "catalogue"))


def changed(file: Path, was: str, now: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert was in text
    file.write_text(text.replace(was, now), encoding="utf-8")


def test_the_shipped_catalogue_is_valid() -> None:
    result = kouan("validate")
    assert result.exit_code == Exit.OK, result.output
    assert f"{len(load_catalogue().topics)} 个主题" in result.stdout


def test_faults_of_several_files_are_told_at_once_each_with_its_place(folder: Path) -> None:
    changed(folder / "bank.loans.yaml", "partitions: 4", "partitions: many")
    changed(folder / "bank.loans.yaml", "owner: bank", "owner: banker")
    changed(folder / "loan.events.yaml", "min_insync_replicas: 2", "min_insync_replicas: 3")
    result = kouan("validate", "--catalogue", str(folder))
    assert result.exit_code == Exit.USAGE
    assert "bank.loans.yaml (line 5, owner)" in result.stderr
    assert "partitions)" in result.stderr
    assert "loan.events.yaml (min_insync_replicas)" in result.stderr
    assert "主题目录有 3 处错误" in result.stderr


def test_an_event_without_a_contract_is_a_fault_of_the_catalogue(folder: Path) -> None:
    changed(folder / "bank.loans.yaml", "loan.application_reported.v1", "loan.application_reported.v9")
    result = kouan("validate", "--catalogue", str(folder))
    assert result.exit_code == Exit.USAGE
    assert "loan.application_reported.v9 has no payload class" in result.stderr
    assert "loan.application_reported.v1 has a payload class, but stands on no topic" in result.stderr


@pytest.mark.parametrize(
    ("format", "begins"),
    [("strimzi", "---\napiVersion:"), ("acl", "#!/bin/sh"), ("asyncapi", "# "), ("html", "<!doctype html>")],
)
def test_each_format_goes_to_standard_output_or_into_a_file(format: str, begins: str, tmp_path: Path) -> None:
    shown = kouan("export", "--format", format)
    assert shown.exit_code == Exit.OK, shown.output
    assert shown.stdout.startswith(begins)
    file = tmp_path / "new" / "folder" / "file"
    assert kouan("export", "--format", format, "--output", str(file)).exit_code == Exit.OK
    assert file.read_text(encoding="utf-8") == shown.stdout


def test_systems_named_one_by_one_are_users_of_the_export() -> None:
    shown = kouan("export", "--format", "strimzi", "--system", "//bank/exim-nmg", "--strimzi-cluster", "border")
    users = {one["metadata"]["name"] for one in yaml.safe_load_all(shown.stdout) if one["kind"] == "KafkaUser"}
    assert {"bank-exim-nmg", "bank-exim", "commerce"} <= users
    assert "bank" not in users


def test_what_is_no_system_is_refused_with_what_would_be_one() -> None:
    refused = kouan("export", "--format", "acl", "--system", "exim")
    assert refused.exit_code == Exit.USAGE
    assert "//bank/exim-nmg" in refused.stderr


def test_a_file_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    refused = kouan("export", "--format", "acl", "--output", str(tmp_path))
    assert refused.exit_code == Exit.USAGE
    assert str(tmp_path) in refused.stderr
