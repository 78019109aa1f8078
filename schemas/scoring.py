"""How a case was scored: the terms of the referral, each rule of the policy version, and what came of them."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints

from schemas.envelope import Model, Payload
from schemas.opinion import CASE_ID
from schemas.referral import ChainLink
from schemas.values import CreditCode, FinancingNeed, KeyArea, Lane, Money, ReasonCode, ReferralId, ZoneCode, unit

PolicyVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Name of an immutable policy version."""


class PolicyPart(StrEnum):
    """Part of a policy that a rule belongs to."""

    HARD_STOP = "hard_stop"
    CLASSIFICATION = "classification"
    TILT = "tilt"


class RuleOutcome(StrEnum):
    """What came of one rule."""

    MET = "met"
    NOT_MET = "not_met"
    NOT_APPLICABLE = "not_applicable"
    NOT_EVALUABLE = "not_evaluable"


class RuleFailure(StrEnum):
    """Why a rule could not be evaluated."""

    INPUT_MISSING = "input_missing"
    NOT_YES_OR_NO = "not_yes_or_no"
    EXPRESSION_FAILED = "expression_failed"


# --- fields that many types have --------------------------------------------------------------------------------------

SCORE: Final = Field(
    description="Sum of the tilt points; higher goes first within a lane",
    examples=[40],
    json_schema_extra=unit("points"),
)
REVISION: Final = Field(
    ge=1,
    description="Version of the referral this is about; the registered one is 1",
    examples=[1],
    json_schema_extra=unit("versions"),
)
POLICY: Final = Field(description="Policy version that was applied", examples=["2020-03-23"])
LANE: Final = Field(description="Lane of the case", examples=["ordinary"])
TERMS_EXAMPLE: Final[dict[str, JsonValue]] = {
    "credit_code": "91330100799655058B",
    "zone": "manzhouli",
    "need": "working_capital",
    "amount": {"amount": "5000000.00", "currency": "CNY"},
    "term_months": 12,
}


class Terms(Model):
    """What is asked for: the terms on which an opinion was given."""

    credit_code: CreditCode | None = Field(
        default=None,
        description="The enterprise (GB 32100-2015); absent where a zone plan is referred",
        examples=["91330100799655058B"],
    )
    zone: ZoneCode = Field(description="Cooperation zone concerned", examples=["manzhouli"])
    need: FinancingNeed = Field(description="What the money is for", examples=["working_capital"])
    amount: Money = Field(description="Sum wanted", examples=[{"amount": "5000000.00", "currency": "CNY"}])
    term_months: int = Field(ge=1, description="Term wanted", examples=[12], json_schema_extra=unit("months"))


class RuleResult(Model):
    """What one rule of the policy made of the case."""

    part: PolicyPart = Field(description="Part of the policy", examples=["tilt"])
    code: ReasonCode = Field(description="Code of the rule in its policy version", examples=["private_enterprise"])
    outcome: RuleOutcome = Field(description="What came of it", examples=["met"])
    points: int = Field(
        default=0, description="Points that it adds to the score", examples=[20], json_schema_extra=unit("points")
    )
    inputs: dict[str, JsonValue] = Field(
        description="What the rule looked at, by name; empty where it does not apply. Amounts are decimal text",
        examples=[{"ownership": "private"}],
    )
    missing: tuple[str, ...] = Field(
        default=(), description="Names of inputs that the referral leaves open", examples=[["country"]]
    )
    failure: RuleFailure | None = Field(
        default=None, description="Why it could not be evaluated; absent otherwise", examples=["input_missing"]
    )


class ScreeningScored(Payload):
    """The case was scored by a policy version. Explains itself: each rule, what it looked at, its points."""

    TYPE: ClassVar[str] = "screening.scored.v1"

    referral_id: ReferralId = CASE_ID
    revision: int = REVISION
    lane: Lane = LANE
    policy_version: PolicyVersion = POLICY
    policy_digest: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the policy file, to prove which text was applied",
        examples=["2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"],
    )
    policy_effective_from: date = Field(
        description="First day on which the policy version applies", examples=["2020-03-23"]
    )
    score: int = SCORE
    hard_stops: tuple[ReasonCode, ...] = Field(
        description="Codes of the hard stops that the case meets; empty if none",
        examples=[["outbound_direction_not_permitted"]],
    )
    key_areas: tuple[KeyArea, ...] = Field(
        description="Key areas that the policy finds in the case", examples=[["border_trade_chain"]]
    )
    key_area_claimed: KeyArea = Field(
        description="Key area that the referrer claims; differs from the above where the policy does not bear it out",
        examples=["border_trade_chain"],
    )
    rules: tuple[RuleResult, ...] = Field(
        description="Every rule of the policy version, in its order",
        examples=[
            [
                {
                    "part": "tilt",
                    "code": "private_enterprise",
                    "outcome": "met",
                    "points": 20,
                    "inputs": {"ownership": "private"},
                }
            ]
        ],
    )
    scored_at: AwareDatetime = Field(
        description="Time of the registration or amendment that was scored", examples=["2020-04-01T09:30:00+08:00"]
    )
    terms: Terms | None = Field(
        default=None,
        description="What this version of the referral asks for; absent in events from before it was told",
        examples=[TERMS_EXAMPLE],
    )
    chain: ChainLink | None = Field(
        default=None,
        description="Place of this version of the referral in a supply chain; absent where it has none",
        examples=[{"chain_id": "MZL-TIMBER-1", "role": "upstream", "key_link": True}],
    )
