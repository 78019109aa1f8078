"""A ledger on a real broker, under a name of its own: its topics, its workers' processes and its history."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.embedded.processes import Process, worker_environment
from tests.support.brokers import create_topics, unique
from tests.support.history import Database, History
from tests.support.ledger import catalogue

WORKER = ("-m", "tests.support.ledger.worker")
SESSION_MS = 6000


class RunningLedger:
    """Topics are there when it is made; workers are started by whoever wants them."""

    def __init__(self, bootstrap_servers: str, folder: Path, database_url: str | None = None) -> None:
        self.name = unique("ledger").replace("-", "_")
        self.bootstrap_servers = bootstrap_servers
        self.folder = folder
        self.letters = folder / "letters.txt"
        self.database_url = database_url
        url = database_url or f"sqlite:///{(folder / self.name).with_suffix('.db')}"
        self.history = History(bootstrap_servers, self.name, Database(url, self.name), self.letters)
        self.processes: list[Process] = []
        create_topics(bootstrap_servers, {one.name: one.partitions for one in catalogue(self.name).topics.values()})

    def topic(self, name: str) -> str:
        """The full name of one of its topics (`accounts`, `entries`, `clerks`, `events`, `dead-letters`, `redrive`)."""
        return f"{self.name}.{name}"

    def worker(self, label: str = "a", arguments: tuple[str, ...] = WORKER, **variables: str) -> Process:
        """A worker's process, not started; `variables` go into its environment as they are."""
        environment = worker_environment(
            self.bootstrap_servers, self.folder, database_url=self.database_url, session_timeout_ms=SESSION_MS
        )
        environment |= {
            "LEDGER_NAME": self.name,
            "LEDGER_LETTERS": str(self.letters),
            "PYTHONPATH": str(Path(__file__).parents[3]),
            **variables,
        }
        one = Process(f"{self.name}-{label}", list(arguments), environment, self.folder / f"{label}.log")
        self.processes.append(one)
        return one

    def logs(self) -> str:
        """The end of every worker's log, for a test that failed."""
        return "\n".join(process.tail() for process in self.processes)

    def must_be_right(self, seconds: float = 60) -> None:
        """Wait until all is applied and published, and let the history be checked."""
        waiting = self.history.wait_until_quiet(seconds)
        found = waiting + self.history.check()
        assert not found, "\n".join([*found, self.logs()])


@contextmanager
def running_ledger(bootstrap_servers: str, folder: Path, database_url: str | None = None) -> Iterator[RunningLedger]:
    """A ledger whose processes end with the test."""
    ledger = RunningLedger(bootstrap_servers, folder, database_url)
    try:
        yield ledger
    finally:
        for process in ledger.processes:
            if process.exit_code is None and process.alive:
                process.kill()


def seed() -> int:
    """The seed of a test's dice: named by KOUAN_TEST_SEED, else new; tests print it."""
    return int(os.environ.get("KOUAN_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
