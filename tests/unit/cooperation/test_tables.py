"""The tables that the migrations create are those that the service declares."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from services.cooperation.service import build
from services.kit.door import Aggregate
from services.kit.migrate import migrate

SERVICE = build()


@pytest.mark.parametrize("aggregate", SERVICE.aggregates, ids=lambda aggregate: aggregate.name)
def test_migrated_table_declared_table_and_state_have_the_same_columns(aggregate: Aggregate, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    migrate(url, SERVICE.name, SERVICE.migrations)
    declared = aggregate.table.__table__
    columns = inspect(create_engine(url)).get_columns(declared.name)
    names = {"key", "version", *(field.name for field in fields(aggregate.state))}
    assert {column["name"] for column in columns} == {column.name for column in declared.columns} == names
    assert {column["name"]: column["nullable"] for column in columns} == {
        column.name: column.nullable for column in declared.columns
    }
    assert {column["name"]: str(column["type"]) for column in columns} == {
        column.name: column.type.compile(create_engine("sqlite://").dialect) for column in declared.columns
    }
