"""State tables of the loan desk."""

from __future__ import annotations

from services.kit.columns import StateRow


class LoanCaseRow(StateRow, table=True):
    """One case and its loan, by referral id. Amounts, dates and codes stand as text."""

    __tablename__ = "loan_desk_case"

    expected: bool
    ruled_out: str | None = None
    loan_id: str | None = None
    status: str | None = None
    mode: str | None = None
    term_months: int
    matures_on: str | None = None
    currency: str | None = None
    applied: str
    approved: str
    contracted: str
    disbursed: str
    repaid: str
    written_off: str
    overdue_principal: str
    overdue_interest: str
    overdue_days: int
    extensions: int
