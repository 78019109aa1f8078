"""The library of the systems that publish events and of those that react to them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from services.client.async_publisher import AsyncPublisher
    from services.client.delivery import Report, Unavailable, Unconfirmed, UnconfirmedError
    from services.client.identity import derived_id
    from services.client.place import PlaceLost, Superseded
    from services.client.preparing import Prepared, Refused, prepare, prepare_json, prepare_object
    from services.client.publisher import Publisher
    from services.client.receiving import Received, Skipped, Unknown
    from services.client.subscriber import Subscriber

__all__ = [
    "AsyncPublisher",
    "PlaceLost",
    "Prepared",
    "Publisher",
    "Received",
    "Refused",
    "Report",
    "Skipped",
    "Subscriber",
    "Superseded",
    "Unavailable",
    "Unconfirmed",
    "UnconfirmedError",
    "Unknown",
    "derived_id",
    "prepare",
    "prepare_json",
    "prepare_object",
]

_HOME: Final = {
    "async_publisher": ("AsyncPublisher",),
    "delivery": ("Report", "Unavailable", "Unconfirmed", "UnconfirmedError"),
    "identity": ("derived_id",),
    "place": ("PlaceLost", "Superseded"),
    "preparing": ("Prepared", "Refused", "prepare", "prepare_json", "prepare_object"),
    "publisher": ("Publisher",),
    "receiving": ("Received", "Skipped", "Unknown"),
    "subscriber": ("Subscriber",),
}


def __getattr__(name: str) -> Any:
    """Load a part when it is asked for: who only checks events needs neither Kafka's clients nor a database."""
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"services.client.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
