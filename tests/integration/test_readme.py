"""The newcomer's path in the README, copied command by command."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brokers import broker_is_named, interruptible

ROOT = Path(__file__).parents[2]
KOUAN = Path(sys.executable).with_name("kouan")
SECONDS = 90.0
RUNS_UNTIL_STOPPED = ("kouan up", "kouan worker")
EXPECTED = {
    "publish deploy/examples/first-referral.jsonl --dry-run": "nothing published",
    "publish deploy/examples/first-referral.jsonl": "all confirmed",
    "case R-FIRST-0001": "screening.opened",
    "publish deploy/examples/referrals.xlsx": "all confirmed",
    '"$KOUAN_GATEWAY/events"': '"accepted":1',
    '"$KOUAN_GATEWAY/cases/': "In joint screening",
    '"$KOUAN_GATEWAY/feed': "referral.registered.v1",
    "topics plan": "nothing to do",
    "policy explain R-FIRST-0001": "score",
    "policy status": "2020-03-23",
    "queue --side bank": "R-FIRST-0001",
    "transitions screening": "opinion.given.v1",
    "rebuild screening": "equals what its topic",
}
"""What a command has to print, by what it holds; the longest that fits counts. What others do takes its time."""


def commands() -> list[str]:
    """The commands of the chapter `Begin`, in their order, continued lines joined."""
    chapter = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Begin\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


class Shell:
    """One bash, as in a terminal: what a command sets, the next one has."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and output of a command."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{command}\necho; echo ended with $?\n")
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            if line.startswith("ended with "):
                return int(line.removeprefix("ended with ")), output
            output += line
        raise AssertionError(f"the shell ended at {command}\n{output}")

    def close(self) -> None:
        self._bash.kill()
        self._bash.wait()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which the README's relative paths hold."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "kouan").symlink_to(KOUAN)
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / ".kouan").mkdir()
    (tmp_path / ".kouan" / "cache").symlink_to(ROOT / ".kouan" / "cache")
    return tmp_path


@pytest.fixture
def up(checkout: Path) -> Iterator[dict[str, str]]:
    """What `kouan up` prints for the second terminal."""
    log = checkout / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            interruptible(checkout / ".venv/bin/kouan", "up"), cwd=checkout, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not (found := dict(re.findall(r"^(KOUAN_\w+)=(\S+)", log.read_text(), re.MULTILINE))):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield found
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.broker
@pytest.mark.skipif(not KOUAN.exists(), reason="kouan is not installed beside this interpreter")
@pytest.mark.skipif(broker_is_named(), reason="the path begins with a broker of its own")
def test_every_command_of_the_newcomers_path_does_what_the_readme_says(checkout: Path, up: dict[str, str]) -> None:
    shell = Shell(checkout, {**os.environ, "COLUMNS": "200"})
    try:
        for command in commands():
            if any(name in command for name in RUNS_UNTIL_STOPPED):
                continue
            if (placeholder := re.match(r"export (KOUAN_\w+)=.*…", command)) is not None:
                command = f"export {placeholder[1]}={shlex.quote(up[placeholder[1]])}"
            wanted = max((text for text in EXPECTED if text in command), key=len, default="")
            deadline = time.monotonic() + 30
            while True:
                code, output = shell.run(command)
                if code == 0 and EXPECTED.get(wanted, "") in output:
                    break
                assert time.monotonic() < deadline, f"$ {command}\n{output}\nended with {code}"
                time.sleep(0.5)
    finally:
        shell.close()


def test_every_expectation_belongs_to_a_command_of_the_readme() -> None:
    assert [text for text in EXPECTED if not any(text in command for command in commands())] == []
