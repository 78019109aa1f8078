"""Base and column types of state tables: plain scalars, and JSON for whatever is nested.

The state row of an aggregate has `key`, `version` and one column per field of its state dataclass. Columns are `str`,
`int`, `bool` or `json_column()`; dates, times, decimals and codes stand as text in ISO form, because the kit writes
whole batches as one JSON document (see `store`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""Column type of nested values, for tables and for migrations."""


def json_column(*, nullable: bool = False) -> Any:
    """A column for a list, a mapping or a nested dataclass of the state."""
    return Field(sa_type=Json, nullable=nullable)


class StateRow(SQLModel):
    """Base of state tables: subclasses say `table=True`, `__tablename__` and their columns."""

    key: str = Field(primary_key=True)
    version: int
