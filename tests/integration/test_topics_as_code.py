"""`kouan topics` from the first plan to rights that a broker enforces, on a broker that checks rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from kafka.structs import TopicPartition
from typer.testing import CliRunner, Result

from schemas.codec import decode
from services.cli import app
from services.cli.terminal import Exit
from services.embedded.broker import free_ports
from services.embedded.container import KafkaContainer, connect_engine, find_image, remove_orphans
from services.embedded.java import new_cluster_id
from tests.support.brokers import in_ci
from topics.acl import as_commands, read_rights, rights
from topics.asyncapi import document
from topics.definition import SHIPPED, load_catalogue
from topics.page import kcat_command

pytestmark = pytest.mark.broker

USERS = ("bank", "bank-exim", "commerce", "commerce-mofcom", "kouan-screening")
GUARDED_PORT = 9095


class GuardedBroker(KafkaContainer):
    """A broker that checks rights: beside the door without names, for administration, it has one with names."""

    guarded = ""

    def _choose_address(self) -> None:
        super()._choose_address()
        port = free_ports(1)[0]
        self.guarded = f"127.0.0.1:{port}"
        self.ports[f"{GUARDED_PORT}/tcp"] = ("127.0.0.1", port)
        users = " ".join(f'user_{name}="{name}-secret"' for name in USERS)
        protocols = f"{self._settings['listener.security.protocol.map']},GUARDED:SASL_PLAINTEXT"
        login = f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
        self._settings |= {
            "listeners": f"{self._settings['listeners']},GUARDED://0.0.0.0:{GUARDED_PORT}",
            "advertised.listeners": f"{self._settings['advertised.listeners']},GUARDED://{self.guarded}",
            "listener.security.protocol.map": protocols,
            "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.guarded.plain.sasl.jaas.config": login,
        }
        for key, value in self._settings.items():
            self.with_env("KAFKA_" + key.upper().replace(".", "_"), value)


@pytest.fixture(scope="module")
def broker() -> Iterator[GuardedBroker]:
    engine = connect_engine()
    remove_orphans(engine)
    image = find_image(engine, lambda text: None)
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with GuardedBroker(image, cluster_id=new_cluster_id(), settings=settings) as container:
        yield container


@pytest.fixture(scope="module")
def admin(broker: GuardedBroker) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)) as client:
        yield client


@pytest.fixture(scope="module")
def applied(broker: GuardedBroker) -> Result:
    """The shipped catalogue with its rights, applied once."""
    return kouan(broker, "apply", "--acls")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped catalogue, to be changed."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "catalogue"))


def kouan(broker: GuardedBroker, *arguments: str) -> Result:
    needs_broker = arguments[0] not in ("validate", "export")
    servers = ("-b", broker.bootstrap_servers) if needs_broker else ()
    # Wide enough that no name is broken across lines.
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["topics", *arguments, *servers])


def named(broker: GuardedBroker, user: str) -> dict[str, Any]:
    """How a client of this user comes in."""
    return {
        "bootstrap_servers": broker.guarded,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": user,
        "sasl_plain_password": f"{user}-secret",
    }


def publish(broker: GuardedBroker, user: str, topic: str) -> None:
    producer = KafkaProducer(**named(broker, user), acks="all", enable_idempotence=True, max_block_ms=10_000)
    try:
        producer.send(topic, key=b"NMG-1", value=b"{}").get(timeout=10)
    finally:
        producer.close(timeout=2)


def refusal_of(broker: GuardedBroker, user: str, topic: str, group: str) -> str | None:
    """Ask for records until the broker gave partitions (`None`) or refused (the name of its error)."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker.guarded,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": f"{user}-secret",
            "group.id": group,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    deadline = time.monotonic() + 20
    try:
        while not consumer.assignment():
            message = consumer.poll(0.2)
            if message is not None and message.error() is not None:
                return str(message.error().name())
            assert time.monotonic() < deadline, "neither given partitions nor refused"
    finally:
        consumer.close()
    return None


def until(look: Callable[[], Result], fits: Callable[[Result], bool]) -> Result:
    deadline = time.monotonic() + 15
    while not fits(found := look()):
        assert time.monotonic() < deadline, found.output
    return found


def test_a_plan_changes_nothing_and_says_by_its_exit_code_that_there_is_work(
    broker: GuardedBroker, admin: KafkaAdminClient
) -> None:
    before = admin.list_topics()
    planned = kouan(broker, "plan", "--acls")
    assert planned.exit_code == Exit.PENDING, planned.output
    assert "+" in planned.stdout
    assert "commerce.referrals" in planned.stdout
    assert "User:kouan-screening Describe, Read (topic)" in planned.stdout
    assert admin.list_topics() == before
    assert read_rights(admin) == frozenset()


