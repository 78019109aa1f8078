"""Publishing the scenario with the synchronous client that other systems' Python code uses as well."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer

from services.demo.scenario import Publication

CONFIRM_SECONDS = 60


class NotConfirmed(Exception):
    """The broker did not confirm a record in time."""


class Publisher:
    """Publishes records in order, with every confirmation waited for."""

    def __init__(self, bootstrap_servers: str) -> None:
        logging.getLogger("kafka").setLevel(logging.ERROR)
        self._producer: Any = KafkaProducer(
            bootstrap_servers=bootstrap_servers.split(","),
            client_id="kouan-demo",
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            linger_ms=5,
            max_request_size=4 * 1024 * 1024,
        )

    def publish(self, records: Sequence[Publication], advance: Callable[[], object] = lambda: None) -> None:
        """Send the records, calling `advance` at each confirmation.

        Raises:
            NotConfirmed: at least one was not confirmed within `CONFIRM_SECONDS`.
        """
        sent = [
            self._producer.send(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=record.partition,
            )
            for record in records
        ]
        for record, future in zip(records, sent, strict=True):
            try:
                future.get(timeout=CONFIRM_SECONDS)
            except Exception as error:
                raise NotConfirmed(f"{record.topic} {record.key!r}: {error!r}") from error
            advance()

    def close(self) -> None:
        """Close the connection."""
        self._producer.close(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
