"""A database filled in bulk: as many rows as events, ids as publishers write them, and what tells rows apart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from services.kit.ids import digest_of
from tests.benchmarks.stored import copy_to_disk, fill, shapes

FEW = 300


def rows(file: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("scattered", [False, True])
def test_every_stored_event_has_its_row_in_the_inbox_and_its_state(tmp_path: Path, scattered: bool) -> None:
    file = tmp_path / "hop.db"
    fill(file, FEW, first=5, scattered=scattered)
    ids = [str(id) for (id,) in rows(file, "SELECT id FROM kit_inbox")]
    assert len(set(ids)) == FEW
    assert all(str(UUID(id)) == id for id in ids)
    keys = [key for (key,) in rows(file, "SELECT key FROM hop_scored ORDER BY key")]
    assert keys == [f"R{number:08d}" for number in range(5, 5 + FEW)]


def test_rising_ids_rise_with_the_numbers_and_scattered_ones_do_not(tmp_path: Path) -> None:
    highs = {}
    for scattered in (False, True):
        file = tmp_path / f"{scattered}" / "hop.db"
        fill(file, FEW, scattered=scattered)
        highs[scattered] = [UUID(str(id)).int >> 64 for (id,) in rows(file, "SELECT id FROM kit_inbox ORDER BY id")]
    assert highs[False] == list(range(FEW))
    assert min(highs[True]) > 2**32


def test_a_digest_tells_the_length_and_a_checksum_as_the_kits_own_does(tmp_path: Path) -> None:
    file = tmp_path / "hop.db"
    fill(file, FEW)
    real = digest_of(b"R00000001", b"x" * 440)
    stored = [int(str(digest)) for (digest,) in rows(file, "SELECT digest FROM kit_inbox")]
    assert {digest >> 32 for digest in stored} == {real >> 32}
    assert len({digest & 0xFFFFFFFF for digest in stored}) > FEW - 5


def test_another_length_or_type_of_a_column_is_another_shape(tmp_path: Path) -> None:
    file, other = tmp_path / "hop.db", tmp_path / "copy" / "hop.db"
    fill(file, FEW)
    copy_to_disk(file, other)
    assert shapes(file) == shapes(other)
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("UPDATE hop_scored SET zone = 'erenhot'")
    assert shapes(file) != shapes(other)