def test_what_was_applied_leaves_nothing_to_do(broker: GuardedBroker, applied: Result) -> None:
    assert applied.exit_code == Exit.OK, applied.output
    # A single broker has one replica to give: said, and no fault.
    assert "fewer replicas than the catalogue asks for" in applied.stdout
    again = kouan(broker, "plan", "--acls")
    assert again.exit_code == Exit.OK, again.output
    assert "nothing to do" in again.stdout


def test_the_broker_has_exactly_the_rights_of_the_catalogue(admin: KafkaAdminClient, applied: Result) -> None:
    assert read_rights(admin) == set(rights(load_catalogue()))


@pytest.mark.parametrize(
    ("user", "topic", "allowed"),
    [
        ("bank", "bank.loans", True),
        ("bank", "commerce.referrals", False),
        ("bank", "loan.events", False),
        ("bank", "bank.directory", False),
        ("bank-exim", "bank.directory", True),
        ("commerce", "commerce.referrals", True),
        ("commerce-mofcom", "bank.directory", False),
        ("kouan-screening", "screening.events", True),
        ("kouan-screening", "loan.events", False),
    ],
)
def test_a_user_writes_where_the_catalogue_lets_it_and_nowhere_else(
    broker: GuardedBroker, applied: Result, user: str, topic: str, allowed: bool
) -> None:
    if allowed:
        publish(broker, user, topic)
    else:
        with pytest.raises(KafkaError) as caught:
            publish(broker, user, topic)
        assert isinstance(caught.value, TopicAuthorizationFailedError), caught.value


@pytest.mark.parametrize(
    ("user", "topic", "group", "refusal"),
    [
        ("kouan-screening", "referral.events", "screening", None),
        ("kouan-screening", "referral.events", "loan_desk", "GROUP_AUTHORIZATION_FAILED"),
        ("kouan-screening", "bank.loans", "screening", "TOPIC_AUTHORIZATION_FAILED"),
        ("bank-exim", "loan.events", "bank-exim.risk", None),
        ("bank-exim", "commerce.referrals", "bank-exim.risk", "TOPIC_AUTHORIZATION_FAILED"),
        ("bank-exim", "loan.events", "commerce-mofcom.x", "GROUP_AUTHORIZATION_FAILED"),
        ("bank", "loan.events", "bank.x", "GROUP_AUTHORIZATION_FAILED"),
    ],
)
def test_a_user_reads_what_the_catalogue_lets_it_in_groups_of_its_own(
    broker: GuardedBroker, applied: Result, user: str, topic: str, group: str, refusal: str | None
) -> None:
    assert refusal_of(broker, user, topic, group) == refusal


def test_kafkas_own_tool_takes_the_exported_commands(broker: GuardedBroker, applied: Result) -> None:
    """The script runs in the container, where the tool is. It changes nothing: the rights are there already."""
    wanted = [right for right in rights(load_catalogue()) if (right.user, right.name) == ("bank-exim", "bank-exim.")]
    by_class = 'kafka-acls.sh() { java -cp "/opt/kafka/libs/*" org.apache.kafka.tools.AclCommand "$@"; }'
    tool = f'if test -d /opt/kafka/bin; then PATH="$PATH:/opt/kafka/bin"; else {by_class}; fi'
    code, said = broker.get_wrapped_container().exec_run(
        ["bash", "-c", f"{tool}\n{as_commands(wanted)}"], environment={"BOOTSTRAP_SERVERS": "127.0.0.1:9094"}
    )
    assert code == 0, said.decode()
    assert "principal=User:bank-exim" in said.decode()


def test_another_cluster_than_the_one_named_is_left_alone(broker: GuardedBroker, applied: Result) -> None:
    for command in ("plan", "apply"):
        refused = kouan(broker, command, "--cluster-id", "someone-elses")
        assert refused.exit_code == Exit.CONFLICT
        assert "someone-elses" in refused.stderr
    cluster_id = broker.env["CLUSTER_ID"]
    assert kouan(broker, "plan", "--cluster-id", cluster_id).exit_code == Exit.OK


