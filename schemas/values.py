"""Values that many contracts share: codes, identifiers, money. Each validates itself and says how it must look.

Numbers in contracts carry their unit as `json_schema_extra=unit("months")`, so that the published schema shows it.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.types import JsonValue
from pydantic_core import PydanticCustomError

from schemas.envelope import Model


def unit(name: str) -> dict[str, JsonValue]:
    """What a numeric field puts into `json_schema_extra` to name its unit."""
    return {"unit": name}


# --- identifiers -----------------------------------------------------------------------------------------------------

REFERRAL_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

ReferralId = Annotated[str, StringConstraints(pattern=REFERRAL_ID_PATTERN)]
"""Id of a referral and of the case that follows from it; chosen by the recommending party, unique for ever."""

PlanId = Annotated[str, StringConstraints(pattern=REFERRAL_ID_PATTERN)]
"""Id of a zone plan, a work plan, a matchmaking wish or a bulletin; chosen by who submits it, unique for ever."""

AdviceId = Annotated[str, StringConstraints(pattern=REFERRAL_ID_PATTERN)]
"""Id of a question to the bank and of all that follows from it; chosen by who asks, unique for ever."""

ChainId = Annotated[str, StringConstraints(pattern=REFERRAL_ID_PATTERN)]
"""Id of a supply chain whose enterprises are referred case by case; the parties that refer them agree on it."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A digest of 256 bits in lower-case hexadecimal."""

PersonId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Id of a liaison person in the directory; never a name, number or address."""

ZoneCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=40)]
"""Code of a cooperation zone: pinyin, words joined by `_`, for example `manzhouli` or `mohan_boten`."""

BranchCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
"""Code of a bank branch, for example `exim-nmg`."""

PartnerCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
"""Code of a partner institution (commercial bank, insurer, guarantee fund)."""

ProvinceCode = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]$")]
"""Province by the first two digits of GB/T 2260, for example `15`. Which provinces take part is directory data."""

ShortText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""One line for people, at most 200 characters."""

LongText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
"""A paragraph for people, at most 2000 characters."""

ReasonCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A coded reason, for programs; the text beside it is for people."""


# --- days ------------------------------------------------------------------------------------------------------------

_DAY_PATTERN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day(value: object) -> object:
    """Pydantic reads numbers, and text made of digits, as seconds since 1970: a wrong day instead of a fault."""
    if isinstance(value, date) or (isinstance(value, str) and _DAY_PATTERN.fullmatch(value)):
        return value
    raise PydanticCustomError("date_form", "not a date like 2020-04-01")


Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day, written `2020-04-01`."""


# --- unified social credit code (GB 32100-2015) -----------------------------------------------------------------------

_CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_VALUE: Final = {character: value for value, character in enumerate(_CREDIT_ALPHABET)}
_CREDIT_WEIGHTS: Final = tuple(pow(3, position, 31) for position in range(17))
# The second position depends on the first; the eight that follow are the registering office's area, in digits, and the
# pattern runs before the check character because a forbidden letter has no value to weigh.
_CREDIT_PATTERN: Final = re.compile(
    r"(?:1[1239]|2[19]|3[1-59]|4[19]|5[1239]|6[129]|7[129]|8[19]|9[123]|A[19]|N[1239]|Y1)"
    r"[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}"
)


def credit_check_character(first17: str) -> str:
    """The 18th character that belongs to the first 17 of a unified social credit code."""
    total = sum([_CREDIT_VALUE[character] * weight for character, weight in zip(first17, _CREDIT_WEIGHTS, strict=True)])
    return _CREDIT_ALPHABET[(31 - total % 31) % 31]


def _credit_code(text: str) -> str:
    if _CREDIT_PATTERN.fullmatch(text) is None:
        raise PydanticCustomError("credit_code_form", "not 18 characters of a unified social credit code")
    if credit_check_character(text[:17]) != text[17]:
        raise PydanticCustomError("credit_code_check", "the check character does not fit the other 17")
    return text


CreditCode = Annotated[
    str,
    AfterValidator(_credit_code),
    WithJsonSchema({"type": "string", "pattern": f"^{_CREDIT_PATTERN.pattern}$"}),
]
"""Unified social credit code: form by GB 32100-2015, then the check character."""


# --- countries --------------------------------------------------------------------------------------------------------

_COUNTRY_CODES: Final = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES: Final = frozenset(_COUNTRY_CODES.split())
"""Country and area codes of ISO 3166-1 alpha-2."""


def _country(text: str) -> str:
    if text not in COUNTRIES:
        raise PydanticCustomError("country_unknown", "not a country code of ISO 3166-1 alpha-2")
    return text


CountryCode = Annotated[str, AfterValidator(_country), WithJsonSchema({"type": "string", "pattern": "^[A-Z]{2}$"})]
"""Country by ISO 3166-1 alpha-2, for example `RU`."""


# --- money ------------------------------------------------------------------------------------------------------------

_AMOUNT_PATTERN: Final = re.compile(r"(?:0|[1-9][0-9]{0,12})(?:\.[0-9]{1,2})?")
AMOUNT_LIMIT: Final = Decimal(10) ** 13
"""Amounts stay below this many units of their currency."""


def _amount(value: object) -> Decimal:
    """Exact or nothing: a JSON number may already have been rounded on its way, so only text (or Decimal) will do."""
    text = format(value, "f") if isinstance(value, Decimal) else value
    if not isinstance(text, str):
        raise PydanticCustomError("amount_not_text", "an amount is written as decimal text")
    if _AMOUNT_PATTERN.fullmatch(text) is None:
        raise PydanticCustomError("amount_form", "not a plain decimal of at most 13 digits and 2 decimal places")
    return value if isinstance(value, Decimal) else Decimal(text)


