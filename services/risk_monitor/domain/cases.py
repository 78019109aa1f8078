"""How the risk monitor follows one case: what it counts in its zone, its loan's grade, its warning and its hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.loan import (
    LoanApplied,
    LoanApproved,
    LoanContracted,
    LoanDeclined,
    LoanDisbursed,
    LoanExtended,
    LoanFact,
    LoanOverdue,
    LoanRepaid,
    LoanSettled,
    LoanStatus,
    LoanWrittenOff,
)
from schemas.referral import Referral, ReferralAmended, ReferralRegistered
from schemas.risk import (
    CaseFigures,
    Cause,
    HoldCause,
    HoldReleaseSubmitted,
    LoanGrade,
    RiskAssessed,
    RiskExposureChanged,
    RiskRefused,
    RiskReleaseForwarded,
    RiskReleaseRecorded,
    RiskSubject,
    RiskWarningCleared,
    RiskWarningRaised,
    RiskWarningRaisedFurther,
)
from schemas.screening import ScreeningDeclined, ScreeningExpired, ScreeningShortlisted, ScreeningWithdrawn
from schemas.values import Balance, Currency, Side, side_of
from services.kit.door import Early, Invalid, Output, To
from services.risk_monitor.domain import texts
from services.risk_monitor.domain.rules import Rules, Rulings
from services.risk_monitor.domain.state import BOTH_SIDES, ZERO, RiskCase, evolve_case
from services.risk_monitor.domain.warnings import held, released, warning_change

CASE_RECORDS: Final[tuple[type[Payload], ...]] = (
    RiskAssessed,
    RiskWarningRaised,
    RiskWarningRaisedFurther,
    RiskWarningCleared,
    RiskReleaseRecorded,
)


def open_case(state: RiskCase | None, event: Event[ReferralRegistered], context: Rulings) -> Iterator[Output]:
    """A registered case is undecided and counts in its zone."""
    if state is None:
        opened = RiskCase(
            zone=event.data.referral.zone,
            credit_code=credit_code_of(event.data.referral),
            undecided=True,
            shortlisted=False,
            outstanding=ZERO,
            currency=Currency.CNY,
            overdue_days=0,
            grade=LoanGrade.NORMAL,
        )
        yield from assess(None, opened, event, context)


def follow_amendment(state: RiskCase | None, event: Event[ReferralAmended], context: Rulings) -> Iterator[Output]:
    """An amended case may count in another zone, or be another enterprise's."""
    known = registered(state)
    referral = event.data.referral
    yield from assess(known, replace(known, zone=referral.zone, credit_code=credit_code_of(referral)), event, context)


def follow_shortlisting(
    state: RiskCase | None, event: Event[ScreeningShortlisted], context: Rulings
) -> Iterator[Output]:
    """A shortlisted case is decided; from now on its loan counts."""
    known = registered(state)
    yield from assess(known, replace(known, undecided=False, shortlisted=True), event, context)


def follow_end(state: RiskCase | None, event: Event[Any], context: Rulings) -> Iterator[Output]:
    """A case declined, expired or withdrawn is not undecided any more."""
    known = registered(state)
    yield from assess(known, replace(known, undecided=False), event, context)


def follow_loan(state: RiskCase | None, event: Event[LoanFact], context: Rulings) -> Iterator[Output]:
    """What is outstanding and for how long it is overdue makes the grade, the warning and what the zone counts."""
    known = registered(state)
    if not known.shortlisted:
        raise Early("the loan's case is not known to be shortlisted yet")
    loan = event.data.loan
    written_off = loan.status is LoanStatus.WRITTEN_OFF
    now = replace(
        known,
        outstanding=ZERO if written_off else loan.outstanding,
        currency=loan.currency,
        overdue_days=loan.overdue_days,
        grade=LoanGrade.LOSS if written_off else context.at(event.time).loan.grade(loan.overdue_days),
    )
    yield from assess(known, now, event, context)


def registered(state: RiskCase | None) -> RiskCase:
    """The case, once its registration has come; whatever else comes first waits for it."""
    if state is None:
        raise Early("the case is not known to be registered yet")
    return state


def credit_code_of(referral: Referral) -> str | None:
    """The enterprise of a referral, where it has one."""
    return referral.enterprise.credit_code if referral.enterprise else None


def assess(before: RiskCase | None, now: RiskCase, event: Event[Any], context: Rulings) -> Iterator[Output]:
    """Say what changed from `before` to `now`: the figures, the warning, the hold, and what the zone is to count."""
    if before == now:
        return
    rules = context.at(event.time)
    assessed = RiskAssessed(
        subject_kind=RiskSubject.CASE, subject=event.subject, rules=rules.version, case=figures_of(now)
    )
    yield assessed
    now = evolve_case(before, assessed)
    change = warning_change(
        RiskSubject.CASE,
        event.subject,
        now.level,
        causes_of(now, rules),
        clears=True,
        rules=rules,
        zone=now.zone,
        credit_code=now.credit_code,
    )
    if change is not None:
        yield change
        after = evolve_case(now, change)
        yield from hold_change(now, after, event.subject, rules)
    yield from exposure_change(before, now, event.subject)


