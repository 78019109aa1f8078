"""The library of the systems that publish events and of those that react to them."""

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
