"""Loans: what the bank reports of them, and what the loan desk makes of it.

The record key is the referral id: a loan belongs to one case, whose zone and enterprise stand in the referral's own
events. Amounts are exact decimals in the one currency of the loan; principal and interest are told apart, and balances
are of principal. When something happened is the event's time.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field, JsonValue, StringConstraints

from schemas.envelope import Model, Payload
from schemas.scoring import PolicyVersion
from schemas.upcasting import upcaster
from schemas.values import (
    REFERRAL_ID_PATTERN,
    AmountOrZero,
    CooperationMode,
    Currency,
    LongText,
    Money,
    ReasonCode,
    ShortText,
    unit,
)

LoanId = Annotated[str, StringConstraints(pattern=REFERRAL_ID_PATTERN)]
"""Id of a loan in the bank's system, unique for ever; formed like a referral id."""

TermMonths = Annotated[int, Field(ge=1, le=360, strict=True)]
OverdueDays = Annotated[int, Field(ge=1, le=20_000, strict=True)]

UNITS_OF_CURRENCY: Final = unit("units of the currency")
_MONEY_EXAMPLE: Final = {"amount": "5000000.00", "currency": "CNY"}


class LoanStatus(StrEnum):
    """Where a loan stands."""

    APPLIED = "applied"
    APPROVED = "approved"
    DECLINED = "declined"
    CONTRACTED = "contracted"
    DISBURSED = "disbursed"
    REPAYING = "repaying"
    OVERDUE = "overdue"
    SETTLED = "settled"
    WRITTEN_OFF = "written_off"


# --- inputs: reports of the bank --------------------------------------------------------------------------------------


class LoanReport(Payload):
    """What every report says first."""

    loan_id: LoanId = Field(description="Id of the loan in the bank's system", examples=["EXIM-NMG-2020-0117"])


class LoanApplicationReported(LoanReport):
    """A shortlisted enterprise applied for a loan."""

    TYPE: ClassVar[str] = "loan.application_reported.v1"

    amount: Money = Field(description="Sum applied for", examples=[_MONEY_EXAMPLE])
    term_months: TermMonths = Field(
        description="Term applied for; more than 12 is medium or long term",
        examples=[12],
        json_schema_extra=unit("months"),
    )
    mode: CooperationMode = Field(
        default=CooperationMode.DIRECT_LOAN, description="Way in which the loan is made", examples=["direct_loan"]
    )


class LoanApprovalReported(LoanReport):
    """The bank approved the application."""

    TYPE: ClassVar[str] = "loan.approval_reported.v1"

    amount: Money = Field(description="Sum approved", examples=[_MONEY_EXAMPLE])
    term_months: TermMonths = Field(description="Term approved", examples=[12], json_schema_extra=unit("months"))


class RejectionReason(Model):
    """One reason of the bank: a code for programs and its own words."""

    code: ReasonCode = Field(description="Coded reason", examples=["collateral_insufficient"])
    text: LongText = Field(description="The reason in words", examples=["抵押物不足。"])


_REASONS_EXAMPLE: Final[list[JsonValue]] = [
    {"code": "collateral_insufficient", "text": "抵押物不足。"},
    {"code": "own_funds_insufficient", "text": "自有资金未落实。"},
]


class LoanRejectionReported(LoanReport):
    """The bank declined the application, for one reason or several: whoever repairs it needs to know them all."""

    TYPE: ClassVar[str] = "loan.rejection_reported.v2"

    reasons: Annotated[tuple[RejectionReason, ...], Field(min_length=1, max_length=20)] = Field(
        description="All reasons, the decisive one first", examples=[_REASONS_EXAMPLE]
    )


class LoanRejectionReportedV1(LoanReport):
    """The bank declined the application. Knows one reason alone; version 2 takes several."""

    TYPE: ClassVar[str] = "loan.rejection_reported.v1"

    code: ReasonCode = Field(description="Coded reason", examples=["collateral_insufficient"])
    text: LongText = Field(description="The reason in words", examples=["抵押物不足。"])


@upcaster(LoanRejectionReportedV1, LoanRejectionReported)
def _with_one_reason(told: LoanRejectionReportedV1) -> LoanRejectionReported:
    return LoanRejectionReported(loan_id=told.loan_id, reasons=(RejectionReason(code=told.code, text=told.text),))


class LoanContractReported(LoanReport):
    """The loan contract was signed."""

    TYPE: ClassVar[str] = "loan.contract_reported.v1"

    amount: Money = Field(description="Sum contracted; at most the sum approved", examples=[_MONEY_EXAMPLE])
    term_months: TermMonths = Field(description="Term contracted", examples=[12], json_schema_extra=unit("months"))
    contract_number: ShortText = Field(
        description="Number of the contract in the bank's files", examples=["NMG-DK-2020-031"]
    )
    matures_on: date = Field(
        description="Day on which the last principal is due (date in China)", examples=["2021-04-20"]
    )


class LoanDisbursementReported(LoanReport):
    """A part of the contracted sum, or all of it, was paid out."""

    TYPE: ClassVar[str] = "loan.disbursement_reported.v1"

    amount: Money = Field(description="Sum paid out this time", examples=[_MONEY_EXAMPLE])


