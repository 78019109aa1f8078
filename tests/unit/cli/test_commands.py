"""The command as a whole: help comes at once, and wrong use is answered with what is right."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.registry import SERVICES, UnknownServiceError, build

HEAVY = ("kafka", "aiokafka", "faust", "sqlmodel", "pydantic", "schemas", "topics")


def test_help_imports_nothing_heavy() -> None:
    asked = "import sys, services.cli; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.parametrize("command", ["topics", "schemas", "publish", "case", "gateway", "policy", "worker"])
def test_every_command_explains_itself_in_both_languages(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert any("\u4e00" <= character <= "\u9fff" for character in result.stdout)


def test_a_worker_of_an_unknown_service_is_refused_with_the_names_there_are() -> None:
    result = CliRunner().invoke(app, ["worker", "laundry"])
    assert result.exit_code == 2
    assert all(name in result.stderr for name in SERVICES)


def test_the_registry_names_the_services_there_are() -> None:
    with pytest.raises(UnknownServiceError, match="referral_intake, screening"):
        build("laundry")


@pytest.mark.parametrize("arguments", [["topics", "plan"], ["topics", "apply"]])
def test_a_broker_that_does_not_answer_ends_with_code_4_and_what_to_do(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.terminal.ANSWER_WITHIN_MS", 300)
    result = CliRunner().invoke(app, arguments, env={"KOUAN_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert result.exit_code == 4
    assert "连不上 Kafka" in result.stderr
    assert "KOUAN_BOOTSTRAP_SERVERS" in result.stderr
