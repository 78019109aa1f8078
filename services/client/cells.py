"""Cells → what an event's data hold. Nothing is guessed: what a cell can't safely mean is a fault with its remedy."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.client.delimited import formula_text
from services.client.pointers import Kind
from services.client.tables import Bad, Cell

_EXACT_BELOW: Final = 10**15
"""Spreadsheet programs keep 15 digits of a number: longer ones were rounded when they were typed."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WHOLE: Final = re.compile(r"[+-]?([0-9]{1,18}|[0-9]{1,3}(,[0-9]{3}){1,5})")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]{1,18}|[0-9]{1,3}(,[0-9]{3}){1,5})\.[0-9]{1,12}")
_DAY: Final = re.compile(r"([0-9]{4})(?:[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})|年([0-9]{1,2})月([0-9]{1,2})日)")
_CLOCK: Final = re.compile(r"[T ]+([0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)")
_SEPARATORS: Final = re.compile(r"[,;，；、|]")
_TRUTHS: Final = {"true": True, "false": False, "是": True, "否": False, "yes": True, "no": False}

_NO_TRUTH: Final = Bad("wrong_type", "应为“是”或“否”，请更正。", "Write true or false (or 是, 否).")
_NO_NUMBER: Final = Bad("wrong_type", "应为数字，请更正。", "Not a number; correct it.")
_NO_DAY: Final = Bad(
    "bad_date",
    "不是日期，请写成 2020-04-01 的形式。",
    "Not a date; write it like 2020-04-01.",
)
_NO_TIME: Final = Bad(
    "bad_time",
    "不是时间，请写成 2020-04-01 09:30 或 2020-04-01T09:30:00+08:00 的形式。",
    "Not a time; write it like 2020-04-01 09:30 or 2020-04-01T09:30:00+08:00.",
)
_DAY_FOR_TEXT: Final = Bad(
    "date_for_text",
    "该列应为文本，单元格却是日期（可能被电子表格自动转换），请设为文本格式后重新填写。",
    "The column takes text, the cell holds a date (spreadsheet programs turn texts into dates): format it as text and "
    "write it again.",
)
_ROUNDED: Final = Bad(
    "number_rounded",
    "超过 15 位的数字在电子表格中已被舍入，请将该列设为文本格式后重新填写。",
    "Spreadsheet programs round numbers of more than 15 digits: format the column as text and write it again.",
)
_CONTROLS: Final = Bad(
    "control_character",
    "含有不可见的控制字符，请删除。",
    "Holds control characters, which nobody sees; remove them.",
)


def read_as(kind: Kind, cell: Cell, zone: ZoneInfo) -> Any:
    """What a cell means where the data take this kind: a JSON value, None for an empty cell, `Bad` for an unusable one.

    Numbers that go where text belongs keep the digits that the spreadsheet shows; nothing is rounded or padded.
    """
    if isinstance(cell, str):
        cell = cell.strip() or None
        if cell is not None and (bad := _unsafe(cell)) is not None:
            return bad
    if cell is None or isinstance(cell, Bad):
        return cell
    return _READERS[kind](cell, zone)


def _unsafe(text: str) -> Bad | None:
    return _CONTROLS if _CONTROL.search(text) else formula_text(text)


def _text(cell: str | float | datetime, zone: ZoneInfo) -> str | Bad:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, datetime):
        return _DAY_FOR_TEXT
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return _ROUNDED if abs(cell) >= _EXACT_BELOW else _digits(cell)


def _digits(number: float) -> str:
    """The number as a spreadsheet program shows it: 15 significant digits, so 0.1 + 0.2 is 0.3."""
    text = format(Decimal(format(number, ".15g")), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(cell: str | float | datetime, zone: ZoneInfo) -> int | float | Bad:
    if isinstance(cell, str):
        if _WHOLE.fullmatch(cell):
            return int(cell.replace(",", ""))
        return float(cell.replace(",", "")) if _DECIMAL.fullmatch(cell) else _NO_NUMBER
    if isinstance(cell, bool | datetime):
        return _NO_NUMBER
    if abs(cell) >= _EXACT_BELOW:
        return _ROUNDED
    shown = float(_digits(cell))
    return int(shown) if shown.is_integer() else shown


def _boolean(cell: str | float | datetime, zone: ZoneInfo) -> bool | Bad:
    if isinstance(cell, bool):
        return cell
    return _TRUTHS.get(cell.lower(), _NO_TRUTH) if isinstance(cell, str) else _NO_TRUTH


def _day(cell: str | float | datetime, zone: ZoneInfo) -> str | Bad:
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, str) and (day := _DAY.fullmatch(cell)):
        return _iso_day(day)
    return _NO_DAY


def _iso_day(day: re.Match[str]) -> str:
    return f"{day[1]}-{int(day[2] or day[4]):02}-{int(day[3] or day[5]):02}"


def _time(cell: str | float | datetime, zone: ZoneInfo) -> str | Bad:
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=zone).isoformat()
    if not isinstance(cell, str):
        return _NO_TIME
    day = _DAY.match(cell)
    rest = cell[day.end() :] if day else cell
    clock = _CLOCK.fullmatch(rest)
    if day and (clock or not rest):
        hour, _, rest = (clock[1] if clock else "0:00").partition(":")
        cell = f"{_iso_day(day)}T{hour.zfill(2)}:{rest}"
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        return _NO_TIME
    return moment.isoformat() if moment.tzinfo is not None else moment.replace(tzinfo=zone).isoformat()


def _list(cell: str | float | datetime, zone: ZoneInfo) -> list[str] | Bad:
    if not isinstance(cell, str):
        text = _text(cell, zone)
        return text if isinstance(text, Bad) else [text]
    return [item.strip() for item in _SEPARATORS.split(cell) if item.strip()]


_READERS: Final = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _day,
    Kind.TIME: _time,
    Kind.LIST: _list,
}
