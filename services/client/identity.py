"""Ids that a publisher derives from its own records, so that a retry is recognised as one."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("5f1c6d3e-0f0a-5c57-9d0e-6b6f75616e31")


def derived_id(source: str, reference: str) -> str:
    """The event id of one fact: the same source and reference always give the same id (a UUIDv5, as text).

    `reference` names the fact in the publisher's own books and must not change when the fact is sent again: the
    number of a document with its version (`2026-0117/3`), never a time of sending or the number of a row. Another
    fact, or a correction of this one, needs another reference: readers refuse other content under an id they know.

    Raises:
        ValueError: source or reference is blank, or no valid Unicode text.
    """
    for name, text in (("source", source), ("reference", reference)):
        if not text.strip():
            raise ValueError(f"the {name} is empty; name the fact as your own books do, the same way at every retry")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the {name} {text!r} is no valid Unicode text; give it without lone surrogates") from None
    return str(uuid5(_NAMESPACE, f"{source}\0{reference}"))
