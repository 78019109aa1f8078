"""Publishing from asyncio: returns when the broker has confirmed, never waits longer than it was told to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from schemas.envelope import Event, Payload
from services.client.delivery import Unconfirmed
from services.client.preparing import Prepared
from topics.definition import Catalogue


class AsyncPublisher:
    """Publishes on one event loop. `source` is needed for `publish` alone, not for `send_all`."""

    def __init__(
        self,
        bootstrap_servers: str,
        source: str | None = None,
        *,
        catalogue: Catalogue | None = None,
        confirm_within_s: float = 30.0,
        connect_within_s: float = 5.0,
        linger_ms: int = 2,
        **kafka: Any,
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Connect. Raises Unavailable; need not be called: sending connects where nothing is connected."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Disconnect. What is being sent by other tasks is reported to them as unconfirmed."""
        raise NotImplementedError

    async def publish(
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
        """Publish one event. Raises Refused, Unavailable, UnconfirmedError."""
        raise NotImplementedError

    async def send_all(self, prepared: Sequence[Prepared]) -> list[Unconfirmed | None]:
        """Send a batch and wait for all confirmations together: None or Unconfirmed for each, in order.

        Raises:
            Unavailable: no broker could be reached; nothing was sent.
        """
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
