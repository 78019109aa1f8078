"""What must hold of every run, whatever its scenario: nobody is skipped on a case's way, told from events alone.

Nothing of the services or their kit is used here: a fault in them must not hide itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

BOTH_SIDES = frozenset({"commerce", "bank"})


class Said(NamedTuple):
    """One event: who it is about, its type without version, and its body."""

    key: str
    kind: str
    body: Mapping[str, Any]


def said(key: bytes | None, kind: str, value: bytes | None) -> Said:
    """An event from its record."""
    return Said((key or b"").decode(), _unversioned(kind), json.loads(value or b"{}"))


def _unversioned(kind: str) -> str:
    return kind.rpartition(".v")[0]


def skipped(inputs: Iterable[Said], outputs: Iterable[Said]) -> list[str]:
    """Every case that came further than what was said of it allows."""
    given, made = _by_case(inputs), _by_case(outputs)
    found = []
    for key, events in made.items():
        found += [f"{key}: {fault}" for fault in _faults(given.get(key, []), events)]
    return found


def _faults(given: list[Said], made: list[Said]) -> Iterator[str]:
    kinds = {one.kind for one in made}
    agreed = _consent(given)
    if "referral.registered" in kinds and not agreed >= BOTH_SIDES:
        yield f"registered though the enterprise agreed only to {sorted(agreed)}"
    if "cooperation.partner_invited" in kinds and "partner" not in agreed:
        yield "partners were invited without the enterprise's consent"
    opinions = {one.body["side"]: one.body for one in made if one.kind == "screening.opinion_recorded"}
    for side, body in opinions.items():
        if body.get("checked_by") in (None, body["given_by"]):
            yield f"the {side} side's opinion was checked by {body.get('checked_by')}, made by {body['given_by']}"
    if "screening.shortlisted" in kinds:
        yield from _shortlisted(opinions, made)
    for one in made:
        if one.kind == "referral.closed" and _unversioned(one.body["by_type"]) not in kinds:
            yield f"closed by {one.body['by_type']}, which nobody said"


def _shortlisted(opinions: Mapping[str, Mapping[str, Any]], made: list[Said]) -> Iterator[str]:
    if opinions.keys() != BOTH_SIDES:
        yield f"shortlisted with opinions of {sorted(opinions)} alone"
    if all(body["verdict"] == "support" for body in opinions.values()):
        return
    outcomes = [one.body for one in made if one.kind == "screening.conference_outcome_recorded"]
    if {one["side"] for one in outcomes if one["outcome"] == "shortlist"} != BOTH_SIDES:
        yield "shortlisted against a side's opinion without both headquarters"


def _consent(given: list[Said]) -> set[str]:
    """Everything that the enterprise ever agreed to."""
    consents = [one.body.get("consent") or {} for one in given if one.kind == "referral.submitted"]
    consents += [one.body for one in given if one.kind == "referral.consent_given"]
    return {scope for consent in consents for scope in consent.get("scopes", ())}


def _by_case(events: Iterable[Said]) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = defaultdict(list)
    for one in events:
        found[one.key].append(one)
    return found
