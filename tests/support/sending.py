"""Publishing a few records at once, also from processes of their own: this module is quick to import."""

from __future__ import annotations

from contextlib import closing

from kafka import KafkaProducer

Sent = tuple[str, bytes, bytes, list[tuple[str, bytes]]]
"""A record: topic, value, key, headers."""

WITHIN_S = 60.0


def send(servers: str, *records: Sent) -> None:
    """Publish records in order, and wait until all are confirmed."""
    with closing(KafkaProducer(bootstrap_servers=servers.split(","))) as producer:
        for record in records:
            producer.send(*record)
        producer.flush(timeout=WITHIN_S)
