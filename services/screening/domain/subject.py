"""A body that names its case has to name the one under whose key it came."""

from __future__ import annotations

from typing import Any

from schemas.envelope import Event
from services.kit.door import Invalid


def check_subject(event: Event[Any]) -> None:
    """Raises Invalid where body and subject are about different cases."""
    if event.data.referral_id != event.subject:
        raise Invalid(
            "subject-mismatch",
            f"referral_id {event.data.referral_id} is not the event's subject {event.subject}; "
            "send the referral's id as both",
        )
