"""A network that can be made to fail: all that goes to the broker passes a relay that delays, swallows or resets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any

from services.embedded.broker import free_ports
from services.embedded.container import KafkaContainer, connect_engine, find_image, remove_orphans
from services.embedded.java import new_cluster_id

_CHUNK = 256 * 1024


class Weather(Enum):
    """What becomes of bytes on their way."""

    FAIR = "fair"
    DEAF = "deaf"
    """Nothing reaches the broker."""
    MUTE = "mute"
    """Requests arrive and are carried out; no answer comes back."""
    CUT = "cut"
    """Nothing passes either way, and nobody is told."""


class Network:
    """A relay from a port of its own to the broker, run by a thread of its own. What it swallows is lost for good, as
    on a line that went dead: a connection that lost bytes is reset before it carries any again."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._port = free_ports(1)[0]
        self._weather = Weather.FAIR
        self._delay = 0.0
        self._lines: set[_Line] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def address(self) -> str:
        """`host:port` where the broker is reached through it."""
        return f"127.0.0.1:{self._port}"

    def retarget(self, target: str) -> None:
        """Lead to another place from the next connection on."""
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))

    def reset(self) -> None:
        """Break all connections (RST), and let new ones be made."""
        self._call(self._reset)

    def delay(self, seconds: float) -> None:
        """Let every piece of data take so much longer."""
        self._delay = seconds

    @contextmanager
    def becomes(self, weather: Weather) -> Iterator[None]:
        """Another weather for a while; afterwards it is fair, and connections that lost something are reset."""
        self._weather = weather
        try:
            yield
        finally:
            self._weather = Weather.FAIR
            self._call(self._reset)

    def __enter__(self) -> Network:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._reset)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(_done(work), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(self, (reader, writer), there)
        self._lines.add(line)
        try:
            await line.carry()
        finally:
            self._lines.discard(line)
            line.reset()

    def _reset(self) -> None:
        for line in list(self._lines):
            line.reset()

    def swallows(self, *, request: bool) -> bool:
        """Whether bytes of this direction are lost now."""
        lost = {Weather.FAIR: (), Weather.DEAF: (True,), Weather.MUTE: (False,), Weather.CUT: (True, False)}
        return request in lost[self._weather]

    @property
    def slowness(self) -> float:
        """Seconds by which each piece of data is held up."""
        return self._delay


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Line:
    """One connection and the one behind it."""

    def __init__(self, network: Network, here: _Ends, there: _Ends) -> None:
        self._network = network
        self._here = here
        self._there = there

    async def carry(self) -> None:
        """Carry bytes both ways until one end closes."""
        ways = [
            asyncio.create_task(self._one_way(self._here[0], self._there[1], request=True)),
            asyncio.create_task(self._one_way(self._there[0], self._here[1], request=False)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, request: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self._network.slowness:
                    await asyncio.sleep(self._network.slowness)
                if not self._network.swallows(request=request):
                    writer.write(data)
                    await writer.drain()

    def reset(self) -> None:
        """End both connections without a word."""
        for _, writer in (self._here, self._there):
            writer.transport.abort()


async def _done(work: Any) -> None:
    work()


class _Hidden(KafkaContainer):
    """A broker that tells its clients to come through the network."""

    def __init__(self, image: str, network: Network) -> None:
        super().__init__(image, cluster_id=new_cluster_id())
        self._before = network

    def _choose_address(self) -> None:
        super()._choose_address()
        self._before.retarget(self.bootstrap_servers)
        advertised = self._settings["advertised.listeners"].replace(self.bootstrap_servers, self._before.address)
        self.with_env("KAFKA_ADVERTISED_LISTENERS", advertised)


@contextmanager
def broker_behind_a_network() -> Iterator[tuple[KafkaContainer, Network]]:
    """A broker of the test's own in a container, which everybody reaches through the network alone."""
    engine = connect_engine()
    remove_orphans(engine)
    image = find_image(engine, lambda text: None)
    with Network("127.0.0.1:1") as network, _Hidden(image, network) as container:
        yield container, network
