"""The soak's book: what was sent, what is to come of it, and what stands on the topics in the end, as a SQLite file.

A million events do not fit into a program's memory beside nine others; in a file with indexes they are judged by
queries. One writer at a time: the load while it lasts, then the judge.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS sent (
    topic TEXT, part INTEGER, place INTEGER, source TEXT, id TEXT, kind TEXT, poison INTEGER, crc INTEGER,
    PRIMARY KEY (topic, part, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked (what TEXT, key TEXT, value TEXT, PRIMARY KEY (what, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tallied (what TEXT, key TEXT, number INTEGER, PRIMARY KEY (what, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stood (
    topic TEXT, part INTEGER, place INTEGER, crc INTEGER, PRIMARY KEY (topic, part, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
    topic TEXT, source TEXT, id TEXT, part INTEGER, place INTEGER, key TEXT, kind TEXT, cause TEXT, crc INTEGER,
    copies INTEGER DEFAULT 1, differing INTEGER DEFAULT 0, strayed INTEGER DEFAULT 0,
    PRIMARY KEY (topic, source, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS letter (
    id TEXT PRIMARY KEY, service TEXT, topic TEXT, part INTEGER, place INTEGER, reason TEXT, copies INTEGER DEFAULT 1
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS loan (
    key TEXT PRIMARY KEY, currency TEXT, paid_out INTEGER DEFAULT 0, paid_back INTEGER DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notice (
    id TEXT PRIMARY KEY, queued INTEGER DEFAULT 0, told INTEGER DEFAULT 0, failed INTEGER DEFAULT 0,
    mails INTEGER DEFAULT 0, crc INTEGER, differing INTEGER DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inbox (
    service TEXT, source TEXT, id TEXT, outcome INTEGER, PRIMARY KEY (service, source, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS became (what TEXT, key TEXT, value TEXT, PRIMARY KEY (what, key)) WITHOUT ROWID;
"""
"""sent: what the broker acknowledged, and where it said that it stands (below 0 where it did not say, until the judge
finds it); `poison` where it is to be a dead letter.
asked, became: states that cases are to have, and have. tallied: sums that are asked for.
stood: what stands on the input topics, place by place. event: every event once, with the number of its copies, of
copies that differ, and of copies in another partition. Amounts are in hundredths."""


def open_book(path: Path) -> sqlite3.Connection:
    """A connection for one thread. The file is a run's own and is not to outlive a crash of the machine."""
    book = sqlite3.connect(path, timeout=60)
    book.execute("PRAGMA journal_mode = WAL")
    book.execute("PRAGMA synchronous = OFF")
    book.execute("PRAGMA cache_size = -200000")
    book.executescript(SCHEMA)
    return book
