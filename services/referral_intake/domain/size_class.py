"""Size classes of enterprises (工信部联企业〔2011〕300号), as far as the industries of the contract go.

A class needs all of its lower limits; an enterprise that misses one falls to the next class down.
"""

from __future__ import annotations

from typing import Final

from schemas.referral import Enterprise
from schemas.values import Industry, SizeClass

_DESCENDING: Final = (SizeClass.LARGE, SizeClass.MEDIUM, SizeClass.SMALL)

# Per industry: which figures count, then their lower limits for large, medium and small.
# Employees are persons; revenue and assets are in 10 000 CNY.
_INDUSTRIAL: Final = (("employees", "revenue"), ((1000, 40000), (300, 2000), (20, 300)))
_LIMITS: Final[dict[Industry, tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]]] = {
    Industry.MINING: _INDUSTRIAL,
    Industry.MANUFACTURING: _INDUSTRIAL,
    Industry.UTILITIES: _INDUSTRIAL,
    Industry.WHOLESALE: (("employees", "revenue"), ((200, 40000), (20, 5000), (5, 1000))),
    Industry.RETAIL: (("employees", "revenue"), ((300, 20000), (50, 500), (10, 100))),
    Industry.TRANSPORT: (("employees", "revenue"), ((1000, 30000), (300, 3000), (20, 200))),
    Industry.WAREHOUSING: (("employees", "revenue"), ((200, 30000), (100, 1000), (20, 100))),
    Industry.FARMING: (("revenue",), ((20000,), (500,), (50,))),
    Industry.CONSTRUCTION: (("revenue", "assets"), ((80000, 80000), (6000, 5000), (300, 300))),
}


def is_classifiable(enterprise: Enterprise | None) -> bool:
    """Whether the size class can be told from the enterprise's own figures; so it is where there is no enterprise."""
    if enterprise is None:
        return True
    size = size_class_by_figures(
        enterprise.industry, enterprise.employees, enterprise.revenue_10k_cny, enterprise.assets_10k_cny
    )
    return size is not None


def size_class_by_figures(
    industry: Industry, employees: int | None, revenue_10k_cny: int | None, assets_10k_cny: int | None
) -> SizeClass | None:
    """The size class by an enterprise's own figures; None where its industry has no row or a figure is missing."""
    row = _LIMITS.get(industry)
    if row is None:
        return None
    known = {"employees": employees, "revenue": revenue_10k_cny, "assets": assets_10k_cny}
    names, limits = row
    figures = [figure for figure in (known[name] for name in names) if figure is not None]
    if len(figures) < len(names):
        return None
    for size, lower in zip(_DESCENDING, limits, strict=True):
        if all(figure >= limit for figure, limit in zip(figures, lower, strict=True)):
            return size
    return SizeClass.MICRO
