"""The state table of referral intake."""

from __future__ import annotations

from services.kit.columns import StateRow, json_column


class CaseRow(StateRow, table=True):
    """One row per referral id; the columns are the fields of `domain.case.Case`."""

    __tablename__ = "referral_intake_case"

    status: str
    side: str
    source: str
    revision: int
    body: str
    duplicate_of: str | None = None
    claims: list[str] = json_column()
    consent: list[str] = json_column()
    until: str | None = None
    resembles: list[str] = json_column()
    alike: list[str] = json_column()
