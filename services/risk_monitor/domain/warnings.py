"""How a warning moves: up as soon as its causes call for more, down only by being cleared."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.risk import (
    Cause,
    HoldCause,
    Reason,
    RiskHeld,
    RiskReleased,
    RiskSubject,
    RiskWarningCleared,
    RiskWarningRaised,
    RiskWarningRaisedFurther,
    WarningLevel,
    ZoneExposure,
)
from services.risk_monitor.domain.rules import SEVERITY, Rules, more_severe
from services.risk_monitor.domain.texts import CAUSES_GONE

WarningChange = RiskWarningRaised | RiskWarningCleared


def warning_change(
    kind: RiskSubject,
    subject: str,
    level: WarningLevel | None,
    causes: Sequence[Cause],
    *,
    clears: bool,
    rules: Rules,
    zone: str | None = None,
    credit_code: str | None = None,
    exposure: ZoneExposure | None = None,
) -> WarningChange | None:
    """The change that the causes of the moment make to a warning at `level`, if any.

    A warning keeps its highest level until it is cleared, and it is cleared only where no cause is left and `clears`
    says that the figures are far enough below the first threshold.
    """
    target = max((cause.level for cause in causes), key=SEVERITY.__getitem__, default=None)
    if target is not None and more_severe(target, level):
        ordered = tuple(sorted(causes, key=lambda cause: -SEVERITY[cause.level]))
        if level is None:
            return RiskWarningRaised(
                subject_kind=kind,
                subject=subject,
                rules=rules.version,
                zone=zone,
                credit_code=credit_code,
                level=target,
                causes=ordered,
                exposure=exposure,
            )
        return RiskWarningRaisedFurther(
            subject_kind=kind,
            subject=subject,
            rules=rules.version,
            zone=zone,
            credit_code=credit_code,
            level=target,
            level_before=level,
            causes=ordered,
            exposure=exposure,
        )
    if level is not None and target is None and clears:
        return RiskWarningCleared(
            subject_kind=kind,
            subject=subject,
            rules=rules.version,
            zone=zone,
            credit_code=credit_code,
            level_before=level,
            reason=CAUSES_GONE,
        )
    return None


def held(referral_id: str, cause: HoldCause, subject: str, reason: Reason, rules: Rules) -> RiskHeld:
    """A hold on one case, because of a red warning on `subject`."""
    return RiskHeld(
        referral_id=referral_id,
        hold_id=f"{cause}:{subject}",
        cause=cause,
        level=WarningLevel.RED,
        code=reason.code,
        zh=reason.zh,
        en=reason.en,
        rules=rules.version,
    )


def released(referral_id: str, cause: HoldCause, subject: str, reason: Reason, rules: Rules) -> RiskReleased:
    """The end of that hold."""
    return RiskReleased(
        referral_id=referral_id,
        hold_id=f"{cause}:{subject}",
        cause=cause,
        level=WarningLevel.RED,
        code=reason.code,
        zh=reason.zh,
        en=reason.en,
        rules=rules.version,
    )
