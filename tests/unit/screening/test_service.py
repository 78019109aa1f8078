"""The composition fits the catalogue, its table fits the state, and what is stored comes back."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from schemas.loading import load_contracts
from services.kit.batch import Entry
from services.kit.database import open_database
from services.kit.migrate import migrate
from services.kit.store import StateTable, dumps
from services.kit.wiring import wire
from services.screening.domain.case import Case
from services.screening.policy import PolicyError
from services.screening.service import build
from services.screening.store import ScreeningCaseRow, ScreeningChainRow
from tests.unit.screening import builders as told
from tests.unit.screening.builders import BANK, CASE, COMMERCE, after, given
from topics.definition import load_catalogue


def test_the_declaration_fits_the_catalogue() -> None:
    load_contracts()
    wiring = wire(build(), load_catalogue())
    assert set(wiring.topics_of("case")) >= {"referral.events", "commerce.opinions", "bank.opinions", "risk.holds"}
    sides = ("commerce", "bank")
    assert {topic.name for topic in wiring.references} == {
        f"{s}.{kind}" for s in sides for kind in ("directory", "policies")
    }


def test_every_type_that_reaches_screening_and_concerns_it_has_a_route() -> None:
    load_contracts()
    wiring = wire(build(), load_catalogue())
    unheard = {kind for inlet in wiring.inlets.values() for kind in inlet.known if kind not in inlet.routes}
    assert {kind for kind in unheard if not kind.startswith("referral.")} == set()


def test_the_table_has_a_column_for_every_field_of_the_state() -> None:
    columns = [column.name for column in ScreeningCaseRow.__table__.columns]  # type: ignore[attr-defined]
    assert columns == ["key", "version", *(field.name for field in fields(Case))]


@pytest.mark.parametrize("row", [ScreeningCaseRow, ScreeningChainRow])
def test_the_migrations_make_the_tables_that_the_store_declares(tmp_path: Path, row: Any) -> None:
    url, service = f"sqlite:///{tmp_path}/screening.db", build()
    migrate(url, service.name, service.migrations)
    engine = create_engine(url)
    made = {
        column["name"]: (str(column["type"]), column["nullable"])
        for column in inspect(engine).get_columns(row.__tablename__)
    }
    engine.dispose()
    declared = {column.name: (column.type.compile(engine.dialect), column.nullable) for column in row.__table__.columns}
    assert made == declared


@pytest.mark.parametrize("held", [True, False])
def test_a_case_survives_being_stored_by_the_kit_and_loaded_again(tmp_path: Path, held: bool) -> None:
    desk = given(
        told.registered(),
        told.supports(COMMERCE, after(1)),
        told.held(after(3)),
        told.held(after(4), told.CASE_HOLD),
        told.opposes(BANK, after(5), "not_viable", "plan_immature"),
        *([] if held else [told.released(after(6)), told.released(after(6), told.CASE_HOLD)]),
    )
    url, service = f"sqlite:///{tmp_path}/screening.db", build()
    migrate(url, service.name, service.migrations)
    database = open_database(url, service.name)
    try:
        table = StateTable(service.aggregates[0], database)
        row = dumps([table.row(CASE, Entry(1, desk.case))])
        with database.transaction():
            assert database.execute(table.upsert, (row,)) == 1
        (stored,) = database.query(table.select, (dumps([[CASE]]),))
        key, entry = table.entry(stored)
    finally:
        database.close()
    assert (key, entry.version, entry.state) == (CASE, 1, desk.case)


def test_the_folder_of_policies_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOUAN_SCREENING_POLICIES", str(tmp_path))
    with pytest.raises(PolicyError, match=str(tmp_path)):
        build()
