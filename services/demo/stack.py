"""Everything on one machine: broker, topics, directory, mail server, and each service in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
from kafka.admin import KafkaAdminClient

from services.demo.log import TopicsLog
from services.demo.publishing import Publisher
from services.demo.scenario import Publication
from services.embedded.broker import free_ports
from services.embedded.kafka import Broker, find_or_start
from services.embedded.processes import HOST, Process, Workers, worker, worker_environment
from services.embedded.smtp import SmtpProcess
from services.registry import SERVICES
from topics.definition import Catalogue
from topics.plan import apply, plan, read_cluster

DIRECTORY = Path(__file__).parents[2] / "deploy" / "reference" / "directory.jsonl"
"""The sample directory of the checkout."""

Say = Callable[[str], None]
"""Told what is being done, in Chinese and English."""


class TopicsInUse(Exception):
    """The topics of the broker hold records already, and the caller asked for empty ones."""


class Stack:
    """Starts all that the services need and then the services; ends them in the opposite order.

    `data_dir` keeps databases, logs, mails and (where the broker is started here) the broker's data; `cache_dir` keeps
    Kafka's jars. A database and a mail server that the environment names are used, unless `alone`: then the databases
    are in `data_dir` and the mail server is one of our own, whatever the environment says. `gateway` starts the HTTP
    gateway as well, on the port that the environment names or on a free one.
    """

    def __init__(
        self,
        data_dir: Path,
        cache_dir: Path,
        catalogue: Catalogue,
        *,
        alone: bool = False,
        refused_mailboxes: tuple[str, ...] = (),
        directory: Path = DIRECTORY,
        gateway: bool = False,
        say: Say = lambda text: None,
    ) -> None:
        self.data_dir = data_dir
        self.mail_file = data_dir / "mails.jsonl"
        self.logs = data_dir / "logs"
        self.catalogue = catalogue
        self.broker: Broker
        self.mail_server: SmtpProcess | None = None
        self.workers: Workers
        self.gateway_url: str | None = None
        self._alone = alone
        self._gateway = gateway
        self._cache_dir = cache_dir
        self._refused_mailboxes = refused_mailboxes
        self._directory = directory
        self._say = say
        self._steps = ExitStack()

    def start(self, *, empty_topics: bool = False) -> Self:
        """Start everything and wait until every service is ready.

        Raises:
            BrokerUnavailable: no broker answers and none can be started.
            TopicsInUse: `empty_topics`, and the broker holds records.
            ProcessFailed: a service does not become ready; with the end of its log.
            topics.plan.RefusedError, topics.plan.ClusterError: the topics can't be made as the catalogue says.
        """
        try:
            self._start(empty_topics)
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self, empty_topics: bool) -> None:
        self._say("正在连接或启动 Kafka / looking for a broker, or starting one")
        self.broker = self._steps.enter_context(find_or_start(self.data_dir, self._say, cache_dir=self._cache_dir))
        self._say("正在建立主题 / making the topics")
        self._apply_topics()
        self._publish_directory(empty_topics)
        environment = self._environment()
        self._say("正在启动各服务 / starting the services")
        ports = free_ports(len(SERVICES))
        processes = [
            worker(name, {**environment, "KOUAN_WEB_PORT": str(port)}, self.logs)
            for name, port in zip(SERVICES, ports, strict=True)
        ]
        if self._gateway:
            processes.append(self._gateway_process(environment))
        self.workers = Workers(processes)
        self._steps.enter_context(self.workers)
        self.workers.wait_ready(told=lambda process: self._say(f"{process.name} 已就绪 / is ready"))

    def _gateway_process(self, environment: dict[str, str]) -> Process:
        port = os.environ.get("KOUAN_GATEWAY_PORT") or str(free_ports(1)[0])
        self.gateway_url = f"http://{HOST}:{port}"
        arguments = ["-m", "services.cli", "gateway", "run"]
        return Process("gateway", arguments, {**environment, "KOUAN_GATEWAY_PORT": port}, self.logs / "gateway.log")

    def _environment(self) -> dict[str, str]:
        smtp_port, database_url = None, None
        if self._alone or "KOUAN_SMTP_HOST" not in os.environ:
            self._say("正在启动邮件服务器 / starting the mail server")
            self.mail_server = self._steps.enter_context(SmtpProcess(self.mail_file, rejected=self._refused_mailboxes))
            smtp_port = self.mail_server.port
        if self._alone:
            database_url = ""
        return worker_environment(
            self.broker.bootstrap_servers, self.data_dir, smtp_port=smtp_port, database_url=database_url
        )

    def _apply_topics(self) -> None:
        servers = self.broker.bootstrap_servers.split(",")
        with closing(KafkaAdminClient(bootstrap_servers=servers, client_id="kouan-stack")) as admin:
            apply(plan(self.catalogue, read_cluster(admin)), admin)

    def _publish_directory(self, empty_topics: bool) -> None:
        """Publish the entries of the directory that do not stand on its topics yet."""
        with TopicsLog(self.broker.bootstrap_servers, self.catalogue) as log:
            log.catch_up()
        if empty_topics and any(log.records.values()):
            raise TopicsInUse(self.broker.bootstrap_servers)
        self._say("正在发布名录 / publishing the directory")
        there = {dict(record.headers).get("ce_id") for records in log.records.values() for record in records}
        entries = [directory_record(line, self.catalogue) for line in self._directory.read_bytes().splitlines()]
        with Publisher(self.broker.bootstrap_servers) as publisher:
            publisher.publish([entry for entry in entries if dict(entry.headers)["ce_id"] not in there])

    def stop(self) -> None:
        """End everything that was started here; may be called again."""
        self._steps.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __enter__(self) -> Self:
        return self


def directory_record(line: bytes, catalogue: Catalogue) -> Publication:
    """One structured CloudEvent of the directory file as a record in binary mode."""
    event = orjson.loads(line)
    topic = catalogue.topic_of_publisher(event["source"], event["type"])
    attributes = ("specversion", "id", "source", "type", "time", "subject")
    headers = [(f"ce_{name}", event[name].encode()) for name in attributes]
    headers.append(("content-type", b"application/json"))
    return Publication(topic.name, event["subject"].encode(), orjson.dumps(event["data"]), tuple(headers))
