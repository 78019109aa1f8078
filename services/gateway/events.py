"""`POST /events`: CloudEvents in structured, binary and batched mode, published before they are answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import orjson
from fastapi import Request, Response

from services.client.preparing import Prepared
from services.gateway.cloudevents import JSON, is_attribute, media_type, read_events
from services.gateway.idempotency import key_of
from services.gateway.parties import authenticated
from services.gateway.publishing import fingerprint_of
from services.gateway.state import State


def handler(state: State) -> Callable[[Request], Awaitable[Response]]:
    """What answers `POST /events`."""

    async def publish_events(request: Request) -> Response:
        party = await authenticated(request)
        state.limits.count(party)
        with state.limits.under_way():
            headers = request.headers
            key = key_of(headers)
            kind, _ = media_type(headers)
            body = await state.limits.read(request, state.settings.gateway_body_limit)
            events = read_events(kind, headers, body, state.settings.gateway_batch_limit)
            prepared = await state.publishing.checked(party, events.objects, events.pointers)
            attributes = () if kind != JSON else (f"{name}={headers[name]}" for name in headers if is_attribute(name))
            fingerprint = fingerprint_of(request.scope["path"], kind, *sorted(attributes), body)
            return await state.publishing.once(party, key, fingerprint, prepared, lambda: _told(prepared))

    return publish_events


def _told(prepared: Sequence[Prepared]) -> bytes:
    return orjson.dumps(
        {"accepted": len(prepared), "events": [{"id": each.event.id, "topic": each.topic} for each in prepared]}
    )
