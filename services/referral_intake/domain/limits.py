"""What counts as plausible: limits that operators may change, each with the reason that people are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from schemas.referral import OutboundDirection
from schemas.values import Currency, FinancingNeed, Money


@dataclass(frozen=True, slots=True)
class AmountLimit:
    """Sums in yuan within which a referral is plausible."""

    at_least: Decimal
    at_most: Decimal
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class TermLimit:
    """Longest term, in months, for some needs."""

    needs: tuple[FinancingNeed, ...]
    months: int
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class RevenueLimit:
    """For some needs, how many times the enterprise's yearly revenue the sum may be."""

    needs: tuple[FinancingNeed, ...]
    times: Decimal
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class DocumentLimit:
    """Which media types can be opened by both sides, and the largest size in bytes."""

    media_types: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class OutboundLimit:
    """Directions of outbound investment that are permitted, and those permitted with an approval alone."""

    permitted: tuple[OutboundDirection, ...]
    with_approval: tuple[OutboundDirection, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits. `yuan` is what one unit of each currency counts as when sums are compared with them."""

    consent_working_days: int
    yuan: Mapping[Currency, Decimal]
    amount: AmountLimit
    terms: tuple[TermLimit, ...]
    revenue: tuple[RevenueLimit, ...]
    documents: DocumentLimit
    outbound: OutboundLimit

    def in_yuan(self, money: Money) -> Decimal:
        """A sum in yuan, by the rate for comparisons."""
        return money.amount * self.yuan[money.currency]
