"""What the columns of one table mean: its header, with or without a mapping → an event for each row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from schemas.envelope import payload_class
from schemas.faults import pointer_to
from services.client.cells import read_as
from services.client.identity import derived_id
from services.client.mapping import Attribute, Constant, FromColumn, Mapping
from services.client.pointers import Kind, kind_of, place_named, put, steps_of, with_lists
from services.client.tables import Bad, Cell, TableRow, column_letters

ATTRIBUTES: Final = ("type", "source", "subject", "time", "id", "correlationid", "causationid", "traceparent")
"""Columns of these names are the event's attributes; `reference` is one from which its id is derived."""

_CONVENTIONAL: Final = {*ATTRIBUTES, "reference"}
_NEEDED: Final = {
    "type": ("type",),
    "source": ("source",),
    "subject": ("subject",),
    "time": ("time",),
    "id": ("reference", "id"),
}
_NO_REFERENCE: Final = Bad(
    "missing",
    "用以识别该行的列为空，请填写。",
    "The column that identifies the row is empty; fill it in.",
)
_BEYOND_HEADER: Final = Bad(
    "no_header",
    "该单元格所在的列没有列名（行内可能多了分隔符），请更正。",
    "The cell stands in a column without a header (is there a delimiter too many in the row?); correct it.",
)


@dataclass(frozen=True, slots=True)
class RowFault:
    """One thing wrong with one row.

    `row` is the number that a spreadsheet program shows (in JSON Lines, the line), 0 for the whole file; `column` is
    the header of the column, None where no single one is at fault; `pointer` is a JSON Pointer into the CloudEvent.
    """

    row: int
    column: str | None
    pointer: str
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class _Field:
    """A column, or a constant (then `index` is None), and a place of the data."""

    index: int | None
    steps: tuple[str, ...]
    kind: Kind
    default: Constant | None
    codes: dict[str, str]


class Draft:
    """The event that one row is about to become: CloudEvents attributes with `data`, and what was wrong so far."""

    def __init__(self, row: int) -> None:
        self.row = row
        self.attributes: dict[str, Any] = {"specversion": "1.0", "data": {}}
        self.columns: dict[str, str] = {}
        self.faults: list[RowFault] = []

    def blame(self, column: str | None, pointer: str, bad: Bad) -> None:
        """Remember a fault of a cell."""
        self.faults.append(RowFault(self.row, column, pointer, bad.code, bad.zh, bad.en))

    def column_of(self, pointer: str) -> str | None:
        """The column that fills a place, or the first that fills something within it."""
        within = (name for place, name in self.columns.items() if place.startswith(pointer + "/"))
        return self.columns.get(pointer) or (next(within, None) if pointer not in ("", "/data") else None)

    def known(self, pointer: str) -> bool:
        """Whether the place or something within it was found at fault already, so that it is missing for that."""
        return bool(pointer) and any(f"{fault.pointer}/".startswith(f"{pointer}/") for fault in self.faults)


