"""What a cluster lacks of the catalogue: worked out purely, then applied. Nothing is ever deleted or moved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from topics.definition import Catalogue, Topic

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

READY_WITHIN_MS = 30_000
"""How long new topics may take until every partition has a leader, and new settings until brokers know them."""

_ALREADY_EXISTS = 36


@dataclass(frozen=True, slots=True)
class ClusterTopic:
    """A topic as it stands on the cluster; `configs` holds the values in force of its settings."""

    partitions: int
    replication: int
    configs: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What the plan needs to know of a cluster. `brokers` counts those alive."""

    cluster_id: str
    brokers: int
    topics: Mapping[str, ClusterTopic]


@dataclass(frozen=True, slots=True)
class Creation:
    """A topic that is missing, with the replication that this cluster can give."""

    topic: Topic
    replication: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One setting of a topic: its value now (None: not known to the broker) and the one in the catalogue."""

    setting: str
    now: str | None
    wanted: str


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A topic whose settings differ from the catalogue."""

    topic: Topic
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A topic whose partition count differs. Changing it would tear keys from their history, so it is refused."""

    topic: Topic
    partitions: int


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A topic with fewer replicas than the catalogue asks for: `replication` of them, now or once it is created."""

    topic: Topic
    replication: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What `apply` would do (creations, adjustments), what it refuses (conflicts), and what a person should know."""

    creations: tuple[Creation, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    shortfalls: tuple[Shortfall, ...] = ()
    strangers: tuple[str, ...] = ()
    unchanged: tuple[Topic, ...] = field(default=())

    @property
    def empty(self) -> bool:
        """Whether the cluster needs nothing done and refuses nothing."""
        return not (self.creations or self.adjustments or self.conflicts)


class RefusedError(Exception):
    """The plan has conflicts, so none of it was applied."""


class ClusterError(Exception):
    """The cluster refused something. `reasons` says what, one line a topic."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


def configs_of(topic: Topic, replication: int) -> dict[str, str]:
    """The settings of a topic that stands on so many replicas.

    On fewer than the catalogue asks for, fewer of them have to be in sync: else one lost broker would stop its writers.
    `retention.bytes` is given because a broker's own default might cut a topic that is meant to stay for ever, and an
    unclean leader may not be elected because it would lose what was confirmed.
    """
    return {
        "cleanup.policy": topic.cleanup_policy,
        "max.message.bytes": str(topic.max_message_bytes),
        "min.insync.replicas": str(max(1, min(topic.min_insync_replicas, replication - 1))),
        "retention.bytes": "-1",
        "retention.ms": str(topic.retention_ms),
        "unclean.leader.election.enable": "false",
    }


def plan(catalogue: Catalogue, state: ClusterState) -> Plan:
    """What has to be done so that the cluster has what the catalogue says."""
    creations: list[Creation] = []
    adjustments: list[Adjustment] = []
    conflicts: list[Conflict] = []
    shortfalls: list[Shortfall] = []
    unchanged: list[Topic] = []
    for topic in catalogue.topics.values():
        there = state.topics.get(topic.name)
        replication = min(topic.replication, state.brokers) if there is None else there.replication
        if replication < topic.replication:
            shortfalls.append(Shortfall(topic, replication))
        wanted = configs_of(topic, replication)
        if there is None:
            creations.append(Creation(topic, replication, wanted))
            continue
        changes = _changes(there.configs, wanted)
        if changes:
            adjustments.append(Adjustment(topic, changes))
        if there.partitions != topic.partitions:
            conflicts.append(Conflict(topic, there.partitions))
        elif not changes:
            unchanged.append(topic)
    strangers = sorted(name for name in state.topics.keys() - catalogue.topics.keys())
    return Plan(
        tuple(creations), tuple(adjustments), tuple(conflicts), tuple(shortfalls), tuple(strangers), tuple(unchanged)
    )


def _changes(now: Mapping[str, str | None], wanted: Mapping[str, str]) -> tuple[Change, ...]:
    return tuple(
        Change(setting, now.get(setting), value) for setting, value in wanted.items() if now.get(setting) != value
    )


