"""Builders of what the risk monitor reads, and the monitor as given–when–then sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from schemas import indicator, loan, referral, risk, screening
from schemas.envelope import Event, Payload
from schemas.values import Currency
from services.kit.door import To
from services.risk_monitor.domain.cases import CASE_RECORDS, CASE_ROUTES
from services.risk_monitor.domain.rules import RuleBook
from services.risk_monitor.domain.state import RiskCase, RiskSubjectState, evolve_case, evolve_subject
from services.risk_monitor.domain.subjects import SUBJECT_RECORDS, SUBJECT_ROUTES
from services.risk_monitor.rulebook import load_rules

SPRING = datetime(2020, 4, 20, 4, 0, tzinfo=UTC)
ENTERPRISE = "91330100799655058B"
RULES = load_rules()
LIMIT = Decimal("300000000.00")
"""Limit of the zone `jeminay` in the rule files that come with the service."""


def registered(zone: str = "jeminay") -> Payload:
    return referral.ReferralRegistered(
        referral=body(zone), side="commerce", source="//commerce/65", registered_at=SPRING, directory_versions=()
    )


def amended(zone: str) -> Payload:
    return referral.ReferralAmended(
        referral=body(zone),
        revision=2,
        changed=("/zone",),
        reason="合作区填写有误。",
        amended_at=SPRING,
        directory_versions=(),
    )


def body(zone: str) -> referral.Referral:
    return referral.Referral.model_validate(
        {
            "subject_kind": "enterprise",
            "name": "示例木业有限公司",
            "enterprise": {
                "credit_code": ENTERPRISE,
                "name": "示例木业有限公司",
                "size_class": "small",
                "ownership": "private",
                "industry": "manufacturing",
            },
            "zone": zone,
            "province": "65",
            "branch": "exim-xj",
            "key_area": "border_trade_chain",
            "lane": "ordinary",
            "need": "working_capital",
            "amount": {"amount": "5000000.00", "currency": "CNY"},
            "term_months": 12,
            "purpose": "采购进口原木，恢复生产线运转。",
        }
    )


def shortlisted(case: str = "C-1") -> Payload:
    return screening.ScreeningShortlisted(
        referral_id=case,
        lane="ordinary",
        revision=1,
        score=40,
        key_areas=("border_trade_chain",),
        policy_version="2020-03-23",
        decided_at=SPRING,
    )


def expired(case: str = "C-1") -> Payload:
    return screening.ScreeningExpired(referral_id=case, missing=("bank",), deadline=SPRING, deadline_provisional=False)


def position(outstanding: str, days: int = 0, status: str = "repaying", currency: str = "CNY") -> loan.LoanPosition:
    amount = Decimal(outstanding)
    return loan.LoanPosition(
        loan_id="EXIM-XJ-2020-0117",
        status=status,
        mode="direct_loan",
        term_months=12,
        matures_on="2021-04-20",
        currency=currency,
        applied=amount,
        approved=amount,
        contracted=amount,
        disbursed=amount,
        repaid=Decimal(0),
        outstanding=amount,
        written_off=amount if status == "written_off" else Decimal(0),
        overdue_principal=amount if days else Decimal(0),
        overdue_interest=Decimal(0),
        overdue_days=days,
        extensions=0,
    )


def disbursed(outstanding: str = "1000000.00", currency: str = "CNY") -> Payload:
    return loan.LoanDisbursed(
        loan=position(outstanding, status="disbursed", currency=currency),
        amount={"amount": Decimal(outstanding), "currency": Currency(currency)},
    )


def overdue(days: int, outstanding: str = "1000000.00") -> Payload:
    return loan.LoanOverdue(loan=position(outstanding, days, "overdue"))


def repaid(outstanding: str = "500000.00", days: int = 0) -> Payload:
    return loan.LoanRepaid(
        loan=position(outstanding, days, "overdue" if days else "repaying"),
        principal=Decimal("500000.00"),
        interest=Decimal(0),
    )


def written_off(outstanding: str = "1000000.00") -> Payload:
    return loan.LoanWrittenOff(loan=position(outstanding, 400, "written_off"))


def release(subject: str = "C-1", cause: str = "case") -> Payload:
    return risk.HoldReleaseSubmitted(
        cause=cause, subject=subject, person_id="exim-hq-01", reason_code="collateral_added", text="企业已追加抵押物。"
    )


def figures(code: str, kind: str = "zone", period: str = "2020-Q1", **values: str) -> Payload:
    units = {"debt_ratio": "ratio", "current_ratio": "ratio", "output_growth": "percent"}
    return indicator.IndicatorReported(
        subject_kind=kind,
        code=code,
        period=period,
        figures=tuple(
            indicator.NamedFigure(name=name, value=Decimal(value), unit=units.get(name, "ratio"))
            for name, value in values.items()
        ),
    )


@dataclass
class Monitor:
    """The risk monitor: what it is told, what it said (key and payload), and its states folded from what it said."""

    rules: RuleBook = RULES
    cases: dict[str, RiskCase] = field(default_factory=dict)
    subjects: dict[str, RiskSubjectState] = field(default_factory=dict)
    said: list[tuple[str, Payload]] = field(default_factory=list)
    waiting: list[tuple[str, Payload]] = field(default_factory=list)
    hold_back: bool = False
    """Keep what goes to zones in `waiting` until `deliver` instead of deciding it at once."""

    def tell(self, key: str, *payloads: Payload, source: str = "//kouan/test", at: datetime = SPRING) -> list[Any]:
        """Take inputs in; gives back, without keys, all that came of the last one."""
        start = len(self.said)
        for payload in payloads:
            start = len(self.said)
            self._decide(key, payload, source, at)
        return [payload for _, payload in self.said[start:]]

    def deliver(self, index: int) -> None:
        """Decide one of the waiting zone inputs."""
        key, payload = self.waiting.pop(index)
        self._decide(key, payload, "//kouan/risk_monitor", SPRING)

    def of(self, kind: type[Payload], key: str | None = None) -> list[Any]:
        """All said of one type, under one key or all."""
        return [payload for said, payload in self.said if isinstance(payload, kind) and key in (None, said)]

    def _decide(self, key: str, payload: Payload, source: str, at: datetime) -> None:
        is_case = type(payload) in CASE_ROUTES
        decide = CASE_ROUTES[type(payload)] if is_case else SUBJECT_ROUTES[type(payload)]
        states: dict[str, Any] = self.cases if is_case else self.subjects
        evolve: Any = evolve_case if is_case else evolve_subject
        records = CASE_RECORDS if is_case else SUBJECT_RECORDS
        event = Event(f"e-{len(self.said)}", source, type(payload).TYPE, at, key, payload)
        for output in list(decide(states.get(key), event, self.rules)):
            target, answer = (output.key, output.payload) if isinstance(output, To) else (key, output)
            self.said.append((target, answer))
            if not isinstance(output, To) and type(answer) in records:
                states[key] = evolve(states.get(key), answer)
            if type(answer) in SUBJECT_ROUTES:
                self.waiting.append((target, answer))
                if not self.hold_back:
                    self.deliver(len(self.waiting) - 1)
