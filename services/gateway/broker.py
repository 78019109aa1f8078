"""Whether the broker can be reached, asked again and again beside the requests."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

log = structlog.get_logger()

_ASK_SECONDS: Final = 2.0
_ANSWER_MS: Final = 3000


class BrokerWatch:
    """`unreachable` is why the broker can't be reached, "" while it can."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self.unreachable = "the broker was not asked yet"

    async def watch(self) -> None:
        """Ask for the cluster's metadata every moment; runs until cancelled."""
        while True:
            client = AIOKafkaClient(
                bootstrap_servers=self._servers.split(","), client_id="kouan-watch", request_timeout_ms=_ANSWER_MS
            )
            try:
                async with asyncio.timeout(_ANSWER_MS / 1000):
                    await client.bootstrap()
                while True:
                    async with asyncio.timeout(_ANSWER_MS / 1000):
                        await client.fetch_all_metadata()
                    self.unreachable = ""
                    await asyncio.sleep(_ASK_SECONDS)
            except (KafkaError, OSError, TimeoutError) as error:
                if not self.unreachable:
                    log.warning("the broker does not answer", error=repr(error))
                self.unreachable = f"no broker answers at {self._servers}"
                await asyncio.sleep(_ASK_SECONDS / 2)
            finally:
                await client.close()
