"""Each way of getting a broker, and the mail server, as the demo and the tests use them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient

from services.embedded.broker import answers
from services.embedded.container import OWNER_LABEL, connect_engine, remove_orphans
from services.embedded.kafka import Origin, find_or_start
from services.embedded.smtp import Mail, SmtpProcess, read_mails
from tests.support.brokers import create_topics, in_ci, jar_cache, kafka_container, unique
from tests.support.cluster import running_cluster

STARTED_KAFKA = """
import sys, time
from pathlib import Path
from services.embedded.kafka import find_or_start

broker = find_or_start(Path(sys.argv[1]), ways=[sys.argv[2]], cache_dir=Path(sys.argv[3]))
sys.stdout.write(broker.bootstrap_servers + chr(10))
sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture(params=["docker", "java"])
def way(request: pytest.FixtureRequest) -> Origin:
    """Each way that starts a broker; where this machine lacks what it needs, only CI insists."""
    wanted: Origin = request.param
    if wanted == "java" and shutil.which("java") is None and not in_ci():
        pytest.skip("Java is not installed")
    if wanted == "docker" and not in_ci() and not docker_answers():
        pytest.skip("Docker does not answer")
    return wanted


def docker_answers() -> bool:
    try:
        connect_engine()
    except Exception:
        return False
    return True


def eventually(holds: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return False


def send(bootstrap_servers: str, topic: str, value: bytes) -> None:
    with closing(KafkaProducer(bootstrap_servers=bootstrap_servers, max_request_size=8 * 1024 * 1024)) as producer:
        producer.send(topic, value).get(timeout=30)


def receive(bootstrap_servers: str, topic: str) -> bytes:
    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest", consumer_timeout_ms=30000
    )
    with closing(consumer):
        return next(iter(consumer)).value


