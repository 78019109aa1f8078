"""The relay's own books: which rows are on their way, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.kit.batch import Pack, Target, TaskId
from services.kit.record_batch import Ready, RecordBatch, body_of
from services.kit.relay import Relay

TARGET = Target("ledger.events", 0)


class Producer:
    """Confirms each record batch at once; `then` is called when the sender of the first one has ended."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then: Callable[[], None] | None = then

    async def send_batch(self, batch: Ready, topic: str, partition: int) -> asyncio.Future[None]:
        then, self._then = self._then, None
        if then is not None:
            # Runs when the sender's task is over and before anybody was told so.
            asyncio.get_running_loop().call_soon(then)
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        confirmed.set_result(None)
        return confirmed

    async def stop(self) -> None:
        return None


def pack() -> Pack:
    batch = RecordBatch()
    batch.append(body_of(b"key", b"value", []))
    return Pack(TaskId("account", 0), TARGET, batch.build(0), 1)


def test_rows_that_come_while_a_sender_ends_are_sent_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> list[int]:
        relay = Relay("127.0.0.1:1", "relay")
        producer = Producer(lambda: relay.publish([(2, pack())]))

        async def started() -> Producer:
            return producer

        monkeypatch.setattr(relay, "_started", started)
        relay.publish([(1, pack())])
        while relay._senders:
            await asyncio.wait(relay._senders.values(), timeout=5)
        return relay.confirmed

    assert asyncio.run(scenario()) == [1, 2]