class Layout:
    """The header of a table, understood. `faults` are what is wrong with the header itself."""

    def __init__(self, header: TableRow, mapping: Mapping | None) -> None:
        self._mapping = mapping or Mapping()
        self._zone = ZoneInfo(self._mapping.zone)
        self._number = header.number
        self._names = [_header(cell) for cell in header.cells]
        self._index = {name: index for index, name in enumerate(self._names) if name}
        self._fields: dict[str, tuple[list[_Field], list[RowFault]]] = {}
        self.width = len(self._names)
        self.faults = list(self._flaws(header))
        if not self.faults and isinstance(self._mapping.type, str):
            self.faults = self._fields_of(self._mapping.type)[1]

    def draft(self, row: TableRow) -> Draft:
        """The event in a row, with what is wrong with its cells as far as that shows without the contract."""
        draft = Draft(row.number)
        cells = row.cells + [None] * (self.width - len(row.cells))
        for index in range(self.width, len(cells)):
            if cells[index] is not None:
                draft.blame(column_letters(index), "", _BEYOND_HEADER)
        for name in ATTRIBUTES:
            self._attribute(name, cells, draft)
        self._identify(cells, draft)
        fields, strange = self._fields_of(str(draft.attributes.get("type", "")))
        for fault in strange:
            if cells[self._index[fault.column or ""]] is not None:
                draft.blame(fault.column, fault.pointer, Bad(fault.code, fault.zh, fault.en))
        data: dict[str, Any] = {}
        for field in fields:
            self._fill(field, cells, data, draft)
        draft.attributes["data"] = with_lists(data)
        return draft

    def _attribute(self, name: str, cells: list[Cell], draft: Draft) -> None:
        told: Attribute | str | None = getattr(self._mapping, name, None)
        column = name if told is None else told.column if isinstance(told, FromColumn) else None
        if name == "subject" and told is not None:
            column = str(told)
        if column is None:
            value = read_as(Kind.TIME, str(told), self._zone) if name == "time" else told
        elif column in self._index:
            value = read_as(Kind.TIME if name == "time" else Kind.TEXT, cells[self._index[column]], self._zone)
            draft.columns[f"/{name}"] = column
        else:
            return
        if isinstance(value, Bad):
            draft.blame(column, f"/{name}", value)
        elif value is not None:
            draft.attributes[name] = value

    def _identify(self, cells: list[Cell], draft: Draft) -> None:
        columns = self._mapping.reference or (("reference",) if "reference" in self._index else ())
        if not columns or "id" in draft.attributes:
            return
        draft.columns["/id"] = columns[0]
        parts = []
        for column in columns:
            value = read_as(Kind.TEXT, cells[self._index[column]], self._zone)
            bad = _NO_REFERENCE if value is None else value
            if isinstance(bad, Bad):
                draft.blame(column, "/id", bad)
            parts.append(value)
        source = draft.attributes.get("source", "")
        if not draft.known("/id") and source.strip():
            reference = parts[0] if len(parts) == 1 else json.dumps(parts, ensure_ascii=False)
            draft.attributes["id"] = derived_id(source, reference)

    def _fill(self, field: _Field, cells: list[Cell], data: dict[str, Any], draft: Draft) -> None:
        pointer = "/data" + pointer_to(field.steps)
        cell: Cell = None
        column = None
        if field.index is not None:
            cell, column = cells[field.index], self._names[field.index]
            draft.columns[pointer] = column
        value = read_as(Kind.TEXT if field.codes else field.kind, cell, self._zone)
        if value is None:
            value = read_as(field.kind, field.default, self._zone)
        elif field.codes and isinstance(value, str):
            value = read_as(field.kind, field.codes.get(value, value), self._zone)
        if isinstance(value, Bad):
            draft.blame(column, pointer, value)
        elif value is not None:
            put(data, field.steps, value)

    def _fields_of(self, kind: str) -> tuple[list[_Field], list[RowFault]]:
        """What fills the data of an event type, and the columns that its contract has no place for."""
        if kind not in self._fields:
            self._fields[kind] = self._find_fields(kind)
        return self._fields[kind]

    def _find_fields(self, kind: str) -> tuple[list[_Field], list[RowFault]]:
        payload = payload_class(kind)
        if payload is None:
            return [], []
        fields, strange = [], []
        for pointer, constant in self._mapping.constants.items():
            if (found := kind_of(payload, steps_of(pointer))) is not None:
                fields.append(_Field(None, steps_of(pointer), found, constant, {}))
        for name, index in self._index.items():
            target = self._mapping.fields.get(name)
            places = [steps_of(pointer) for pointer in target.to] if target else []
            if target is None and name in self._own:
                continue
            if target is None and (place := place_named(payload, name)) is not None:
                places = [place]
            kinds = [(place, kind_of(payload, place)) for place in places]
            for at, one in kinds:
                if one is not None and target is not None:
                    fields.append(_Field(index, at, target.as_ or one, target.default, target.codes))
                elif one is not None:
                    fields.append(_Field(index, at, one, None, {}))
            if not places or any(one is None for _, one in kinds):
                strange.append(self._unplaced(name, kind))
        return fields, strange

    @property
    def _own(self) -> set[str]:
        """The columns that are no data: attributes, references, and what the mapping leaves aside."""
        mapping = self._mapping
        told = [value.column for value in (mapping.type, mapping.source, mapping.time) if isinstance(value, FromColumn)]
        named = {*told, *mapping.reference, *mapping.ignore, *ATTRIBUTES, "reference"}
        return named if mapping.subject is None else {*named, mapping.subject}

    def _unplaced(self, name: str, kind: str) -> RowFault:
        return RowFault(
            self._number,
            name,
            "",
            "unknown_column",
            f"{kind} 中没有与该列对应的字段；请核对列名，或在映射中给出去处或列入 ignore。",
            f"{kind} has no field for this column; check its name, or map it or list it under ignore in the mapping.",
        )

    def _flaws(self, header: TableRow) -> Iterator[RowFault]:
        for index, cell in enumerate(header.cells):
            if isinstance(cell, Bad):
                yield RowFault(self._number, column_letters(index), "", cell.code, cell.zh, cell.en)
        for name, count in Counter(name for name in self._names if name).items():
            if count > 1:
                zh = f"列名出现 {count} 次，请只保留一列或改名。"
                en = f"The header stands over {count} columns; keep one or rename the others."
                yield RowFault(self._number, name, "", "repeated_header", zh, en)
        for name in sorted((self._own - _CONVENTIONAL | set(self._mapping.fields)) - set(self._index)):
            zh, en = (
                "映射中提到的列不存在，请核对列名。",
                "The mapping names this column, the table lacks it; check its name.",
            )
            yield RowFault(self._number, name, "", "missing_column", zh, en)
        for name, ways in _NEEDED.items():
            if not any(getattr(self._mapping, way, None) or way in self._index for way in ways):
                zh = f"缺少列 {' 或 '.join(ways)}；请增加该列，或在映射中给出。"
                en = f"There is no column {' or '.join(ways)}; add one, or say it in the mapping."
                yield RowFault(self._number, None, f"/{name}", "missing_column", zh, en)


def _header(cell: Cell) -> str:
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else str(cell)
    return " ".join(cell.split()) if isinstance(cell, str) else ""
