"""How cases end: taken back by their side, over for joint screening or the bank, or found to be one with another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.loan import LoanDeclined, LoanSettled, LoanWrittenOff
from schemas.opinion import Finality
from schemas.referral import ReferralWithdrawn, WithdrawalCode, WithdrawalSubmitted
from schemas.referral_course import ReferralClosed
from schemas.resemblance import ResemblanceCleared, ResemblanceJudged
from schemas.screening import ScreeningDeclined, ScreeningExpired
from services.referral_intake.domain.case import Case, Status
from services.referral_intake.domain.outlook import Outlook
from services.referral_intake.domain.refusals import NOT_FLAGGED

_ENDS: Final[Mapping[type[Payload], tuple[str, str, str, bool]]] = {
    ScreeningDeclined: ("screening_declined", "共同筛选未通过。", "Joint screening declined it.", True),
    ScreeningExpired: ("screening_expired", "共同筛选逾期未决。", "Joint screening came to no decision in time.", True),
    LoanDeclined: ("loan_declined", "银行未批准贷款。", "The bank declined the loan.", True),
    LoanSettled: ("loan_settled", "贷款已结清。", "The loan was repaid in full.", False),
    LoanWrittenOff: ("loan_written_off", "贷款已核销。", "The loan was written off.", False),
}
"""What ends a case → code, texts, and whether a new referral may repair it."""

_SHOWN: Final = 1500
"""So many characters of what a person wrote fit into a reason beside what it says itself."""


def decide_withdrawal(case: Case, event: Event[WithdrawalSubmitted], outlook: Outlook) -> Iterable[Payload]:
    """The referring side may take its open referral back; nobody else has heard of one that awaits consent."""
    if case.status is Status.REGISTERED:
        yield ReferralWithdrawn(code=event.data.code, reason=event.data.reason, withdrawn_at=event.time)
    else:
        yield ReferralClosed(
            code="withdrawn_before_registration",
            zh="推荐方在登记前撤回。",
            en="Its side took it back before it was registered.",
            repairable=True,
            by_type=WithdrawalSubmitted.TYPE,
            source=case.source,
            closed_at=event.time,
        )


def decide_end(case: Case, event: Event[Any], outlook: Outlook) -> Iterable[Payload]:
    """What is over for joint screening or the bank is over; a case that has ended already stays as it ended."""
    if case.status is not Status.REGISTERED:
        return
    said = event.data
    code, zh, en, repairable = _ENDS[type(said)]
    if isinstance(said, ScreeningDeclined):
        repairable = said.finality is Finality.REPAIRABLE
    yield ReferralClosed(
        code=code,
        zh=zh,
        en=en,
        repairable=repairable,
        by_type=type(said).TYPE,
        source=case.source,
        closed_at=event.time,
    )


def decide_judged(case: Case, event: Event[ResemblanceJudged], outlook: Outlook) -> Iterable[Payload]:
    """A person of either side says whether this case is one with an earlier one; if so, this one ends."""
    said = event.data
    if said.other not in case.resembles:
        yield NOT_FLAGGED.of(event)
    elif not said.same:
        yield ResemblanceCleared(other=said.other, judged_by=said.judged_by, text=said.text, cleared_at=event.time)
    else:
        yield ReferralWithdrawn(
            code=WithdrawalCode.SUBMITTED_IN_ERROR,
            reason=f"经核实与 {said.other} 为同一事项。 Found to be the same matter as {said.other}. "
            f"{said.text[:_SHOWN]}",
            withdrawn_at=event.time,
            duplicate_of=said.other,
        )
