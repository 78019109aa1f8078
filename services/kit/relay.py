"""From the outbox to the broker: in order per target, one record batch outstanding each, deleted after confirmation.

A crash in between repeats what was sent; the ids are the same, so every reader's inbox absorbs it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer

from services.kit.batch import Pack, Target

log = structlog.get_logger()

MOST_BYTES = 6 * 1024 * 1024
"""The largest request: a dead letter of 5 MB and its headers fit."""

_ROUND = 512 * 1024


class Relay:
    """Publishes committed packs. `confirmed` collects the outbox rows that may go."""

    def __init__(self, bootstrap_servers: str, client_id: str, on_confirmed: Callable[[], None]) -> None:
        self._bootstrap = bootstrap_servers
        self._client_id = client_id
        self._on_confirmed = on_confirmed
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
            self.unsent += len(pack.messages)
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
            rows = self._round(queue)
            try:
                producer = await self._started()
                for batch in self._record_batches(producer, (pack for _, pack in rows)):
                    await (await producer.send_batch(batch, target.topic, partition=target.partition))
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
            for seq, pack in rows:
                queue.popleft()
                self.confirmed.append(seq)
                self.unsent -= len(pack.messages)
            self._room.set()
            self._on_confirmed()

    @staticmethod
    def _round(queue: deque[tuple[int, Pack]]) -> list[tuple[int, Pack]]:
        """The rows that go in one round: several small ones together."""
        rows: list[tuple[int, Pack]] = []
        messages = 0
        for row in queue:
            if rows and messages + len(row[1].messages) > 2000:
                break
            rows.append(row)
            messages += len(row[1].messages)
        return rows

    @staticmethod
    def _record_batches(producer: AIOKafkaProducer, packs: Iterable[Pack]) -> Iterable[Any]:
        """Record batches with the messages of packs, in order, made as they are asked for."""
        batch = producer.create_batch()
        for pack in packs:
            for key, value, headers in pack.messages:
                if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                    batch.close()
                    yield batch
                    batch = producer.create_batch()
                    batch.append(key=key, value=value, timestamp=None, headers=headers)
        batch.close()
        yield batch

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._client_id,
                    enable_idempotence=True,
                    acks="all",
                    linger_ms=0,
                    max_batch_size=_ROUND,
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
