"""Terms of a loan against what was agreed: the mode and what the bank was to lend, beside what was signed and paid.

Cooperation proposes a mode and gathers the parts; the loan is made in the bank's systems. Where the two part ways, both
sides hear of it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import AwareDatetime, Field, JsonValue

from schemas.envelope import Model, Payload
from schemas.loan import LoanId
from schemas.sharing import AT, MODE, REFERRAL_ID
from schemas.values import Balance, CooperationMode, LongText, ReasonCode, ReferralId

_LOAN_ID: Final = Field(description="Id of the loan in the bank's system", examples=["EXIM-NMG-2020-0117"])
_STEP: Final = Field(
    description="Step of the loan that was looked at: contracted, or disbursed for the first time",
    examples=["contracted"],
)
_LOAN_MODE: Final = Field(description="Way in which the loan is made", examples=["direct_loan"])
_CONTRACTED: Final = Field(
    description="Sum of the loan contract", examples=[{"amount": "5000000.00", "currency": "CNY"}]
)

_DIFFERENCE_EXAMPLE: Final[JsonValue] = {
    "code": "mode_differs",
    "zh": "合同采用的合作方式与约定不同。",
    "en": "The contract is made in another mode than was agreed.",
}


class CooperationLoanNoted(Payload):
    """A loan of the case was signed, or first paid out; its terms are to be held against what was agreed."""

    TYPE: ClassVar[str] = "cooperation.loan_noted.v1"

    referral_id: ReferralId = REFERRAL_ID
    loan_id: LoanId = _LOAN_ID
    step: ReasonCode = _STEP
    mode: CooperationMode = _LOAN_MODE
    contracted: Balance = _CONTRACTED
    noted_at: AwareDatetime = AT


class TermsCompared(Payload):
    """The loan and what was agreed, side by side."""

    referral_id: ReferralId = REFERRAL_ID
    loan_id: LoanId = _LOAN_ID
    step: ReasonCode = _STEP
    agreed_mode: CooperationMode = MODE
    mode: CooperationMode = _LOAN_MODE
    agreed: Balance = Field(
        description="What the bank itself was to lend", examples=[{"amount": "5000000.00", "currency": "CNY"}]
    )
    contracted: Balance = _CONTRACTED
    missing: Balance = Field(
        description="What no partner has taken up yet", examples=[{"amount": "0.00", "currency": "CNY"}]
    )
    compared_at: AwareDatetime = AT


class CooperationTermsKept(TermsCompared):
    """The loan is made as it was agreed."""

    TYPE: ClassVar[str] = "cooperation.terms_kept.v1"


class TermDifference(Model):
    """One thing in which the loan differs."""

    code: ReasonCode = Field(
        description="Coded difference: mode_differs, currency_differs, sum_differs, parts_missing",
        examples=["mode_differs"],
    )
    zh: LongText = Field(
        description="What differs and what to do, in Chinese", examples=["合同采用的合作方式与约定不同。"]
    )
    en: LongText = Field(
        description="What differs and what to do, in English",
        examples=["The contract is made in another mode than was agreed."],
    )


class CooperationTermsDiffer(TermsCompared):
    """The loan is not made as it was agreed: the persons in charge on both sides have to look at it."""

    TYPE: ClassVar[str] = "cooperation.terms_differ.v1"

    differences: Annotated[tuple[TermDifference, ...], Field(min_length=1, max_length=10)] = Field(
        description="All differences", examples=[[_DIFFERENCE_EXAMPLE]]
    )
