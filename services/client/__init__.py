"""The library of the systems that publish events and of those that react to them."""

from services.client.async_publisher import AsyncPublisher
from services.client.delivery import Report, Unavailable, Unconfirmed, UnconfirmedError
from services.client.identity import derived_id
from services.client.preparing import Prepared, Refused, prepare, prepare_json, prepare_object
from services.client.publisher import Publisher
from services.client.subscriber import Received, Skipped, Subscriber, Unknown

__all__ = [
    "AsyncPublisher",
    "Prepared",
    "Publisher",
    "Received",
    "Refused",
    "Report",
    "Skipped",
    "Subscriber",
    "Unavailable",
    "Unconfirmed",
    "UnconfirmedError",
    "Unknown",
    "derived_id",
    "prepare",
    "prepare_json",
    "prepare_object",
]
