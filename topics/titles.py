"""What events are called for people: in Chinese by a file, in English by the first sentence of their contract."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from schemas.envelope import payload_class

TITLES: Final = Path(__file__).with_name("event_titles.yaml")
"""Chinese names of events, by type without version."""


class Title(NamedTuple):
    """The name of an event in both languages."""

    zh: str
    en: str


@cache
def chinese_titles() -> dict[str, str]:
    """The Chinese names, by type without version."""
    titles: dict[str, str] = yaml.safe_load(TITLES.read_text(encoding="utf-8"))
    return titles


def title_of(kind: str) -> Title:
    """The name of an event type; where nothing is known of it, the type itself. Contracts must have been loaded."""
    contract = payload_class(kind)
    english = first_sentence(contract.__doc__ or kind) if contract is not None else kind
    return Title(chinese_titles().get(kind.rpartition(".v")[0], kind), english)


def first_sentence(text: str) -> str:
    """The first sentence of a description, without its full stop."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".")
