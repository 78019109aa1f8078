"""Events as our services say them, built from the contracts' examples."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from topics.definition import Kind, load_catalogue

_EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
_OURS = frozenset({Kind.RECORD, Kind.ANNOUNCEMENT, Kind.REFERENCE})


@dataclass(frozen=True, slots=True)
class Saying:
    """One event, as a record of its topic."""

    topic: str
    subject: str
    id: str
    type: str
    value: bytes
    headers: list[tuple[str, bytes]]

    @property
    def key(self) -> bytes:
        return self.subject.encode()


def example(kind: str, name: str = "valid-") -> dict[str, Any]:
    """The first example of a type whose file's name begins like this."""
    file = sorted((_EXAMPLES / kind).glob(f"{name}*.json"))[0]
    body: dict[str, Any] = json.loads(file.read_bytes())
    return body


def saying(
    kind: str,
    subject: str,
    body: Mapping[str, Any] | None = None,
    *,
    id: str | None = None,
    time: str | None = None,
    cause: str | None = None,
) -> Saying:
    """An event of the service (or headquarters) that says such things, with the example's body unless one is given."""
    topic = next(topic for topic in load_catalogue().topics.values() if topic.kind in _OURS and kind in topic.events)
    headers = {
        "ce_specversion": "1.0",
        "ce_id": id or str(uuid.uuid4()),
        "ce_source": topic.sources[0],
        "ce_type": kind,
        "ce_time": time or datetime.now(UTC).isoformat(),
        "ce_subject": subject,
        "content-type": "application/json",
    }
    if cause is not None:
        headers["ce_causationid"] = cause
    value = json.dumps(example(kind) if body is None else body, ensure_ascii=False).encode()
    pairs = [(name, text.encode()) for name, text in headers.items()]
    return Saying(topic.name, subject, headers["ce_id"], kind, value, pairs)


def registered(
    case: str, *, zone: str, province: str = "15", branch: str = "exim-nmg", referrer: str | None = None, **more: Any
) -> Saying:
    """A referral is registered: its case exists."""
    body = example("referral.registered.v1")
    body["referral"] |= {"zone": zone, "province": province, "branch": branch}
    body["source"] = referrer or f"//commerce/{zone}"
    return saying("referral.registered.v1", case, body, **more)


def amended(case: str, *, zone: str, province: str = "15", branch: str = "exim-nmg") -> Saying:
    """A referral is amended, so that its case may be another zone's."""
    body = example("referral.amended.v1")
    body["referral"] |= {"zone": zone, "province": province, "branch": branch}
    return saying("referral.amended.v1", case, body)


def rejected(case: str, referrer: str) -> Saying:
    """A referral is turned back."""
    return saying("referral.rejected.v1", case, example("referral.rejected.v1") | {"source": referrer})


def zone_entered(code: str, province: str) -> Saying:
    """The directory has a zone."""
    body = example("directory.zone_entered.v1") | {"code": code, "province": province, "valid_from": "2020-01-01"}
    body.pop("exists_from", None)
    return saying("directory.zone_entered.v1", f"zone/{code}@2020-01-01", body)


def branch_entered(code: str, *provinces: str, valid_to: str | None = None) -> Saying:
    """The directory has a branch."""
    body = example("directory.branch_entered.v1") | {"code": code, "provinces": provinces, "valid_from": "2020-01-01"}
    body.pop("valid_to", None)
    if valid_to is not None:
        body["valid_to"] = valid_to
    return saying("directory.branch_entered.v1", f"branch/{code}@2020-01-01", body)
