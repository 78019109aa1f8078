"""Brings a service's database to the schema of this release: the kit's tables and the service's own, by Alembic."""

from __future__ import annotations

import logging
import sqlite3
from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from services.kit.database import open_database
from services.kit.failures import Transient


def migrate(url: str, service: str, migrations: str) -> None:
    """Run all migrations that are missing. `migrations` is the package that holds the service's revisions.

    Raises:
        Transient: the database does not answer now.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        parsed = parsed.update_query_dict({"options": f"-csearch_path={service}"})
    elif parsed.database is not None:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    engine = create_engine(parsed)
    if engine.dialect.name == "sqlite":
        _whole_or_not_at_all(engine)
    try:
        with (
            as_file(files("services.kit.migrations")) as own,
            as_file(files(migrations)) as theirs,
            engine.connect() as connection,
        ):
            if connection.dialect.name == "postgresql":
                # Workers of one service start together: one migrates, the others wait for it.
                connection.execute(text("SELECT pg_advisory_lock(hashtext(:name))"), {"name": f"kouan/{service}"})
                connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{service}"'))
                connection.commit()
            config = Config()
            config.set_main_option("script_location", str(own))
            config.set_main_option("version_locations", f"{own / 'versions'}\n{theirs}")
            config.set_main_option("path_separator", "newline")
            config.attributes["connection"] = connection
            command.upgrade(config, "heads")
            connection.commit()
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_unlock(hashtext(:name))"), {"name": f"kouan/{service}"})
                connection.commit()
    except OperationalError as error:
        if error.orig is None or not open_database(url, service).passes(error.orig):
            raise
        raise Transient(f"the database of {service} does not answer: {error.orig}") from error
    finally:
        engine.dispose()


def _whole_or_not_at_all(engine: Engine) -> None:
    """Let SQLite's migrations stand in one transaction, and one process at a time make them.

    Python's driver begins a transaction before the first row is written, not before the first table is made: a worker
    that was killed in between would leave tables behind that no later one could make.
    """

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
