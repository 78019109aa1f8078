"""The real broker that tests run against, and names that no other test uses."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from kafka.admin import KafkaAdminClient, NewTopic

from services.embedded.container import KafkaContainer, connect_engine, find_image, remove_orphans
from services.embedded.java import new_cluster_id
from services.embedded.kafka import VARIABLE, Origin, find_or_start


def in_ci() -> bool:
    """Whether this run must not settle for less than the real thing in a container."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@contextmanager
def running_broker(data_dir: Path) -> Iterator[str]:
    """Bootstrap servers of a broker: named by the environment, else in a container, else (not in CI) by local Java."""
    ways: tuple[Origin, ...] = ("environment", "docker") if in_ci() else ("environment", "docker", "java")
    with find_or_start(data_dir, ways=ways, cache_dir=jar_cache()) as broker:
        yield broker.bootstrap_servers


@contextmanager
def kafka_container(**settings: str) -> Iterator[KafkaContainer]:
    """A broker in a container of the test's own, to be paused, killed and started again (`get_wrapped_container()`).

    Settings are broker properties with `_` for `.`.
    """
    engine = connect_engine()
    remove_orphans(engine)
    image = find_image(engine, lambda text: None)
    properties = {name.replace("_", "."): value for name, value in settings.items()}
    with KafkaContainer(image, cluster_id=new_cluster_id(), settings=properties) as container:
        yield container


def broker_is_named() -> bool:
    """Whether the environment names the broker, so that none is started here."""
    return bool(os.environ.get(VARIABLE, "").strip())


def jar_cache() -> Path:
    """Where Kafka's jars stay between test runs (inside the checkout, ignored by git)."""
    return Path(__file__).parents[2] / ".kouan" / "cache"


def interruptible(*command: str | Path) -> list[str]:
    """A command that Ctrl-C (SIGINT) ends, also where the tests themselves run in the background and ignore it."""
    return ["env", "--default-signal=INT", *map(str, command)]


def unique(name: str) -> str:
    """`name` with an ending that no other test and no other run uses: for topics, groups and transactional ids."""
    return f"{name}-{uuid.uuid4().hex[:12]}"


def create_topics(bootstrap_servers: str, partitions: Mapping[str, int], **configs: str) -> None:
    """Create topics (name → partitions) and wait until they can be written; configs with `_` for `.`.

    They are on as many brokers as the cluster's own settings say: one of the test's own may have several.
    """
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers.split(","))) as admin:
        topic_configs = {key.replace("_", "."): value for key, value in configs.items()}
        admin.create_topics(
            [NewTopic(name, count, -1, topic_configs=topic_configs) for name, count in partitions.items()]
        )
        admin.wait_for_topics(list(partitions))
