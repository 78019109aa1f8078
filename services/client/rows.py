"""Files of events → checked records: JSON Lines (one CloudEvent a line), CSV and XLSX (one event a row).

Everything a file may hold is told row by row, with all faults of a row at once; nothing is sent from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath
from typing import BinaryIO, Final

from schemas.faults import FAULT_LIMIT
from schemas.loading import load_contracts
from services.client.delimited import decode, read_delimited
from services.client.layout import Draft, Layout, RowFault
from services.client.mapping import Mapping
from services.client.preparing import Prepared, Refused, prepare_json, prepare_object
from services.client.spreadsheets import encrypted, read_spreadsheet
from services.client.tables import MIB, Limits, TableRow, Unreadable, too_many_rows
from topics.definition import Catalogue, load_catalogue

__all__ = [
    "Checked",
    "Limits",
    "Mapping",
    "Row",
    "RowFault",
    "Rows",
    "Taken",
    "Unreadable",
    "check_rows",
    "read_rows",
]

FILE_FAULT_LIMIT: Final = 1_000
"""So many faults of one file are kept; of the rest, the number."""

_LINE_LIMIT: Final = MIB
_ARCHIVE: Final = b"PK\x03\x04"
_OLD_OFFICE: Final = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LINES: Final = frozenset({".jsonl", ".ndjson", ".json"})
_DELIMITED: Final = frozenset({".csv", ".tsv", ".txt"})
_OTHER_SHEETS: Final = frozenset({".xls", ".xlsm", ".xlsb", ".xltx", ".xltm", ".ods", ".et", ".numbers"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the record that it became, or what is wrong with it. Exactly one of the two is there."""

    number: int
    prepared: Prepared | None
    faults: tuple[RowFault, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """How a file was read: its format, and the encoding, delimiter or sheet that was taken for it."""

    format: str
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None


class Rows:
    """The rows of one file, read as they are asked for, once. `taken` is known before the first."""

    def __init__(self, taken: Taken, rows: Iterator[Row]) -> None:
        self.taken = taken
        self._rows = _each_id_once(rows)

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        return next(self._rows)


def read_rows(
    data: bytes | Path,
    name: str | None = None,
    mapping: Mapping | None = None,
    catalogue: Catalogue | None = None,
    limits: Limits | None = None,
    sheet: str | None = None,
) -> Rows:
    """Read and check a file: its bytes with its `name`, which tells the format, or its path.

    A mapping says what the columns of a table mean. Without one, columns are named for what they hold: `type`,
    `source`, `subject`, `reference`, `time`, and places of the data (`enterprise.credit_code`). A file that breaks off
    being readable gives a last row with the fault; a header that can't be used gives one row with all of its faults.

    Raises:
        Unreadable: the file can't be read at all.
    """
    load_contracts()
    limits = limits or Limits()
    catalogue = catalogue or load_catalogue()
    path = data if isinstance(data, Path) else None
    name = name or (path.name if path else "")
    ending = PurePath(name).suffix.lower()
    if ending in _LINES:
        stream: BinaryIO = path.open("rb") if path else BytesIO(data if isinstance(data, bytes) else b"")
        return Rows(Taken("JSON Lines", "UTF-8"), _read_lines(stream, catalogue, limits))
    content = _content(data, limits)
    _require_table(content, ending)
    if ending in _DELIMITED:
        text, encoding = decode(content)
        delimiter, table = read_delimited(text, limits)
        taken = Taken("CSV", encoding, delimiter)
    else:
        name, table = read_spreadsheet(content, sheet or (mapping.sheet if mapping else None), limits)
        taken = Taken("XLSX", sheet=name)
    return Rows(taken, _read_table(table, mapping, catalogue))


@dataclass(slots=True)
class Checked:
    """All of a file. `faults` are the first `FILE_FAULT_LIMIT`, `left_out` is how many more there are."""

    taken: Taken
    prepared: list[tuple[int, Prepared]]
    faults: list[RowFault]
    left_out: int = 0
    rows_at_fault: int = 0


def check_rows(rows: Rows, advance: Callable[[], object] = lambda: None) -> Checked:
    """Read a file to its end: what may be published, by the number of its row, and what is wrong.

    `advance` is called at every row.
    """
    found = Checked(rows.taken, [], [])
    for row in rows:
        advance()
        if row.prepared is not None:
            found.prepared.append((row.number, row.prepared))
            continue
        found.rows_at_fault += 1
        room = FILE_FAULT_LIMIT - len(found.faults)
        found.faults += row.faults[:room]
        found.left_out += max(0, len(row.faults) - room)
    return found


def _content(data: bytes | Path, limits: Limits) -> bytes:
    if isinstance(data, Path):
        with data.open("rb") as file:
            data = file.read(limits.file_bytes + 1)
    if len(data) > limits.file_bytes:
        raise Unreadable(
            "file_too_large",
            f"文件超过 {limits.file_bytes // MIB} MB，请拆分。",
            f"The file is larger than {limits.file_bytes // MIB} MB; split it.",
        )
    return data


def _require_table(content: bytes, ending: str) -> None:
    """Hold what is in the file against what its name says."""
    if content.startswith(_OLD_OFFICE) and _ENCRYPTED in content:
        raise encrypted()
    if content.startswith(_OLD_OFFICE) or ending in _OTHER_SHEETS:
        raise Unreadable(
            "other_spreadsheet",
            "不支持此电子表格格式（.xls、.xlsm、.ods 等），请另存为 .xlsx。",
            "Spreadsheets of this kind (.xls, .xlsm, .ods) are not taken; save it as .xlsx.",
        )
    if not content.strip():
        raise Unreadable("empty_file", "文件是空的。", "The file is empty.")
    packed = content.startswith(_ARCHIVE)
    if ending == ".xlsx" and not packed:
        raise Unreadable(
            "not_xlsx",
            "文件名为 .xlsx，内容却不是，请用电子表格软件另存为 .xlsx。",
            "The name says .xlsx, the content is something else; save it as .xlsx in a spreadsheet program.",
        )
    if ending in _DELIMITED and packed:
        raise Unreadable(
            "not_csv",
            "文件名表示 CSV，内容却是压缩包或电子表格，请核对扩展名。",
            "The name says CSV, the content is an archive or a spreadsheet; check the ending of the name.",
        )
    if ending not in _DELIMITED and ending != ".xlsx":
        raise Unreadable(
            "unknown_format",
            "无法判断文件格式，文件名须以 .jsonl、.csv 或 .xlsx 结尾。",
            "The format is not known; the name has to end in .jsonl, .csv or .xlsx.",
        )


def _read_lines(stream: BinaryIO, catalogue: Catalogue, limits: Limits) -> Iterator[Row]:
    with closing(stream):
        number = 0
        while line := stream.readline(_LINE_LIMIT + 1):
            number += 1
            if number > limits.lines:
                yield _broken_off(too_many_rows(limits.lines, number))
                return
            if len(line) > _LINE_LIMIT:
                while line and not line.endswith(b"\n"):
                    line = stream.readline(_LINE_LIMIT)
                yield _row(
                    number, "event_too_large", "该行过长，不可能是一个事件。", "The line is too long to be one event."
                )
                continue
            text = line.strip()
            text = text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text
            if not text:
                continue
            try:
                yield Row(number, prepare_json(text, catalogue))
            except Refused as refused:
                faults = refused.faults
                yield Row(number, None, tuple(RowFault(number, None, f.pointer, f.code, f.zh, f.en) for f in faults))


def _read_table(table: Iterator[TableRow], mapping: Mapping | None, catalogue: Catalogue) -> Iterator[Row]:
    layout = None
    try:
        for row in table:
            if layout is not None:
                yield _drafted(layout.draft(row), catalogue)
                continue
            layout = Layout(row, mapping)
            if layout.faults:
                yield Row(row.number, None, tuple(layout.faults))
                return
    except Unreadable as error:
        yield _broken_off(error)


def _drafted(draft: Draft, catalogue: Catalogue) -> Row:
    try:
        prepared = prepare_object(draft.attributes, catalogue)
    except Refused as refused:
        for fault in refused.faults:
            if not draft.known(fault.pointer):
                column = draft.column_of(fault.pointer)
                draft.faults.append(RowFault(draft.row, column, fault.pointer, fault.code, fault.zh, fault.en))
    else:
        if not draft.faults:
            return Row(draft.row, prepared)
    return Row(draft.row, None, tuple(draft.faults[:FAULT_LIMIT]))


def _each_id_once(rows: Iterator[Row]) -> Iterator[Row]:
    """The same id may come again with the same content: readers drop the repeat. With other content it is a fault."""
    seen: dict[tuple[str, str], tuple[int, bytes]] = {}
    for row in rows:
        if row.prepared is not None:
            event = row.prepared.event
            digest = hashlib.blake2b(row.prepared.key + b"\0" + row.prepared.value, digest_size=16).digest()
            first, known = seen.setdefault((event.source, event.id), (row.number, digest))
            if known != digest:
                yield _row(
                    row.number,
                    "id_reused",
                    f"与第 {first} 行的来源和 id（或 reference）相同而内容不同，请换用新的。",
                    f"Same source and id (or reference) as row {first}, other content; give it one of its own.",
                    "/id",
                )
                continue
        yield row


def _broken_off(error: Unreadable) -> Row:
    return _row(error.row or 0, error.code, error.zh, error.en)


def _row(number: int, code: str, zh: str, en: str, pointer: str = "") -> Row:
    return Row(number, None, (RowFault(number, None, pointer, code, zh, en),))
