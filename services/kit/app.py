"""The Faust app of a service: process, supervision, web. Built by a factory; nothing happens at import."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import faust
import structlog
from faust.app.base import BootStrategy
from mode import Service as ModeService
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.kit.failures import Fatal
from services.kit.runner import Runner
from services.kit.settings import Settings

log = structlog.get_logger()

_STUCK_AFTER = 60.0


class _WithoutKafka(BootStrategy):
    """Faust's own consumer may acknowledge what failed, and its producer ends a worker that starts while no broker
    answers; the kit's runner and relay read and write instead of them (see the kit's README)."""

    enable_kafka_consumer = False
    enable_kafka_producer = False


class RunnerService(ModeService):
    """The runner as a child of Faust's service tree: started, supervised and stopped with the app."""

    def __init__(self, runner: Runner, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.runner = runner
        self._running: asyncio.Task[None] | None = None
        self._crashing: asyncio.Future[None] | None = None

    async def on_start(self) -> None:
        self._running = asyncio.create_task(self.runner.run(), name="runner")
        self._running.add_done_callback(self._ended)

    async def on_stop(self) -> None:
        self.runner.stop()
        if self._running is not None:
            await asyncio.wait([self._running], timeout=20)

    def _ended(self, running: asyncio.Task[None]) -> None:
        failure = None if running.cancelled() else running.exception()
        if failure is None:
            return
        if isinstance(failure, Fatal):
            log.critical("stopped: a person has to act", reason=str(failure))
        else:
            log.critical("stopped by a failure", exc_info=failure)
        self._crashing = asyncio.ensure_future(self.crash(failure))


def build_app(runner: Runner, name: str, settings: Settings) -> faust.App:
    """The Faust app around a runner, with `/health/live`, `/health/ready` and `/metrics` on its web server."""

    class Run(RunnerService):
        """Binds the runner, because Faust makes its services itself."""

        def __init__(self, **arguments: Any) -> None:
            super().__init__(runner, **arguments)

    def why_not_ready() -> str:
        return "" if runner.ready else runner.paused or "reference topics or the first poll are not done yet"

    return app_around(Run, name, settings, silent_s=lambda: time.monotonic() - runner.last_turn, unready=why_not_ready)


def app_around(
    child: type[ModeService],
    name: str,
    settings: Settings,
    *,
    silent_s: Callable[[], float],
    unready: Callable[[], str],
) -> faust.App:
    """A Faust app that runs one service of ours, with health and metrics on its web server.

    `silent_s` tells for how many seconds the service has not turned, `unready` why it is not ready ("" when it is).
    It starts also where no broker answers yet.
    """
    app = faust.App(
        name,
        broker=[f"kafka://{server}" for server in settings.bootstrap_servers.split(",")],
        web_host=settings.web_host,
        web_bind=settings.web_host,
        web_port=settings.web_port,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        datadir=str(settings.data_dir / f"{name}-faust"),
        tabledir=str(settings.data_dir / f"{name}-faust" / "tables"),
    )
    app.boot_strategy = _WithoutKafka(app)
    app.service(child)
    _add_pages(app, silent_s, unready)
    return app


def _add_pages(app: faust.App, silent_s: Callable[[], float], unready: Callable[[], str]) -> None:
    @app.page("/health/live", name="live")
    async def live(web: Any, request: Any) -> Any:
        silent = silent_s()
        stuck = silent > _STUCK_AFTER
        return web.json(
            {"status": "stuck" if stuck else "live", "silent_s": round(silent, 1)}, status=503 if stuck else 200
        )

    @app.page("/health/ready", name="ready")
    async def ready(web: Any, request: Any) -> Any:
        reason = unready()
        return web.json({"status": "not ready" if reason else "ready", "reason": reason}, status=503 if reason else 200)

    @app.page("/metrics", name="metrics")
    async def expose(web: Any, request: Any) -> Any:
        return web.bytes(generate_latest(), content_type=CONTENT_TYPE_LATEST.split(";")[0])
