"""CSV bytes → rows: UTF-8 or GB18030 (as Chinese spreadsheet programs write it), comma, semicolon or tab."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from services.client.tables import Bad, Cell, Limits, TableRow, Unreadable, too_long, too_many_columns, too_many_rows

_DELIMITERS: Final = ",;\t"
_QUOTED: Final = re.compile(r'"[^"]*"')
_NO_TEXT: Final = re.compile("[\x00\x80-\x9f\ufffd\ue000-\uf8ff]")
"""What appears where bytes are read in an encoding in which they were not written."""


def decode(data: bytes) -> tuple[str, str]:
    """The text and the name of the encoding that was taken: the first that reads every byte.

    Raises:
        Unreadable: neither does, or UTF-8 reads nearly every byte: then a few are broken, and another encoding would
            make nonsense of all the others.
    """
    for encoding, name in (("utf-8-sig", "UTF-8"), ("gb18030", "GB18030")):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            if encoding == "utf-8-sig":
                _refuse_broken(data, error.start)
            continue
        # Nearly any bytes are some text in GB18030: what nobody types shows that they were written in another.
        if name == "UTF-8" or _NO_TEXT.search(text) is None:
            return text, name
    raise Unreadable(
        "unknown_encoding",
        "无法识别文件编码，请另存为“CSV UTF-8”。",
        "Neither UTF-8 nor GB18030; save the file as CSV UTF-8.",
    )


def _refuse_broken(data: bytes, place: int) -> None:
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if data.startswith(codecs.BOM_UTF8) or broken < sum(not character.isascii() for character in text) - broken:
        line = data.count(b"\n", 0, place) + 1
        raise Unreadable(
            "broken_encoding",
            f"文件是 UTF-8，但第 {line} 行起含有损坏的字符（可能传输不完整），请重新导出。",
            f"The file is UTF-8, but characters are broken from line {line} on; export it again, it may be cut off.",
        )


def read_delimited(text: str, limits: Limits) -> tuple[str, Iterator[TableRow]]:
    """The delimiter that was taken, and the rows that hold something. A line break within quotes ends no row.

    Raises:
        Unreadable: at once or while reading: too long, too wide, quotes that do not fit.
    """
    first = _QUOTED.sub("", text[:65_536]).lstrip("\r\n").splitlines()[:1]
    delimiter = max(_DELIMITERS, key=first[0].count) if first else ","
    return delimiter, _rows(text, delimiter, limits)


def _rows(text: str, delimiter: str, limits: Limits) -> Iterator[TableRow]:
    number = width = 0
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), 1):
            if number > limits.rows + 1:
                raise too_many_rows(limits.rows, number)
            if len(cells) > limits.columns:
                raise too_many_columns(limits.columns, number)
            if any(cells):
                width = width or len(cells)
                short: list[Cell] = [_SHORT] if len(cells) < width else []
                yield TableRow(number, [*(_cell(cell, limits) for cell in cells), *short])
    except csv.Error as error:
        raise Unreadable(
            "bad_csv",
            "CSV 引号不成对或单元格过长，请检查该行起的引号。",
            f"Quotes that do not fit, or a cell that is too long: {error}; check the quotes from this row on.",
            number + 1,
        ) from None


_SHORT: Final = Bad(
    "short_row",
    "该行在此列之前就结束了（可能缺少分隔符或文件被截断），请补全。",
    "The row ends before this column (is a delimiter missing, or the file cut off?); complete it.",
)


def _cell(text: str, limits: Limits) -> Cell:
    if len(text) > limits.cell_chars:
        return too_long(limits.cell_chars)
    return text or None


def formula_text(text: str) -> Bad | None:
    """Why a text may not be used that a spreadsheet program would run as a formula; None if it would not."""
    if _FORMULA.match(text) is None or _SIGNED_NUMBER.fullmatch(text.strip()):
        return None
    return Bad(
        "formula_cell",
        "以 = + - @ 开头的内容会被电子表格当作公式，请改为纯文本。",
        "Text that begins with = + - or @ is run as a formula by spreadsheet programs; write it differently.",
    )


_FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠]")
_SIGNED_NUMBER: Final = re.compile(r"[+-]?[0-9][0-9,]*(\.[0-9]+)?%?")
