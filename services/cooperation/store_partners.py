"""State tables of consortia and of the enterprises that bulletins are matched to."""

from __future__ import annotations

from typing import Any

from services.kit.columns import StateRow, json_column


class ConsortiumRow(StateRow, table=True):
    """One case, by referral id: its facts, its mode, who was invited, and its loan. Sums stand as decimal text."""

    __tablename__ = "cooperation_consortium"

    status: str
    covers_partners: bool
    held: bool
    facts: dict[str, Any] | None = json_column(nullable=True)
    mode: str | None = None
    share_of: str | None = None
    own: str
    wanted: str
    smallest: str
    invitations: list[dict[str, Any]] = json_column()
    searches: int
    searched_at: str | None = None
    loan: dict[str, Any] | None = json_column(nullable=True)


class EnterpriseRow(StateRow, table=True):
    """One enterprise, by credit code: what its open cases say of it, and which bulletins it was told of."""

    __tablename__ = "cooperation_enterprise"

    credit_code: str
    status: str
    cases: dict[str, Any] = json_column()
    told: list[str] = json_column()
    looked_at: str | None = None
    rounds: int