def figures_of(case: RiskCase) -> CaseFigures:
    """The figures that the record of an assessment carries."""
    return CaseFigures(
        zone=case.zone,
        credit_code=case.credit_code,
        undecided=case.undecided,
        shortlisted=case.shortlisted,
        outstanding=balance_of(case),
        overdue_days=case.overdue_days,
        grade=case.grade,
    )


def causes_of(case: RiskCase, rules: Rules) -> list[Cause]:
    """Why the case calls for a warning; empty if it does not."""
    level = rules.loan.level(case.grade, case.overdue_days)
    if level is None:
        return []
    if case.overdue_days:
        return [texts.loan_overdue(level, case.overdue_days, case.grade)]
    return [texts.loan_written_off(level)]


def hold_change(before: RiskCase, after: RiskCase, referral_id: str, rules: Rules) -> Iterator[Output]:
    """Hold the case when its warning turns red, release it when the warning is cleared."""
    if after.held and not before.held:
        yield held(referral_id, HoldCause.CASE, referral_id, texts.CASE_RED, rules)
    elif before.held and not after.held:
        yield released(referral_id, HoldCause.CASE, referral_id, texts.WARNING_CLEARED, rules)


def exposure_change(before: RiskCase | None, now: RiskCase, referral_id: str) -> Iterator[Output]:
    """Tell the zone what it counted for this case and what it is to count; on a move, tell both zones."""
    nothing = replace(now, outstanding=ZERO, undecided=False)
    if before is not None and before.zone != now.zone:
        yield from exposure_change(before, replace(nothing, zone=before.zone), referral_id)
        before = None
    counted = before or nothing
    if (counted.outstanding, counted.undecided) != (now.outstanding, now.undecided):
        yield To(
            now.zone,
            RiskExposureChanged(
                referral_id=referral_id,
                zone=now.zone,
                outstanding_before=balance_of(counted),
                outstanding=balance_of(now),
                undecided_before=counted.undecided,
                undecided=now.undecided,
            ),
        )


def balance_of(case: RiskCase) -> Balance:
    """What the case counts in its zone."""
    return Balance(amount=case.outstanding, currency=case.currency)


def take_release(state: RiskCase | None, event: Event[HoldReleaseSubmitted], context: Rulings) -> Iterator[Output]:
    """A side agrees to lift a hold. A case's own is lifted when both have; a zone's is passed on to the zone."""
    release = event.data
    side = side_of(event.source)
    if side is None or release.subject != event.subject:
        raise Invalid("wrong_key", f"the release is for {release.subject!r}, but its key is {event.subject!r}")
    if release.cause is HoldCause.ZONE:
        yield To(event.subject, forwarded(event, side))
        return
    rules = context.at(event.time)
    if state is None or not state.held or side in state.released_by:
        reason = texts.SIDE_ALREADY_AGREED if state and state.held else texts.NOT_HELD
        yield RiskRefused(
            subject_kind=RiskSubject.CASE,
            subject=event.subject,
            rules=rules.version,
            refused_type=event.type,
            refused_id=event.id,
            side=side,
            code=reason.code,
            zh=reason.zh,
            en=reason.en,
        )
        return
    lifted = BOTH_SIDES.issubset((*state.released_by, side))
    yield RiskReleaseRecorded(
        subject_kind=RiskSubject.CASE,
        subject=event.subject,
        rules=rules.version,
        side=side,
        person_id=release.person_id,
        reason_code=release.reason_code,
        text=release.text,
        lifted=lifted,
    )
    if lifted:
        yield released(event.subject, HoldCause.CASE, event.subject, texts.BOTH_SIDES_AGREED, rules)


def forwarded(event: Event[HoldReleaseSubmitted], side: Side) -> RiskReleaseForwarded:
    """The release of a zone's hold, as the zone gets it."""
    return RiskReleaseForwarded(
        zone=event.subject,
        submitted_id=event.id,
        side=side,
        person_id=event.data.person_id,
        reason_code=event.data.reason_code,
        text=event.data.text,
    )


CASE_ROUTES: Final[dict[type[Payload], Any]] = {
    ReferralRegistered: open_case,
    ReferralAmended: follow_amendment,
    ScreeningShortlisted: follow_shortlisting,
    ScreeningDeclined: follow_end,
    ScreeningExpired: follow_end,
    ScreeningWithdrawn: follow_end,
    LoanApplied: follow_loan,
    LoanApproved: follow_loan,
    LoanDeclined: follow_loan,
    LoanContracted: follow_loan,
    LoanDisbursed: follow_loan,
    LoanRepaid: follow_loan,
    LoanOverdue: follow_loan,
    LoanSettled: follow_loan,
    LoanExtended: follow_loan,
    LoanWrittenOff: follow_loan,
    HoldReleaseSubmitted: take_release,
}
