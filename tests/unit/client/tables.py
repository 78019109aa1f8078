"""Tables of referrals for tests, as people and as attackers make them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

from openpyxl import Workbook

from services.client.rows import Checked, Limits, Mapping, RowFault, check_rows, read_rows

SOUND: dict[str, Any] = {
    "type": "referral.submitted.v1",
    "source": "//commerce/manzhouli",
    "subject": "R-1",
    "reference": "2026-0117/1",
    "time": "2026-11-23T09:30:00+08:00",
    "subject_kind": "enterprise",
    "name": "满洲里示例木业有限公司",
    "enterprise.credit_code": "91150781MA0N0A1B2Q",
    "enterprise.name": "满洲里示例木业有限公司",
    "enterprise.size_class": "small",
    "enterprise.ownership": "private",
    "enterprise.industry": "manufacturing",
    "enterprise.employees": "126",
    "zone": "manzhouli",
    "province": "15",
    "branch": "exim-nmg",
    "key_area": "border_trade_chain",
    "lane": "ordinary",
    "need": "equipment_purchase",
    "amount.amount": "5000000.00",
    "amount.currency": "CNY",
    "term_months": "36",
    "purpose": "购置锯材加工设备，促进进口木材落地加工。",
}
"""A row of which nothing is wrong, by column."""


def row(**given: Any) -> list[Any]:
    """The values of a sound row, those of some columns as given (`__` for `.`)."""
    return list({**SOUND, **{name.replace("__", "."): value for name, value in given.items()}}.values())


def csv(*rows: Sequence[Any], header: Iterable[str] = SOUND, delimiter: str = ",") -> str:
    """Text of a CSV file; nothing is quoted."""
    return "".join(delimiter.join(map(str, one)) + "\r\n" for one in (list(header), *rows))


def workbook(*rows: Sequence[Any], header: Iterable[str] = SOUND) -> Workbook:
    """A workbook with one sheet."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for one in (list(header), *rows):
        sheet.append(one)
    return book


def saved(book: Workbook) -> bytes:
    """The bytes of a workbook."""
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def xlsx(*rows: Sequence[Any], header: Iterable[str] = SOUND) -> bytes:
    """Bytes of an XLSX file."""
    return saved(workbook(*rows, header=header))


SHEET = "xl/worksheets/sheet1.xml"


def repacked(data: bytes, changed: dict[str, bytes], *, more: dict[str, bytes] | None = None) -> bytes:
    """An XLSX file with some of its parts replaced and others added."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, changed.get(info.filename, old.read(info.filename)))
        for name, content in (more or {}).items():
            new.writestr(name, content)
    return stream.getvalue()


def part(data: bytes, name: str = SHEET) -> bytes:
    """A part of an XLSX file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)


def checked(
    data: bytes | str, name: str, mapping: Mapping | None = None, limits: Limits | None = None, sheet: str | None = None
) -> Checked:
    """A file, read to its end."""
    content = data.encode() if isinstance(data, str) else data
    return check_rows(read_rows(content, name, mapping, limits=limits, sheet=sheet))


def told(faults: Iterable[RowFault]) -> set[tuple[int, str | None, str]]:
    """What is wrong, by row, column and code."""
    return {(fault.row, fault.column, fault.code) for fault in faults}
