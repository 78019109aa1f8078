"""Lines beneath a notice's text: what each tells, in both languages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from schemas.cooperation import CooperationRefused
from schemas.envelope import Payload
from schemas.liaison import NoticeFact
from schemas.loan import LoanRefused
from schemas.reference import Directory
from schemas.risk import RiskRefused
from schemas.screening import ScreeningRefused
from services.liaison.domain.context import Pair

SHOWN: Final = 10
"""Of many things of one kind, this many are shown; a notice has room for thirty lines."""

_VALUE_LIMIT: Final = 2000
_LINES_LIMIT: Final = 30

Line = tuple[str, str, Pair]
"""Label in Chinese, label in English, value in both."""

Facts = Iterator[Line]

FactsOf = Mapping[type[Payload], Callable[[Any], Facts]]
"""The lines that are about an event itself, by its type."""

ValuesOf = Mapping[type[Payload], Callable[[Any], dict[str, object]]]
"""What the texts about an event name besides, by its type."""


def facts_from(lines: Iterable[Line]) -> tuple[NoticeFact, ...]:
    """Lines as a notice carries them."""
    made = (
        NoticeFact(label_zh=zh, label_en=en, value_zh=_fit(value.zh), value_en=_fit(value.en))
        for zh, en, value in lines
    )
    return tuple(made)[:_LINES_LIMIT]


def same(text: str) -> Pair:
    """What reads alike in both languages: names, ids, somebody's own words."""
    return Pair(text, text)


def zone_name(zone: str | None, on: datetime, directory: Directory) -> Pair:
    """The names of a zone; its code where the directory does not know it, a dash where there is none."""
    if zone is None:
        return Pair("—", "–")
    known = directory.zone(zone, on)
    return Pair(known.name_zh, known.name_en) if known is not None else same(zone)


def refused(payload: ScreeningRefused | LoanRefused | RiskRefused | CooperationRefused) -> Facts:
    """What was refused and why, whoever refused it."""
    if isinstance(payload, CooperationRefused) and payload.referral_id is not None:
        yield "案件编号", "Case", same(payload.referral_id)
    yield "被拒事项", "Refused", same(payload.refused_type)
    yield "事件编号", "Event", same(payload.refused_id)
    yield "原因", "Reason", Pair(payload.zh, payload.en)


def _fit(text: str) -> str:
    return text if len(text) <= _VALUE_LIMIT else text[: _VALUE_LIMIT - 1] + "…"
