"""The relay's own books: which rows are on their way, without a broker."""

from __future__ import annotations

import asyncio

import pytest

from services.kit.batch import Pack, Target, TaskId
from services.kit.record_batch import Ready, RecordBatch, body_of
from services.kit.relay import Relay

TARGET = Target("ledger.events", 0)


class Producer:
    """Confirms each record batch at once and counts them."""

    def __init__(self) -> None:
        self.sent = 0

    async def send_batch(self, batch: Ready, topic: str, partition: int) -> asyncio.Future[None]:
        self.sent += 1
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
        loop = asyncio.get_running_loop()
        producer = Producer()
        later = [(2, pack())]
        done = asyncio.Event()

        def confirmed() -> None:
            if later:
                # Runs when the sender's task is over and before anybody was told so.
                loop.call_soon(relay.publish, [later.pop()])
            else:
                done.set()

        relay = Relay("127.0.0.1:1", "relay", confirmed)

        async def started() -> Producer:
            return producer

        monkeypatch.setattr(relay, "_started", started)
        relay.publish([(1, pack())])
        await asyncio.wait_for(done.wait(), 5)
        return relay.confirmed

    assert asyncio.run(scenario()) == [1, 2]
