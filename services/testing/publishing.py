"""Publishing from a test: as a party with its checks, or, for systems that react to kouan, as one of its services."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from schemas.codec import to_binary
from schemas.envelope import Event, Payload
from services.client.delivery import UnconfirmedError
from services.client.preparing import Prepared, fill, prepare, prepare_json, prepare_object
from services.client.publisher import Publisher
from topics.definition import Catalogue, load_catalogue

SERVICE = "//kouan/"


class Publishing:
    """`kouan_publish(…)`; everything that it returns is confirmed by the broker.

    All forms raise `services.client.Refused`, with every fault, before anything is sent.
    """

    def __init__(self, bootstrap_servers: str, catalogue: Catalogue | None = None) -> None:
        self._publisher = Publisher(bootstrap_servers)
        self._catalogue = catalogue or load_catalogue()

    def __call__(
        self,
        payload: Payload,
        *,
        source: str,
        subject: str,
        reference: str | None = None,
        time: datetime | None = None,
    ) -> Event[Payload]:
        """Publish a payload in the name of `source`, to the topic that the catalogue says.

        `reference` gives the event's id: the same one again is a repeat, and without it every call is a new event.
        A source `//kouan/<service>` speaks as that service does, so that a system that reacts can be told anything.
        """
        event = fill(source, payload, subject=subject, reference=reference or uuid.uuid4().hex, time=time)
        prepared = self._of_service(event) if source.startswith(SERVICE) else prepare(event, self._catalogue)
        return self._send([prepared])[0]

    def event(self, attributes: Mapping[str, Any]) -> Event[Payload]:
        """Publish a CloudEvent that is given as the JSON object of structured mode."""
        return self._send([prepare_object(attributes, self._catalogue)])[0]

    def file(self, path: Path | str) -> list[Event[Payload]]:
        """Publish a file of CloudEvents in JSON Lines; nothing is sent unless every line is right."""
        lines = Path(path).read_bytes().splitlines()
        return self._send([prepare_json(line, self._catalogue) for line in lines if line.strip()])

    def _of_service(self, event: Event[Payload]) -> Prepared:
        topic = self._catalogue.topic_for(event.source.removeprefix(SERVICE), event.type)
        key, value, headers = to_binary(event)
        return Prepared(topic.name, key, value, headers, event)

    def _send(self, prepared: Iterable[Prepared]) -> list[Event[Payload]]:
        events = []
        for one in prepared:
            self._publisher.send(one)
            events.append(one.event)
        report = self._publisher.flush()
        if report.unconfirmed:
            raise UnconfirmedError(report)
        return events

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._publisher.close()
