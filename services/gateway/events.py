"""`POST /events`: CloudEvents in structured, binary and batched mode, published before they are answered."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from fastapi import APIRouter, Request, Response

from services.client.preparing import Prepared
from services.gateway.cloudevents import media_type, read_events
from services.gateway.idempotency import key_of
from services.gateway.parties import authenticated
from services.gateway.publishing import fingerprint_of
from services.gateway.state import State


def router(state: State) -> APIRouter:
    """The routes of this module."""
    routes = APIRouter()

    @routes.post("/events", status_code=202, tags=["publish"])
    async def publish_events(request: Request) -> Response:
        party = await authenticated(request)
        state.limits.count(party)
        with state.limits.under_way():
            key = key_of(request)
            kind, _ = media_type(request.headers)
            body = await state.limits.read(request, state.settings.gateway_body_limit)
            events = read_events(kind, request.headers, body, state.settings.gateway_batch_limit)
            prepared = await state.publishing.checked(party, events.objects, events.pointers)
            attributes = [f"{name}={value}" for name, value in request.headers.items() if name.startswith("ce-")]
            fingerprint = fingerprint_of(request.url.path, kind, *sorted(attributes), body)
            return await state.publishing.once(party, key, fingerprint, prepared, lambda: _told(prepared))

    return routes


def _told(prepared: Sequence[Prepared]) -> bytes:
    return orjson.dumps(
        {"accepted": len(prepared), "events": [{"id": each.event.id, "topic": each.topic} for each in prepared]}
    )
