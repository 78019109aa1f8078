"""How the risk monitor follows zones, enterprises and projects: exposure against limits, figures against thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.indicator import IndicatorReported, NamedFigure
from schemas.risk import (
    Cause,
    HoldCause,
    HoldReleaseSubmitted,
    IndicatorFigures,
    IndicatorFinding,
    Reason,
    RiskAssessed,
    RiskExposureChanged,
    RiskExposureCounted,
    RiskLimitBreached,
    RiskRefused,
    RiskReleaseForwarded,
    RiskReleaseRecorded,
    RiskSubject,
    RiskWarningCleared,
    RiskWarningRaised,
    RiskWarningRaisedFurther,
    ZoneExposure,
)
from schemas.values import side_of
from services.kit.door import Invalid, Output, To
from services.risk_monitor.domain import texts
from services.risk_monitor.domain.rules import Rules, Rulings
from services.risk_monitor.domain.state import BOTH_SIDES, RiskSubjectState, evolve_subject
from services.risk_monitor.domain.warnings import held, released, warning_change

SUBJECT_RECORDS: Final[tuple[type[Payload], ...]] = (
    RiskAssessed,
    RiskExposureCounted,
    RiskWarningRaised,
    RiskWarningRaisedFurther,
    RiskWarningCleared,
    RiskLimitBreached,
    RiskReleaseRecorded,
)

SHARE_STEP: Final = Decimal("0.01")


def count_exposure(
    state: RiskSubjectState | None, event: Event[RiskExposureChanged], context: Rulings
) -> Iterator[Output]:
    """A case counts differently: its zone takes that over, then looks at its limit and at who is to be held."""
    check_kind(state, RiskSubject.ZONE, event.subject)
    rules = context.at(event.time)
    changed = event.data
    counted = RiskExposureCounted(
        subject_kind=RiskSubject.ZONE,
        subject=event.subject,
        rules=rules.version,
        referral_id=changed.referral_id,
        outstanding_before=changed.outstanding_before,
        outstanding=changed.outstanding,
        undecided_before=changed.undecided_before,
        undecided=changed.undecided,
    )
    yield counted
    now = evolve_subject(state, counted)
    if now.held:
        yield from hold_newcomer(changed, event.subject, rules)
    # Most changes are cases that open or end: only money can move the exposure.
    if changed.outstanding.amount != changed.outstanding_before.amount:
        yield from look_again(now, event.subject, rules)


def hold_newcomer(changed: RiskExposureChanged, zone: str, rules: Rules) -> Iterator[Output]:
    """Hold a case that opens in a red zone; let go of one that is no longer undecided there."""
    if changed.undecided and not changed.undecided_before:
        yield To(changed.referral_id, held(changed.referral_id, HoldCause.ZONE, zone, texts.ZONE_RED, rules))
    elif changed.undecided_before and not changed.undecided:
        yield To(changed.referral_id, released(changed.referral_id, HoldCause.ZONE, zone, texts.CASE_LEFT_ZONE, rules))


def judge_figures(
    state: RiskSubjectState | None, event: Event[IndicatorReported], context: Rulings
) -> Iterator[Output]:
    """Figures are recorded with the level that each asks for; the newest of each side and name count."""
    reported = event.data
    side = side_of(event.source)
    if side is None or reported.code != event.subject:
        raise Invalid("wrong_key", f"the figures are about {reported.code!r}, but their key is {event.subject!r}")
    kind = RiskSubject(reported.subject_kind)
    check_kind(state, kind, event.subject)
    rules = context.at(event.time)
    assessed = RiskAssessed(
        subject_kind=kind,
        subject=event.subject,
        rules=rules.version,
        indicators=IndicatorFigures(
            side=side,
            period=reported.period,
            findings=tuple(judge(kind, figure, rules) for figure in reported.figures),
        ),
    )
    yield assessed
    yield from look_again(evolve_subject(state, assessed), event.subject, rules)


def judge(kind: RiskSubject, figure: NamedFigure, rules: Rules) -> IndicatorFinding:
    """One figure with the level that it asks for. A figure without a rule, or in another unit, is not judged."""
    rule = rules.indicators.get((kind, figure.name))
    judged = rule is not None and rule.unit == figure.unit
    return IndicatorFinding(
        name=figure.name,
        value=figure.value,
        unit=figure.unit,
        judged=judged,
        level=rule.level(figure.value) if rule is not None and judged else None,
    )


def take_release(
    state: RiskSubjectState | None, event: Event[RiskReleaseForwarded], context: Rulings
) -> Iterator[Output]:
    """A side agrees to lift a zone's hold; with the other side's agreement its undecided cases go on."""
    release = event.data
    rules = context.at(event.time)
    if state is None or not state.held or release.side in state.released_by:
        reason = texts.SIDE_ALREADY_AGREED if state and state.held else texts.NOT_HELD
        yield RiskRefused(
            subject_kind=RiskSubject.ZONE,
            subject=event.subject,
            rules=rules.version,
            refused_type=HoldReleaseSubmitted.TYPE,
            refused_id=release.submitted_id,
            side=release.side,
            code=reason.code,
            zh=reason.zh,
            en=reason.en,
        )
        return
    recorded = RiskReleaseRecorded(
        subject_kind=RiskSubject.ZONE,
        subject=event.subject,
        rules=rules.version,
        side=release.side,
        person_id=release.person_id,
        reason_code=release.reason_code,
        text=release.text,
        lifted=BOTH_SIDES.issubset((*state.released_by, release.side)),
    )
    yield recorded
    if recorded.lifted:
        yield from release_all(state, event.subject, texts.BOTH_SIDES_AGREED, rules)


def check_kind(state: RiskSubjectState | None, kind: RiskSubject, subject: str) -> None:
    """A key stands for one kind of subject for ever."""
    if state is not None and state.kind is not kind:
        raise Invalid("subject_kind_differs", f"{subject!r} is known as {state.kind}, not as {kind}; check the code")


def look_again(now: RiskSubjectState, subject: str, rules: Rules) -> Iterator[Output]:
    """Hold the subject against its limit and thresholds: say a breach, move the warning, hold or release."""
    exposure = exposure_of(now, subject, rules)
    causes = [*figure_causes(now), *exposure_causes(exposure, rules)]
    if exposure is not None and exposure.total_cny > exposure.limit_cny and not now.limit_breached:
        yield RiskLimitBreached(
            subject_kind=now.kind,
            subject=subject,
            rules=rules.version,
            exposure=exposure,
            reason=texts.limit_exceeded(exposure.total_cny, exposure.limit_cny),
        )
    change = warning_change(
        now.kind,
        subject,
        now.level,
        causes,
        clears=exposure is None or share_of(exposure) < rules.zone.cleared_below,
        rules=rules,
        zone=subject if now.kind is RiskSubject.ZONE else None,
        credit_code=subject if now.kind is RiskSubject.ENTERPRISE else None,
        exposure=exposure,
    )
    if change is None:
        return
    yield change
    after = evolve_subject(now, change)
    if after.held and not now.held:
        for referral_id in after.undecided:
            yield To(referral_id, held(referral_id, HoldCause.ZONE, subject, texts.ZONE_RED, rules))
    elif now.held and not after.held:
        yield from release_all(now, subject, texts.WARNING_CLEARED, rules)


def release_all(state: RiskSubjectState, zone: str, reason: Reason, rules: Rules) -> Iterator[Output]:
    """Release each undecided case of a zone."""
    for referral_id in state.undecided:
        yield To(referral_id, released(referral_id, HoldCause.ZONE, zone, reason, rules))


def exposure_of(state: RiskSubjectState, subject: str, rules: Rules) -> ZoneExposure | None:
    """The exposure of a zone against its limit; None for other subjects."""
    if state.kind is not RiskSubject.ZONE:
        return None
    return ZoneExposure(
        cny=state.cny,
        usd=state.usd,
        total_cny=rules.zone.total(state.cny, state.usd),
        limit_cny=rules.zone.limit_of(subject),
    )


def share_of(exposure: ZoneExposure) -> Decimal:
    """How much of the limit is used, in percent, rounded to two places."""
    share = exposure.total_cny * 100 / exposure.limit_cny
    return share.quantize(SHARE_STEP, rounding=ROUND_HALF_UP)


def exposure_causes(exposure: ZoneExposure | None, rules: Rules) -> list[Cause]:
    """Why the exposure calls for a warning; empty if it does not."""
    if exposure is None:
        return []
    share = share_of(exposure)
    level = rules.zone.level(share)
    return [] if level is None else [texts.exposure_high(level, exposure.total_cny, exposure.limit_cny, share)]


def figure_causes(state: RiskSubjectState) -> list[Cause]:
    """Which of the newest figures call for a warning."""
    return [
        texts.indicator_bad(known.level, name.partition("/")[2], known.value, known.unit, known.period)
        for name, known in sorted(state.figures.items())
        if known.level is not None
    ]


SUBJECT_ROUTES: Final[dict[type[Payload], Any]] = {
    RiskExposureChanged: count_exposure,
    RiskReleaseForwarded: take_release,
    IndicatorReported: judge_figures,
}
