"""Which input is decided by what, each held to the table of transitions."""

from __future__ import annotations

from typing import Final

from schemas.consent import ConsentGiven, ConsentRevoked
from schemas.loan import LoanDeclined, LoanSettled, LoanWrittenOff
from schemas.referral import AmendmentSubmitted, ReferralSubmitted, WithdrawalSubmitted
from schemas.resemblance import ResemblanceJudged
from schemas.screening import ScreeningDeclined, ScreeningExpired
from services.kit.door import Route
from services.referral_intake.domain.amendment import decide_amendment, decide_malformed_amendment
from services.referral_intake.domain.consents import consent_due, decide_consent_given, decide_consent_revoked
from services.referral_intake.domain.endings import decide_end, decide_judged, decide_withdrawal
from services.referral_intake.domain.submission import decide_malformed_submission, decide_submitted
from services.referral_intake.domain.transitions import TRANSITIONS

ROUTES: Final = TRANSITIONS.routes(
    {
        ReferralSubmitted: Route(decide_submitted, malformed=decide_malformed_submission),
        AmendmentSubmitted: Route(decide_amendment, malformed=decide_malformed_amendment),
        WithdrawalSubmitted: decide_withdrawal,
        ConsentGiven: decide_consent_given,
        ConsentRevoked: decide_consent_revoked,
        ResemblanceJudged: decide_judged,
        ScreeningDeclined: decide_end,
        ScreeningExpired: decide_end,
        LoanDeclined: decide_end,
        LoanSettled: decide_end,
        LoanWrittenOff: decide_end,
    }
)
DUE: Final = TRANSITIONS.due(consent_due)
