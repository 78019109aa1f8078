"""Where a subscriber is and what it has seen: three tables beside those that its handler writes, in one transaction."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    delete,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.engine import URL, make_url

Spot = tuple[str, int]
"""Topic and partition."""

Ident = tuple[str, str]
"""Source and id of an event."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TABLES: Final = MetaData()

_SUBSCRIBER: Final = Table(
    "kouan_subscriber",
    _TABLES,
    Column("name", String(100), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
)
_POSITION: Final = Table(
    "kouan_position",
    _TABLES,
    Column("name", String(100), primary_key=True),
    Column("topic", String(255), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
)
_SEEN: Final = Table(
    "kouan_seen",
    _TABLES,
    Column("name", String(100), primary_key=True),
    Column("source", String(256), primary_key=True),
    Column("id", String(256), primary_key=True),
    Column("digest", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index("kouan_seen_at", "name", "seen_at"),
)


class Superseded(Exception):
    """Another process has taken the place over; this one has to end. Its last batch was rolled back."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"另一进程已接管订阅者 {name}，本进程应退出 / another process has taken the subscriber {name} over; "
            "let this one end, or give each a name of its own"
        )


class PlaceLost(Exception):
    """The topic no longer holds what was to be read next: records expired, or the topic was made anew."""

    def __init__(self, name: str, spot: Spot, next: int, held: str) -> None:
        topic, partition = spot
        self.topic, self.partition, self.next = topic, partition, next
        super().__init__(
            f"{topic} 分区 {partition} 已没有偏移量 {next}（{held}），为不漏读而停止 / "
            f"{topic} partition {partition} no longer holds offset {next} ({held}); the subscriber stops rather than "
            f"jump. Find out what was lost, then set `next` of this topic and partition in table kouan_position, where "
            f"name = '{name}', and start again"
        )


class Place:
    """The tables of one subscriber. A URL is opened as SQLAlchemy would, an Engine is used as it is."""

    def __init__(self, name: str, where: str | Engine | None) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't name a subscriber; use up to 100 letters, digits, dots, dashes")
        self.name = name
        self._engine = where if isinstance(where, Engine) else _open(make_url(where or f"sqlite:///{name}.db"))
        self._epoch = 0

    def take_over(self) -> dict[Spot, int]:
        """Become the one who may write here, and fence off who was before; returns what is read next, by spot."""
        _TABLES.create_all(self._engine)
        mine = _SUBSCRIBER.c.name == self.name
        with self._engine.begin() as connection:
            taken = connection.execute(update(_SUBSCRIBER).where(mine).values(epoch=_SUBSCRIBER.c.epoch + 1))
            if not taken.rowcount:
                connection.execute(insert(_SUBSCRIBER).values(name=self.name, epoch=1))
            self._epoch = connection.execute(select(_SUBSCRIBER.c.epoch).where(mine)).scalar_one()
            rows = connection.execute(
                select(_POSITION.c.topic, _POSITION.c.partition, _POSITION.c.next).where(_POSITION.c.name == self.name)
            )
            return {(topic, partition): next for topic, partition, next in rows}

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that only the one who took over last can make.

        Raises:
            Superseded: another has taken over.
        """
        with self._engine.begin() as connection:
            mine = (_SUBSCRIBER.c.name == self.name) & (_SUBSCRIBER.c.epoch == self._epoch)
            # An update and not a query, so that the row stays locked: whoever takes over waits for this transaction.
            if not connection.execute(update(_SUBSCRIBER).where(mine).values(epoch=self._epoch)).rowcount:
                raise Superseded(self.name)
            yield connection

    def begin(self, positions: Mapping[Spot, int]) -> None:
        """Keep where reading begins on spots that were not read before."""
        rows = [self._row(spot) | {"next": next} for spot, next in positions.items()]
        if rows:
            with self.transaction() as connection:
                connection.execute(insert(_POSITION), rows)

    def advance(self, connection: Connection, positions: Mapping[Spot, int]) -> None:
        """Move to what is read next."""
        rows = [
            {"of_topic": topic, "of_partition": partition, "to": next} for (topic, partition), next in positions.items()
        ]
        connection.execute(
            update(_POSITION)
            .where(
                _POSITION.c.name == self.name,
                _POSITION.c.topic == bindparam("of_topic"),
                _POSITION.c.partition == bindparam("of_partition"),
            )
            .values(next=bindparam("to")),
            rows,
        )

    def seen(self, connection: Connection, idents: Iterable[Ident]) -> dict[Ident, int]:
        """Those of the events that were seen before, with the digests that they had."""
        by_source: dict[str, list[str]] = defaultdict(list)
        for source, id in idents:
            by_source[source].append(id)
        found: dict[Ident, int] = {}
        for source, ids in by_source.items():
            rows = connection.execute(
                select(_SEEN.c.id, _SEEN.c.digest).where(
                    _SEEN.c.name == self.name, _SEEN.c.source == source, _SEEN.c.id.in_(ids)
                )
            )
            found.update(((source, id), digest) for id, digest in rows)
        return found

    def remember(self, connection: Connection, digests: Mapping[Ident, int]) -> None:
        """Keep the ids of events that are seen now."""
        now = int(time.time())
        rows: Sequence[dict[str, Any]] = [
            {"name": self.name, "source": source, "id": id, "digest": digest, "seen_at": now}
            for (source, id), digest in digests.items()
        ]
        if rows:
            connection.execute(insert(_SEEN), rows)

    def forget(self, seconds: float) -> None:
        """Drop the ids that were seen longer ago."""
        with self.transaction() as connection:
            old = _SEEN.c.seen_at < int(time.time() - seconds)
            connection.execute(delete(_SEEN).where(_SEEN.c.name == self.name, old))

    def close(self) -> None:
        """Close the idle connections."""
        self._engine.dispose()

    def _row(self, spot: Spot) -> dict[str, Any]:
        return {"name": self.name, "topic": spot[0], "partition": spot[1]}


def _open(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _open_sqlite(url)
    if url.get_backend_name() == "postgresql":
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    raise ValueError(f"a place is kept in SQLite or PostgreSQL, not in {url.get_backend_name()}")


def _open_sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # The driver would begin by itself, too late and without the lock that a transaction which writes needs.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("PRAGMA synchronous=full")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
