"""Before anything is sent: every check that a reader would make, all faults at once, and the record as it will stand.

Three forms come in: an event made in Python (`prepare`), a CloudEvent as a parsed JSON object (`prepare_object`) and as
JSON text (`prepare_json`). All are held against the writer's view of the contract: unknown fields are faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.envelope import Event, Payload
from schemas.faults import Fault
from topics.definition import Catalogue


class Refused(Exception):
    """The event may not be published as it is; `faults` are all that is wrong with it.

    Pointers start at the CloudEvent: `/source`, `/data/amount/currency`; empty for the whole.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.en}" for fault in faults))


@dataclass(frozen=True, slots=True)
class Prepared:
    """One checked event and the record in which it travels: CloudEvents binary mode, placed by murmur2 of the key."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    event: Event[Payload]


def prepare(event: Event[Payload], catalogue: Catalogue) -> Prepared:
    """Check an event made in Python and encode it.

    Raises:
        Refused: with every fault.
    """
    raise NotImplementedError


def prepare_object(attributes: Mapping[str, Any], catalogue: Catalogue) -> Prepared:
    """Check a CloudEvent given as the parsed JSON object of structured mode, `data` within, and encode it.

    Raises:
        Refused: with every fault.
    """
    raise NotImplementedError


def prepare_json(text: bytes, catalogue: Catalogue) -> Prepared:
    """Check a CloudEvent given as JSON text (structured mode) and encode it.

    Raises:
        Refused: with every fault.
    """
    raise NotImplementedError
