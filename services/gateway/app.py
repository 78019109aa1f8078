"""The gateway's process: FastAPI on Uvicorn inside a Faust app's loop, beside which health and metrics stand."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
import uvicorn
from mode import Service as ModeService

from services.client.async_publisher import AsyncPublisher
from services.gateway.broker import BrokerWatch
from services.gateway.front import Front
from services.gateway.idempotency import Answers
from services.gateway.limits import Limits
from services.gateway.outcomes import Outcomes
from services.gateway.parties import Keys
from services.gateway.protocol import bounded_protocol
from services.gateway.publishing import Publishing
from services.gateway.settings import GatewaySettings
from services.gateway.state import State
from services.kit.app import app_around
from services.kit.database import Database, SqliteDatabase, open_database
from services.kit.failures import Fatal
from services.kit.log import set_up_logging
from services.kit.worker import migrate_when_possible, run_app
from topics.definition import Catalogue, load_catalogue

log = structlog.get_logger()

NAME = "gateway"
MIGRATIONS = "services.gateway.migrations"

_LEASE_MARGIN_S = 30.0
_UNREAD_MS = 60_000


def run(settings: GatewaySettings | None = None, catalogue: Catalogue | None = None) -> None:
    """Run the gateway in this process until SIGTERM or SIGINT; exits non-zero when it can't go on.

    Raises:
        Fatal: the port is taken, or the database needs a person.
    """
    settings = settings or GatewaySettings()
    set_up_logging(NAME, settings.log_level)
    listening = _listen(settings.gateway_host, settings.gateway_port)
    url = settings.database_for(NAME)
    database = open_database(url, NAME)
    if isinstance(database, SqliteDatabase):
        database.lock()
    migrate_when_possible(url, NAME, MIGRATIONS)
    gateway = Gateway(settings, catalogue or load_catalogue(), database, listening)
    gc.collect()
    gc.freeze()
    # What requests leave behind is freed by counting; the collector looks for the rare cycles less often.
    gc.set_threshold(50_000, 20, 50)
    # The database's thread needs the lock for moments only: at the default of 5 ms it would wait longer than it works.
    sys.setswitchinterval(0.0001)

    class Run(GatewayService):
        """Binds the gateway, because Faust makes its services itself."""

        def __init__(self, **arguments: Any) -> None:
            super().__init__(gateway, **arguments)

    app = app_around(Run, NAME, settings, silent_s=gateway.silent_s, unready=gateway.unready)
    run_app(app, settings)


class Gateway:
    """What runs beside each other in the gateway, started and stopped in order."""

    def __init__(
        self, settings: GatewaySettings, catalogue: Catalogue, database: Database, listening: socket.socket
    ) -> None:
        self._database = database
        self._publisher = AsyncPublisher(
            settings.bootstrap_servers, catalogue=catalogue, confirm_within_s=settings.gateway_confirm_seconds
        )
        self._answers = Answers(
            database,
            lease_s=settings.gateway_read_seconds + settings.gateway_confirm_seconds + _LEASE_MARGIN_S,
            keep_hours=settings.gateway_answers_hours,
        )
        self._state = State(
            settings,
            catalogue,
            Keys(database, settings.gateway_key_refresh_seconds),
            Limits(settings),
            Publishing(catalogue, self._publisher, self._answers),
        )
        self._outcomes = Outcomes(self._state)
        self._broker = BrokerWatch(settings.bootstrap_servers)
        self._listening = listening
        self._last_turn = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    def silent_s(self) -> float:
        """Seconds since the loop was last seen to turn."""
        return time.monotonic() - self._last_turn

    def unready(self) -> str:
        """Why requests can't be served now, "" when they can."""
        if self._server is None or not self._server.started:
            return "the HTTP interface is not open yet"
        return self._broker.unreachable

    async def start(self) -> None:
        """Open the HTTP interface; returns at once."""
        if isinstance(self._database, SqliteDatabase):
            # Its file lock makes this process the only one, so that nobody works on what another left behind.
            await self._database.run(self._answers.take_over)
        works = (self._state.keys.keep_fresh(), self._answers.keep_swept(), self._broker.watch(), self._turn())
        self._tasks = [asyncio.create_task(work) for work in works]
        await self._outcomes.start()
        self._server = _Server(
            uvicorn.Config(
                Front(self._state, self._outcomes),
                http=bounded_protocol(
                    self._state.settings.gateway_header_limit, self._state.settings.gateway_read_seconds
                ),
                ws="none",
                lifespan="off",
                proxy_headers=False,
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=10,
            )
        )
        self._serving = asyncio.create_task(self._server.serve([self._listening]), name="http")

    async def stop(self) -> None:
        """Let requests under way end, then everything they need."""
        self._state.stopping.set()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._outcomes.stop()
        await self._publisher.stop()
        await self._answers.settle()
        await self._database.stop()

    async def _turn(self) -> None:
        while True:
            self._last_turn = time.monotonic()
            await asyncio.sleep(1)


class GatewayService(ModeService):
    """The gateway as a child of Faust's service tree."""

    def __init__(self, gateway: Gateway, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._gateway = gateway

    async def on_start(self) -> None:
        await self._gateway.start()

    async def on_stop(self) -> None:
        await self._gateway.stop()


class _Server(uvicorn.Server):
    """Signals belong to Faust's worker, which stops this server with everything else."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        server = socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise Fatal(
            f"{host}:{port} can't be listened on ({error.strerror or error}); free it or set KOUAN_GATEWAY_PORT"
        ) from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Connections inherit it: whoever stops reading what was sent to it does not hold memory for ever.
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    return server
