"""What people read in warnings, holds and refusals: Chinese and English."""

from __future__ import annotations

from decimal import Decimal

from schemas.risk import Cause, LoanGrade, Reason, WarningLevel

LEVEL_ZH = {
    WarningLevel.BLUE: "蓝色",
    WarningLevel.YELLOW: "黄色",
    WarningLevel.ORANGE: "橙色",
    WarningLevel.RED: "红色",
}
GRADE_ZH = {
    LoanGrade.NORMAL: "正常",
    LoanGrade.SPECIAL_MENTION: "关注",
    LoanGrade.SUBSTANDARD: "次级",
    LoanGrade.DOUBTFUL: "可疑",
    LoanGrade.LOSS: "损失",
}


def loan_overdue(level: WarningLevel, days: int, grade: LoanGrade) -> Cause:
    return Cause(
        code="loan_overdue",
        zh=f"贷款已逾期{days}天，分类为“{GRADE_ZH[grade]}”。",
        en=f"The loan is {days} days overdue and graded {grade.replace('_', '-')}.",
        level=level,
    )


def loan_written_off(level: WarningLevel) -> Cause:
    return Cause(code="loan_written_off", zh="贷款已核销。", en="The loan was written off.", level=level)


def exposure_high(level: WarningLevel, total: Decimal, limit: Decimal, share: Decimal) -> Cause:
    return Cause(
        code="zone_exposure_high",
        zh=f"合作区贷款余额折合人民币{total}元，占限额{limit}元的{share}%。",
        en=f"The zone's outstanding is CNY {total}, {share}% of its limit of CNY {limit}.",
        level=level,
    )


def indicator_bad(level: WarningLevel, name: str, value: Decimal, unit: str, period: str) -> Cause:
    return Cause(
        code="indicator_beyond_threshold",
        zh=f"{period}指标{name}为{value}（{unit}），达到{LEVEL_ZH[level]}预警线。",
        en=f"In {period} the indicator {name} is {value} ({unit}), past the threshold for {level}.",
        level=level,
    )


def limit_exceeded(total: Decimal, limit: Decimal) -> Reason:
    return Reason(
        code="zone_limit_exceeded",
        zh=f"合作区贷款余额折合人民币{total}元，超过限额{limit}元。",
        en=f"The zone's outstanding of CNY {total} exceeds its limit of CNY {limit}.",
    )


CAUSES_GONE = Reason(code="causes_gone", zh="预警原因已消除，预警解除。", en="What caused the warning is gone.")
CASE_RED = Reason(
    code="case_warning_red",
    zh="案件处于红色预警，暂停办理。",
    en="The case is under a red warning and on hold.",
)
ZONE_RED = Reason(
    code="zone_warning_red",
    zh="合作区处于红色预警，未决案件暂停办理。",
    en="The zone is under a red warning; its undecided cases are on hold.",
)
WARNING_CLEARED = Reason(
    code="warning_cleared",
    zh="红色预警已解除，恢复办理。",
    en="The red warning was cleared; the case may go on.",
)
BOTH_SIDES_AGREED = Reason(
    code="both_sides_agreed",
    zh="商务侧和银行侧均同意解除暂停，恢复办理。",
    en="The commerce side and the bank side both agreed to lift the hold; the case may go on.",
)
CASE_LEFT_ZONE = Reason(
    code="no_longer_undecided_in_zone",
    zh="案件不再是该合作区的未决案件，该暂停不再适用。",
    en="The case is no longer an undecided case of this zone; this hold does not concern it any more.",
)
NOT_HELD = Reason(
    code="not_held",
    zh="该对象没有生效中的暂停，无需解除；请核对编号。",
    en="There is no hold in force on this subject, so there is nothing to lift; check the key.",
)
SIDE_ALREADY_AGREED = Reason(
    code="side_already_agreed",
    zh="本方已同意解除暂停，正在等待另一方。",
    en="This side has already agreed to lift the hold; the other side's agreement is awaited.",
)
