"""From the outbox to the broker: in order per target, one record batch outstanding each, deleted after confirmation.

A crash in between repeats what was sent; the ids are the same, so every reader's inbox absorbs it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from functools import partial

import structlog
from aiokafka import AIOKafkaProducer

from services.kit.batch import Pack, Target
from services.kit.record_batch import Ready

log = structlog.get_logger()

MOST_BYTES = 6 * 1024 * 1024
"""The largest request: a dead letter of 5 MB and its headers fit."""


class Relay:
    """Publishes committed packs. `confirmed` collects the outbox rows that may go, with whatever is stored next."""

    def __init__(self, bootstrap_servers: str, client_id: str) -> None:
        self._bootstrap = bootstrap_servers
        self._client_id = client_id
        self._queues: dict[Target, deque[tuple[int, Pack]]] = {}
        self._senders: dict[Target, asyncio.Task[None]] = {}
        self._producer: AIOKafkaProducer | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._starting = asyncio.Lock()
        self.unsent = 0
        self.confirmed: list[int] = []

    async def stop(self) -> None:
        """Stop sending; what is not confirmed stays in the outbox."""
        await self.forget()
        await self._discard_producer()

    async def forget(self) -> None:
        """Drop what is in memory: it stands in the outbox, and whoever owns the task next publishes it."""
        senders = list(self._senders.values())
        for sender in senders:
            sender.cancel()
        if senders:
            await asyncio.wait(senders, timeout=5)
        self._queues.clear()
        self._senders.clear()
        self.confirmed.clear()
        self.unsent = 0
        self._room.set()

    def publish(self, packs: Iterable[tuple[int, Pack]]) -> None:
        """Queue packs by their outbox row, behind what is queued for the same target."""
        for seq, pack in packs:
            self._queues.setdefault(pack.target, deque()).append((seq, pack))
            self.unsent += pack.number
            if pack.target not in self._senders:
                self._start(pack.target)

    def _start(self, target: Target) -> None:
        sender = asyncio.create_task(self._send(target), name=f"relay to {target}")
        self._senders[target] = sender
        sender.add_done_callback(partial(self._sender_ended, target))

    async def room(self, most: int) -> None:
        """Wait until no more than so many messages are unsent."""
        while self.unsent > most:
            self._room.clear()
            await self._room.wait()

    def _sender_ended(self, target: Target, sender: asyncio.Task[None]) -> None:
        """Make room for the next sender of a target. Between the end of a task and this call, rows may have come for
        which `publish` took the ended one as still at work.
        """
        if self._senders.get(target) is not sender:
            return
        del self._senders[target]
        if self._queues.get(target):
            self._start(target)

    async def _send(self, target: Target) -> None:
        """Send what is queued for one target, each row until the broker has confirmed it, however long that takes."""
        queue = self._queues[target]
        pause = 0.1
        while queue:
            seq, pack = queue[0]
            try:
                producer = await self._started()
                await (await producer.send_batch(Ready(pack.records), target.topic, partition=target.partition))
            except asyncio.CancelledError:
                raise
            except Exception as error:
                # After a failed send nobody knows what arrived: a new producer starts again at the first unsent row.
                log.warning("publishing failed; trying again", topic=target.topic, error=repr(error), pause_s=pause)
                await self._discard_producer()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                continue
            pause = 0.1
            queue.popleft()
            self.confirmed.append(seq)
            self.unsent -= pack.number
            self._room.set()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._client_id,
                    enable_idempotence=True,
                    acks="all",
                    linger_ms=0,
                    max_request_size=MOST_BYTES,
                    request_timeout_ms=30_000,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _discard_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), timeout=5)
            except Exception as error:
                log.debug("producer did not stop cleanly", error=repr(error))
