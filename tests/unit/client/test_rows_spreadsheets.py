"""XLSX files are read as spreadsheet programs show them, and what is built to harm is refused before it can."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from python_calamine import CalamineWorkbook

from services.client.rows import Limits, Unreadable
from services.client.sheets import shows_date
from services.client.spreadsheets import read_spreadsheet
from services.client.tables import column_letters
from tests.unit.client.tables import SHEET, SOUND, checked, part, repacked, row, saved, told, workbook, xlsx

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'
RELATIONS = "xl/_rels/workbook.xml.rels"
NAMESPACE = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def sheet(*rows: bytes, before: bytes = b"") -> bytes:
    return HEAD + before + b"<worksheet " + NAMESPACE + b"><sheetData>" + b"".join(rows) + b"</sheetData></worksheet>"


def with_sheet(content: bytes) -> bytes:
    return repacked(xlsx(row()), {SHEET: content})


def with_shared(content: bytes, *texts: bytes) -> bytes:
    """A file as Excel writes it: texts stand once, in a part of their own."""
    shared = HEAD + b"<sst " + NAMESPACE + b">" + b"".join(b"<si>" + text + b"</si>" for text in texts) + b"</sst>"
    base = xlsx(row())
    kind = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    relation = b'<Relationship Id="rId9" Type="' + kind + b'" Target="sharedStrings.xml"/></Relationships>'
    relations = part(base, RELATIONS).replace(b"</Relationships>", relation)
    return repacked(base, {SHEET: content, RELATIONS: relations}, more={"xl/sharedStrings.xml": shared})


def code_of(data: bytes, limits: Limits | None = None) -> str:
    """The code with which a file is refused as a whole, at once or while it is read."""
    try:
        found = checked(data, "r.xlsx", limits=limits)
    except Unreadable as error:
        return error.code
    (fault,) = found.faults
    assert (fault.row, fault.column) == (0, None) or fault.code.startswith("too_many"), fault
    return fault.code


def cells_of(data: bytes) -> list[tuple[int, list[object]]]:
    _, rows = read_spreadsheet(data, None, Limits())
    return [(one.number, list(one.cells)) for one in rows]


# --- what is shown is what is read ------------------------------------------------------------------------------------


def test_a_sheet_becomes_the_events_that_its_rows_say() -> None:
    found = checked(xlsx(row(), row(subject="R-2", reference="2")), "r.xlsx")
    assert (found.taken.format, found.taken.sheet) == ("XLSX", "Sheet")
    assert [(number, one.key) for number, one in found.prepared] == [(2, b"R-1"), (3, b"R-2")]


def test_numbers_dates_and_texts_keep_what_the_program_shows() -> None:
    one = row(
        time=datetime(2026, 11, 23, 9, 30),
        province=15,
        enterprise__employees=126,
        term_months=36.0,
        amount__amount=1234567.1,
        purpose="007",
    )
    ((_, prepared),) = checked(xlsx(one), "r.xlsx").prepared
    body = json.loads(prepared.value)["referral"]
    assert prepared.event.time == datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
    assert (body["province"], body["enterprise"]["employees"], body["term_months"]) == ("15", 126, 36)
    assert (body["amount"]["amount"], body["purpose"]) == ("1234567.1", "007")


def test_the_digits_shown_are_taken_and_not_the_rounding_of_the_machine() -> None:
    ((_, prepared),) = checked(xlsx(row(amount__amount=0.1 + 0.2)), "r.xlsx").prepared
    assert json.loads(prepared.value)["referral"]["amount"]["amount"] == "0.3"


def test_what_a_spreadsheet_program_has_spoilt_is_refused() -> None:
    spoilt = row(enterprise__credit_code=91150781000000000000, goods=datetime(2026, 3, 4), term_months=36.5)
    found = checked(xlsx(spoilt, header=[*SOUND, "goods"]), "r.xlsx")
    assert told(found.faults) == {
        (2, "enterprise.credit_code", "number_rounded"),
        (2, "goods", "date_for_text"),
        (2, "term_months", "wrong_type"),
    }


def test_rows_keep_their_numbers_and_empty_ones_are_passed_over() -> None:
    book = workbook()
    page = book.active
    assert page is not None
    for column, value in enumerate(row(zone="ATLANTIS"), 1):
        page.cell(7, column, value)
    assert told(checked(saved(book), "r.xlsx").faults) == {(7, "zone", "bad_form")}


def test_the_named_sheet_is_read_and_a_name_that_is_not_there_is_told_with_those_that_are() -> None:
    book = workbook(header=["封面"])
    page = book.create_sheet("推荐表")
    page.append(list(SOUND))
    page.append(row())
    data = saved(book)
    assert len(checked(data, "r.xlsx", sheet="推荐表").prepared) == 1
    with pytest.raises(Unreadable, match="Sheet, 推荐表") as found:
        checked(data, "r.xlsx", sheet="Tabelle1")
    assert found.value.code == "no_such_sheet"


def test_a_formula_is_refused_with_the_name_of_its_cell() -> None:
    (fault,) = checked(xlsx(row(enterprise__employees="=60+66")), "r.xlsx").faults
    place = f"{column_letters(list(SOUND).index('enterprise.employees'))}2"
    assert (fault.row, fault.column, fault.code) == (2, "enterprise.employees", "formula_cell")
    assert place in fault.zh
    assert place in fault.en


def test_an_error_value_is_refused_with_the_name_of_its_cell() -> None:
    (fault,) = checked(xlsx(row(purpose="#REF!")), "r.xlsx").faults
    assert (fault.column, fault.code) == ("purpose", "error_cell")
    assert "#REF!" in fault.en


def test_shared_rich_and_inline_texts_are_read_without_their_readings_aloud() -> None:
    rich = "<r><t>满</t></r><r><t xml:space='preserve'> x</t></r><rPh sb='0' eb='1'><t>man</t></rPh>".encode()
    content = sheet(
        b'<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>',
        b'<row><c t="inlineStr"><is><t>in</t></is></c><c t="b"><v>1</v></c><c t="str"><v>s</v></c></row>',
    )
    data = with_shared(content, rich, b"<t>a_x000D_b&amp;c</t>")
    assert cells_of(data) == [(1, ["满 x", None, "a\rb&c"]), (2, ["in", True, "s"])]


def test_another_reader_finds_the_same_in_a_file() -> None:
    moments = [datetime(2026, 2, 28, 23, 59, 59), datetime(1900, 3, 1, 6), datetime(1999, 12, 31, 0, 0, 1)]
    data = xlsx([1, 2.5, "text", True, None, "七"], moments, [1e15, -0.001], header=["a", "b", "c", "d", "e", "f"])
    theirs = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0).to_python()
    ours = [cells + [""] * (6 - len(cells)) for _, cells in cells_of(data)]
    assert [[cell if cell is not None else "" for cell in cells] for cells in ours] == theirs


def test_dates_of_the_other_epoch_are_read_as_shown() -> None:
    base = xlsx(row(time=datetime(2026, 11, 23, 9, 30)))
    book = part(base, "xl/workbook.xml").replace(b"<workbookPr ", b'<workbookPr date1904="1" ')
    ((_, prepared),) = checked(repacked(base, {"xl/workbook.xml": book}), "r.xlsx").prepared
    assert prepared.event.time.year == 2030


@pytest.mark.parametrize(
    ("code", "dates"),
    [
        ("yyyy-mm-dd", True),
        ('yyyy"年"m"月"d"日"', True),
        ("[$-804]yyyy/m/d;@", True),
        ("h:mm:ss", True),
        ("0.00", False),
        ("#,##0", False),
        ("General", False),
        ('0"days"', False),
        ("[Red]0.0", False),
        ("0_d", False),
        (r"0\d", False),
    ],
)
def test_a_number_format_shows_whether_a_number_is_a_date(code: str, dates: bool) -> None:
    assert shows_date(code) is dates


# --- what is built to harm --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("xl/vbaProject.bin", "macros"),
        ("xl/externalLinks/externalLink1.xml", "external_links"),
        ("xl/connections.xml", "external_links"),
        ("xl/embeddings/oleObject1.bin", "embedded_objects"),
        ("../../etc/cron.d/x", "path_trick"),
        ("/etc/passwd", "path_trick"),
        ("xl\\..\\..\\x", "path_trick"),
        ("C:/x", "path_trick"),
        ("XL/workbook.XML", "damaged"),
    ],
)
def test_parts_that_no_plain_table_has_are_refused(name: str, code: str) -> None:
    assert code_of(repacked(xlsx(row()), {}, more={name: b"x"})) == code


@pytest.mark.parametrize("name", [SHEET, "xl/workbook.xml", "xl/sharedStrings.xml", "xl/styles.xml", "_rels/.rels"])
def test_a_document_type_is_refused_wherever_it_stands_and_no_entity_is_expanded(name: str) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "' + b"&a;" * 50 + b'"><!ENTITY c "' + b"&b;" * 50 + b'">]>'
    base = with_shared(part(xlsx(row())), b"<t>x</t>")
    content = part(base, name).removeprefix(HEAD)
    content = content[content.index(b"?>") + 2 :] if content.startswith(b"<?xml") else content
    assert code_of(repacked(base, {name: HEAD + bomb + content})) == "document_type"
    wide = ('<?xml version="1.0" encoding="UTF-16"?>' + bomb.decode() + content.decode()).encode("utf-16")
    assert code_of(repacked(base, {name: wide})) == "document_type"


def test_a_zip_bomb_is_refused_by_its_ratio_and_by_its_size_while_it_unpacks() -> None:
    padded = with_sheet(sheet(b" " * 30_000_000))
    assert len(padded) < 100_000
    tracemalloc.start()
    assert code_of(padded) == "zip_bomb"
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert code_of(xlsx(*(row(reference=str(n)) for n in range(500))), Limits(unzipped_bytes=50_000)) == "zip_bomb"


def test_sizes_that_the_archive_declares_are_not_believed() -> None:
    content = sheet(b"<!--" + b"x" * 3_000_000 + b"-->")
    data = bytearray(with_sheet(content))
    size = len(content).to_bytes(4, "little")
    assert data.count(size) == 2
    lying = bytes(data).replace(size, (1_000).to_bytes(4, "little"))
    assert code_of(lying) == "damaged"


def test_very_many_elements_are_refused_though_they_hold_nothing() -> None:
    assert (
        code_of(with_sheet(sheet(b'<row r="1">' + b"<c/>" * 20_000 + b"</row>")), Limits(elements=10_000)) == "zip_bomb"
    )


def test_an_archive_of_very_many_entries_is_refused() -> None:
    assert code_of(repacked(xlsx(row()), {}, more={f"x/{n}": b"" for n in range(1_100)})) == "zip_bomb"


def test_cells_far_away_cost_nothing_and_are_refused() -> None:
    corner = sheet(b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    assert code_of(with_sheet(corner)) == "too_many_rows"
    wide = sheet(b'<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>1</v></c></row>')
    assert code_of(with_sheet(wide)) == "too_many_columns"


def test_formatted_cells_without_content_are_no_columns() -> None:
    data = xlsx(row())
    padded = part(data).replace(b"</row>", b'<c r="ZZ2" s="1"/></row>', 2).replace(b'<c r="ZZ2" s="1"/>', b"", 1)
    assert len(checked(repacked(data, {SHEET: padded}), "r.xlsx").prepared) == 1


def test_one_long_text_shared_by_very_many_cells_needs_its_room_once() -> None:
    rows = b"".join(b"<row>" + b'<c t="s"><v>0</v></c>' * 100 + b"</row>" for _ in range(1_000))
    data = with_shared(sheet(rows), "<t>{}</t>".format("长" * 4_000).encode())
    tracemalloc.start()
    _, read = read_spreadsheet(data, None, Limits(ratio=1_000))
    assert sum(len(one.cells) for one in read) == 100_000
    assert tracemalloc.get_traced_memory()[1] < 40_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [
        b"not xml",
        b"",
        sheet(b'<row r="1"><c r="A1" t="s"><v>99</v></c></row>'),
        sheet(b'<row r="1"><c r="A1" t="s"><v>-1</v></c></row>'),
        sheet(b'<row r="1"><c r="A1" s="x"><v>1</v></c></row>'),
        sheet(b'<row r="1"><c r="A2"><v>1</v></c></row>'),
        sheet(b'<row r="1"><c r="B1"><v>1</v></c><c r="A1"><v>1</v></c></row>'),
        sheet(b'<row r="2"/><row r="2"/>'),
        sheet(b'<row r="x"/>'),
        sheet(b'<row r="1"><c r="A1"><v>nan</v></c></row>'),
        sheet(b'<row r="1"><c r="A1"><v>1e999</v></c></row>'),
        sheet(b'<row r="1"><c r="A1" t="d"><v>soon</v></c></row>'),
        sheet(b"<a>" * 100),
        sheet(b'<c x="' + b"y" * 2_000_000 + b'"/>'),
        sheet(b'<row r="1"><c r="A1"><v>1</v>'),
    ],
    ids=range(15),
)
def test_a_sheet_that_no_program_writes_is_refused_as_damaged(content: bytes) -> None:
    assert code_of(with_sheet(content)) in ("damaged", "zip_bomb")


def test_an_archive_cut_off_anywhere_is_refused_and_nothing_else_is_raised() -> None:
    data = xlsx(row())
    for size in range(4, len(data), 97):
        assert code_of(data[:size]) == "damaged"


def test_flipped_bits_never_raise_anything_but_a_refusal() -> None:
    data = bytearray(xlsx(row()))
    for place in range(0, len(data), 101):
        data[place] ^= 0x41
        with suppress(Unreadable):
            checked(bytes(data), "r.xlsx")
        data[place] ^= 0x41


def test_an_encrypted_entry_is_refused() -> None:
    data = bytearray(xlsx(row()))
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(mark) + place] |= 1
    assert code_of(bytes(data)) == "encrypted"


def test_a_zip_that_is_no_workbook_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert code_of(stream.getvalue()) == "damaged"
