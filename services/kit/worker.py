"""A service's process: migrate, build the app, run Faust's worker until a signal."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import faust
import mode.loop
import structlog

from services.kit.app import build_app
from services.kit.database import SqliteDatabase, open_database
from services.kit.door import Service
from services.kit.failures import Transient
from services.kit.log import set_up_logging
from services.kit.migrate import migrate
from services.kit.runner import Runner
from services.kit.settings import Settings
from services.kit.wiring import wire
from topics.definition import Catalogue, load_catalogue

log = structlog.get_logger()


def run(service: Service, settings: Settings | None = None, catalogue: Catalogue | None = None) -> None:
    """Run a service in this process until SIGTERM or SIGINT; exits non-zero when it can't go on.

    Raises:
        Fatal: configuration, topics or database need a person.
    """
    settings = settings or Settings()
    set_up_logging(service.name, settings.log_level)
    wiring = wire(service, catalogue or load_catalogue())
    url = settings.database_for(service.name)
    with _alone(url, service.name):
        migrate_when_possible(url, service.name, service.migrations)
    tune_interpreter()
    run_app(build_app(Runner(wiring, settings), service.name, settings), settings)


def tune_interpreter() -> None:
    """Set the interpreter up for a runner, when everything is imported and nothing runs yet."""
    # What exists now stays: the collector need not walk it again, and runs between batches only.
    gc.collect()
    gc.freeze()
    gc.disable()
    # The database's thread needs the lock for moments only: at the default of 5 ms it would wait longer than it works.
    sys.setswitchinterval(0.0001)


@contextmanager
def _alone(url: str, service: str) -> Iterator[None]:
    """Hold a SQLite file as its only worker: the tables of one that is at work must not change under its feet."""
    database = open_database(url, service)
    if isinstance(database, SqliteDatabase):
        database.lock()
    try:
        yield
    finally:
        database.close()


def run_app(app: faust.App, settings: Settings) -> None:
    """Run a Faust app in this process until SIGTERM or SIGINT."""
    # A service that takes one event at a time spends a third of its time on turns of the loop, timers and wake-ups from
    # the database's thread, which cost uvloop half of what they cost asyncio's own loop.
    mode.loop.use("uvloop")
    # Faust makes its own folder and not those above it, which are there before only where SQLite keeps its files.
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    worker = faust.Worker(
        app, loglevel=logging.getLogger().level, override_logging=False, redirect_stdouts=False, quiet=True
    )
    worker.execute_from_commandline()


def migrate_when_possible(url: str, service: str, migrations: str) -> None:
    """Bring the database to the schema of this release, however long it takes until it answers."""
    pause = 0.5
    while True:
        try:
            migrate(url, service, migrations)
        except Transient as failure:
            log.warning("waiting for the database", error=str(failure), pause_s=pause)
            time.sleep(pause)
            pause = min(pause * 2, 10.0)
        else:
            return
