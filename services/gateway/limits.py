"""How much one party may ask for, and one request may weigh: rate, requests under way, body, time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fastapi import Request

from services.gateway.parties import Party
from services.gateway.problems import Problem, unavailable
from services.gateway.settings import GatewaySettings

_DRAIN_SECONDS: Final = 2.0


class Limits:
    """The buckets of all parties, and the number of requests under way."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._rate = settings.gateway_requests_per_second
        self._burst = float(settings.gateway_burst)
        self._most = settings.gateway_in_flight
        self._under_way = 0
        self._buckets: dict[str, tuple[float, float]] = {}

    def count(self, party: Party) -> None:
        """Take one request from the party's bucket, which all its keys share.

        Raises:
            Problem: 429 with `Retry-After` when it is empty.
        """
        now = time.monotonic()
        left, at = self._buckets.get(party.source, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        if left < 1:
            self._buckets[party.source] = (left, now)
            after = math.ceil((1 - left) / self._rate)
            raise Problem(
                429,
                "too-many-requests",
                ("请求过于频繁", "Too many requests"),
                (
                    f"每秒最多 {self._rate:g} 个请求；请在 {after} 秒后重试，多个事件可合为一批。",
                    f"At most {self._rate:g} requests a second; try again after {after} s, and send events in batches.",
                ),
                headers={"Retry-After": str(after)},
            )
        self._buckets[party.source] = (left - 1, now)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Within this a request is under way.

        Raises:
            Problem: 503 with `Retry-After` when as many are under way as may be.
        """
        if self._under_way >= self._most:
            raise unavailable(
                ("网关繁忙，请稍后重试。", "The gateway is busy; send the same request again in a moment."), after_s=1
            )
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def read(self, request: Request, limit: int) -> bytes:
        """The body of a request, no matter what its Content-Length says.

        Raises:
            Problem: 413 when it is longer than `limit` bytes, 415 when it is encoded. (`protocol` sees to the time.)
        """
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise unsupported(
                f"不接受 Content-Encoding: {encoding[:40]}；请不经压缩发送。",
                f"Content-Encoding {encoding[:40]} is not taken; send the body without compression.",
            )
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise Problem(
                    400,
                    "incomplete",
                    ("请求不完整", "The request is not complete"),
                    ("连接在请求送达之前已断开。", "The connection ended before the request had arrived."),
                )
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > limit:
                if more:
                    await _drain(request)
                raise _too_large(limit)
            parts.append(part)
        return b"".join(parts)


def unsupported(zh: str, en: str) -> Problem:
    """The body is in a form that is not taken here."""
    return Problem(415, "unsupported-media-type", ("不支持的内容类型", "The media type is not taken"), (zh, en))


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        "too-large",
        ("请求过大", "The request is too large"),
        (f"请求内容最多 {limit} 字节；请分次发送。", f"A body may have {limit} bytes; send it in parts."),
        headers={"Connection": "close"},
    )


async def _drain(request: Request) -> None:
    """Take in what the client still sends: closing at once would reset the connection and the answer be lost."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while (await request.receive()).get("more_body"):
                pass
    except TimeoutError:
        return
