"""Publishing from synchronous Python: check, fill the envelope, queue, and tell what the broker did not confirm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from schemas.envelope import Event, Payload
from services.client.delivery import Report
from services.client.preparing import Prepared
from topics.definition import Catalogue


class Publisher:
    """Publishes the events of one source. Use it as a context manager, from one thread."""

    def __init__(
        self,
        bootstrap_servers: str,
        source: str,
        *,
        catalogue: Catalogue | None = None,
        confirm_within_s: float = 30.0,
        on_confirmed: Callable[[Prepared], object] | None = None,
        **kafka: Any,
    ) -> None:
        raise NotImplementedError

    def publish(
        self,
        payload: Payload,
        *,
        subject: str,
        reference: str,
        time: datetime | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        traceparent: str | None = None,
    ) -> Event[Payload]:
        """Check, fill the envelope and queue. Raises Refused, Unavailable."""
        raise NotImplementedError

    def send(self, prepared: Prepared) -> None:
        """Queue what was prepared before. Raises Unavailable."""
        raise NotImplementedError

    def flush(self, timeout_s: float | None = None) -> Report:
        """Wait until every queued event is settled; reports what was queued since the last report."""
        raise NotImplementedError

    def close(self) -> Report:
        """Flush and disconnect."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError
