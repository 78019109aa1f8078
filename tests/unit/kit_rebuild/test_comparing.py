"""Comparing a rebuilt database with the one in use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from services.kit.comparing import ROW, Comparison, Difference
from services.kit.database import SqliteDatabase
from services.kit.store import table_of
from services.kit.tables import Claim, DeadlineRow, EffectRow
from tests.support.ledger import AccountOpened, AccountRow, ClerkRecorded, ClerkRow, LetterQueued
from tests.unit.kit_rebuild.builders import NOON, Folding, database, record

ACCOUNTS = 1200


class Pair:
    """Two databases made of the same events: the new one is compared with the old."""

    def __init__(self, new: SqliteDatabase, old: Path) -> None:
        self._new = new
        self._old = old

    def spoil(self, sql: str) -> None:
        """Change the old one by hand."""
        with closing(sqlite3.connect(self._old)) as connection, connection:
            assert connection.execute(sql).rowcount > 0

    def compare(self, limit: int = 50) -> Comparison:
        comparison = Comparison(self._new, "old", "main", limit)
        self._new.execute("ATTACH DATABASE ? AS old", (f"file:{self._old}?mode=ro",))
        for cls, without in (
            (AccountRow, ("version",)), (ClerkRow, ("version",)), (DeadlineRow, ()), (Claim, ()),
            (EffectRow, ("attempts", "next_ms")),
        ):  # fmt: skip
            comparison.compare(table_of(cls), without)
        return comparison


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    records = [
        record(f"a{number:04}", AccountOpened(name=f"n{number}", close_at=NOON + timedelta(hours=number)))
        for number in range(ACCOUNTS)
    ]
    records += [
        record("c1", ClerkRecorded(called="Li", number=1)),
        record("a0001", LetterQueued(letter_id="a0001-1", text="hello")),
    ]
    with database(tmp_path / "old.db") as old:
        folding = Folding(old)
        folding.take(*records)
        folding.finish()
    with database(tmp_path / "new.db") as new:
        folding = Folding(new)
        folding.take(*records)
        folding.finish()
        yield Pair(new, tmp_path / "old.db")


def test_databases_of_the_same_events_are_equal(pair: Pair) -> None:
    differences = pair.compare().differences
    assert (differences.total, differences.first) == (0, [])


def test_a_column_changed_by_hand_is_found_with_both_values(pair: Pair) -> None:
    pair.spoil("UPDATE ledger_account SET balance = 7 WHERE key = 'a0500'")
    pair.spoil("UPDATE ledger_account SET close_at = NULL WHERE key = 'a0501'")
    differences = pair.compare().differences
    assert differences.total == 2
    assert differences.first == [
        Difference("ledger_account", "a0500", "balance", 7, 0),
        Difference("ledger_account", "a0501", "close_at", None, "2026-04-13T09:00:00+00:00"),
    ]


def test_a_row_that_only_one_side_has_is_found(pair: Pair) -> None:
    pair.spoil("DELETE FROM ledger_account WHERE key = 'a0007'")
    pair.spoil("UPDATE ledger_account SET key = 'zz' WHERE key = 'a0008'")
    assert set(pair.compare().differences.first) == {
        Difference("ledger_account", "a0007", ROW, None, True),
        Difference("ledger_account", "a0008", ROW, None, True),
        Difference("ledger_account", "zz", ROW, True, None),
    }


@pytest.mark.parametrize(
    ("sql", "difference"),
    [
        (
            "DELETE FROM kit_deadline WHERE key = 'a0003'",
            Difference("kit_deadline", "account / a0003 / close", ROW, None, True),
        ),
        (
            "UPDATE kit_claim SET key = 'a9' WHERE claim = 'n4'",
            Difference("kit_claim", "account / n4", "key", "a9", "a0004"),
        ),
        ("DELETE FROM kit_effect", Difference("kit_effect", "account / letter / a0001-1", ROW, None, True)),
    ],
)
def test_deadlines_claims_and_effects_are_compared_too(pair: Pair, sql: str, difference: Difference) -> None:
    pair.spoil(sql)
    assert pair.compare().differences.first == [difference]


def test_versions_and_attempts_may_differ(pair: Pair) -> None:
    pair.spoil("UPDATE ledger_account SET version = version + 3")
    pair.spoil("UPDATE kit_effect SET attempts = 5, next_ms = 99")
    assert pair.compare().differences.total == 0


def test_json_is_compared_by_what_it_says(pair: Pair) -> None:
    pair.spoil("""UPDATE ledger_clerk SET names = '[ "Li" ]'""")
    assert pair.compare().differences.total == 0


def test_json_that_says_something_else_is_found(pair: Pair) -> None:
    pair.spoil("""UPDATE ledger_clerk SET names = '["Lu"]'""")
    assert pair.compare().differences.first == [Difference("ledger_clerk", "c1", "names", '["Lu"]', '["Li"]')]


def test_all_rows_that_differ_are_counted_and_the_first_are_told(pair: Pair) -> None:
    pair.spoil("UPDATE ledger_account SET balance = 1, letters = 2")
    differences = pair.compare(limit=5).differences
    assert differences.rows == {"ledger_account": ACCOUNTS}
    assert [(one.key, one.column) for one in differences.first] == [
        ("a0000", "balance"), ("a0000", "letters"), ("a0001", "balance"), ("a0001", "letters"), ("a0002", "balance"),
    ]  # fmt: skip
