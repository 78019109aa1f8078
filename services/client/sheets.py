"""The parts of an XLSX file that make a table: shared texts, styles (which numbers are dates), and a sheet's rows.

Each is a handler of XML elements as they stream by.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Final

from services.client.tables import (
    Bad,
    Cell,
    Limits,
    TableRow,
    Unreadable,
    column_letters,
    too_long,
    too_many_columns,
    too_many_rows,
)

_BUILT_IN_DATES: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_NO_FORMAT_LETTERS: Final = re.compile(r'"[^"]*"|\[[^\]]*\]|[\\_*].')
_FORMAT_LIMIT: Final = 1_000
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_PLACE: Final = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_FIRST_DAY: Final = datetime(1899, 12, 30)
_FIRST_DAY_1904: Final = datetime(1904, 1, 1)
_LAST_SERIAL: Final = 2_958_466
_LEAP_YEAR_THAT_WAS_NONE: Final = 60


def local(name: str) -> str:
    """The name of an element or attribute without its prefix."""
    return name.rpartition(":")[2] if ":" in name else name


class _Text:
    """Gathers the text between two tags, no more of it than may be used."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.cell_chars
        self._pieces: list[str] = []
        self._length = 0
        self.taking = False

    def begin(self) -> None:
        self._pieces, self._length = [], 0

    def add(self, piece: str) -> None:
        if self.taking:
            self._length += len(piece)
            if self._length <= self._limit:
                self._pieces.append(piece)

    def found(self) -> str | Bad:
        return too_long(self._limit) if self._length > self._limit else "".join(self._pieces)


class Strings:
    """The texts that cells share, by their number."""

    def __init__(self, limits: Limits) -> None:
        self.found: list[str | Bad] = []
        self._limits = limits
        self._text = _Text(limits)
        self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            self._text.begin()
        elif name == "rPh":
            self._phonetic = True
        elif name == "t":
            self._text.taking = not self._phonetic

    def end(self, name: str) -> None:
        if name == "t":
            self._text.taking = False
        elif name == "rPh":
            self._phonetic = False
        elif name == "si":
            if len(self.found) >= self._limits.strings:
                raise Unreadable(
                    "too_many_texts",
                    f"不同文本超过 {self._limits.strings:,} 个，请拆分文件。",
                    f"More than {self._limits.strings:,} different texts; split the file.",
                )
            self.found.append(_unescaped(self._text.found()))

    def text(self, piece: str) -> None:
        self._text.add(piece)


class Styles:
    """Which cell styles show a number as a date or a time."""

    def __init__(self) -> None:
        self.dates: set[int] = set()
        self._formats: set[str] = set()
        self._within = False
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            if shows_date(attributes.get("formatCode", "")):
                self._formats.add(attributes.get("numFmtId", ""))
        elif name == "cellXfs":
            self._within = True
        elif name == "xf" and self._within:
            number = attributes.get("numFmtId", "0")
            if number in self._formats or (number.isdecimal() and int(number[:4]) in _BUILT_IN_DATES):
                self.dates.add(self._count)
            self._count += 1

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._within = False

    def text(self, piece: str) -> None:
        """Styles hold no text."""


def shows_date(code: str) -> bool:
    """Whether a number format shows a date: it has a letter of one outside quotes, brackets and escapes."""
    bare = _NO_FORMAT_LETTERS.sub("", code[:_FORMAT_LIMIT].split(";")[0]).lower()
    return "general" not in bare and any(letter in bare for letter in "ymdhs")


