"""Size classes by the national standard: all lower limits, else one class down."""

from __future__ import annotations

import pytest

from schemas.values import Industry, SizeClass
from services.referral_intake.domain.size_class import size_class_by_figures


@pytest.mark.parametrize(
    ("industry", "employees", "revenue", "expected"),
    [
        ("manufacturing", 1000, 40000, "large"),
        ("manufacturing", 999, 40000, "medium"),
        ("manufacturing", 1000, 39999, "medium"),
        ("mining", 300, 2000, "medium"),
        ("utilities", 300, 1999, "small"),
        ("manufacturing", 20, 300, "small"),
        ("manufacturing", 5000, 299, "micro"),
        ("manufacturing", 19, 900000, "micro"),
        ("wholesale", 200, 40000, "large"),
        ("wholesale", 20, 5000, "medium"),
        ("wholesale", 5, 1000, "small"),
        ("wholesale", 4, 1000, "micro"),
        ("retail", 300, 20000, "large"),
        ("retail", 50, 500, "medium"),
        ("retail", 10, 100, "small"),
        ("transport", 1000, 30000, "large"),
        ("transport", 300, 3000, "medium"),
        ("transport", 20, 200, "small"),
        ("warehousing", 200, 30000, "large"),
        ("warehousing", 100, 1000, "medium"),
        ("warehousing", 20, 100, "small"),
        ("farming", None, 20000, "large"),
        ("farming", 1, 500, "medium"),
        ("farming", None, 50, "small"),
        ("farming", None, 49, "micro"),
    ],
)
def test_class_needs_all_of_its_lower_limits(industry: str, employees: int | None, revenue: int, expected: str) -> None:
    assert size_class_by_figures(Industry(industry), employees, revenue, None) is SizeClass(expected)


@pytest.mark.parametrize(
    ("revenue", "assets", "expected"),
    [
        (80000, 80000, "large"),
        (80000, 79999, "medium"),
        (6000, 5000, "medium"),
        (300, 300, "small"),
        (299, 300, "micro"),
    ],
)
def test_construction_is_classified_by_revenue_and_assets(revenue: int, assets: int, expected: str) -> None:
    assert size_class_by_figures(Industry.CONSTRUCTION, None, revenue, assets) is SizeClass(expected)


@pytest.mark.parametrize(
    ("industry", "employees", "revenue", "assets"),
    [
        ("other", 10, 10, 10),
        ("manufacturing", None, 900, None),
        ("retail", 10, None, None),
        ("construction", 10, 900, None),
    ],
)
def test_what_cannot_be_classified_is_not_guessed(
    industry: str, employees: int | None, revenue: int | None, assets: int | None
) -> None:
    assert size_class_by_figures(Industry(industry), employees, revenue, assets) is None
