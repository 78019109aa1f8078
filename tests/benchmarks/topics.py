"""Topics of a benchmark: made anew between runs, so that each starts at offset 0, and how far they reach."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from confluent_kafka import Consumer, TopicPartition
from kafka import KafkaAdminClient

from tests.support.system import wait_until
from topics.definition import Catalogue
from topics.plan import apply, plan, read_cluster

Place = tuple[str, int]


def prepare(servers: str, *catalogues: Catalogue) -> None:
    """Create the topics of catalogues where they are not there."""
    with closing(KafkaAdminClient(bootstrap_servers=servers.split(","))) as admin:
        for topics in catalogues:
            apply(plan(topics, read_cluster(admin)), admin)


def renew(servers: str, catalogue: Catalogue) -> None:
    """Delete a catalogue's topics with all that stands on them, and create them again."""
    with closing(KafkaAdminClient(bootstrap_servers=servers.split(","))) as admin:
        there = set(admin.list_topics()) & set(catalogue.topics)
        if there:
            admin.delete_topics(sorted(there))
            wait_until(lambda: not there & set(admin.list_topics()), 60, "the topics of the run before are deleted")
    prepare(servers, catalogue)


class Ends:
    """Where topics end, as a reader of committed records sees it; close it afterwards."""

    def __init__(self, servers: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "bench-ends",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )

    def of(self, topics: Iterable[tuple[str, int]]) -> dict[Place, int]:
        """The end of each partition of topics, which are given with their number of partitions."""
        return {
            (name, partition): self._consumer.get_watermark_offsets(TopicPartition(name, partition), timeout=10)[1]
            for name, partitions in topics
            for partition in range(partitions)
        }

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()
