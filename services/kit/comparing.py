"""Comparing two databases of one service, table by table and row by row, inside one read of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Table

from services.kit.database import Database, kind_of

ROW = "*"
"""Stands for the column where a whole row is missing on one side."""

_PAGE = 500


class Difference(NamedTuple):
    """One column of one row that differs, `old` and `new` as the databases give them.

    Where the whole row is missing on one side, `column` is `ROW`, and one of the two is True, the other None.
    """

    table: str
    key: str
    column: str
    old: Any
    new: Any


@dataclass(slots=True)
class Differences:
    """How many rows differ, by table, and the first of the differences."""

    limit: int
    rows: dict[str, int] = field(default_factory=dict)
    first: list[Difference] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Rows that differ, all tables together."""
        return sum(self.rows.values())

    def add(self, table: str, found: Iterable[Sequence[Difference]]) -> None:
        """Take in the differences of rows, one sequence a row."""
        for row in found:
            self.rows[table] = self.rows.get(table, 0) + 1
            self.first += islice(row, max(0, self.limit - len(self.first)))


class Comparison:
    """Compares tables of the schema `old` with their namesakes in the schema `new`; both are seen by one connection."""

    def __init__(self, database: Database, old: str, new: str, limit: int) -> None:
        self._database = database
        self._old = old
        self._new = new
        self.differences = Differences(limit)

    def compare(self, table: Table, without: Sequence[str] = ()) -> int:
        """Compare all columns but `without`; returns how many rows the new table has."""
        keys = [column.name for column in table.primary_key.columns]
        others = [column.name for column in table.columns if column.name not in (*keys, *without)]
        self.differences.add(table.name, self._changed(table, keys, others))
        self.differences.add(table.name, self._only(table, keys, self._old, self._new, (True, None)))
        self.differences.add(table.name, self._only(table, keys, self._new, self._old, (None, True)))
        ((rows,),) = self._database.query(f'SELECT count(*) FROM "{self._new}".{table.name}')
        return int(rows)

    def _changed(self, table: Table, keys: list[str], others: list[str]) -> Iterator[list[Difference]]:
        is_json = [kind_of(table.columns[name]) == "json" for name in others]
        columns = ", ".join(
            f"{side}.{name}" for side, names in (("n", keys), ("o", others), ("n", others)) for name in names
        )
        same = " AND ".join(f"n.{name} = o.{name}" for name in keys)
        differ = " OR ".join(f"o.{name} IS DISTINCT FROM n.{name}" for name in others)
        both = f'"{self._new}".{table.name} n JOIN "{self._old}".{table.name} o ON {same}'
        select = f"SELECT {columns} FROM {both} WHERE ({differ})"
        for row in self._paged(select, "n", keys):
            old, new = row[len(keys) :][: len(others)], row[len(keys) + len(others) :]
            # SQLite keeps JSON as text, in which the order of names may differ without meaning anything.
            found = [
                Difference(table.name, _shown(row[: len(keys)]), name, before, after)
                for name, json, before, after in zip(others, is_json, old, new, strict=True)
                if before != after and not (json and _parsed(before) == _parsed(after))
            ]
            if found:
                yield found

    def _only(
        self, table: Table, keys: list[str], here: str, there: str, values: tuple[Any, Any]
    ) -> Iterator[list[Difference]]:
        columns = ", ".join(f"h.{name}" for name in keys)
        same = " AND ".join(f"h.{name} = t.{name}" for name in keys)
        select = (
            f'SELECT {columns} FROM "{here}".{table.name} h WHERE NOT EXISTS '
            f'(SELECT 1 FROM "{there}".{table.name} t WHERE {same})'
        )
        for row in self._paged(select, "h", keys):
            yield [Difference(table.name, _shown(row), ROW, *values)]

    def _paged(self, select: str, side: str, keys: list[str]) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of their keys, which come first in each; never more than a page of them in memory."""
        names = ", ".join(f"{side}.{name}" for name in keys)
        marks = ", ".join("?" for _ in keys)
        order = f" ORDER BY {names} LIMIT {_PAGE}"
        page = self._database.query(select + order)
        while page:
            yield from page
            after = page[-1][: len(keys)]
            page = self._database.query(f"{select} AND ({names}) > ({marks}){order}", after)


def _parsed(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


def _shown(key: Sequence[Any]) -> str:
    return " / ".join(map(str, key))
