"""The outcomes half of the gateway: reads what our services say, keeps it as the feed, and gives it away.

Every gateway serves the feed. On one database, one gateway at a time leads: it alone reads the topics, delivers to
webhooks and tidies up. On SQLite that is the only one there may be; on PostgreSQL whoever holds an advisory lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from fastapi import APIRouter, Depends
from prometheus_client import Gauge
from sqlalchemy.engine import make_url

from services.client.receiving import Skipped
from services.client.subscriber import Subscriber
from services.gateway import cases, feed, feed_store, webhooks
from services.gateway.delivering import Deliveries
from services.gateway.hub import Hub
from services.gateway.outcome_settings import OutcomeSettings
from services.gateway.state import State
from services.gateway.taking import Taker
from services.gateway.webhooks import Master, NoMaster, load_master
from services.kit.database import Database, open_database
from services.kit.failures import Transient

log = structlog.get_logger()

_NAME: Final = "gateway"
_LEAD_SECONDS: Final = 2.0
_TIDY_SECONDS: Final = 60.0
_AGAIN_SECONDS: Final = 2.0
_STOP_SECONDS: Final = 10.0
_DAY_MS: Final = 24 * 3600 * 1000

_READING = Gauge("kouan_gateway_reads_outcomes", "1 while this gateway reads the topics of outcomes into the feed")


class Outcomes:
    """Made once by the app; `router` is included in its web, `start` and `stop` go with it."""

    def __init__(self, state: State, settings: OutcomeSettings | None = None) -> None:
        self._state = state
        self._settings = settings or OutcomeSettings()
        self._url = state.settings.database_for(_NAME)
        self._database = open_database(self._url, _NAME)
        self._leading = open_database(self._url, _NAME)
        self._taker = Taker(state.catalogue)
        self._hub = Hub(self._database, self._settings.feed_poll_seconds, state.stopping)
        self._tasks: list[asyncio.Task[None]] = []

    def router(self) -> APIRouter:
        """Everything that the outcomes half answers over HTTP."""

        async def count(party: feed.Caller) -> None:
            self._state.limits.count(party)

        routes = APIRouter(dependencies=[Depends(count)])
        routes.include_router(feed.router(self._hub, self._settings))
        routes.include_router(cases.router(self._database))
        return routes

    async def start(self) -> None:
        """Begin reading and delivering; returns at once."""
        self._tasks = [
            asyncio.create_task(self._hub.run(), name="hub"),
            asyncio.create_task(self._lead(), name="outcomes"),
        ]

    async def stop(self) -> None:
        """End everything; places stay where the last commit left them."""
        self._state.stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._database.stop()
        await self._leading.stop()

    async def _lead(self) -> None:
        while True:
            try:
                if await self._leading.run(_take_lead, self._leading):
                    async with self._working():
                        await self._keep_lead()
            except Transient as failure:
                log.warning("the lead over outcomes is lost", error=str(failure))
            await asyncio.sleep(_LEAD_SECONDS)

    async def _keep_lead(self) -> None:
        """Runs until the connection that holds the lead is lost: Transient."""
        while True:
            await asyncio.sleep(_LEAD_SECONDS)
            await self._leading.run(self._leading.query, "SELECT 1")

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        """Read, deliver and tidy up for as long as this lasts."""
        until = threading.Event()
        reading = threading.Thread(target=self._read, args=(until,), name="outcomes", daemon=True)
        tasks = [
            asyncio.create_task(self._deliver(), name="deliveries"),
            asyncio.create_task(self._tidy(), name="tidy"),
        ]
        reading.start()
        try:
            yield
        finally:
            until.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(reading.join, _STOP_SECONDS)

    def _read(self, until: threading.Event) -> None:
        """Read the topics until told to end; after a failure, again from the stored place."""
        while not until.is_set():
            try:
                _READING.set(1)
                Subscriber(
                    self._state.settings.bootstrap_servers,
                    "kouan-gateway",
                    self._taker.topics,
                    place=place_of(self._url),
                    on_skipped=lambda skipped, _: _tell_of(skipped),
                ).run(self._taker.take, until=until)
            # Whatever it was, nothing is lost: the place moved with what was written, or not at all.
            except Exception as failure:
                log.warning(
                    "outcomes can't be read", error=f"{type(failure).__name__}: {failure}", again_s=_AGAIN_SECONDS
                )
                until.wait(_AGAIN_SECONDS)
            finally:
                _READING.set(0)

    async def _deliver(self) -> None:
        database = open_database(self._url, _NAME)
        try:
            await Deliveries(database, self._hub, self._master(), self._settings).run()
        finally:
            await database.stop()

    def _master(self) -> Master | None:
        try:
            return load_master(self._settings)
        except NoMaster as reason:
            log.info("no webhook can be signed for", reason=str(reason))
            return None

    async def _tidy(self) -> None:
        hold_s = self._settings.feed_hold_minutes * 60
        while True:
            try:
                await self._all_of(feed_store.release_overdue, webhooks.now_ms() - int(hold_s * 1000))
                await self._forget()
            except Transient as failure:
                log.warning("the feed could not be tidied up", error=str(failure))
            await asyncio.sleep(min(_TIDY_SECONDS, hold_s))

    async def _forget(self) -> None:
        now_ms = webhooks.now_ms()
        await self._all_of(webhooks.forget_attempts, now_ms - int(self._settings.webhook_attempt_days * _DAY_MS))
        if self._settings.feed_days:
            await self._all_of(feed_store.forget, now_ms - int(self._settings.feed_days * _DAY_MS))

    async def _all_of(self, step: Callable[[Database, int], int], before_ms: int) -> None:
        """Do something that is done in small steps, until a step finds nothing more to do."""
        done = 1
        while done:
            done = await self._database.run(step, self._database, before_ms)


def place_of(url: str) -> str:
    """The gateway's database as the subscriber wants it named: with the gateway's schema, where there are schemas."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.update_query_dict({"options": f"-csearch_path={_NAME}"})
    return parsed.render_as_string(hide_password=False)


def _take_lead(database: Database) -> bool:
    # On SQLite the lock on the file, which the app took, has already decided it.
    if database.dialect != "postgresql":
        return True
    return bool(database.query("SELECT pg_try_advisory_lock(hashtext('kouan/gateway/outcomes'))")[0][0])


def _tell_of(skipped: Skipped) -> None:
    log.warning(
        "not an outcome",
        topic=skipped.topic,
        partition=skipped.partition,
        offset=skipped.offset,
        code=skipped.code,
        reason=skipped.text,
    )
