"""The life of a loan as a table: what may come in which state, and where it leads. The code runs from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.loan import (
    LoanApplicationReported,
    LoanApplied,
    LoanApprovalReported,
    LoanApproved,
    LoanContracted,
    LoanContractReported,
    LoanDeclined,
    LoanDisbursed,
    LoanDisbursementReported,
    LoanExpected,
    LoanExtended,
    LoanExtensionReported,
    LoanOverdue,
    LoanOverdueReported,
    LoanRefused,
    LoanRejectionReported,
    LoanRepaid,
    LoanRepaymentReported,
    LoanRuledOut,
    LoanSettled,
    LoanSettlementReported,
    LoanStatus,
    LoanWriteOffReported,
    LoanWrittenOff,
)
from schemas.screening import ScreeningDeclined, ScreeningExpired, ScreeningShortlisted, ScreeningWithdrawn
from services.kit.transitions import OURS, Leads, Party, Transition, Transitions, Wrong
from services.loan_desk.domain import refusals
from services.loan_desk.domain.state import LoanCase, evolve

RECORDS: Final[tuple[type[Payload], ...]] = (
    LoanExpected,
    LoanRuledOut,
    LoanApplied,
    LoanApproved,
    LoanDeclined,
    LoanContracted,
    LoanDisbursed,
    LoanRepaid,
    LoanOverdue,
    LoanSettled,
    LoanExtended,
    LoanWrittenOff,
)


class Before(StrEnum):
    """Where a case stands that has no loan: beside the statuses of a loan, the states of the table."""

    EXPECTED = "expected"
    RULED_OUT = "ruled_out"


_S = LoanStatus
_BANK = frozenset({Party.BANK})
_LIVE = (_S.DISBURSED, _S.REPAYING, _S.OVERDUE)
_ANY = "other_loan", "currency_differs"


def _ends(outcome: type[Payload]) -> tuple[Transition, ...]:
    """A case that joint screening ended has no loan any more, unless there is one already."""
    return (
        Transition(outcome, (None, Before.EXPECTED), OURS, {LoanRuledOut: Before.RULED_OUT}),
        Transition(outcome, (Before.RULED_OUT, *LoanStatus), OURS, {}, silent=True),
    )


def _report(
    report: type[Payload], states: tuple[StrEnum, ...], fact: type[Payload], to: Leads, *refuses: str
) -> Transition:
    return Transition(report, states, _BANK, {fact: to}, (*_ANY, *refuses), early=True)


ROWS: Final = (
    Transition(ScreeningShortlisted, (None,), OURS, {LoanExpected: Before.EXPECTED}),
    Transition(ScreeningShortlisted, (*Before, *LoanStatus), OURS, {}, silent=True),
    *_ends(ScreeningDeclined),
    *_ends(ScreeningExpired),
    *_ends(ScreeningWithdrawn),
    Transition(LoanApplicationReported, (Before.EXPECTED,), _BANK, {LoanApplied: _S.APPLIED}, early=True),
    _report(LoanApprovalReported, (_S.APPLIED,), LoanApproved, _S.APPROVED),
    _report(LoanRejectionReported, (_S.APPLIED,), LoanDeclined, _S.DECLINED),
    _report(LoanContractReported, (_S.APPROVED,), LoanContracted, _S.CONTRACTED, "over_approved"),
    _report(LoanDisbursementReported, (_S.CONTRACTED,), LoanDisbursed, _S.DISBURSED, "over_contracted"),
    _report(LoanDisbursementReported, (_S.DISBURSED, _S.REPAYING), LoanDisbursed, None, "over_contracted"),
    _report(LoanRepaymentReported, (_S.DISBURSED,), LoanRepaid, _S.REPAYING, "nothing_paid", "over_outstanding"),
    _report(LoanRepaymentReported, (_S.REPAYING, _S.WRITTEN_OFF), LoanRepaid, None, "nothing_paid", "over_outstanding"),
    _report(LoanRepaymentReported, (_S.OVERDUE,), LoanRepaid, (_S.REPAYING, None), "nothing_paid", "over_outstanding"),
    _report(LoanOverdueReported, _LIVE, LoanOverdue, _S.OVERDUE, "nothing_overdue", "over_outstanding"),
    _report(LoanSettlementReported, (_S.REPAYING, _S.WRITTEN_OFF), LoanSettled, _S.SETTLED, "outstanding_left"),
    _report(LoanExtensionReported, _LIVE, LoanExtended, None, "maturity_not_later"),
    _report(LoanWriteOffReported, _LIVE, LoanWrittenOff, _S.WRITTEN_OFF, "write_off_differs"),
)


def stage_of(case: LoanCase) -> StrEnum:
    """The state of the table in which a case is."""
    if case.status is not None:
        return case.status
    return Before.EXPECTED if case.ruled_out is None else Before.RULED_OUT


def _refuse(event: Event[Any], case: LoanCase | None, wrong: Wrong) -> LoanRefused:
    if wrong is Wrong.PARTY:
        refusal = refusals.wrong_party(event.source)
    else:
        # What no state would take is said first: the reporter has more use for it than for the state.
        nearer = None if case is None else refusals.refusal_of(case, event.data)
        refusal = nearer or refusals.wrong_state(None if case is None else case.status, event.type)
    return refusals.refused(case, event, refusal)


TRANSITIONS: Final = Transitions(
    "loan",
    ROWS,
    status=stage_of,
    evolve=evolve,
    records=RECORDS,
    refused=LoanRefused,
    refuse=_refuse,
    early="the case has not been through joint screening yet",
)
