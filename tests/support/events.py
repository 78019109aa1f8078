"""Events onto the topics where their sources may write them: parties' on inputs, those of our services on their own."""

from __future__ import annotations

from typing import Any

from schemas.codec import to_binary
from schemas.envelope import Event
from tests.support.sending import Sent, send
from topics.definition import Catalogue, load_catalogue

OURS = "//kouan/"


def put(servers: str, *events: Event[Any]) -> None:
    """Publish events in order, each where its source may write it, and wait until all are confirmed."""
    catalogue = load_catalogue()
    send(servers, *(record_of(event, catalogue) for event in events))


def record_of(event: Event[Any], catalogue: Catalogue) -> Sent:
    """A record where the event's source may write it: topic, value, key, headers."""
    if event.source.startswith(OURS):
        topic = catalogue.topic_for(event.source.removeprefix(OURS), event.type)
    else:
        topic = catalogue.topic_of_publisher(event.source, event.type)
    key, value, headers = to_binary(event)
    return topic.name, value, key, headers
