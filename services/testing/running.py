"""The cluster's topics, and kouan's services as processes of their own, so that a test can await what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka.admin import KafkaAdminClient

from services.embedded.broker import Broker
from services.embedded.processes import READY_SECONDS, Process, Workers, worker, worker_environment
from services.embedded.smtp import Mail, SmtpProcess, read_mails
from services.testing.publishing import Publishing
from services.testing.reading import Topics
from topics.definition import load_catalogue
from topics.plan import RefusedError, apply, plan, read_cluster

SAMPLE_DIRECTORY = Path(__file__).parents[2] / "deploy" / "reference" / "directory.jsonl"
"""The sample directory, which only a checkout has beside it."""


class TopicsUnfit(Exception):
    """The named broker can't be used for tests; the text says why and what to do."""


def apply_topics(bootstrap_servers: str) -> None:
    """Create the catalogue's topics that the cluster lacks, and adjust their settings.

    Raises:
        TopicsUnfit: a topic is there with another number of partitions.
    """
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers.split(","))) as admin:
        try:
            apply(plan(load_catalogue(), read_cluster(admin)), admin)
        except RefusedError as error:
            raise TopicsUnfit(
                f"{bootstrap_servers} 上这些主题的分区数与目录不同：{error}。请换用空的 Kafka。\n"
                f"Topics at {bootstrap_servers} have other numbers of partitions than the catalogue: {error}. "
                "Name an empty broker."
            ) from error


class Services:
    """`kouan_services(name, …)`: the services that run in this session, each on a new SQLite database."""

    def __init__(self, broker: Broker, folder: Path, directory: Path, topics: Topics, publishing: Publishing) -> None:
        self._broker = broker
        self._folder = folder
        self._directory = directory
        self._topics = topics
        self._publish = publishing
        self._steps = ExitStack()
        self._running: dict[str, Process] = {}
        self._smtp: SmtpProcess | None = None

    def __call__(self, *names: str) -> None:
        """Start the services that do not run yet, and wait until all of them are ready; the directory comes first.

        Raises:
            LookupError: there is no service of this name.
            TopicsUnfit: the named broker holds events of the service already.
            services.embedded.processes.ProcessFailed: one did not start, or has ended; with the end of its log.
        """
        known = self._topics.catalogue.services
        if strange := [name for name in names if name not in known]:
            raise LookupError(f"没有服务 / no service {', '.join(strange)}; there are {', '.join(known)}")
        wanted = [name for name in dict.fromkeys(names) if name not in self._running]
        for name in wanted:
            self._require_unused(name)
        if wanted and not self._running and self._directory.exists():
            self._publish.file(self._directory)
        workers = Workers([worker(name, self._environment(), self._folder / "logs") for name in wanted])
        self._steps.enter_context(workers)
        self._running |= {process.name: process for process in workers}
        for name in names:
            self._running[name].check_alive()
        workers.wait_ready(READY_SECONDS)

    def mails(self) -> Iterator[Mail]:
        """What the liaison service has sent so far, to the mail server that was started with it."""
        return read_mails(self._folder / "mails.jsonl")

    def log(self, name: str) -> str:
        """The end of a running service's log."""
        return self._running[name].tail()

    def _require_unused(self, name: str) -> None:
        """A service on a new database would decide all again that stands on the topics of a broker that is in use."""
        record = self._topics.catalogue.record_topic_of(name)
        if self._broker.origin == "environment" and any(
            end for (topic, _), end in self._topics.began.items() if topic == record.name
        ):
            raise TopicsUnfit(
                f"{self._broker.bootstrap_servers} 上的 {record.name} 已有事件，可能另有 {name} 在运行。"
                "请换用空的 Kafka，或取消 KAFKA_BOOTSTRAP_SERVERS 以自动启动。\n"
                f"{record.name} at {self._broker.bootstrap_servers} holds events already: another {name} may run there."
                " Name an empty broker, or unset KAFKA_BOOTSTRAP_SERVERS to have one started."
            )

    def _environment(self) -> dict[str, str]:
        if self._smtp is None:
            self._smtp = self._steps.enter_context(SmtpProcess(self._folder / "mails.jsonl"))
        return worker_environment(
            self._broker.bootstrap_servers,
            self._folder / "data",
            smtp_port=self._smtp.port,
            # Whatever database the team's own environment names is not for these services.
            database_url="",
            log_level="WARNING",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._steps.close()
