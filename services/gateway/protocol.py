"""Uvicorn's HTTP protocol with bounds: how long the head of a request may be, how long all of it may take to come.

What can't even be read as HTTP gets a problem document too.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.gateway.problems import MEDIA_TYPE, Problem

_MALFORMED: Final = Problem(
    400,
    "malformed-http",
    ("不是有效的 HTTP 请求", "Not a valid HTTP request"),
    ("请求行或请求头有误，请更正。", "The request line or a header is malformed; correct it."),
)

_PIECE_BYTES: Final = 64 * 1024


class _Refused(Exception):
    """Raised within the parser's callbacks, out of which it only comes as a parser error."""


class _Joined:
    """A transport that sends in one piece what is written in one turn of the loop: head and body of an answer."""

    __slots__ = ("_loop", "_pieces", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _PIECE_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()
            self._size = 0


class BoundedProtocol(HttpToolsProtocol):
    """One connection; use the class that `bounded_protocol` makes."""

    head_limit: ClassVar[int]
    read_seconds: ClassVar[float]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_head = True
        self._whole = True
        self._head_bytes = 0
        self._problem = _MALFORMED
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]
        self._expect_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all_has_come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._whole or self.transport.is_closing():
            return
        # One header without an end is seen by no callback, so that what came before its end is counted here.
        if self._in_head and self._head_bytes > self.head_limit:
            self._refuse(self._too_long())
        elif self._deadline is None:
            self._expect_rest()

    def on_message_begin(self) -> None:
        self._whole = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self.head_limit:
            self._problem = self._too_long()
            raise _Refused
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = self._whole = True
        self._all_has_come()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._problem)

    def _expect_rest(self) -> None:
        self._deadline = self.loop.call_later(self.read_seconds, self._refuse_slow)

    def _all_has_come(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_long(self) -> Problem:
        return Problem(
            431,
            "headers-too-large",
            ("请求头过大", "The headers are too large"),
            (
                f"请求行与请求头合计最多 {self.head_limit} 字节。",
                f"Request line and headers may have {self.head_limit} bytes.",
            ),
        )

    def _refuse_slow(self) -> None:
        self._refuse(
            Problem(
                408,
                "too-slow",
                ("请求未及时送达", "The request did not arrive in time"),
                (f"请求应在 {self.read_seconds:g} 秒内送达。", f"Send all of it within {self.read_seconds:g} s."),
            )
        )

    def _refuse(self, problem: Problem) -> None:
        self._all_has_come()
        if self.transport.is_closing():
            return
        body = problem.body()
        status = HTTPStatus(problem.status)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def bounded_protocol(head_limit: int, read_seconds: float) -> type[BoundedProtocol]:
    """The protocol with these bounds: bytes of request line and headers, seconds until a request has arrived."""
    return type("Bounded", (BoundedProtocol,), {"head_limit": head_limit, "read_seconds": read_seconds})