class Rows:
    """The rows of a sheet, one after the other as they are complete."""

    def __init__(self, strings: list[str | Bad], dates: set[int], since_1904: bool, limits: Limits) -> None:
        self._strings = strings
        self._dates = dates
        self._first_day = _FIRST_DAY_1904 if since_1904 else _FIRST_DAY
        self._limits = limits
        self._complete: list[TableRow] = []
        self._row = TableRow(0, [])
        self._column = -1
        self._kind = ""
        self._style = 0
        self._formula = False
        self._phonetic = False
        self._text = _Text(limits)

    def take(self) -> list[TableRow]:
        """The rows that were completed since the last call."""
        complete, self._complete = self._complete, []
        return complete

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._open_cell(attributes)
        elif name == "row":
            number = int(attributes.get("r", self._row.number + 1))
            if number <= self._row.number:
                raise ValueError(f"row {number} stands after row {self._row.number}")
            if number > self._limits.rows + 1:
                raise too_many_rows(self._limits.rows, number)
            self._row, self._column = TableRow(number, []), -1
        elif name == "f":
            self._formula = True
        elif name == "rPh":
            self._phonetic = True
        elif name in ("v", "t"):
            self._text.taking = not self._phonetic

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._text.taking = False
        elif name == "c":
            self._close_cell()
        elif name == "rPh":
            self._phonetic = False
        elif name == "row" and self._row.cells:
            self._complete.append(self._row)

    def text(self, piece: str) -> None:
        self._text.add(piece)

    def _open_cell(self, attributes: dict[str, str]) -> None:
        column = self._column + 1
        if "r" in attributes:
            place = _PLACE.fullmatch(attributes["r"])
            if place is None or int(place[2]) != self._row.number:
                raise ValueError(f"cell {attributes['r'][:20]} stands in row {self._row.number}")
            column = _index_of(place[1])
            if column <= self._column:
                raise ValueError(f"cell {attributes['r']} stands after column {column_letters(self._column)}")
        self._column = column
        self._kind = attributes.get("t", "n")
        self._style = int(attributes.get("s", 0))
        self._formula = False
        self._text.begin()

    def _close_cell(self) -> None:
        cell = self._value()
        if cell is None or cell == "":
            return
        if self._column >= self._limits.columns:
            raise too_many_columns(self._limits.columns, self._row.number)
        self._row.cells.extend([None] * (self._column - len(self._row.cells)))
        self._row.cells.append(cell)

    @property
    def _place(self) -> str:
        return f"{column_letters(self._column)}{self._row.number}"

    def _value(self) -> Cell:
        if self._formula:
            place = self._place
            return Bad(
                "formula_cell",
                f"单元格 {place} 是公式，请改为“只粘贴数值”。",
                f"Cell {place} holds a formula; paste its value instead.",
            )
        text = self._text.found()
        if isinstance(text, Bad) or not text:
            return text or None
        if self._kind == "s":
            index = int(text)
            if not 0 <= index < len(self._strings):
                raise ValueError(f"cell {self._place} refers to a text that is not there")
            return self._strings[index]
        if self._kind in ("inlineStr", "str"):
            return _unescaped(text)
        if self._kind == "b":
            return text in ("1", "true")
        if self._kind == "d":
            return datetime.fromisoformat(text).replace(tzinfo=None)
        if self._kind == "e":
            place = self._place
            return Bad(
                "error_cell",
                f"单元格 {place} 是错误值 {text[:20]}，请更正。",
                f"Cell {place} holds the error {text[:20]}; correct it.",
            )
        return self._number(text)

    def _number(self, text: str) -> Cell:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"cell {self._place} holds no finite number")
        if self._style not in self._dates:
            return number
        if not 1 <= number < _LAST_SERIAL:
            place = self._place
            return Bad(
                "bad_date",
                f"单元格 {place} 显示为日期，但其数值不是日期，请更正。",
                f"Cell {place} is shown as a date, but its number is none; correct it.",
            )
        if self._first_day is _FIRST_DAY and number < _LEAP_YEAR_THAT_WAS_NONE:
            number += 1
        return self._first_day + timedelta(seconds=round(number * 86_400, 3))


def _index_of(letters: str) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1


def _unescaped(text: str | Bad) -> str | Bad:
    """Characters that XML can't hold stand in a sheet as `_x000D_`; halves of surrogate pairs stay as they are."""
    if isinstance(text, Bad) or "_x" not in text:
        return text
    return _ESCAPED.sub(
        lambda match: match[0] if match[1][0] in "dD" and match[1][1] in "89abcdefABCDEF" else chr(int(match[1], 16)),
        text,
    )