def test_a_changed_setting_is_shown_old_and_new_and_a_changed_partition_count_is_refused(
    broker: GuardedBroker, admin: KafkaAdminClient, applied: Result, folder: Path
) -> None:
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "bank.opinions", {"retention.ms": "86400000"})])
    changed = until(lambda: kouan(broker, "plan"), lambda found: found.exit_code == Exit.PENDING)
    assert "retention.ms: 86400000 → -1" in changed.stdout
    # All that share a task with it would have to follow, so that the catalogue itself stays sound.
    for file in folder.glob("*.yaml"):
        file.write_text(file.read_text(encoding="utf-8").replace("partitions: 4", "partitions: 6"), encoding="utf-8")
    refused = kouan(broker, "apply", "--catalogue", str(folder))
    assert refused.exit_code == Exit.CONFLICT
    assert "partitions: 4 ↛ 6" in refused.stdout
    assert "retention.ms: 86400000 → -1" in kouan(broker, "plan").stdout, "nothing at all was to be applied"
    assert kouan(broker, "apply").exit_code == Exit.OK
    assert kouan(broker, "plan").exit_code == Exit.OK


def test_a_topic_that_only_the_cluster_knows_is_imported_filled_in_and_then_planned_like_any_other(
    broker: GuardedBroker, admin: KafkaAdminClient, applied: Result, folder: Path
) -> None:
    admin.create_topics([NewTopic("bank.releases", 4, 1, topic_configs={"retention.ms": "604800000"})])
    admin.wait_for_topics(["bank.releases"])
    given = ("--catalogue", str(folder))
    assert "?" in (stranger := kouan(broker, "plan", *given)).stdout
    assert "bank.releases" in stranger.stdout
    imported = kouan(broker, "import", "bank.*", "--to", str(folder), *given)
    assert imported.exit_code == Exit.OK, imported.output
    file = folder / "bank.releases.yaml"
    faulty = kouan(broker, "validate", *given)
    assert faulty.exit_code == Exit.USAGE
    for place in ("owner", "kind", "key.name", "key.why.zh", "sources", "events"):
        assert f", {place})  nothing is filled in here" in faulty.stderr

    filled = file.read_text(encoding="utf-8")
    for empty, value in (
        ("  zh:\n  en:\nowner:", "  zh: 银行侧解冻\n  en: Releases of the bank side\nowner: bank"),
        ("\nkind:", "\nkind: input"),
        ("  name:  #", "  name: referral_id_or_zone  #"),
        ("  example:\n", "  example: manzhouli\n"),
        ("    zh:\n    en:\n", "    zh: 同一案件保持先后\n    en: a case keeps its order\n"),
        ("\nsources:", "\nsources: [//bank/]"),
        ("\nwriters:", "\nwriters: [bank]"),
        ("\nreaders:", "\nreaders: [risk_monitor]"),
        ("\nredistributed_by:", "\nredistributed_by: risk_monitor"),
        ("\nevents:", "\nevents: [hold.release_submitted.v1]"),
    ):
        assert filled.count(empty) == 1, empty
        filled = filled.replace(empty, value)
    file.write_text(filled, encoding="utf-8")
    home = folder / "bank.actions.yaml"
    home.write_text(home.read_text(encoding="utf-8").replace("  - hold.release_submitted.v1\n", ""), encoding="utf-8")

    sound = kouan(broker, "validate", *given)
    assert sound.exit_code == Exit.OK, sound.output
    assert f"{len(load_catalogue().topics) + 1} 个主题" in sound.stdout
    planned = kouan(broker, "plan", *given)
    assert planned.exit_code == Exit.OK, planned.output
    assert "bank.releases" not in planned.stdout
    assert "no such topic beside the catalogue" in kouan(broker, "import", *given).stdout


def test_a_command_copied_from_the_page_publishes_an_event(broker: GuardedBroker, applied: Result) -> None:
    if shutil.which("kcat") is None:
        reason = "kcat is not installed: apt-get install kcat"
        pytest.fail(reason) if in_ci() else pytest.skip(reason)
    example = document(load_catalogue())["components"]["messages"]["loan.application_reported.v1"]["examples"][0]
    environment = {**os.environ, "KAFKA": broker.bootstrap_servers}
    subprocess.run(["sh", "-c", kcat_command(example, "bank.indicators")], env=environment, check=True, timeout=30)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest")
    with closing(consumer):
        consumer.assign([TopicPartition("bank.indicators", number) for number in range(4)])
        consumer.seek_to_beginning()
        deadline = time.monotonic() + 15
        records: list[Any] = []
        while not records:
            assert time.monotonic() < deadline
            records = [one for part in consumer.poll(timeout_ms=500).values() for one in part]
    event = decode(records[0].key, records[0].value, records[0].headers)
    assert (event.type, event.subject) == ("loan.application_reported.v1", example["headers"]["ce_subject"])
