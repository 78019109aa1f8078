"""A file is published only if every row of it is right, and whoever wrote it is told all that is not."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from schemas.codec import decode
from services.cli import app
from services.client.preparing import Prepared
from services.client.rows import Checked, RowFault, check_rows, read_rows
from tests.unit.cli.builders import lines, submitted
from tests.unit.client import tables

EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"


def checked(*events: object) -> Checked:
    return check_rows(read_rows(b"".join(lines(*events)), "events.jsonl"))  # type: ignore[arg-type]


def faults_of(*events: object) -> list[RowFault]:
    found = checked(*events)
    assert found.faults
    return found.faults


def told(faults: list[RowFault]) -> set[tuple[int, str, str]]:
    return {(fault.row, fault.pointer, fault.code) for fault in faults}


def prepared(*events: object) -> list[tuple[int, Prepared]]:
    found = checked(*events)
    assert found.faults == []
    return found.prepared


def run(file: Path, *options: str) -> Result:
    # No broker answers on port 1: whatever these tests show happens before any is needed.
    return CliRunner().invoke(app, ["publish", str(file), "-b", "127.0.0.1:1", *options])


def written(folder: Path, *events: object) -> Path:
    file = folder / "events.jsonl"
    file.write_bytes(b"".join(lines(*events)))  # type: ignore[arg-type]
    return file


def test_a_sound_line_becomes_the_record_that_readers_expect() -> None:
    ((line, one),) = prepared(submitted())
    event = decode(one.key, one.value, one.headers)
    assert (one.topic, line, one.key) == ("commerce.referrals", 1, b"MZL-2026-0001")
    assert (event.id, event.source, event.type) == ("s-1", "//commerce/15", "referral.submitted.v1")


def test_the_topic_follows_from_the_side_of_the_source() -> None:
    records = prepared(submitted(), submitted(id="s-2", source="//bank/exim-nmg"))
    assert [one.topic for _, one in records] == ["commerce.referrals", "bank.referrals"]


def test_blank_lines_and_a_byte_order_mark_do_no_harm_and_lines_keep_their_numbers() -> None:
    marked = b"\xef\xbb\xbf" + lines(submitted())[0]
    assert [line for line, _ in prepared(marked, b"\n", b"  \r\n", submitted(id="s-2"))] == [1, 4]


def test_all_faults_of_all_lines_are_told_with_their_places() -> None:
    wrong = submitted(id="s-2")
    del wrong["data"]["referral"]["amount"]
    wrong["data"]["referral"]["zone"] = "ATLANTIS"
    assert told(faults_of(submitted(), wrong, b"not json\n", submitted(id="s-4", time="yesterday"))) == {
        (2, "/data/referral/amount", "missing"),
        (2, "/data/referral/zone", "bad_form"),
        (3, "", "bad_json"),
        (4, "/time", "bad_time"),
    }


def test_every_fault_is_told_in_both_languages() -> None:
    wrong = submitted(source="//bank/exim-nmg", type="screening.opened.v1", colour=1)
    for fault in faults_of(wrong, b"[]\n", b"{}\n", submitted(type="no.such_thing.v1"), submitted(specversion="0.3")):
        assert any("\u4e00" <= character <= "\u9fff" for character in fault.zh), fault
        assert fault.en.isascii(), fault


def test_a_field_that_the_contract_lacks_is_refused_however_deep_it_stands() -> None:
    wrong = submitted()
    wrong["data"]["referral"]["enterprise"]["colour"] = "red"
    assert told(faults_of(wrong)) == {(1, "/data/referral/enterprise/colour", "unknown_field")}


def test_a_misspelt_attribute_is_refused_because_it_would_be_lost() -> None:
    assert told(faults_of(submitted(correlation_id="x"))) == {(1, "/correlation_id", "unknown_attribute")}


def test_the_wrong_side_is_told_together_with_the_faults_of_the_body() -> None:
    wrong = submitted(source="//partner/icbc")
    wrong["data"]["referral"]["zone"] = ""
    assert told(faults_of(wrong)) >= {(1, "/source", "not_allowed"), (1, "/data/referral/zone", "bad_form")}


def test_what_our_own_services_say_cannot_be_published_and_its_body_is_not_picked_at() -> None:
    assert told(faults_of(submitted(type="screening.opened.v1", data={}))) == {(1, "/type", "not_publishable")}


def test_the_same_id_with_other_content_is_refused() -> None:
    other = submitted()
    other["data"]["referral"]["purpose"] = "另一用途"
    (fault,) = faults_of(submitted(), other)
    assert (fault.row, fault.pointer, fault.code) == (2, "/id", "id_reused")
    assert "1" in fault.zh


def test_an_exact_repeat_is_let_through_because_readers_drop_it() -> None:
    assert [one.event.id for _, one in prepared(submitted(), submitted())] == ["s-1", "s-1"]


def test_a_faulty_file_ends_with_code_2_and_publishes_nothing(tmp_path: Path) -> None:
    result = run(written(tmp_path, submitted(), b"not json\n"))
    assert result.exit_code == 2
    assert "1 fault in 1 row; nothing was published" in result.stderr


def test_a_file_without_events_ends_with_code_2(tmp_path: Path) -> None:
    result = run(written(tmp_path, b"\n"))
    assert result.exit_code == 2
    assert "holds no events" in result.stderr


def test_a_dry_run_needs_no_broker_and_counts_by_topic_and_type(tmp_path: Path) -> None:
    result = run(written(tmp_path, submitted(), submitted(id="s-2")), "--dry-run")
    assert result.exit_code == 0
    row = next(line.split() for line in result.stdout.splitlines() if "commerce.referrals" in line)
    assert row == ["commerce.referrals", "referral.submitted.v1", "2"]


@pytest.mark.parametrize("name", ["referrals.csv", "referrals.xlsx"])
def test_a_table_is_checked_with_its_mapping_and_what_was_taken_for_it_is_told(name: str) -> None:
    result = run(EXAMPLES / name, "--mapping", str(EXAMPLES / "referrals.mapping.yaml"), "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert ("UTF-8" if name.endswith("csv") else "推荐表") in result.stderr
    assert "2" in next(line for line in result.stdout.splitlines() if "commerce.referrals" in line)


def test_a_mapping_that_cannot_be_used_ends_with_code_2_and_all_its_faults(tmp_path: Path) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text("type: no.such_thing.v1\nfields: {a: /x}\n", encoding="utf-8")
    result = run(EXAMPLES / "referrals.csv", "--mapping", str(mapping))
    assert result.exit_code == 2
    assert "no.such_thing.v1" in result.stderr


def test_an_unreadable_file_ends_with_code_2_and_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "old.xls"
    file.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    result = run(file)
    assert result.exit_code == 2
    assert "save it as .xlsx" in result.stderr


def test_a_report_for_programs_holds_every_fault(tmp_path: Path) -> None:
    table, report = tmp_path / "r.csv", tmp_path / "report.json"
    table.write_text(tables.csv(tables.row(), tables.row(reference="2", zone="")), encoding="utf-8")
    assert run(table, "--report", str(report)).exit_code == 2
    found = json.loads(report.read_text(encoding="utf-8"))
    assert (found["events"], found["rows_at_fault"], found["taken"]["format"]) == (1, 1, "CSV")
    (fault,) = found["faults"]
    assert (fault["row"], fault["column"], fault["code"]) == (3, "zone", "missing")


def test_a_report_for_spreadsheets_runs_nothing_there(tmp_path: Path) -> None:
    table, report = tmp_path / "r.csv", tmp_path / "report.csv"
    names = ["=cmd()" if name == "goods" else name for name in (*tables.SOUND, "goods")]
    table.write_text(tables.csv([*tables.row(), "x"], header=names), encoding="utf-8")
    assert run(table, "--report", str(report)).exit_code == 2
    content = report.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    (fault,) = csv.DictReader(content.decode("utf-8-sig").splitlines())
    assert (fault["column"], fault["code"]) == ("'=cmd()", "unknown_column")


def test_publishing_without_a_broker_ends_with_code_4_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.terminal.ANSWER_WITHIN_MS", 300)
    result = run(written(tmp_path, submitted()), "--journals", str(tmp_path / "journals"))
    assert result.exit_code == 4
    assert "127.0.0.1:1" in result.stderr
    assert "kouan up" in result.stderr


def test_a_file_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    assert run(tmp_path / "none.jsonl").exit_code == 2


def test_a_fault_in_a_line_is_shown_with_field_and_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    wrong = json.loads(json.dumps(submitted()))
    del wrong["data"]["referral"]["amount"]
    result = run(written(tmp_path, wrong))
    assert "/data/referral/amount" in result.stderr
    assert "缺少必填字段" in result.stderr
