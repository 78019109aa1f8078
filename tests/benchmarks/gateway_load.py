"""The load of the gateway's benchmark, in a process of its own: raw sockets, because a client library would cost more.

Prints one JSON object with what came of it. Requests are made before the clock starts but for their ids.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
import uuid
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[2] / "schemas/examples/referral.submitted.v1/valid-zone-plan.json"
SOURCE = "//commerce/manzhouli"


class Requests:
    """Makes the bytes of one request after the other, each with ids of its own."""

    def __init__(self, key: str, batch: int) -> None:
        self._run = uuid.uuid4().hex[:8]
        self._number = 0
        self._batch = batch
        event = {
            "specversion": "1.0",
            "id": "#" * 24,
            "source": SOURCE,
            "type": "referral.submitted.v1",
            "time": "2026-01-05T09:30:00+08:00",
            "subject": "#" * 24,
            "data": json.loads(EXAMPLE.read_text(encoding="utf-8")),
        }
        text = json.dumps(event, ensure_ascii=False).encode()
        self._parts = text.split(b"#" * 24)
        length = len(text) if not batch else batch * len(text) + batch + 1
        kind = "application/cloudevents-batch+json" if batch else "application/cloudevents+json"
        self._head = (
            f"POST /events HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {length}\r\nIdempotency-Key: "
        ).encode()

    def next(self) -> bytes:
        """One request."""
        events = [self._event() for _ in range(max(1, self._batch))]
        body = b"[" + b",".join(events) + b"]" if self._batch else events[0]
        return self._head + b"%s-%015d\r\n\r\n" % (self._run.encode(), self._number) + body

    def _event(self) -> bytes:
        self._number += 1
        id = b"%s-%015d" % (self._run.encode(), self._number)
        return id.join(self._parts)


class Connection(asyncio.Protocol):
    """One keep-alive connection; `ask` gives the status of the answer."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[int] | None = None
        self._received = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length and self._answer is not None:
            self._received = b""
            self._answer.set_result(int(head[9:12]))
            if head[9:10] != b"2":
                sys.stderr.write(f"{body[:500].decode()}\n")

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send a request."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer


async def connect(port: int, count: int) -> list[Connection]:
    """So many connections."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]


async def throughput(port: int, requests: Requests, batch: int, connections: int, seconds: float) -> dict[str, float]:
    """As fast as it goes, from so many connections."""
    count = 0
    begin = time.perf_counter()
    end = begin + seconds

    async def work(connection: Connection) -> None:
        nonlocal count
        while time.perf_counter() < end:
            if await connection.ask(requests.next()) == 202:
                count += 1

    await asyncio.gather(*map(work, await connect(port, connections)))
    took = time.perf_counter() - begin
    return {"requests_per_second": count / took, "events_per_second": count * max(1, batch) / took}


async def latency(port: int, requests: Requests, rate: float, seconds: float) -> dict[str, float]:
    """At a steady rate; each request counts from the moment at which it was due."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in await connect(port, 32):
        free.put_nowait(connection)
    times: list[float] = []
    begin = time.perf_counter() + 0.2

    async def one(due: float) -> None:
        connection = await free.get()
        if await connection.ask(requests.next()) == 202:
            times.append(time.perf_counter() - due)
        free.put_nowait(connection)

    tasks = []
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    cuts = statistics.quantiles(times, n=1000)
    return {"p50_ms": cuts[499] * 1000, "p99_ms": cuts[989] * 1000, "max_ms": max(times) * 1000, "count": len(times)}


async def streams(port: int, key: str, count: int) -> None:
    """Open so many event streams, say so, and hold them until standard input ends."""
    head = f"GET /feed/stream HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n\r\n"
    opened = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        opened.append((reader, writer))
    good = 0
    for reader, _ in opened:
        good += b" 200 " in await asyncio.wait_for(reader.readline(), 30)
    sys.stdout.write(json.dumps({"open": good}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["throughput", "latency", "streams"])
    parser.add_argument("port", type=int)
    parser.add_argument("key")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=200)
    chosen = parser.parse_args()
    requests = Requests(chosen.key, chosen.batch)
    if chosen.what == "streams":
        asyncio.run(streams(chosen.port, chosen.key, chosen.connections))
        return
    if chosen.what == "latency":
        work = latency(chosen.port, requests, chosen.rate, chosen.seconds)
    else:
        work = throughput(chosen.port, requests, chosen.batch, chosen.connections, chosen.seconds)
    sys.stdout.write(json.dumps(asyncio.run(work)) + "\n")


if __name__ == "__main__":
    main()
