"""State of the peers that bring none: SQLModel tables in SQLite, one session and one commit for each event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlmodel import Field, Session, SQLModel, create_engine

from tests.benchmarks.peers.events import Scored, Submitted, decide


class Seen(SQLModel, table=True):
    source: str = Field(primary_key=True)
    id: str = Field(primary_key=True)


class ScoredRow(SQLModel, table=True):
    referral_id: str = Field(primary_key=True)
    score: int
    eligible: bool
    amount_cny: str
    zone: str


def open_database(folder: Path) -> Engine:
    """A new database, as durable as the kit's: a commit is on disk when it returns."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{folder / 'hop.db'}")

    @event.listens_for(engine, "connect")
    def durable(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    SQLModel.metadata.create_all(engine)
    return engine


def apply(engine: Engine, source: str, id: str, data: Submitted) -> Scored | None:
    """Store what the event changes and return what follows from it; nothing where it is a repeat."""
    with Session(engine) as session:
        if session.get(Seen, (source, id)) is not None:
            return None
        scored = decide(data)
        session.add(Seen(source=source, id=id))
        row = session.get(ScoredRow, scored.referral_id) or ScoredRow(referral_id=scored.referral_id)
        row.score, row.eligible = scored.score, scored.eligible
        row.amount_cny, row.zone = str(scored.amount_cny), scored.zone
        session.add(row)
        session.commit()
    return scored
