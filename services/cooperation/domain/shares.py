"""Parts of a sum, in whole cents, so that they add up exactly; percentages are of the whole sum."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final

CENT: Final = Decimal("0.01")
ZERO: Final = Decimal("0.00")
_HUNDRED: Final = Decimal(100)


def part(amount: Decimal, percent: Decimal) -> Decimal:
    """So many percent of a sum, rounded down to whole cents."""
    return (amount * percent / _HUNDRED).quantize(CENT, ROUND_DOWN)


def divide(amount: Decimal, own_percent: Decimal) -> tuple[Decimal, Decimal]:
    """A sum as the bank's own part and what partners are to take up; together they are the sum."""
    wanted = part(amount, _HUNDRED - own_percent)
    return amount.quantize(CENT) - wanted, wanted


def percent_of(amount: Decimal, taken: Decimal) -> Decimal:
    """A part in percent of a sum, rounded to two decimal places."""
    return (taken * _HUNDRED / amount).quantize(CENT, ROUND_HALF_UP)


def taken_by_percent(amount: Decimal, missing: Decimal, percent: Decimal) -> Decimal:
    """What a percentage takes up. The percentage that was said to be missing takes up all that is missing: otherwise
    what rounding leaves over could never be taken.
    """
    return missing if percent == percent_of(amount, missing) else part(amount, percent)
