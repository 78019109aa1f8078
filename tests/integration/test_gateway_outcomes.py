"""The gateway's outcomes on a real broker: feed, streams, cases and webhooks of a process that is killed on the way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient
from typer.testing import CliRunner, Result

from services.cli.gateway import commands
from services.embedded.broker import free_ports
from services.embedded.processes import HOST, Process, worker_environment
from services.gateway.feed_store import read_head
from services.gateway.parties import add_key
from services.gateway.webhooks import Webhook, listed
from services.kit.database import Database, open_database
from tests.support.outcomes import Saying, example, registered, saying
from topics.definition import load_catalogue
from topics.plan import apply, plan, read_cluster

pytestmark = pytest.mark.broker

SECONDS = 30.0
HEADQUARTERS = "//commerce/mofcom"


@dataclass
class Gateway:
    """A gateway in a process of its own, and its parties."""

    process: Process
    servers: str
    environment: dict[str, str]
    port: int
    keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._producer = Producer({"bootstrap.servers": self.servers, "partitioner": "murmur2_random", "log_level": 0})

    def say(self, *said: Saying) -> None:
        """Our services say something."""
        for one in said:
            self._producer.produce(one.topic, one.value, one.key, headers=one.headers)
        assert not self._producer.flush(SECONDS)

    def database(self) -> Database:
        """Its database, while it runs."""
        return open_database(f"sqlite:///{self.environment['KOUAN_DATA_DIR']}/gateway.db", "gateway")

    def key_of(self, party: str) -> dict[str, str]:
        """The header by which a party is known."""
        if party not in self.keys:
            with closing(self.database()) as one:
                self.keys[party] = add_key(one, party)
            eventually(lambda: self.client(party).get("/feed", params={"limit": 1}).status_code != 401, self)
        return {"Authorization": f"Bearer {self.keys[party]}"}

    def client(self, party: str) -> httpx.Client:
        """A party's HTTP client."""
        return httpx.Client(base_url=f"http://{HOST}:{self.port}", headers=self.key_of(party), timeout=SECONDS)

    def feed(self, party: str, **parameters: Any) -> Any:
        """One answer of the feed."""
        with self.client(party) as client:
            answer = client.get("/feed", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def command(self, *arguments: str) -> Result:
        """Run `kouan gateway …` in this process, which is quicker than in one of its own."""
        return CliRunner().invoke(commands, arguments, env={**self.environment, "COLUMNS": "300"})

    def kill_and_start(self) -> None:
        """A crash, and what follows it."""
        self.process.kill()
        self.process.start().wait_ready()


@pytest.fixture(scope="module")
def gateway(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with closing(KafkaAdminClient(bootstrap_servers=kafka.split(","))) as admin:
        apply(plan(load_catalogue(), read_cluster(admin)), admin)
    port = free_ports(1)[0]
    environment = worker_environment(
        kafka,
        folder,
        gateway_port=port,
        gateway_stream_heartbeat_seconds=0.3,
        gateway_stream_stall_seconds=1,
        gateway_stream_seats_per_party=3,
        gateway_webhook_master=uuid.uuid4().hex,
        gateway_webhook_private="true",
        gateway_webhook_retry_seconds=0.05,
    )
    process = Process("gateway", ["-m", "services.cli", "gateway", "run"], environment, folder / "gateway.log")
    with process:
        process.wait_ready()
        yield Gateway(process, kafka, environment, port)


@pytest.fixture
def zone() -> str:
    """A zone that no other test speaks of, so that its feed holds what this test says and nothing else."""
    return f"z{uuid.uuid4().hex[:12]}"


def eventually(holds: Callable[[], Any], gateway: Gateway, seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, gateway.process.tail(60)
        time.sleep(0.05)
    return found


def life_of(case: str, zone: str) -> list[Saying]:
    """What is said of a case, on several topics."""
    return [
        registered(case, zone=zone),
        saying("screening.opened.v1", case),
        saying("screening.shortlisted.v1", case),
        saying("loan.expected.v1", case),
        saying("loan.applied.v1", case),
        saying("loan.approved.v1", case),
    ]


def test_the_feed_gives_each_event_once_across_a_kill_of_the_gateway(gateway: Gateway, zone: str) -> None:
    party = f"//commerce/{zone}"
    said = [one for number in range(4) for one in life_of(f"{zone}-{number}", zone)][:20]
    seen: list[str] = []
    cursor = gateway.feed(party)["next"]
    for turn in range(2):
        # Half of all is said twice, and whatever was said is said again after the kill.
        gateway.say(*said[: (turn + 1) * 10], *said[: (turn + 1) * 5])
        if turn:
            gateway.kill_and_start()
        deadline = time.monotonic() + SECONDS
        while len(seen) < (turn + 1) * 10:
            assert time.monotonic() < deadline, gateway.process.tail(60)
            page = gateway.feed(party, after=cursor, limit=3, wait=1)
            assert len(page["events"]) <= 3
            seen += [event["id"] for event in page["events"]]
            cursor = page["next"]
    assert sorted(seen) == sorted(one.id for one in said)
    again = gateway.feed(party, limit=1000)
    assert [event["id"] for event in again["events"]] == seen
    assert again["events"][0]["data"]["referral"]["zone"] == zone


def test_a_zone_sees_its_own_cases_and_no_other_zones(gateway: Gateway, zone: str) -> None:
    other, case = f"{zone}x", f"{zone}-1"
    gateway.say(registered(case, zone=zone, branch=f"b{zone}"), saying("screening.opened.v1", case))
    own = eventually(lambda: len(gateway.feed(f"//commerce/{zone}")["events"]) == 2, gateway)
    assert own
    for party, status in (
        (f"//commerce/{zone}", 200),
        (f"//bank/b{zone}", 200),
        (HEADQUARTERS, 200),
        ("//bank/exim", 200),
        (f"//commerce/{other}", 404),
        (f"//bank/{zone}", 404),
        ("//commerce/65", 404),
    ):
        with gateway.client(party) as client:
            answer = client.get(f"/cases/{case}")
        assert answer.status_code == status, (party, answer.text)
        if status == 200:
            told = answer.json()
            assert told["status"]["stage"] == "screening"
            assert [event["type"] for event in told["time_line"]] == ["referral.registered.v1", "screening.opened.v1"]
        else:
            assert answer.headers["content-type"] == "application/problem+json"
            assert zone not in json.dumps(gateway.feed(party))
    assert httpx.get(f"http://{HOST}:{gateway.port}/cases/{case}").status_code == 401
    unknown = f"/cases/{zone}-no-such-case"
    with gateway.client(f"//commerce/{other}") as client:
        hidden, absent = client.get(f"/cases/{case}").json(), client.get(unknown).json()
    assert {**hidden, "instance": ""} == {**absent, "instance": ""}


def test_a_waiting_request_is_answered_when_something_comes_and_empty_when_nothing_does(
    gateway: Gateway, zone: str
) -> None:
    party = f"//commerce/{zone}"
    before = gateway.feed(party, wait=0.2)
    assert before["events"] == []
    said = registered(f"{zone}-1", zone=zone)
    threading.Timer(0.5, gateway.say, [said]).start()
    began = time.monotonic()
    after = gateway.feed(party, after=before["next"], wait=25)
    assert [event["id"] for event in after["events"]] == [said.id]
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"after": "nothing"}, 400),
        ({"after": "x" * 65}, 400),
        ({"limit": 0}, 400),
        ({"limit": "many"}, 400),
        ({"wait": 31}, 400),
        ({"types": "loan; drop"}, 400),
        ({"after": base64.urlsafe_b64encode(bytes(12)).decode()}, 410),
    ],
)
def test_a_feed_that_is_asked_wrongly_says_what_is_wrong(
    gateway: Gateway, parameters: dict[str, Any], status: int
) -> None:
    with gateway.client(HEADQUARTERS) as client:
        for path in ("/feed", "/feed/stream"):
            if path == "/feed/stream" and not {"after", "types"} & parameters.keys():
                continue
            answer = client.get(path, params=parameters)
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"


