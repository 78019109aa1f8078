"""Sending outcomes to webhooks: in order, signed, tried again with growing pauses, and noted one by one.

Each webhook has a place of its own in the database, which moves past an event when its receiver has answered 2xx. An
event that is refused holds back those after it: receivers rely on the order. What fails for days is disabled, with its
place kept, so that `kouan gateway webhook enable` goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from typing import Any, Final

import httpx
import orjson
import structlog
from prometheus_client import Counter

from services.gateway import webhooks
from services.gateway.feed_store import Item
from services.gateway.hub import Hub
from services.gateway.outcome_settings import OutcomeSettings
from services.gateway.targets import Forbidden, resolve
from services.gateway.webhooks import Attempt, Master, Replay, Webhook
from services.kit.database import Database
from services.kit.failures import Transient

log = structlog.get_logger()

_LOOK_SECONDS: Final = 1.0
_PAGE: Final = 20
_SKIPPED_UNNOTED: Final = 500
_TROUBLE_LIMIT: Final = 300
_GONE: Final = 410
_DAY_MS: Final = 24 * 3600 * 1000

_ATTEMPTS = Counter("kouan_gateway_deliveries", "Attempts to deliver an event to a webhook", ["outcome"])


class Deliveries:
    """One task for each webhook that is not disabled. Only one process at a time may run this on a database."""

    def __init__(self, database: Database, hub: Hub, master: Master | None, settings: OutcomeSettings) -> None:
        self._database = database
        self._hub = hub
        self._master = master
        self._settings = settings
        self._trust = ssl.create_default_context()

    async def run(self) -> None:
        """Serve all webhooks, new ones within a second; runs until cancelled."""
        serving: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                try:
                    found = await self._database.run(webhooks.listed, self._database)
                except Transient as failure:
                    log.warning("webhooks could not be read", error=str(failure))
                else:
                    wanted = {one.webhook_id for one in found if one.disabled_ms is None}
                    for webhook_id in serving.keys() - wanted:
                        serving.pop(webhook_id).cancel()
                    for webhook_id in wanted - {name for name, task in serving.items() if not task.done()}:
                        serving[webhook_id] = asyncio.create_task(self._serve(webhook_id), name=webhook_id)
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for task in serving.values():
                task.cancel()
            await asyncio.gather(*serving.values(), return_exceptions=True)

    async def _serve(self, webhook_id: str) -> None:
        # A client each: connections are kept by address, and two names may share one without sharing trust.
        async with httpx.AsyncClient(
            verify=self._trust,
            trust_env=False,
            follow_redirects=False,
            timeout=self._settings.webhook_timeout_seconds,
            limits=httpx.Limits(max_connections=1),
        ) as client:
            reached = 0
            while True:
                try:
                    reached = await self._turn(webhook_id, client, reached)
                except Transient as failure:
                    log.warning("a webhook has to wait for the database", webhook=webhook_id, error=str(failure))
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _turn(self, webhook_id: str, client: httpx.AsyncClient, reached: int) -> int:
        """Deliver what there is, or wait a moment for more; returns up to where nothing more is to be delivered."""
        webhook = await self._database.run(webhooks.find, self._database, webhook_id)
        secret = None if webhook is None else await self._secret_of(webhook)
        pause_s = 0.0 if webhook is None else (webhook.next_attempt_ms - webhooks.now_ms()) / 1000
        if webhook is None or secret is None or webhook.disabled_ms is not None or pause_s > 0:
            await asyncio.sleep(max(0.01, min(pause_s, _LOOK_SECONDS)) if secret is not None else _LOOK_SECONDS)
            return reached
        replay = await self._database.run(webhooks.next_replay, self._database, webhook_id)
        after = max(webhook.after_seq, reached) if replay is None else replay.after_seq
        page = await self._hub.page(webhook.reader, after, _PAGE)
        for item in page.items:
            if replay is not None and item.seq > replay.to_seq:
                break
            if not await self._deliver(webhook, secret, client, item, replay):
                return reached
        if replay is not None:
            if page.reached >= replay.to_seq:
                await self._database.run(webhooks.skip_to, self._database, webhook_id, replay.to_seq, replay)
            return reached
        if not page.items:
            if page.reached - webhook.after_seq >= _SKIPPED_UNNOTED:
                await self._database.run(webhooks.skip_to, self._database, webhook_id, page.reached, None)
            await self._hub.wait(webhook.reader, page.reached, _LOOK_SECONDS)
        return page.reached

    async def _secret_of(self, webhook: Webhook) -> bytes | None:
        """The secret with which to sign; None where this gateway does not have it, which the list then shows."""
        secret = None if self._master is None else self._master.secret_of(webhook.webhook_id)
        if secret is not None and webhooks.check_of(secret) == webhook.secret_check:
            return secret
        trouble = (
            "the gateway has no master secret"
            if secret is None
            else "the gateway's master secret is not the one with which this webhook was registered"
        )
        if webhook.trouble != trouble:
            log.error("a webhook can't be signed for", webhook=webhook.webhook_id, reason=trouble)
            await self._database.run(webhooks.set_trouble, self._database, webhook.webhook_id, trouble)
        return None

    async def _deliver(
        self, webhook: Webhook, secret: bytes, client: httpx.AsyncClient, item: Item, replay: Replay | None
    ) -> bool:
        began = webhooks.now_ms()
        status, trouble = await self._send(webhook, secret, client, item)
        attempt = Attempt(item.seq, replay is not None, began, webhooks.now_ms() - began, status, trouble)
        _ATTEMPTS.labels("failed" if trouble else "delivered").inc()
        if not trouble:
            await self._database.run(webhooks.record_delivered, self._database, webhook.webhook_id, attempt, replay)
            return True
        failing_ms = began - (webhook.failing_since_ms or began)
        disable = status == _GONE or failing_ms > self._settings.webhook_give_up_days * _DAY_MS
        log.warning("a webhook failed", webhook=webhook.webhook_id, trouble=trouble, disabled=disable)
        await self._database.run(
            lambda: webhooks.record_failed(
                self._database, webhook.webhook_id, attempt, self._pause_ms(webhook.failures), disable=disable
            )
        )
        return False

    async def _send(
        self, webhook: Webhook, secret: bytes, client: httpx.AsyncClient, item: Item
    ) -> tuple[int | None, str]:
        event: dict[str, Any] = orjson.loads(item.event)
        message = webhooks.message_id(event["source"], event["id"])
        headers = webhooks.sign(secret, message, webhooks.now_ms() // 1000, item.event)
        headers |= {"content-type": "application/cloudevents+json; charset=utf-8", "user-agent": "kouan-gateway"}
        try:
            async with asyncio.timeout(self._settings.webhook_timeout_seconds):
                target = await resolve(webhook.url, private=self._settings.webhook_private)
                request = client.build_request(
                    "POST",
                    target.url,
                    content=item.event,
                    headers={**headers, "host": target.host},
                    extensions={"sni_hostname": target.name},
                )
                answer = await client.send(request, stream=True)
                # What the receiver says besides its status is not read: it may be endless, and is nobody's business.
                await answer.aclose()
        except Forbidden as refusal:
            return None, str(refusal)
        except TimeoutError:
            return None, f"no answer within {self._settings.webhook_timeout_seconds:g} s"
        except (httpx.HTTPError, OSError) as error:
            return None, f"{type(error).__name__}: {error}"[:_TROUBLE_LIMIT]
        return answer.status_code, "" if answer.is_success else f"HTTP {answer.status_code}"

    def _pause_ms(self, failures: int) -> int:
        doubled = self._settings.webhook_retry_seconds * 2.0 ** min(failures, 30)
        longest = min(doubled, self._settings.webhook_retry_limit_seconds)
        return int(longest * random.uniform(0.5, 1.5) * 1000)