class LoanRepaymentReported(LoanReport):
    """The borrower paid: principal, interest or both."""

    TYPE: ClassVar[str] = "loan.repayment_reported.v1"

    currency: Currency = Field(description="Currency of the payment", examples=["CNY"])
    principal: AmountOrZero = Field(
        description="Principal repaid this time", examples=["1000000.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    interest: AmountOrZero = Field(
        description="Interest paid this time", examples=["18250.00"], json_schema_extra=UNITS_OF_CURRENCY
    )


class LoanOverdueReported(LoanReport):
    """Something that was due has not been paid. Reported again as the days go by; the newest report counts."""

    TYPE: ClassVar[str] = "loan.overdue_reported.v1"

    days: OverdueDays = Field(
        description="Calendar days since the oldest unpaid due date", examples=[35], json_schema_extra=unit("days")
    )
    currency: Currency = Field(description="Currency of what is overdue", examples=["CNY"])
    principal: AmountOrZero = Field(
        description="Principal overdue in all", examples=["1000000.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    interest: AmountOrZero = Field(
        description="Interest overdue in all", examples=["18250.00"], json_schema_extra=UNITS_OF_CURRENCY
    )


class LoanSettlementReported(LoanReport):
    """All has been repaid; the bank closed the loan."""

    TYPE: ClassVar[str] = "loan.settlement_reported.v1"


class LoanExtensionReported(LoanReport):
    """The day on which the loan is due was put off."""

    TYPE: ClassVar[str] = "loan.extension_reported.v1"

    matures_on: date = Field(
        description="New day on which the last principal is due (date in China)", examples=["2021-10-20"]
    )
    text: LongText = Field(description="Why it was put off", examples=["受疫情影响，回款延迟。"])


class LoanWriteOffReported(LoanReport):
    """The bank wrote off what is outstanding."""

    TYPE: ClassVar[str] = "loan.write_off_reported.v1"

    amount: Money = Field(description="Principal written off: all that is outstanding", examples=[_MONEY_EXAMPLE])


# --- outputs ----------------------------------------------------------------------------------------------------------


class LoanPosition(Model):
    """Where a loan stands after an event.

    At every step disbursed <= contracted <= approved, and outstanding = disbursed - repaid.
    """

    loan_id: LoanId = Field(description="Id of the loan in the bank's system", examples=["EXIM-NMG-2020-0117"])
    status: LoanStatus = Field(description="Where the loan stands", examples=["repaying"])
    mode: CooperationMode = Field(description="Way in which the loan is made", examples=["direct_loan"])
    term_months: int = Field(
        description="Term as last applied for, approved or contracted",
        examples=[12],
        json_schema_extra=unit("months"),
    )
    matures_on: date | None = Field(
        default=None,
        description="Day on which the last principal is due (date in China); absent until contracted",
        examples=["2021-04-20"],
    )
    currency: Currency = Field(description="Currency of all amounts of the loan", examples=["CNY"])
    applied: AmountOrZero = Field(
        description="Sum applied for", examples=["5000000.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    approved: AmountOrZero = Field(
        description="Sum approved", examples=["5000000.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    contracted: AmountOrZero = Field(
        description="Sum contracted", examples=["5000000.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    disbursed: AmountOrZero = Field(
        description="Sum paid out so far", examples=["3000000.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    repaid: AmountOrZero = Field(
        description="Principal repaid so far", examples=["1000000.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    outstanding: AmountOrZero = Field(
        description="Principal outstanding: disbursed less repaid",
        examples=["2000000.00"],
        json_schema_extra=UNITS_OF_CURRENCY,
    )
    written_off: AmountOrZero = Field(
        description="Principal written off; the debtor still owes it",
        examples=["0.00"],
        json_schema_extra=UNITS_OF_CURRENCY,
    )
    overdue_principal: AmountOrZero = Field(
        description="Principal overdue", examples=["0.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    overdue_interest: AmountOrZero = Field(
        description="Interest overdue", examples=["0.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    overdue_days: int = Field(
        ge=0,
        description="Calendar days since the oldest unpaid due date, as last reported; 0: nothing overdue",
        examples=[0],
        json_schema_extra=unit("days"),
    )
    extensions: int = Field(
        ge=0, description="How often the maturity was put off", examples=[0], json_schema_extra=unit("times")
    )


_POSITION_EXAMPLE: Final = {
    "loan_id": "EXIM-NMG-2020-0117",
    "status": "repaying",
    "mode": "direct_loan",
    "term_months": 12,
    "matures_on": "2021-04-20",
    "currency": "CNY",
    "applied": "5000000.00",
    "approved": "5000000.00",
    "contracted": "5000000.00",
    "disbursed": "3000000.00",
    "repaid": "1000000.00",
    "outstanding": "2000000.00",
    "written_off": "0.00",
    "overdue_principal": "0.00",
    "overdue_interest": "0.00",
    "overdue_days": 0,
    "extensions": 0,
}


class LoanExpected(Payload):
    """The case is shortlisted: the bank may report a loan for it."""

    TYPE: ClassVar[str] = "loan.expected.v1"

    revision: int = Field(
        ge=1,
        description="Version of the referral that was shortlisted",
        examples=[1],
        json_schema_extra=unit("versions"),
    )
    policy_version: PolicyVersion = Field(
        description="Policy version under which it was shortlisted", examples=["2020-03-23"]
    )


class LoanRuledOut(Payload):
    """The case ended without a loan: reports of one are refused from now on."""

    TYPE: ClassVar[str] = "loan.ruled_out.v1"

    code: ReasonCode = Field(description="How the case ended", examples=["case_declined"])


class LoanFact(Payload):
    """What every accepted step of a loan says: where the loan stands after it."""

    loan: LoanPosition = Field(description="The loan after this step", examples=[_POSITION_EXAMPLE])


class LoanApplied(LoanFact):
    """A loan was applied for."""

    TYPE: ClassVar[str] = "loan.applied.v1"


class LoanApproved(LoanFact):
    """The bank approved the loan."""

    TYPE: ClassVar[str] = "loan.approved.v1"


class LoanDeclined(LoanFact):
    """The bank declined the loan."""

    TYPE: ClassVar[str] = "loan.declined.v1"

    code: ReasonCode = Field(
        description="Coded reason of the bank; the decisive one if there are several",
        examples=["collateral_insufficient"],
    )
    text: LongText = Field(description="That reason in the bank's words", examples=["抵押物不足。"])
    reasons: tuple[RejectionReason, ...] = Field(
        default=(),
        description="All reasons of the bank, the decisive one first; empty in events from before 2026-11-23",
        examples=[_REASONS_EXAMPLE],
    )


class LoanContracted(LoanFact):
    """The loan contract was signed."""

    TYPE: ClassVar[str] = "loan.contracted.v1"

    contract_number: ShortText = Field(
        description="Number of the contract in the bank's files", examples=["NMG-DK-2020-031"]
    )


class LoanDisbursed(LoanFact):
    """A part of the contracted sum, or all of it, was paid out."""

    TYPE: ClassVar[str] = "loan.disbursed.v1"

    amount: Money = Field(description="Sum paid out this time", examples=[_MONEY_EXAMPLE])


class LoanRepaid(LoanFact):
    """The borrower paid principal, interest or both. Once all that was overdue is paid, the loan is repaying again."""

    TYPE: ClassVar[str] = "loan.repaid.v1"

    principal: AmountOrZero = Field(
        description="Principal repaid this time", examples=["1000000.00"], json_schema_extra=UNITS_OF_CURRENCY
    )
    interest: AmountOrZero = Field(
        description="Interest paid this time", examples=["18250.00"], json_schema_extra=UNITS_OF_CURRENCY
    )


class LoanOverdue(LoanFact):
    """Something that was due has not been paid; how much and for how long stands in the position."""

    TYPE: ClassVar[str] = "loan.overdue.v1"


class LoanSettled(LoanFact):
    """All has been repaid; the loan is closed."""

    TYPE: ClassVar[str] = "loan.settled.v1"


class LoanExtended(LoanFact):
    """The day on which the loan is due was put off; the new one stands in the position."""

    TYPE: ClassVar[str] = "loan.extended.v1"

    matured_on: date = Field(description="Day on which it was due until now (date in China)", examples=["2021-04-20"])
    text: LongText = Field(description="Why it was put off", examples=["受疫情影响，回款延迟。"])


class LoanWrittenOff(LoanFact):
    """The bank wrote off what is outstanding. What the debtor pays later still counts as repaid."""

    TYPE: ClassVar[str] = "loan.written_off.v1"


class LoanRefused(Payload):
    """A report that cannot be true of this loan, or not now. Nothing has changed."""

    TYPE: ClassVar[str] = "loan.refused.v1"

    loan_id: LoanId = Field(description="Id of the loan that the report named", examples=["EXIM-NMG-2020-0117"])
    code: ReasonCode = Field(description="Coded reason", examples=["over_contracted"])
    zh: LongText = Field(
        description="What is wrong and what to do, in Chinese",
        examples=["累计放款6000000.00超过合同金额5000000.00，请核对放款金额。"],
    )
    en: LongText = Field(
        description="What is wrong and what to do, in English",
        examples=["Disbursements of 6000000.00 exceed the contracted 5000000.00; check the amount."],
    )
    refused_type: Annotated[str, StringConstraints(max_length=100)] = Field(
        description="Type of the report refused", examples=["loan.disbursement_reported.v1"]
    )
    refused_id: Annotated[str, StringConstraints(max_length=256)] = Field(
        description="Id of the report refused", examples=["NMG-2020-000123-d2"]
    )
    refused_source: Annotated[str, StringConstraints(max_length=256)] = Field(
        description="Source of the report refused", examples=["//bank/exim-nmg"]
    )
    loan: LoanPosition | None = Field(
        default=None, description="The loan as it stands; absent where there is none yet", examples=[_POSITION_EXAMPLE]
    )
