"""How a whole is shared: percentages and parts, and the fields that all contracts about sharing have.

Parts are whole cents, so that they add up exactly; percentages are of the sum that the case asks for, and rounded where
they are told beside a part.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, JsonValue, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from schemas.envelope import Model
from schemas.values import (
    Money,
    PartnerCode,
    unit,
)

# --- percentages ------------------------------------------------------------------------------------------------------

_PERCENT_PATTERN: Final = re.compile(r"(?:100(?:\.00?)?|[1-9]?[0-9](?:\.[0-9]{1,2})?)")


def _percent_or_zero(value: object) -> Decimal:
    """Text like an amount, and for the same reason: a JSON number may have been rounded on its way."""
    text = format(value, "f") if isinstance(value, Decimal) else value
    if not isinstance(text, str) or _PERCENT_PATTERN.fullmatch(text) is None:
        raise PydanticCustomError(
            "percent_form",
            'A percentage is decimal text from 0 to 100 with at most two decimal places, such as "30.00".',
            {"zh": "百分比须写成 0 至 100 之间、最多两位小数的文本，例如 “30.00”。"},
        )
    return Decimal(text)


def _percent(value: object) -> Decimal:
    percent = _percent_or_zero(value)
    if not percent:
        raise PydanticCustomError(
            "percent_not_positive", "The percentage must be more than zero.", {"zh": "百分比必须大于零。"}
        )
    return percent


_PERCENT_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^{_PERCENT_PATTERN.pattern}$"})
_AS_TEXT: Final = PlainSerializer(lambda percent: format(percent, "f"), return_type=str)

Percent = Annotated[Decimal, PlainValidator(_percent), _AS_TEXT, _PERCENT_SCHEMA]
"""An exact percentage above zero, at most 100, with at most two decimal places, written as text."""

PercentOrZero = Annotated[Decimal, PlainValidator(_percent_or_zero), _AS_TEXT, _PERCENT_SCHEMA]
"""Like `Percent`, zero included."""


class ShareOf(StrEnum):
    """Which whole a mode divides: what is lent, what may be lost of it, or what is invested."""

    LOAN = "loan"
    RISK = "risk"
    INVESTMENT = "investment"


# --- fields that occur more than once ---------------------------------------------------------------------------------

MONEY_EXAMPLE: Final[JsonValue] = {"amount": "1500000.00", "currency": "CNY"}
REFERRAL_ID: Final = Field(description="Id of the referral, which is the case", examples=["NMG-2020-000123"])
PARTNER: Final = Field(description="Code of the partner in the directory", examples=["frontier-guarantee"])
MODE: Final = Field(description="Way of cooperation", examples=["bank_guarantee"])
SHARE_OF: Final = Field(description="Which whole the parts are parts of", examples=["risk"])
MISSING: Final = Field(
    description="What partners have yet to take up; zero once the parts add up",
    examples=[{"amount": "0.00", "currency": "CNY"}],
)
MISSING_PERCENT: Final = Field(
    description="The same in percent of the sum of the case, rounded to two decimal places",
    examples=["0.00"],
    json_schema_extra=unit("percent"),
)
AT: Final = Field(description="Time of the event that led to it, with offset", examples=["2020-04-09T10:05:00+08:00"])


class PartnerShare(Model):
    """What one partner has taken up."""

    partner: PartnerCode = PARTNER
    percent: PercentOrZero = Field(
        description="Its part in percent of the sum of the case, rounded to two decimal places",
        examples=["30.00"],
        json_schema_extra=unit("percent"),
    )
    amount: Money = Field(description="Its part, exact", examples=[MONEY_EXAMPLE])


SHARE_EXAMPLE: Final[JsonValue] = {"partner": "frontier-guarantee", "percent": "30.00", "amount": MONEY_EXAMPLE}
