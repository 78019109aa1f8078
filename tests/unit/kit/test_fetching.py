"""When the broker is asked again: at once where nothing came, or a lot, and a little later where little did."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest

from services.kit import fetching
from services.kit.fetching import LITTLE, _Answers

NODE, OTHER_NODE = 1, 2
LONG, PATIENCE = 60.0, 10.0


class Client:
    """A client whose broker answers at once, each time with so many bytes."""

    def __init__(self, *sizes: int) -> None:
        self._sizes = list(sizes)

    async def send(self, node_id: int, request: Any) -> Any:
        data = bytes(self._sizes.pop(0))
        return SimpleNamespace(error_code=0, session_id=7, topics=[("cases", [(0, 0, 9, 9, 0, None, data)])])


def answers(*sizes: int) -> _Answers:
    return _Answers(Client(*sizes), SimpleNamespace(subscription=None))


async def ask(of: _Answers, node: int = NODE) -> None:
    request = FetchRequest(500, 1, 52_428_800, 1, [("cases", [(0, 0, 1_000_000)])])
    await asyncio.wait_for(of.send(node, request), PATIENCE)


@pytest.mark.parametrize("size", [0, LITTLE, 10 * LITTLE])
def test_where_nothing_or_a_lot_came_the_broker_is_asked_again_at_once(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(fetching, "GAP", LONG)

    async def go() -> None:
        of = answers(size, size, size)
        for _ in range(3):
            await ask(of)

    asyncio.run(go())


def test_where_little_came_some_time_passes_before_the_broker_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "GAP", 0.2)

    async def go() -> float:
        of = answers(1, LITTLE - 1, 0)
        await ask(of)
        begin = time.monotonic()
        await ask(of)
        await ask(of)
        return time.monotonic() - begin

    assert asyncio.run(go()) >= 2 * 0.2


def test_the_time_runs_from_the_answer_and_not_from_the_next_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "GAP", LONG)
    times = SimpleNamespace(monotonic=lambda: now[0], time=time.time)
    monkeypatch.setattr(fetching, "time", times)
    now = [1000.0]

    async def go() -> None:
        of = answers(1, 0)
        await ask(of)
        now[0] += LONG
        await ask(of)

    asyncio.run(go())


def test_other_brokers_are_asked_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "GAP", LONG)

    async def go() -> None:
        of = answers(1, 0)
        await ask(of)
        await ask(of, OTHER_NODE)

    asyncio.run(go())