def _positive_amount(value: object) -> Decimal:
    amount = _amount(value)
    if not amount:
        raise PydanticCustomError("amount_not_positive", "the amount must be more than zero")
    return amount


_AMOUNT_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^{_AMOUNT_PATTERN.pattern}$"})
_AS_TEXT: Final = PlainSerializer(lambda amount: format(amount, "f"), return_type=str)

Amount = Annotated[Decimal, PlainValidator(_positive_amount), _AS_TEXT, _AMOUNT_SCHEMA]
"""An exact decimal above zero with at most two decimal places, written as text."""

AmountOrZero = Annotated[Decimal, PlainValidator(_amount), _AS_TEXT, _AMOUNT_SCHEMA]
"""Like `Amount`, zero included: for balances."""


class Currency(StrEnum):
    """Currencies in which amounts are given (ISO 4217)."""

    CNY = "CNY"
    USD = "USD"


class Money(Model):
    """A sum above zero, exact, in one currency."""

    amount: Amount = Field(
        description="Sum as decimal text, above zero, at most 2 decimal places",
        examples=["12000000.00"],
        json_schema_extra=unit("units of the currency"),
    )
    currency: Currency = Field(description="Currency of the sum", examples=["CNY"])


class Balance(Model):
    """A sum that may be zero, exact, in one currency."""

    amount: AmountOrZero = Field(
        description="Sum as decimal text, zero or more, at most 2 decimal places",
        examples=["0.00"],
        json_schema_extra=unit("units of the currency"),
    )
    currency: Currency = Field(description="Currency of the sum", examples=["CNY"])


# --- parties ----------------------------------------------------------------------------------------------------------


class Side(StrEnum):
    """The two sides that cooperate."""

    COMMERCE = "commerce"
    BANK = "bank"


COMMERCE_HQ: Final = "mofcom"
BANK_HQ: Final = "exim"


def side_of(source: str) -> Side | None:
    """The side whose system speaks as this CloudEvents source (`//commerce/15`, `//bank/exim-nmg`); None if neither."""
    if source.startswith("//commerce/"):
        return Side.COMMERCE
    if source.startswith("//bank/"):
        return Side.BANK
    return None


def place_of(source: str) -> str:
    """What follows the side in a source: a place's code, `mofcom` or `exim`; empty if there is none."""
    return source[2:].partition("/")[2] if source.startswith("//") else ""


# --- codes of the domain ----------------------------------------------------------------------------------------------


class SubjectKind(StrEnum):
    """Whom a referral recommends."""

    ENTERPRISE = "enterprise"
    PROJECT = "project"
    ZONE_PLAN = "zone_plan"


class KeyArea(StrEnum):
    """Key area of support (重点领域)."""

    CLUSTER_DEVELOPMENT = "cluster_development"
    INDUSTRIAL_TRANSFER = "industrial_transfer"
    BORDER_TRADE_CHAIN = "border_trade_chain"
    MARKET_DIVERSIFICATION = "market_diversification"
    TWO_WAY_INVESTMENT = "two_way_investment"


class Lane(StrEnum):
    """How urgently a referral is handled: the resumption lane has shorter deadlines and goes first."""

    RESUMPTION = "resumption"
    ORDINARY = "ordinary"


class FinancingNeed(StrEnum):
    """What the money is for (融资需求)."""

    WORKING_CAPITAL = "working_capital"
    PLANT_CONSTRUCTION = "plant_construction"
    EQUIPMENT_PURCHASE = "equipment_purchase"
    ZONE_INFRASTRUCTURE = "zone_infrastructure"
    WAREHOUSING_LOGISTICS = "warehousing_logistics"
    CROSS_BORDER_ECOMMERCE = "cross_border_ecommerce"
    FARM_PRODUCE_IMPORT = "farm_produce_import"
    KEY_EQUIPMENT_TECHNOLOGY_IMPORT = "key_equipment_technology_import"
    EMERGING_MARKET_EXPORT = "emerging_market_export"
    INBOUND_INVESTMENT = "inbound_investment"
    OUTBOUND_INVESTMENT = "outbound_investment"


class CooperationMode(StrEnum):
    """How banks, insurers and guarantors share the work (合作方式)."""

    DIRECT_LOAN = "direct_loan"
    SYNDICATED_LOAN = "syndicated_loan"
    SME_ON_LENDING = "sme_on_lending"
    INVESTMENT_LOAN_LINKAGE = "investment_loan_linkage"
    BANK_INSURANCE = "bank_insurance"
    BANK_GUARANTEE = "bank_guarantee"


class SizeClass(StrEnum):
    """Size of an enterprise by the national classification standard."""

    LARGE = "large"
    MEDIUM = "medium"
    SMALL = "small"
    MICRO = "micro"


class Ownership(StrEnum):
    """Who owns an enterprise."""

    STATE = "state"
    COLLECTIVE = "collective"
    PRIVATE = "private"
    FOREIGN = "foreign"
    MIXED = "mixed"


class Industry(StrEnum):
    """Industry of an enterprise, as far as size classes and policy tell industries apart."""

    FARMING = "farming"
    MINING = "mining"
    MANUFACTURING = "manufacturing"
    UTILITIES = "utilities"
    CONSTRUCTION = "construction"
    WHOLESALE = "wholesale"
    RETAIL = "retail"
    TRANSPORT = "transport"
    WAREHOUSING = "warehousing"
    OTHER = "other"
