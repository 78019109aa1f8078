"""Indicator reports: figures that a side reports about a zone, an enterprise or a project, for one period."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, PlainSerializer, PlainValidator, StringConstraints, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import Model, Payload
from schemas.values import REFERRAL_ID_PATTERN, ReasonCode, unit

_FIGURE_PATTERN: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?")


def _figure(value: object) -> Decimal:
    """Exact or nothing, as with amounts; figures may be negative (a growth rate, a loss)."""
    text = format(value, "f") if isinstance(value, Decimal) else value
    if not isinstance(text, str):
        raise PydanticCustomError(
            "figure_not_text",
            "A figure is written as decimal text, in quotes.",
            {"zh": "指标数值须写成带引号的十进制文本。"},
        )
    if _FIGURE_PATTERN.fullmatch(text) is None:
        raise PydanticCustomError(
            "figure_form",
            "Not a plain decimal of at most 15 digits and 6 decimal places; correct it.",
            {"zh": "不是整数至多15位、小数至多6位的十进制数，请更正。"},
        )
    return value if isinstance(value, Decimal) else Decimal(text)


Figure = Annotated[
    Decimal,
    PlainValidator(_figure),
    PlainSerializer(lambda figure: format(figure, "f"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_FIGURE_PATTERN.pattern}$"}),
]
"""An exact decimal, negative or not, with at most six decimal places, written as text."""

Period = Annotated[str, StringConstraints(pattern=r"^(19|20)[0-9]{2}(-(Q[1-4]|H[12]|0[1-9]|1[0-2]))?$")]
"""A year (`2020`), half-year (`2020-H1`), quarter (`2020-Q1`) or month (`2020-03`)."""


class IndicatorSubject(StrEnum):
    """Whom figures are about."""

    ZONE = "zone"
    ENTERPRISE = "enterprise"
    PROJECT = "project"


class NamedFigure(Model):
    """One figure by name."""

    name: ReasonCode = Field(description="Name of the indicator", examples=["debt_ratio"])
    value: Figure = Field(
        description="The figure as decimal text",
        examples=["0.82"],
        json_schema_extra=unit("as stated in `unit`"),
    )
    unit: Annotated[str, StringConstraints(min_length=1, max_length=32)] = Field(
        description="Unit of the figure", examples=["ratio"]
    )


class IndicatorReported(Payload):
    """A side reports figures about one subject and period. The side is that of the event's source."""

    TYPE: ClassVar[str] = "indicator.reported.v1"

    subject_kind: IndicatorSubject = Field(description="Whom the figures are about", examples=["zone"])
    code: Annotated[str, StringConstraints(pattern=REFERRAL_ID_PATTERN)] = Field(
        description="Zone code, credit code or project id; also the record key", examples=["manzhouli"]
    )
    period: Period = Field(description="Period the figures are about", examples=["2020-Q1"])
    figures: Annotated[tuple[NamedFigure, ...], Field(min_length=1, max_length=100)] = Field(
        description="The figures, each name once", examples=[[{"name": "debt_ratio", "value": "0.82", "unit": "ratio"}]]
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        if len({figure.name for figure in self.figures}) < len(self.figures):
            raise PydanticCustomError(
                "figure_repeated",
                "A figure stands twice under one name; report each name once.",
                {"zh": "同一指标名称重复出现，每个名称只报一次。"},
            )
        return self
