"""Composition of the loan desk: what it reads, who decides, where its state stands."""

from __future__ import annotations

from typing import Any

from schemas.envelope import Event
from services.kit.door import Aggregate, Service
from services.loan_desk.domain.decide import ROUTES
from services.loan_desk.domain.state import LoanCase
from services.loan_desk.domain.transitions import RECORDS, TRANSITIONS
from services.loan_desk.store import LoanCaseRow


class NothingToLookUp:
    """The loan desk decides from its state and the report alone."""

    def learn(self, event: Event[Any]) -> None:
        """No reference topic is read."""


def build() -> Service:
    """The loan desk, ready for the kit."""
    return Service(
        name="loan_desk",
        aggregates=(
            Aggregate(
                name="loan",
                keyed_by=("referral_id",),
                state=LoanCase,
                table=LoanCaseRow,
                evolve=TRANSITIONS.fold,
                records=RECORDS,
                routes=ROUTES,
            ),
        ),
        context=NothingToLookUp,
        migrations="services.loan_desk.migrations",
    )
