"""What every table is read into, whatever file it stood in: numbered rows of cells, within limits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is read. What goes beyond is refused, never cut off.

    `file_bytes`, `rows` (header not counted), `columns` and `cell_chars` hold for tables, `lines` for JSON Lines. The
    rest is for XLSX, a ZIP archive: `entries` in it, `unzipped_bytes` of all that is read from it, `ratio` of unzipped
    to packed, `elements` of XML (two or three a cell), and `strings`, the different texts that its cells may share.
    """

    file_bytes: int = 32 * MIB
    rows: int = 100_000
    columns: int = 200
    cell_chars: int = 4_000
    lines: int = 1_000_000
    entries: int = 1_000
    unzipped_bytes: int = 128 * MIB
    ratio: int = 100
    elements: int = 10_000_000
    strings: int = 1_000_000


class Unreadable(Exception):
    """A file that can't be read at all, or not to its end; `row` is where it shows, None where it is the whole."""

    def __init__(self, code: str, zh: str, en: str, row: int | None = None) -> None:
        super().__init__(en)
        self.code = code
        self.zh = zh
        self.en = en
        self.row = row


@dataclass(frozen=True, slots=True)
class Bad:
    """A cell whose content may not be used, and why."""

    code: str
    zh: str
    en: str


Cell = str | float | bool | datetime | Bad | None
"""A text, a number, a truth, a local time without zone (a day is its midnight), an unusable cell, or nothing."""


class TableRow(NamedTuple):
    """The cells of one row; `number` is what a spreadsheet program shows at its left. Missing ends are not filled."""

    number: int
    cells: list[Cell]


def column_letters(index: int) -> str:
    """How spreadsheet programs call the column with this index: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def too_many_rows(limit: int, row: int) -> Unreadable:
    """The refusal of a file that is too long."""
    return Unreadable(
        "too_many_rows",
        f"超过 {limit:,} 行上限，请拆分文件。",
        f"More than {limit:,} rows; split the file.",
        row,
    )


def too_many_columns(limit: int, row: int) -> Unreadable:
    """The refusal of a file that is too wide."""
    return Unreadable(
        "too_many_columns",
        f"超过 {limit} 列上限，请删去多余的列。",
        f"More than {limit} columns; take out those that are not needed.",
        row,
    )


def too_long(limit: int) -> Bad:
    """The refusal of a cell with too much text."""
    return Bad(
        "cell_too_long",
        f"单元格文本超过 {limit:,} 个字符，请缩短。",
        f"The cell holds more than {limit:,} characters; shorten it.",
    )