def read_cluster(admin: KafkaAdminClient) -> ClusterState:
    """The cluster's topics with their settings; Kafka's own topics are left out.

    Raises:
        ClusterError: settings can't be read, as a rule because the right to describe them is missing.
        kafka.errors.KafkaError: the cluster can't be asked.
    """
    cluster = admin.describe_cluster()
    described = {topic["name"]: topic for topic in admin.describe_topics() if not topic["is_internal"]}
    configs = _read_configs(admin, list(described))
    topics = {
        name: ClusterTopic(
            partitions=len(topic["partitions"]),
            replication=min((len(partition["replica_nodes"]) for partition in topic["partitions"]), default=0),
            configs=configs[name],
        )
        for name, topic in described.items()
    }
    return ClusterState(cluster["cluster_id"], len(cluster["brokers"]), topics)


def _read_configs(admin: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, str | None]]:
    from kafka.admin import ConfigResource, ConfigResourceType

    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found = admin.describe_configs(resources, config_filter="all").get("topic", {})
    unread = [name for name in names if not found.get(name)]
    if unread:
        raise ClusterError([f"{name}: its settings can't be read; DescribeConfigs is needed" for name in unread])
    return {name: {setting: entry["value"] for setting, entry in found[name].items()} for name in names}


def apply(plan: Plan, admin: KafkaAdminClient) -> None:
    """Create what is missing, adjust what differs, and wait until the cluster works by it.

    Safe to repeat, and safe beside another `apply`: a topic that exists by now is left to the next plan.

    Raises:
        RefusedError: the plan has conflicts; nothing was changed.
        ClusterError: the cluster refused something; the rest was done.
        kafka.errors.KafkaError: the cluster can't be asked, or new topics got no leader in time.
    """
    if plan.conflicts:
        raise RefusedError("; ".join(conflict.topic.name for conflict in plan.conflicts))
    reasons = [*_create(plan.creations, admin), *_adjust(plan.adjustments, admin)]
    if reasons:
        raise ClusterError(reasons)


def _create(creations: tuple[Creation, ...], admin: KafkaAdminClient) -> list[str]:
    if not creations:
        return []
    wanted: dict[str, Any] = {
        creation.topic.name: {
            "num_partitions": creation.topic.partitions,
            "replication_factor": creation.replication,
            "configs": dict(creation.configs),
        }
        for creation in creations
    }
    answer = admin.create_topics(wanted, raise_errors=False)
    failed = {
        entry["name"]: entry.get("error_message") or f"error {entry['error_code']}"
        for entry in answer["topics"]
        if entry["error_code"] not in (0, _ALREADY_EXISTS)
    }
    admin.wait_for_topics([name for name in wanted if name not in failed], timeout_ms=READY_WITHIN_MS)
    return [f"{name}: {reason}" for name, reason in failed.items()]


def _adjust(adjustments: tuple[Adjustment, ...], admin: KafkaAdminClient) -> list[str]:
    from kafka.admin import ConfigResource, ConfigResourceType

    if not adjustments:
        return []
    resources = [
        ConfigResource(
            ConfigResourceType.TOPIC,
            adjustment.topic.name,
            {change.setting: change.wanted for change in adjustment.changes},
        )
        for adjustment in adjustments
    ]
    answer = admin.alter_configs(resources).get("topic", {})
    reasons = [f"{name}: {result}" for name, result in answer.items() if result != "OK"]
    return reasons or _await_settings(adjustments, admin)


def _await_settings(adjustments: tuple[Adjustment, ...], admin: KafkaAdminClient) -> list[str]:
    """Brokers learn of a changed setting a moment after the controller has confirmed it."""
    deadline = time.monotonic() + READY_WITHIN_MS / 1000
    while True:
        now = _read_configs(admin, [adjustment.topic.name for adjustment in adjustments])
        late = [
            f"{adjustment.topic.name}: {change.setting} is still {now[adjustment.topic.name].get(change.setting)}"
            for adjustment in adjustments
            for change in adjustment.changes
            if now[adjustment.topic.name].get(change.setting) != change.wanted
        ]
        if not late or time.monotonic() > deadline:
            return late
        time.sleep(0.1)