# Streams


@dataclass(frozen=True, slots=True)
class Message:
    """One block of an event stream."""

    id: str
    data: Any


def messages(lines: Iterator[str]) -> Iterator[Message]:
    """The blocks of an event stream, as the standard says to read them; those without data have None."""
    id, data = "", None
    for line in lines:
        if not line:
            yield Message(id, data)
            data = None
        elif line.startswith("id: "):
            id = line.removeprefix("id: ")
        elif line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))
        else:
            assert line.startswith(":"), line


@contextmanager
def stream(gateway: Gateway, party: str, last: str | None = None, **parameters: str) -> Iterator[Iterator[Message]]:
    headers = {} if last is None else {"Last-Event-ID": last}
    with (
        gateway.client(party) as client,
        client.stream("GET", "/feed/stream", headers=headers, params=parameters) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        yield messages(answer.iter_lines())


def test_a_stream_goes_on_from_the_last_id_that_was_seen(gateway: Gateway, zone: str) -> None:
    party = f"//commerce/{zone}"
    said = life_of(f"{zone}-1", zone)
    seen = []
    with stream(gateway, party) as first:
        start = next(first)
        assert start.data is None
        gateway.say(*said[:3])
        while len(seen) < 2:
            message = next(first)
            seen += [message] if message.data is not None else []
    gateway.say(*said[3:])
    with stream(gateway, party, last=seen[-1].id, types="screening,loan") as second:
        while len(seen) < len(said):
            message = next(second)
            seen += [message] if message.data is not None else []
        quiet = next(second)
    assert [message.data["id"] for message in seen[:2]] == [one.id for one in said[:2]]
    assert sorted(message.data["id"] for message in seen) == sorted(one.id for one in said)
    assert quiet.data is None
    assert gateway.feed(party, after=quiet.id)["events"] == []
    with stream(gateway, party, after="start") as third:
        whole = [message for message in (next(third) for _ in range(len(said) + 1)) if message.data is not None]
    assert sorted(message.id for message in whole) == sorted(message.id for message in seen)


def test_a_party_may_have_so_many_streams_and_no_more(gateway: Gateway, zone: str) -> None:
    party = f"//commerce/{zone}"
    with stream(gateway, party), stream(gateway, party), stream(gateway, party), gateway.client(party) as client:
        answer = client.get("/feed/stream")
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
        with stream(gateway, f"{party}x") as others:
            next(others)
    eventually(lambda: _opens(gateway, party), gateway)


def _opens(gateway: Gateway, party: str) -> bool:
    with gateway.client(party) as client, client.stream("GET", "/feed/stream") as answer:
        return answer.status_code == 200


def test_a_stream_whose_reader_takes_nothing_is_closed_and_goes_on_where_it_stopped(
    gateway: Gateway, zone: str
) -> None:
    party, case = f"//commerce/{zone}", f"{zone}-1"
    body = example("screening.scored.v1")
    body["rules"] = [body["rules"][0] | {"inputs": {f"n{number}": "x" * 3000 for number in range(60)}}]
    said = [registered(case, zone=zone), *(saying("screening.scored.v1", case, body) for _ in range(60))]
    with closing(socket.socket()) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(SECONDS)
        slow.connect((HOST, gateway.port))
        key = gateway.key_of(party)["Authorization"]
        slow.sendall(f"GET /feed/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode())
        slow.recv(200)
        gateway.say(*said)
        seats = "kouan_gateway_seats"
        eventually(lambda: gateway.process.figure(seats) == 0, gateway)
        taken = b""
        while chunk := slow.recv(1 << 20):
            taken += chunk
    whole = taken.rpartition(b"\n\n")[0].decode()
    ids = [line.removeprefix("id: ") for line in whole.splitlines() if line.startswith("id: ")]
    got = whole.count("\ndata: ")
    assert 0 < got < len(said)
    with stream(gateway, party, last=ids[-1]) as rest:
        left = [message for message in (next(rest) for _ in range(len(said) - got + 1)) if message.data is not None]
    assert left[-1].data["id"] == said[-1].id
    assert len(left) == len(said) - got


# Webhooks


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a receiver got."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> bool:
        """Whether it was signed with this secret: the Standard Webhooks rule, written down once more."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        assert abs(time.time() - int(self.headers["webhook-timestamp"])) < 300
        signed = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        versions = [part.split(",", 1) for part in self.headers["webhook-signature"].split(" ")]
        return ["v1", expected] in versions


class Receiver:
    """A party's own HTTP server; `answers` are the statuses that it gives next, then 204."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.calls.append(Call({name.lower(): value for name, value in self.headers.items()}, body))
                status = receiver.answers.pop(0) if receiver.answers else 204
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Tests tell what they need to tell."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}/in"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


def registered_webhook(gateway: Gateway, party: str, url: str, *more: str) -> tuple[str, str]:
    """Id and secret of a new webhook."""
    done = gateway.command("webhook", "add", "--source", party, "--url", url, *more)
    assert done.exit_code == 0, done.stderr
    first, secret = done.stdout.strip().splitlines()
    return first.split()[-1], secret


def test_a_webhook_gets_every_event_in_order_signed_and_again_until_it_is_taken(
    gateway: Gateway, zone: str, receiver: Receiver
) -> None:
    party = f"//commerce/{zone}"
    webhook, secret = registered_webhook(gateway, party, receiver.url)
    receiver.answers = [500, 503, 302, 204, 500]
    said = life_of(f"{zone}-1", zone)
    gateway.say(*said[:3])
    eventually(lambda: len(receiver.calls) == 7, gateway)
    gateway.say(*said[3:])
    eventually(lambda: len(receiver.calls) == 10, gateway)
    gateway.kill_and_start()
    assert all(call.verified(secret) for call in receiver.calls)
    assert not receiver.calls[0].verified("whsec_" + base64.b64encode(b"other").decode())
    order = [event["id"] for event in gateway.feed(party)["events"]]
    eventually(lambda: noted(gateway, webhook), gateway)
    got = [json.loads(call.body)["id"] for call in receiver.calls]
    # The first event four times, the second twice; none overtakes one that was not taken. The kill may have come
    # between the last answer and its note.
    assert got[:10] == [order[0]] * 4 + [order[1]] * 2 + order[2:]
    assert got[10:] in ([], order[-1:])
    assert len({call.id for call in receiver.calls}) == len(order)
    assert receiver.calls[0].headers["content-type"].startswith("application/cloudevents+json")

    done = gateway.command("webhook", "replay", webhook, "--after", "start")
    assert done.exit_code == 0, done.stderr
    eventually(lambda: len(receiver.calls) == len(got) + 6, gateway)
    assert [call.id for call in receiver.calls[-6:]] == list(dict.fromkeys(call.id for call in receiver.calls[:10]))
    made = gateway.command("webhook", "attempts", webhook).stdout
    assert made.count("HTTP 50") == 3
    assert gateway.command("webhook", "remove", webhook).exit_code == 0


def test_a_webhook_that_is_gone_for_good_is_disabled_shows_it_and_goes_on_when_enabled(
    gateway: Gateway, zone: str, receiver: Receiver
) -> None:
    party = f"//commerce/{zone}"
    webhook, _ = registered_webhook(gateway, party, receiver.url, "--types", "screening")
    receiver.answers = [410]
    said = life_of(f"{zone}-1", zone)
    gateway.say(*said)
    eventually(lambda: state_of(gateway, webhook).disabled_ms, gateway)
    shown = gateway.command("webhook", "list").stdout
    assert "disabled" in shown
    assert "HTTP 410" in shown
    assert len(receiver.calls) == 1
    assert gateway.command("webhook", "enable", webhook).exit_code == 0
    eventually(lambda: len(receiver.calls) == 3, gateway)
    types = [json.loads(call.body)["type"] for call in receiver.calls]
    assert types == ["screening.opened.v1", "screening.opened.v1", "screening.shortlisted.v1"]


def state_of(gateway: Gateway, webhook: str) -> Webhook:
    with closing(gateway.database()) as database:
        return next(one for one in listed(database) if one.webhook_id == webhook)


def noted(gateway: Gateway, webhook: str) -> bool:
    """Whether everything that is in the feed was delivered, and is known to have been."""
    with closing(gateway.database()) as database:
        return state_of(gateway, webhook).after_seq == read_head(database).last


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--source", "//commerce/heihe", "--url", "ftp://example.com/"], "https://"),
        (["--source", "heihe", "--url", "http://127.0.0.1:1/"], "no party's source"),
        (["--source", "//commerce/heihe", "--url", "http://127.0.0.1:1/", "--types", "a;b"], "types"),
    ],
)
def test_a_webhook_that_can_not_work_is_refused_with_what_is_wrong(
    gateway: Gateway, arguments: Sequence[str], told: str
) -> None:
    done = gateway.command("webhook", "add", *arguments)
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_secret_can_go_to_a_file_that_only_its_owner_reads(gateway: Gateway, zone: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    done = gateway.command(
        "webhook", "add", "--source", f"//commerce/{zone}", "--url", "http://127.0.0.1:1/", "--secret-to", str(file)
    )
    assert done.exit_code == 0, done.stderr
    assert "whsec_" not in done.stdout
    assert file.read_text().startswith("whsec_")
    assert file.stat().st_mode & 0o777 == 0o600
