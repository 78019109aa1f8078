"""What becomes of a case as consent comes, goes, or does not come in time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from schemas.consent import ConsentGiven, ConsentRecorded, ConsentRevoked, ConsentScope
from schemas.envelope import Event, Payload
from schemas.faults import Fault
from schemas.reference import china_date
from schemas.referral import ReferralRejected, ReferralWithdrawn, WithdrawalCode
from services.kit.door import Deadline
from services.referral_intake.domain.case import Case, Status
from services.referral_intake.domain.outlook import Outlook
from services.referral_intake.domain.refusals import CONSENT_IN_FUTURE, CONSENT_LATE, CONSENT_UNCHANGED
from services.referral_intake.domain.submission import flagged_now, in_order, lacking, registered_now, speaker


def decide_consent_given(case: Case | None, event: Event[ConsentGiven], outlook: Outlook) -> Iterable[Payload]:
    """Consent is put on record, also before the referral comes; it registers a referral that waited for it."""
    known = () if case is None else case.consent
    scopes = in_order((*known, *event.data.scopes))
    if event.data.given_on > china_date(event.time):
        yield CONSENT_IN_FUTURE.of(event)
    elif scopes == known:
        yield CONSENT_UNCHANGED.of(event)
    elif case is None or case.status is not Status.AWAITING_CONSENT:
        yield _recorded(event, scopes)
    elif case.until is not None and event.time > case.until:
        # Its deadline has not been acted upon yet, which must not make a difference.
        yield CONSENT_LATE.of(event)
    else:
        yield _recorded(event, scopes)
        if not lacking(case.referral(), scopes):
            yield registered_now(case, scopes, event.time, outlook)
            yield from flagged_now(case, event.time)


def decide_consent_revoked(case: Case, event: Event[ConsentRevoked], outlook: Outlook) -> Iterable[Payload]:
    """From now on the data may be shared with fewer; without both sides a registered case can't go on."""
    scopes = in_order(set(case.consent) - set(event.data.scopes))
    if scopes == case.consent:
        yield CONSENT_UNCHANGED.of(event)
        return
    yield _recorded(event, scopes)
    if case.status is not Status.REGISTERED:
        return
    lost = [scope for scope in lacking(case.referral(), scopes) if scope in case.consent]
    if lost:
        yield ReferralWithdrawn(
            code=WithdrawalCode.CONSENT_REVOKED,
            reason=f"企业撤回授权（{'、'.join(_ZH[one] for one in lost)}）。 "
            f"The enterprise revoked its consent ({', '.join(lost)}).",
            withdrawn_at=event.time,
        )


def consent_due(case: Case, event: Event[Deadline], outlook: Outlook) -> Iterable[Payload]:
    """Consent did not come in time: the referral is turned back and may come again with it."""
    missing = lacking(case.referral(), case.consent)
    yield ReferralRejected(
        faults=(
            Fault(
                code="consent_missing",
                pointer="/consent",
                zh=f"期限内未收到企业对以下方面的授权：{'、'.join(_ZH[one] for one in missing)}；"
                "请取得授权后以同一编号重新提交。",
                en=f"The enterprise's consent for {', '.join(missing)} did not come in time; obtain it and submit the "
                "referral again under the same id.",
            ),
        ),
        side=case.side,
        source=case.source,
        rejected_at=event.time,
    )


_ZH: Final = {ConsentScope.COMMERCE: "商务侧", ConsentScope.BANK: "银行侧", ConsentScope.PARTNER: "合作机构"}


def _recorded(event: Event[ConsentGiven] | Event[ConsentRevoked], scopes: tuple[ConsentScope, ...]) -> ConsentRecorded:
    match event.data:
        case ConsentGiven(given_on=day, given_by=given_by):
            pass
        case ConsentRevoked(revoked_on=day):
            given_by = None
    return ConsentRecorded(
        scopes=scopes,
        evidence=event.data.evidence,
        recorded_at=event.time,
        day=day,
        given_by=given_by,
        side=speaker(event),
        source=event.source,
    )