@contextmanager
def started_elsewhere(data_dir: Path, way: Origin) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A broker started by a program of its own, which can be killed; yields the program and the bootstrap servers."""
    command = [sys.executable, "-c", STARTED_KAFKA, str(data_dir), way, str(jar_cache())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            yield program, program.stdout.readline().strip()
        finally:
            program.kill()


def test_a_broker_keeps_its_topics_and_records_for_the_next_start_with_the_same_folder(
    way: Origin, tmp_path: Path
) -> None:
    topic = unique("kept")
    with find_or_start(tmp_path, ways=[way], cache_dir=jar_cache()) as first:
        assert first.origin == way
        create_topics(first.bootstrap_servers, {topic: 3})
        send(first.bootstrap_servers, topic, b"before")
    assert not answers(first.bootstrap_servers, seconds=1)

    with find_or_start(tmp_path, ways=["docker", "java"], cache_dir=jar_cache()) as second:
        assert second.origin == way
        assert receive(second.bootstrap_servers, topic) == b"before"


def test_a_broker_takes_dead_letters_of_five_megabytes_and_creates_no_topic_by_itself(
    way: Origin, tmp_path: Path
) -> None:
    with find_or_start(tmp_path, ways=[way], cache_dir=jar_cache()) as broker:
        topic = unique("large")
        create_topics(broker.bootstrap_servers, {topic: 1}, max_message_bytes=str(6 * 1024 * 1024))
        letter = os.urandom(5 * 1024 * 1024)
        send(broker.bootstrap_servers, topic, letter)
        assert receive(broker.bootstrap_servers, topic) == letter

        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)) as admin:
            assert [name for name in admin.list_topics() if not name.startswith("__")] == [topic]


def test_a_broker_run_by_java_ends_with_its_program_even_when_that_is_killed(tmp_path: Path) -> None:
    if shutil.which("java") is None and not in_ci():
        pytest.skip("Java is not installed")
    with started_elsewhere(tmp_path, "java") as (program, bootstrap_servers):
        assert answers(bootstrap_servers)
        program.kill()
        assert eventually(lambda: not answers(bootstrap_servers, seconds=1))


def test_a_container_whose_program_was_killed_is_removed_by_the_next_one(tmp_path: Path) -> None:
    if not in_ci() and not docker_answers():
        pytest.skip("Docker does not answer")
    with started_elsewhere(tmp_path, "docker") as (program, _):
        engine = connect_engine()

        def owned() -> list[str]:
            containers = engine.client.containers.list(all=True, filters={"label": OWNER_LABEL})
            return [each.id for each in containers if f"/{program.pid}-" in each.labels[OWNER_LABEL]]

        remove_orphans(engine)
        assert len(owned()) == 1
        program.kill()
        program.wait()
        remove_orphans(engine)
        assert owned() == []


def test_a_broker_of_a_cluster_says_whose_it_is_so_that_it_is_removed_as_well() -> None:
    if not in_ci() and not docker_answers():
        pytest.skip("Docker does not answer")
    with running_cluster(brokers=1) as cluster:
        (node,) = cluster.nodes
        assert f"/{os.getpid()}-" in node.get_wrapped_container().labels[OWNER_LABEL]


def test_a_container_of_a_tests_own_keeps_its_address_when_it_is_killed_and_started_again() -> None:
    if not in_ci() and not docker_answers():
        pytest.skip("Docker does not answer")
    with kafka_container() as container:
        topic = unique("survives")
        create_topics(container.bootstrap_servers, {topic: 1})
        send(container.bootstrap_servers, topic, b"before")
        container.get_wrapped_container().kill()
        assert not answers(container.bootstrap_servers, seconds=1)

        container.get_wrapped_container().start()
        assert eventually(lambda: answers(container.bootstrap_servers))
        assert receive(container.bootstrap_servers, topic) == b"before"


def test_the_broker_that_the_environment_names_is_taken_and_never_stopped(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    with find_or_start(tmp_path) as broker:
        assert (broker.bootstrap_servers, broker.origin) == (kafka, "environment")
    assert answers(kafka)


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[SmtpProcess]:
    """A mail server of the test's own, which has no mailbox of the name `gone`."""
    with SmtpProcess(tmp_path / "mails.jsonl", rejected=["gone@example.cn"]) as server:
        yield server


def mail(number: int, to: str = "li@example.cn") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "kouan@example.cn", to
    message["Subject"], message["Message-ID"] = f"推荐 {number}", f"<{number}@kouan>"
    message.set_content(f"第 {number} 封\n.\n.. dots are kept\n")
    return message


def deliver(server: SmtpProcess, *messages: EmailMessage) -> None:
    async def talk() -> None:
        async with aiosmtplib.SMTP(hostname=server.host, port=server.port) as client:
            for message in messages:
                await client.send_message(message)

    asyncio.run(talk())


def kept(server: SmtpProcess) -> list[Mail]:
    return list(read_mails(server.file))


def test_accepted_mail_survives_the_servers_being_killed(smtp: SmtpProcess) -> None:
    deliver(smtp, *[mail(number) for number in range(1, 51)])
    smtp.kill()
    smtp.start()
    deliver(smtp, mail(51))

    mails = kept(smtp)
    assert [each.number for each in mails] == list(range(1, 52))
    assert [each.message_id for each in mails] == [f"<{number}@kouan>" for number in range(1, 52)]
    assert (mails[50].subject, mails[50].text) == ("推荐 51", "第 51 封\n.\n.. dots are kept\n")


def test_a_mailbox_that_does_not_exist_is_refused_for_good(smtp: SmtpProcess) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
        deliver(smtp, mail(1, to="gone@example.cn"))

    assert caught.value.recipients[0].code == 550
    assert kept(smtp) == []


def test_an_attached_mail_server_ends_when_its_input_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.embedded.smtp", "--attached", "--file", str(tmp_path / "mails.jsonl")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline().startswith(b"127.0.0.1:")
        assert server.poll() is None
        server.stdin.close()
        assert server.wait(30) == 0
