"""Answers on the wire: sent in one piece where they are short, and whole where they are long or the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from services.embedded.processes import HOST
from services.gateway.protocol import bounded_protocol

LONG = b"x" * 1_000_000
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def answers(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """An app that answers in pieces; the path says which."""
    pieces = [LONG[:100_000]] * 10 if scope["path"] == "/long" else [b"short"]
    length = str(sum(map(len, pieces))).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    for index, piece in enumerate(pieces):
        await send({"type": "http.response.body", "body": piece, "more_body": index + 1 < len(pieces)})


def play(scenario: Callable[[Callable[[], Awaitable[Streams]]], Awaitable[None]]) -> None:
    async def run() -> None:
        protocol = bounded_protocol(1024, 5.0)
        config = uvicorn.Config(answers, http=protocol, ws="none", lifespan="off", log_config=None)
        config.load()
        state = uvicorn.server.ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: protocol(config=config, server_state=state, app_state={}), HOST, 0
        )
        async with server, asyncio.timeout(20):
            await scenario(lambda: asyncio.open_connection(*server.sockets[0].getsockname()))

    asyncio.run(run())


class Wire(asyncio.Transport):
    """Notes what is written, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.put_nowait(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """There is nothing to close."""

    def resume_reading(self) -> None:
        """Nothing was paused."""


def test_head_and_body_of_a_short_answer_are_written_together() -> None:
    async def run() -> None:
        protocol, wire = bounded_protocol(1024, 5.0), Wire()
        config = uvicorn.Config(answers, http=protocol, ws="none", lifespan="off", log_config=None)
        connection = protocol(config=config, server_state=uvicorn.server.ServerState(), app_state={})
        connection.connection_made(wire)
        for _ in range(3):
            connection.data_received(b"GET /short HTTP/1.1\r\nHost: gateway\r\n\r\n")
            async with asyncio.timeout(20):
                piece = await wire.pieces.get()
            assert piece.startswith(b"HTTP/1.1 200")
            assert piece.endswith(b"\r\n\r\nshort")
        connection.connection_lost(None)

    asyncio.run(run())


def test_a_long_answer_arrives_whole_and_in_order() -> None:
    async def scenario(connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"GET /long HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert body == LONG
        writer.close()

    play(scenario)


def test_a_refusal_arrives_before_the_connection_ends() -> None:
    async def scenario(connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"GET /short HTTP/1.1\r\nX: " + b"y" * 2000 + b"\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 431")
        assert answer.endswith(b"}")
        writer.close()

    play(scenario)
