"""The test ledger's rules, told a second time: which outputs an input leads to, and what they have to say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.support.records import Stored


def kind_of(record: Stored) -> str:
    """The type of a record without its domain and version."""
    return record.kind.split(".")[1] if "." in record.kind else ""


def body_of(record: Stored) -> Mapping[str, Any]:
    """The body of an input, empty where it is no object."""
    body = record.body
    return body if isinstance(body, dict) else {}


def called(body: Mapping[str, Any]) -> str:
    """The name of a clerk, whichever version says it."""
    return str(body["called"] if "called" in body else body["name"])


def fits(record: Stored, outputs: Mapping[str, int]) -> bool:
    """Whether an input can have led to such outputs."""
    match kind_of(record):
        case "account_requested":
            return outputs in ({"account_opened": 1}, {"account_refused": 1})
        case "entry_made":
            return outputs == {"entry_booked": 1} | ({"letter_queued": 1} if record.body.get("letter") else {})
        case "clerk_named":
            return outputs == {"clerk_recorded": 1}
    return False


def says(output: Stored, asked: Mapping[str, Any]) -> bool:
    """Whether an output says what an input with this body asked for."""
    body = output.body
    match kind_of(output):
        case "account_opened":
            return bool(body["name"] == asked.get("name") and _moment(body) == _moment(asked))
        case "entry_booked":
            return bool(body["amount"] == asked.get("amount"))
        case "letter_queued":
            return bool(asked.get("letter")) and str(body["text"]).endswith(f" {asked.get('amount')}")
        case "clerk_recorded":
            return called(body) == called(asked)
    return True


def _moment(body: Mapping[str, Any]) -> datetime | None:
    at = body.get("close_at")
    return None if at is None else datetime.fromisoformat(at)
