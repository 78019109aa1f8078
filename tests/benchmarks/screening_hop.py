"""Screening through the kit, in this process: prints events/s from the first referral to the last confirmed output.

Arguments: bootstrap servers, folder for the data, how many referrals are registered, and how many cases are to be
stored before. Prints the peak of the process's memory in MB as well. With `fill` in front it stores these cases only,
so that filling does not count in the memory of who measures.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from schemas.envelope import Event
from schemas.loading import load_contracts
from services.kit.batch import Entry
from services.kit.database import open_database
from services.kit.migrate import migrate
from services.kit.settings import Settings
from services.kit.store import StateTable, dumps
from services.kit.wiring import wire
from services.kit.worker import tune_interpreter
from services.screening.domain.case import Case, deadlines
from services.screening.service import build
from tests.benchmarks.kit_hop import Meter
from tests.benchmarks.screening_events import PLACES, opinion, registered
from topics.definition import load_catalogue

CHUNK = 250_000


def main() -> None:
    fill = sys.argv[1] == "fill"
    bootstrap, folder, count, stored = sys.argv[1 + fill :]
    load_contracts()
    settings = Settings(bootstrap_servers=bootstrap, data_dir=Path(folder), database_url=None, log_level="WARNING")
    if fill:
        migrate(settings.database_for("screening"), "screening", build().migrations)
        fill_with(Path(folder) / "screening.db", settings, int(stored))
        return
    tune_interpreter()
    uvloop.run(measure(settings, int(count)))


async def measure(settings: Settings, count: int) -> None:
    runner = Meter(wire(build(), load_catalogue()), settings)
    running = asyncio.create_task(runner.run())
    while runner.applied < count or runner._relay.unsent:
        await asyncio.sleep(0.005)
        if running.done():
            running.result()
            sys.exit("the runner ended before all was applied")
    rate = count / (time.perf_counter() - runner.started)
    runner.stop()
    await running
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{rate:.0f} {peak:.0f}\n")


def fill_with(file: Path, settings: Settings, count: int) -> None:
    """So many decided cases, copies of one, straight into the state table; their ids are spread over all places."""
    database = open_database(settings.database_for("screening"), "screening")
    table = StateTable(build().aggregates[0], database)
    with database.transaction():
        database.execute(table.upsert, (dumps([table.row("template", Entry(4, decided()))]),))
    database.close()
    columns = ", ".join(table.fields)
    case = " ".join(f"WHEN {number} THEN '{place}'" for number, place in enumerate(PLACES))
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for start in range(0, count, CHUNK):
            connection.execute(
                f"INSERT INTO screening_case (key, version, {columns}) WITH RECURSIVE n(i) AS (SELECT ? UNION ALL "
                "SELECT i + 1 FROM n WHERE i + 1 < ?) "
                f"SELECT printf('%s-2019-%07d', CASE i % {len(PLACES)} {case} END, i), version, {columns} "
                "FROM n, screening_case WHERE key = 'template'",
                (start, min(start + CHUNK, count)),
            )
            connection.commit()
            sys.stdout.write(f"{min(start + CHUNK, count)}\n")
            sys.stdout.flush()
        connection.execute("DELETE FROM screening_case WHERE key = 'template'")
    connection.close()


def decided() -> Case:
    """A case that both sides support, as the service decides it."""
    service = build()
    cases, context = service.aggregates[0], service.context()
    state: Any = None
    events: list[Any] = [registered(0), opinion(0, "//commerce/15", 1), opinion(0, "//bank/exim-nmg", 2)]
    for event in events:
        for output in list(cases.routes[type(event.data)](state, event, context)):
            if type(output) in cases.records:
                state = cases.evolve(state, output)
    assert isinstance(state, Case)
    (due,) = deadlines(state)
    assert cases.due is not None
    fired: Event[Any] = Event("due", "//kouan/screening/deadlines", "deadline", due.due, events[0].subject, due)
    for output in list(cases.due(state, fired, context)):
        state = cases.evolve(state, output)
    assert isinstance(state, Case)
    return state


if __name__ == "__main__":
    main()
