"""A table becomes events, or everything that is wrong with it is told at its row and column."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.client.identity import derived_id
from services.client.mapping import Mapping, MappingError, read_mapping
from services.client.rows import FILE_FAULT_LIMIT, Limits, Taken, Unreadable
from tests.unit.cli.builders import lines, submitted
from tests.unit.client.tables import SOUND, checked, csv, row, told, xlsx

EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"

CONSENT = ("type", "source", "subject", "reference", "time", "scopes", "given_on", "evidence")


def refusal(data: bytes | str, name: str, limits: Limits | None = None) -> str:
    with pytest.raises(Unreadable) as found:
        checked(data, name, limits=limits)
    assert any("\u4e00" <= character <= "\u9fff" for character in found.value.zh)
    assert found.value.en.isascii()
    return found.value.code


def test_columns_named_for_what_they_hold_need_no_mapping() -> None:
    found = checked(csv(row()), "referrals.csv")
    assert found.faults == []
    ((number, prepared),) = found.prepared
    event = prepared.event
    assert (number, prepared.topic, prepared.key) == (2, "commerce.referrals", b"R-1")
    assert event.id == derived_id("//commerce/manzhouli", "2026-0117/1")
    body = json.loads(prepared.value)["referral"]
    assert body["enterprise"]["employees"] == 126
    assert body["amount"] == {"amount": "5000000.00", "currency": "CNY"}
    assert body["enterprise"]["credit_code"] == "91150781MA0N0A1B2Q"
    assert "project" not in body


@pytest.mark.parametrize("header", ["/referral/enterprise/employees", "referral.enterprise.employees"])
def test_a_place_may_be_written_as_pointer_or_with_dots(header: str) -> None:
    names = [header if name == "enterprise.employees" else name for name in SOUND]
    ((_, prepared),) = checked(csv(row(), header=names), "r.csv").prepared
    assert json.loads(prepared.value)["referral"]["enterprise"]["employees"] == 126


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(("encoding", "named"), [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("gb18030", "GB18030")])
def test_encoding_and_delimiter_are_found_and_told(delimiter: str, encoding: str, named: str) -> None:
    found = checked(csv(row(), delimiter=delimiter).encode(encoding), "r.csv")
    assert found.taken == Taken("CSV", named, delimiter)
    assert [fault.en for fault in found.faults] == []


def test_a_line_break_in_quotes_ends_no_row_and_rows_keep_the_numbers_that_a_spreadsheet_shows() -> None:
    broken = row(purpose='"第一行\n第二行"')
    found = checked(csv(broken, [], row(subject="R-2", reference="2", zone="")), "r.csv")
    assert [number for number, _ in found.prepared] == [2]
    assert told(found.faults) == {(4, "zone", "missing")}


def test_all_faults_of_all_rows_are_told_with_row_column_and_place() -> None:
    found = checked(
        csv(
            row(),
            row(reference="2", enterprise__employees="many", amount__amount="-5", zone=""),
            row(reference="", source="//partner/icbc", time="yesterday"),
        ),
        "r.csv",
    )
    assert told(found.faults) == {
        (3, "enterprise.employees", "wrong_type"),
        (3, "amount.amount", "amount_form"),
        (3, "zone", "missing"),
        (4, "reference", "missing"),
        (4, "source", "not_allowed"),
        (4, "time", "bad_time"),
    }
    assert {fault.pointer for fault in found.faults if fault.row == 3} == {
        "/data/referral/enterprise/employees",
        "/data/referral/amount/amount",
        "/data/referral/zone",
    }
    assert (len(found.prepared), found.rows_at_fault) == (1, 2)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2+3", "  =1", "＝1+1", "\t=1"])
def test_a_text_that_a_spreadsheet_would_run_is_refused(text: str) -> None:
    found = checked(csv(row(purpose=f'"{text}"')), "r.csv")
    assert told(found.faults) == {(2, "purpose", "formula_cell")}


def test_a_negative_number_is_no_formula() -> None:
    found = checked(csv(row(enterprise__employees="-3")), "r.csv")
    assert told(found.faults) == {(2, "enterprise.employees", "too_small")}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-23T09:30:00+08:00", datetime(2026, 11, 23, 1, 30, tzinfo=UTC)),
        ("2026-11-23T01:30:00Z", datetime(2026, 11, 23, 1, 30, tzinfo=UTC)),
        ("2026-11-23 9:30", datetime(2026, 11, 23, 1, 30, tzinfo=UTC)),
        ("2026/11/3 9:30:15", datetime(2026, 11, 3, 1, 30, 15, tzinfo=UTC)),
        ("2026年11月23日", datetime(2026, 11, 22, 16, tzinfo=UTC)),
    ],
)
def test_times_without_offset_are_those_of_the_tables_zone(written: str, meant: datetime) -> None:
    ((_, prepared),) = checked(csv(row(time=written)), "r.csv").prepared
    assert prepared.event.time == meant


@pytest.mark.parametrize("written", ["11/23/2026", "23.11.2026 9:30", "45000", "2026-13-01", "soon"])
def test_a_time_that_could_be_read_in_two_ways_is_refused(written: str) -> None:
    assert told(checked(csv(row(time=written)), "r.csv").faults) == {(2, "time", "bad_time")}


def test_lists_and_days_are_read_as_people_write_them() -> None:
    one = [
        "referral.consent_given.v1",
        "//commerce/15",
        "R-1",
        "c-1",
        "2026-11-23 9:00",
        "commerce、bank",
        "2026/4/1",
        "E-1",
    ]
    ((_, prepared),) = checked(csv(one, header=CONSENT), "c.csv").prepared
    assert json.loads(prepared.value) == {"scopes": ["commerce", "bank"], "given_on": "2026-04-01", "evidence": "E-1"}


def test_one_table_may_hold_events_of_several_types() -> None:
    header = [*CONSENT, "code", "reason"]
    base = ["//commerce/15", "R-1"]
    consent = ["referral.consent_given.v1", *base, "c-1", "2026-11-23 9:00", "bank", "2026-04-01", "E-1", "", ""]
    withdrawal = ["referral.withdrawal_submitted.v1", *base, "w-1", "2026-11-24 9:00", "", "", "", "other", "撤回"]
    wrong = ["referral.withdrawal_submitted.v1", *base, "w-2", "2026-11-24 9:00", "", "2026-04-01", "", "other", "撤回"]
    found = checked(csv(consent, withdrawal, wrong, header=header), "c.csv")
    assert [prepared.event.type for _, prepared in found.prepared] == [consent[0], withdrawal[0]]
    assert told(found.faults) == {(4, "given_on", "unknown_column")}


def test_items_of_a_list_are_numbered_in_the_place() -> None:
    header = [
        *("type", "source", "subject", "reference", "time", "subject_kind", "code", "period"),
        *("figures.0.name", "figures.0.value", "figures.0.unit", "figures.1.name", "figures.1.value", "figures.1.unit"),
    ]
    one = [
        "indicator.reported.v1",
        "//commerce/15",
        "manzhouli",
        "i-1",
        "2026-11-23 9:00",
        "zone",
        "manzhouli",
        "2026-Q3",
    ]
    found = checked(csv([*one, "debt_ratio", "0.82", "ratio", "growth", "-1.5", "percent"], header=header), "i.csv")
    ((_, prepared),) = found.prepared
    assert [figure["value"] for figure in json.loads(prepared.value)["figures"]] == ["0.82", "-1.5"]


def test_the_same_reference_gives_the_same_id_and_other_content_under_it_is_refused() -> None:
    found = checked(csv(row(), row(), row(purpose="另一用途")), "r.csv")
    assert len({prepared.event.id for _, prepared in found.prepared}) == 1
    assert told(found.faults) == {(4, None, "id_reused")}
    assert "2" in found.faults[0].zh


# --- the header -------------------------------------------------------------------------------------------------------


def test_all_faults_of_a_header_are_told_and_no_row_is_looked_at() -> None:
    names = ["zone" if name == "branch" else name for name in SOUND if name not in ("reference", "time")]
    found = checked(csv(row(), header=names), "r.csv")
    assert told(found.faults) == {
        (1, "zone", "repeated_header"),
        (1, None, "missing_column"),
    }
    assert {fault.pointer for fault in found.faults} == {"", "/time", "/id"}


def test_a_column_that_the_contract_lacks_is_told_where_it_holds_something() -> None:
    found = checked(csv([*row(), "red"], [*row(reference="2"), ""], header=[*SOUND, "colour"]), "r.csv")
    assert told(found.faults) == {(2, "colour", "unknown_column")}


def test_cells_beyond_the_header_and_rows_that_end_too_early_are_refused() -> None:
    found = checked(csv([*row(), "more"], row(reference="2")[:-1], [*row(reference="3"), ""]), "r.csv")
    assert told(found.faults) == {(2, "X", "no_header"), (3, "purpose", "short_row")}
    assert [number for number, _ in found.prepared] == [4]


@pytest.mark.parametrize("text", [csv(), "", "\r\n\r\n"])
def test_a_table_without_rows_holds_no_events(text: str) -> None:
    if text.strip():
        assert checked(text, "r.csv").prepared == []
    else:
        assert refusal(text, "r.csv") == "empty_file"


# --- files that are none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"\xff\xfe\x00h", "r.csv", "unknown_encoding"),
        ("r\u00e9f\u00e9rence;\u00fc\r\n".encode("latin-1"), "r.csv", "unknown_encoding"),
        (csv(row()).encode().replace("锯材".encode(), "锯材".encode()[:-1], 1), "r.csv", "broken_encoding"),
        (csv(row()).encode("utf-8-sig") + b"\xb4", "r.csv", "broken_encoding"),
        (b"PK\x03\x04", "r.csv", "not_csv"),
        (b"type,source", "r.xlsx", "not_xlsx"),
        (b"PK\x03\x04 and then nothing", "r.xlsx", "damaged"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512), "r.xls", "other_spreadsheet"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + "EncryptedPackage".encode("utf-16-le"), "r.xlsx", "encrypted"),
        (xlsx(row()), "r.xlsm", "other_spreadsheet"),
        (b"%PDF-1.7", "r.pdf", "unknown_format"),
        (b"anything", "", "unknown_format"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(content: bytes, name: str, code: str) -> None:
    assert refusal(content, name) == code


def test_quotes_that_do_not_fit_are_told_with_their_row() -> None:
    found = checked(csv(row(), row(reference="2", purpose='"never closed')), "r.csv")
    assert told(found.faults) == {(3, None, "bad_csv")}


def test_control_characters_are_refused_at_their_cell() -> None:
    found = checked(csv(row(purpose="a\x00b"), row(reference="2", purpose="a\x1bb")), "r.csv")
    assert told(found.faults) == {(2, "purpose", "control_character"), (3, "purpose", "control_character")}


def test_limits_are_held_and_named() -> None:
    small = Limits(file_bytes=20_000, rows=3, columns=30, cell_chars=50, lines=2)
    many = csv(*(row(reference=str(number)) for number in range(5)))
    assert told(checked(many, "r.csv", limits=small).faults) == {(5, None, "too_many_rows")}
    assert told(checked(csv(row(purpose="长" * 51)), "r.csv", limits=small).faults) == {(2, "purpose", "cell_too_long")}
    wide = [f"column_{number}" for number in range(31)]
    assert told(checked(csv(header=wide), "r.csv", limits=small).faults) == {(1, None, "too_many_columns")}
    assert refusal("x" * 20_001, "r.csv", small) == "file_too_large"
    three = b"".join(lines(submitted(), submitted(), submitted()))
    assert told(checked(three, "e.jsonl", limits=small).faults) == {(3, None, "too_many_rows")}


def test_of_very_many_faults_the_first_are_kept_and_the_rest_counted() -> None:
    found = checked(csv(*(row(reference=str(number), zone="", lane="x") for number in range(600))), "r.csv")
    assert len(found.faults) == FILE_FAULT_LIMIT
    assert (found.left_out, found.rows_at_fault) == (1200 - FILE_FAULT_LIMIT, 600)


def test_a_line_that_is_too_long_for_an_event_is_refused_and_the_next_is_read() -> None:
    found = checked(b'{"' + b"x" * 3_000_000 + b'":1}\n' + lines(submitted())[0], "e.jsonl")
    assert told(found.faults) == {(1, None, "event_too_large")}
    assert [number for number, _ in found.prepared] == [2]


# --- mappings ---------------------------------------------------------------------------------------------------------


def test_the_examples_are_sound_and_say_the_same_in_both_formats() -> None:
    mapping = read_mapping(EXAMPLES / "referrals.mapping.yaml")
    as_csv, as_xlsx = (
        checked((EXAMPLES / name).read_bytes(), name, mapping) for name in ("referrals.csv", "referrals.xlsx")
    )
    assert as_csv.faults == as_xlsx.faults == []
    assert len(as_csv.prepared) == 2
    assert [(one.key, one.value, one.headers) for _, one in as_csv.prepared] == [
        (one.key, one.value, one.headers) for _, one in as_xlsx.prepared
    ]
    first = json.loads(as_csv.prepared[0][1].value)["referral"]
    assert (first["enterprise"]["size_class"], first["name"]) == ("small", first["enterprise"]["name"])


def test_a_code_that_the_mapping_does_not_know_is_told_by_what_stands_in_the_cell() -> None:
    mapping = read_mapping(EXAMPLES / "referrals.mapping.yaml")
    text = (EXAMPLES / "referrals.csv").read_text(encoding="utf-8").replace("小型", "超小型")
    (fault,) = checked(text, "r.csv", mapping).faults
    assert (fault.row, fault.column, fault.code) == (2, "企业规模", "unknown_code")
    assert "超小型" in fault.zh


def test_columns_that_the_mapping_names_and_the_table_lacks_are_told() -> None:
    mapping = read_mapping(EXAMPLES / "referrals.mapping.yaml")
    text = (
        (EXAMPLES / "referrals.csv")
        .read_text(encoding="utf-8")
        .replace("金额（元）", "金额")
        .replace("提交时间", "时间")
    )
    assert told(checked(text, "r.csv", mapping).faults) == {
        (1, "金额（元）", "missing_column"),
        (1, "提交时间", "missing_column"),
    }


def test_several_columns_together_identify_a_row() -> None:
    mapping = Mapping.model_validate({"reference": ["subject", "reference"]})
    found = checked(csv(row(), row(subject="R-2")), "r.csv", mapping)
    assert len({prepared.event.id for _, prepared in found.prepared}) == 2


def test_everything_wrong_with_a_mapping_is_told_at_once() -> None:
    text = """
    type: referral.submitted.v1
    colour: red
    zone: Atlantis/City
    fields:
      名称: referral.name
      金额: {to: /referral/amount/amount, as: money}
    """
    with pytest.raises(MappingError) as found:
        read_mapping(text.encode(), "m.yaml")
    assert {(fault.pointer.split("/")[1], fault.code) for fault in found.value.faults} == {
        ("colour", "unknown_field"),
        ("zone", "unknown_zone"),
        ("fields", "bad_pointer"),
        ("fields", "unknown_code"),
    }
    assert all(any("\u4e00" <= character <= "\u9fff" for character in fault.zh) for fault in found.value.faults)


def test_places_that_the_contract_lacks_are_told_before_any_table_is_read() -> None:
    text = "type: referral.submitted.v1\nfields: {名称: /referral/nam}\nconstants: {/referral: x}\n"
    with pytest.raises(MappingError) as found:
        read_mapping(text.encode(), "m.yaml")
    assert [(fault.pointer, fault.code) for fault in found.value.faults] == [
        ("/fields/名称", "unknown_field"),
        ("/constants/~1referral", "unknown_field"),
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a: &x [1]\nb: *x\n", "m.yaml"),
        ("type: a\ntype: b\n", "m.yaml"),
        ('{"type": "a", "type": "b"}', "m.json"),
        ("fields: [", "m.yaml"),
        ("[" * 5_000, "m.yaml"),
        ("[" * 60_000, "m.json"),
        ("!!python/object/apply:os.system ['true']", "m.yaml"),
        ("# " + "x" * 70_000, "m.yaml"),
        ("", "m.yaml"),
        ("type: referral.submitted.v1\nfields: {a: /referral/zone, b: /referral/zone}\n", "m.yaml"),
    ],
)
def test_hostile_and_broken_mappings_are_refused(text: str, name: str) -> None:
    with pytest.raises(MappingError):
        read_mapping(text.encode(), name)
