"""What a worker asks the cluster about its topics before it reads any of them."""

from __future__ import annotations

from collections.abc import Mapping

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from services.kit.failures import Fatal, Transient


def topic_ids(bootstrap_servers: str, wanted: Mapping[str, int]) -> dict[str, str]:
    """The ids of topics, checked against the partition counts that the catalogue gives.

    Raises:
        Fatal: a topic is missing or has another number of partitions.
        Transient: the cluster does not answer now.
    """
    try:
        admin = _admin(bootstrap_servers)
        try:
            described = {topic["name"]: topic for topic in admin.describe_topics() if topic["name"] in wanted}
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise Transient(f"brokers {bootstrap_servers} do not answer: {error}") from error
    faults = [f"{name} is missing" for name in sorted(wanted.keys() - described.keys())]
    faults += [
        f"{name} has {len(topic['partitions'])} partitions, the catalogue says {wanted[name]}"
        for name, topic in sorted(described.items())
        if len(topic["partitions"]) != wanted[name]
    ]
    if faults:
        raise Fatal(f"topics do not fit the catalogue: {'; '.join(faults)}. `kouan topics plan` shows what to do")
    return {name: str(topic["topic_id"]) for name, topic in described.items()}


def group_members(bootstrap_servers: str, group: str) -> int:
    """How many workers a consumer group has; one that was killed counts until its session ends.

    Raises:
        Transient: the cluster does not answer now.
    """
    try:
        admin = _admin(bootstrap_servers)
        try:
            return len(admin.describe_groups([group])[group]["members"])
        finally:
            admin.close()
    except (KafkaError, OSError) as error:
        raise Transient(f"brokers {bootstrap_servers} do not answer: {error}") from error


def _admin(bootstrap_servers: str) -> KafkaAdminClient:
    # Left to itself it waits for half a minute, and longer and longer in between, when the broker may be back already.
    return KafkaAdminClient(
        bootstrap_servers=bootstrap_servers.split(","), client_id="kouan-check", bootstrap_timeout_ms=5000
    )
