"""Which codes of the domain the cases of a run bear, and what became of the cases of each: the outcome table.

Taken from the topics alone, as the rest of the books: a case bears the codes of its referral as it stands in the end,
and the mode of cooperation that was proposed for it (the referrer's, where nothing was proposed).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from schemas.referral import Referral
from schemas.values import CooperationMode, FinancingNeed, KeyArea, Lane, SubjectKind

DIMENSIONS: Final[Mapping[str, type[StrEnum]]] = MappingProxyType(
    {
        "key_area": KeyArea,
        "need": FinancingNeed,
        "lane": Lane,
        "subject_kind": SubjectKind,
        "cooperation_mode": CooperationMode,
    }
)
"""What a case has one code of each of."""

Coverage = dict[str, dict[str, dict[str, int]]]
"""Dimension → code → outcome → number of cases."""


@dataclass(frozen=True, slots=True)
class Known:
    """One case: its referral as it stands, the mode proposed for it (None: none), and what became of it."""

    referral: Referral
    mode: str | None
    outcome: str


def coverage(cases: Iterable[Known]) -> Coverage:
    """Cases by each code of each dimension and by what became of them; every code of the domain has its row."""
    found: Coverage = {name: {str(code): {} for code in codes} for name, codes in DIMENSIONS.items()}
    for case in cases:
        for name, code in _codes(case).items():
            if code is not None:
                row = found[name][code]
                row[case.outcome] = row.get(case.outcome, 0) + 1
    return found


def without_case(found: Coverage) -> list[str]:
    """The codes that no case bears, as `dimension code`."""
    return [f"{name} {code}" for name, rows in found.items() for code, row in rows.items() if not sum(row.values())]


def _codes(case: Known) -> dict[str, str | None]:
    referral = case.referral
    return {
        "key_area": referral.key_area,
        "need": referral.need,
        "lane": referral.lane,
        "subject_kind": referral.subject_kind,
        "cooperation_mode": case.mode or referral.cooperation_mode,
    }
