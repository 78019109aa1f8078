"""What a zone offers to enterprises that move: an entry of the directory, in versions by date like all of them."""

from __future__ import annotations

from pydantic import Field

from schemas.directory import Entry
from schemas.values import FinancingNeed, Industry, KeyArea, ZoneCode


class ZoneProfileEntered(Entry):
    """Which industries a zone seeks and which needs it serves. Entered by the commerce side's headquarters."""

    TYPE = "directory.zone_profile_entered.v1"
    KIND = "zone_profile"

    code: ZoneCode = Field(description="Code of the zone", examples=["manzhouli"])
    industries: tuple[Industry, ...] = Field(
        description="Industries that the zone seeks", min_length=1, max_length=10, examples=[["manufacturing"]]
    )
    needs: tuple[FinancingNeed, ...] = Field(
        description="Financing needs that the zone and its banks are set up to serve",
        min_length=1,
        max_length=11,
        examples=[["plant_construction", "equipment_purchase", "working_capital"]],
    )
    key_areas: tuple[KeyArea, ...] = Field(
        default=(),
        description="Key areas on which the zone concentrates; empty if on none",
        max_length=5,
        examples=[["industrial_transfer", "border_trade_chain"]],
    )
    smallest_investment_10k_cny: int | None = Field(
        default=None,
        ge=0,
        description="Investment below which the zone takes nobody in; absent if it takes any",
        examples=[500],
        json_schema_extra={"unit": "10 000 CNY"},
    )

    @property
    def entry_code(self) -> str:
        return self.code
