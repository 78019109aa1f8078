"""A gateway in a process of its own, and requests to it byte by byte: clients would correct what tests want wrong."""

from __future__ import annotations

import http.client
import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from kafka.admin import KafkaAdminClient

from services.embedded.broker import free_ports
from services.embedded.processes import HOST, Process, worker_environment
from services.gateway.app import MIGRATIONS, NAME
from services.gateway.parties import add_key, revoke_key
from services.kit.database import Database, open_database
from services.kit.migrate import migrate
from topics.definition import load_catalogue
from topics.plan import apply, plan, read_cluster

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
ZONE = "//commerce/manzhouli"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers (lower case) and body, as JSON where it is JSON."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Front:
    """A running gateway."""

    process: Process
    servers: str
    port: int
    url: str
    keys: dict[str, str] = field(default_factory=dict)

    def key(self, source: str) -> str:
        """A key of this source, made when it is first asked for."""
        if source not in self.keys:
            self.keys[source] = self.new_key(source)
        return self.keys[source]

    def new_key(self, source: str, expires_ms: int | None = None) -> str:
        """Another key of this source."""
        with self.database() as database:
            return add_key(database, source, expires_ms)

    def revoke(self, key: str) -> None:
        """Revoke a key."""
        with self.database() as database:
            assert revoke_key(database, key.split("_")[1])

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The gateway's database, beside the gateway."""
        with closing(open_database(self.url, NAME)) as database:
            yield database

    def post(
        self, body: bytes | Any, *, path: str = "/events", source: str = ZONE, kind: str = STRUCTURED, key: str = ""
    ) -> Answer:
        """A request as it should be; what is not bytes is sent as JSON."""
        headers = [("Authorization", f"Bearer {self.key(source)}"), ("Idempotency-Key", key or uuid.uuid4().hex)]
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return self.send("POST", path, [*headers, ("Content-Type", kind)], content)

    def send(self, method: str, path: str, headers: list[tuple[str, str | bytes]], body: bytes = b"") -> Answer:
        """A request with exactly these headers; Content-Length is added where the length is not told otherwise."""
        lines = [f"{method} {path} HTTP/1.1\r\nHost: gateway\r\n".encode()]
        names = {name.lower() for name, _ in headers}
        if not names & {"content-length", "transfer-encoding"}:
            lines.append(b"Content-Length: %d\r\n" % len(body))
        for name, value in headers:
            lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) + b"\r\n")
        return self.raw(b"".join(lines) + b"\r\n" + body)

    def raw(self, request: bytes, seconds: float = SECONDS) -> Answer:
        """These bytes, on a connection of their own."""
        with socket.create_connection((HOST, self.port), timeout=seconds) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())


@contextmanager
def running_gateway(servers: str, folder: Path, **settings: object) -> Iterator[Front]:
    """A gateway that is ready, on a broker that has the catalogue's topics."""
    with closing(KafkaAdminClient(bootstrap_servers=servers.split(","))) as admin:
        apply(plan(load_catalogue(), read_cluster(admin)), admin)
    port = free_ports(1)[0]
    environment = worker_environment(servers, folder, gateway_port=port, **settings)
    url = str(settings.get("database_url") or f"sqlite:///{folder / 'gateway.db'}")
    migrate(url, NAME, MIGRATIONS)
    process = Process("gateway", ["-m", "services.cli", "gateway", "run"], environment, folder / "gateway.log")
    with process:
        process.wait_ready()
        yield Front(process, servers, port, url)


def event(id: str | None = None, **changed: Any) -> dict[str, Any]:
    """A sound event of the zone; attributes as given, without those that are given as None."""
    data = json.loads((EXAMPLES / "referral.submitted.v1" / "valid-zone-plan.json").read_text(encoding="utf-8"))
    attributes = {
        "specversion": "1.0",
        "id": id or uuid.uuid4().hex,
        "source": ZONE,
        "type": "referral.submitted.v1",
        "time": "2026-01-05T09:30:00+08:00",
        "subject": "R-1",
        "data": data,
        **changed,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def ids_on(servers: str, topic: str) -> list[str]:
    """The ids of all events on a topic in binary mode, as the gateway writes them; repeats included, in no order."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False, "log_level": 0}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
        found: list[str] = []
        for partition in partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=SECONDS)
            consumer.assign([TopicPartition(topic, partition, low)])
            place = low
            while place < high:
                for message in consumer.consume(min(1000, high - place), timeout=1.0):
                    assert message.error() is None, message.error()
                    place = (message.offset() or 0) + 1
                    # Other tests' records in structured mode have none.
                    id = dict(message.headers() or []).get("ce_id")
                    found += [] if id is None else [id.decode()]
        return found
    finally:
        consumer.close()
