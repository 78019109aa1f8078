"""The life of a loan as a table: which report is possible from where, and where it leads. The code runs from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.loan import (
    LoanApplicationReported,
    LoanApprovalReported,
    LoanContractReported,
    LoanDisbursementReported,
    LoanExtensionReported,
    LoanOverdueReported,
    LoanRejectionReported,
    LoanRepaymentReported,
    LoanReport,
    LoanSettlementReported,
    LoanStatus,
    LoanWriteOffReported,
)


@dataclass(frozen=True, slots=True)
class Move:
    """Where a report leads. `when_cured` holds instead of `to` once nothing overdue is left."""

    to: LoanStatus
    when_cured: LoanStatus | None = None


_S = LoanStatus

TRANSITIONS: Final[Mapping[type[LoanReport], Mapping[LoanStatus | None, Move]]] = {
    LoanApplicationReported: {None: Move(_S.APPLIED)},
    LoanApprovalReported: {_S.APPLIED: Move(_S.APPROVED)},
    LoanRejectionReported: {_S.APPLIED: Move(_S.DECLINED)},
    LoanContractReported: {_S.APPROVED: Move(_S.CONTRACTED)},
    LoanDisbursementReported: {
        _S.CONTRACTED: Move(_S.DISBURSED),
        _S.DISBURSED: Move(_S.DISBURSED),
        _S.REPAYING: Move(_S.REPAYING),
    },
    LoanRepaymentReported: {
        _S.DISBURSED: Move(_S.REPAYING),
        _S.REPAYING: Move(_S.REPAYING),
        _S.OVERDUE: Move(_S.OVERDUE, when_cured=_S.REPAYING),
        _S.WRITTEN_OFF: Move(_S.WRITTEN_OFF),
    },
    LoanOverdueReported: {
        _S.DISBURSED: Move(_S.OVERDUE),
        _S.REPAYING: Move(_S.OVERDUE),
        _S.OVERDUE: Move(_S.OVERDUE),
    },
    LoanSettlementReported: {_S.REPAYING: Move(_S.SETTLED), _S.WRITTEN_OFF: Move(_S.SETTLED)},
    LoanExtensionReported: {
        _S.DISBURSED: Move(_S.DISBURSED),
        _S.REPAYING: Move(_S.REPAYING),
        _S.OVERDUE: Move(_S.OVERDUE),
    },
    LoanWriteOffReported: {
        _S.DISBURSED: Move(_S.WRITTEN_OFF),
        _S.REPAYING: Move(_S.WRITTEN_OFF),
        _S.OVERDUE: Move(_S.WRITTEN_OFF),
    },
}
"""Report -> state before (None: no loan yet) -> move. What is not in the table is refused as `wrong_state`."""


def table_rows() -> list[tuple[str, str, str]]:
    """The table as (state before, report, state after), for people."""
    return [
        (
            before or "–",
            report.TYPE,
            move.to + (f"; {move.when_cured} once nothing is overdue" if move.when_cured else ""),
        )
        for report, moves in TRANSITIONS.items()
        for before, move in moves.items()
    ]
