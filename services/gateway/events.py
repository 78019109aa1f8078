"""`POST /events`: CloudEvents in structured, binary and batched mode, published before they are answered.

Batches are read and checked one after the other: side by side they would all stand in memory as parsed JSON, and all be
done late. Single events pass them (see `Publishing.checked`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext

import orjson
from fastapi import Request, Response
from starlette.datastructures import Headers

from services.client.preparing import Prepared
from services.gateway.cloudevents import BATCH, JSON, is_attribute, media_type, read_events
from services.gateway.idempotency import key_of
from services.gateway.parties import Party, authenticated
from services.gateway.publishing import fingerprint_of
from services.gateway.state import State


def handler(state: State) -> Callable[[Request], Awaitable[Response]]:
    """What answers `POST /events`."""

    batches = asyncio.Lock()

    async def prepared_of(party: Party, kind: str, headers: Headers, body: bytes) -> list[Prepared]:
        events = read_events(kind, headers, body, state.settings.gateway_batch_limit)
        return await state.publishing.checked(party, events.objects, events.pointers)

    async def publish_events(request: Request) -> Response:
        party = await authenticated(request)
        state.limits.count(party)
        with state.limits.under_way():
            headers = request.headers
            key = key_of(headers)
            kind, _ = media_type(headers)
            body = await state.limits.read(request, state.settings.gateway_body_limit)
            async with batches if kind == BATCH else nullcontext():
                prepared = await prepared_of(party, kind, headers, body)
            attributes = () if kind != JSON else (f"{name}={headers[name]}" for name in headers if is_attribute(name))
            fingerprint = fingerprint_of(request.scope["path"], kind, *sorted(attributes), body)
            return await state.publishing.once(party, key, fingerprint, prepared, lambda: _told(prepared))

    return publish_events


def _told(prepared: Sequence[Prepared]) -> bytes:
    return orjson.dumps(
        {"accepted": len(prepared), "events": [{"id": each.event.id, "topic": each.topic} for each in prepared]}
    )
