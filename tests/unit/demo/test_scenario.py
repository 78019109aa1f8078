"""The committed scenario shows all there is to show, and its files are read as their README says."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.codec import DecodeError, PayloadError, decode
from schemas.envelope import Event
from schemas.loading import load_contracts
from schemas.referral import ReferralSubmitted
from schemas.values import FinancingNeed, KeyArea, Lane, Side, SubjectKind, side_of
from services.demo.scenario import SHIPPED, Publication, Scenario, ScenarioError
from services.demo.stack import DIRECTORY, directory_record
from topics.definition import load_catalogue
from topics.partitioning import partition_of

NOW = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
PLAN = """
steps:
  - title: {zh: 一, en: one}
    files: [FILE]
persons: {in_time: 50, late: 0, mistakes: 0}
"""
SUBMITTED = {"source": "//commerce/15", "type": "referral.submitted.v1", "subject": "A-1", "time": "-2d 10:00"}


@pytest.fixture(scope="module")
def shipped() -> Scenario:
    load_contracts()
    return Scenario(SHIPPED, load_catalogue(), NOW)


@pytest.fixture(scope="module")
def referrals(shipped: Scenario) -> list[Event[Any]]:
    events = [event for event in map(event_of, everything(shipped)) if event is not None]
    return [event for event in events if isinstance(event.data, ReferralSubmitted)]


def everything(scenario: Scenario) -> list[Publication]:
    return [record for step in scenario.records for record in step]


def event_of(record: Publication) -> Event[Any] | None:
    try:
        return decode(record.key, record.value, record.headers)
    except (DecodeError, PayloadError):
        return None


def written(folder: Path, name: str, lines: list[Any], options: str = "") -> Scenario:
    """A scenario of one file, with these lines: text as it is, anything else as JSON."""
    plan = PLAN.replace("FILE", f"{{name: {name}{options}}}")
    (folder / "scenario.yaml").write_text(plan, "utf-8")
    text = "\n".join(line if isinstance(line, str) else orjson.dumps(line).decode() for line in lines)
    (folder / name).write_text(text + "\n", "utf-8")
    load_contracts()
    return Scenario(folder, load_catalogue(), NOW)


def test_there_are_at_least_300_sound_referrals_over_all_that_the_domain_knows(referrals: list[Event[Any]]) -> None:
    bodies = [event.data.referral for event in referrals]
    zones = {
        orjson.loads(line)["data"]["code"] for line in DIRECTORY.read_bytes().splitlines() if b"directory.zone_" in line
    }
    assert len({event.subject for event in referrals}) >= 300
    assert {body.zone for body in bodies} >= zones
    assert len(zones) == 20
    assert {body.key_area for body in bodies} == set(KeyArea)
    assert {body.lane for body in bodies} == set(Lane)
    assert {body.need for body in bodies} == set(FinancingNeed)
    assert {body.subject_kind for body in bodies} == set(SubjectKind)
    assert {side_of(event.source) for event in referrals} == set(Side)


def test_every_input_type_that_has_a_topic_is_told_except_those_of_the_persons(shipped: Scenario) -> None:
    told = {event.type for event in map(event_of, everything(shipped)) if event is not None}
    catalogue = load_catalogue()
    inputs = {name for topic in catalogue.topics.values() if topic.kind == "input" for name in topic.events}
    assert inputs - told == {"notice.acknowledgement_submitted.v1"}


def test_faulty_ones_break_their_schema_in_several_places_at_once(shipped: Scenario) -> None:
    faults: list[int] = []
    for record in everything(shipped):
        try:
            decode(record.key, record.value, record.headers)
        except PayloadError as error:
            faults.append(len(error.faults))
        except DecodeError:
            continue
    assert len([count for count in faults if count > 1]) >= 5


def test_records_that_nobody_can_read_are_among_them(shipped: Scenario) -> None:
    codes: Counter[str] = Counter()
    for record in everything(shipped):
        try:
            decode(record.key, record.value, record.headers)
        except DecodeError as error:
            codes[error.code] += 1
        except PayloadError:
            continue
    wanted = {"empty-value", "unknown-type", "bad-attribute", "nul-character", "too-large", "undecodable"}
    assert codes.keys() >= wanted
    assert any(len(record.value or b"") == 2 * 1024 * 1024 for record in everything(shipped))


def test_some_records_stand_where_crc32_puts_them(shipped: Scenario) -> None:
    placed = [record for record in everything(shipped) if record.partition is not None]
    catalogue = load_catalogue()
    for record in placed:
        assert record.key is not None
        assert record.partition != partition_of(record.key, catalogue.topics[record.topic].partitions)
    assert len(placed) >= 3


def test_opinions_and_loan_reports_come_before_the_referrals_that_they_are_about(shipped: Scenario) -> None:
    early = [event for event in map(event_of, shipped.records[0]) if event is not None]
    first = {event.subject for event in early if event.type.startswith(("opinion.", "loan."))}
    second = {event.subject for event in map(event_of, shipped.records[1]) if event is not None}
    assert len(first) >= 100
    assert first <= second


def test_the_scenario_is_the_same_in_every_run_of_one_day(shipped: Scenario) -> None:
    again = Scenario(SHIPPED, load_catalogue(), NOW)
    assert again.records == shipped.records


def test_the_directory_can_be_published_as_it_is() -> None:
    load_contracts()
    catalogue = load_catalogue()
    records = [directory_record(line, catalogue) for line in DIRECTORY.read_bytes().splitlines()]
    assert all(catalogue.topics[record.topic].kind == "reference" for record in records)
    assert all(decode(record.key, record.value, record.headers) for record in records)


def test_a_row_becomes_an_event_with_nested_data_and_without_empty_cells(tmp_path: Path) -> None:
    header = "subject,time,source,enterprise.name,enterprise.employees,term_months,goods,/consent.scopes"
    row = "A-1,-2d 10:00,//commerce/15,木业,12,zwölf,,commerce;bank"
    options = ", type: referral.submitted.v1, under: referral"
    [record] = everything(written(tmp_path, "rows.csv", [header, row], options))
    assert record.key == b"A-1"
    assert orjson.loads(record.value or b"") == {
        "referral": {"enterprise": {"name": "木业", "employees": 12}, "term_months": "zwölf"},
        "consent": {"scopes": ["commerce", "bank"]},
    }
    assert dict(record.headers)["ce_time"] == b"2026-03-08T10:00:00+08:00"


def test_reasons_in_a_cell_become_a_list_of_codes_with_texts(tmp_path: Path) -> None:
    rows = [
        "id,time,source,subject,verdict,reasons",
        "OP-1,-45m,//bank/exim-nmg,A-1,oppose,plan_immature|太早。;not_viable|不可行",
    ]
    options = ", type: opinion.given.v1, subject_as: referral_id"
    [record] = everything(written(tmp_path, "opinions.csv", rows, options))
    assert dict(record.headers)["ce_id"] == b"OP-1"
    assert orjson.loads(record.value or b"") == {
        "referral_id": "A-1",
        "verdict": "oppose",
        "reasons": [{"code": "plan_immature", "text": "太早。"}, {"code": "not_viable", "text": "不可行"}],
    }


def test_an_event_can_be_sent_again_and_its_id_used_for_something_else(tmp_path: Path) -> None:
    named = {"type": "referral.submitted.v1", "subject": "A-1"}
    lines = [SUBMITTED | {"data": {"a": 1}}, {"again": named}, SUBMITTED | {"data": {"a": 2}, "id_of": named}]
    first, again, other = everything(written(tmp_path, "events.jsonl", lines))
    assert again == first
    assert dict(other.headers)["ce_id"] == dict(first.headers)["ce_id"]
    assert other.value != first.value


def test_a_subject_may_name_a_day_and_the_data_a_file_or_its_digest(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("version: x\n", "utf-8")
    data = {"text": "{text of policy.yaml}", "digest": "{digest of policy.yaml}"}
    [record] = everything(written(tmp_path, "events.jsonl", [SUBMITTED | {"subject": "absence/p@{-3d}", "data": data}]))
    assert record.key == b"absence/p@2026-03-07"
    digest = "fa52a1ee01efb51e392e395d7f8679d1ecfd78559b018912e46c982a567e08b9"
    assert orjson.loads(record.value or b"") == {"text": "version: x\n", "digest": digest}


def test_structured_mode_carries_all_attributes_in_the_value(tmp_path: Path) -> None:
    [record] = everything(written(tmp_path, "events.jsonl", [SUBMITTED | {"data": {}, "mode": "structured"}]))
    assert dict(record.headers) == {"content-type": b"application/cloudevents+json"}
    told = orjson.loads(record.value or b"")
    assert {"specversion", "id", "source", "type", "time", "subject", "data"} <= told.keys()
    assert "mode" not in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"again": {"type": "referral.submitted.v1", "subject": "Z-9"}}, "no event referral.submitted.v1 of Z-9"),
        (SUBMITTED | {"data": {}, "time": "tomorrow"}, "neither like"),
        (SUBMITTED | {"data": {}, "source": "//partner/x"}, "//partner/x"),
        ({"subject": "A-1"}, "source"),
        ("{no json", "events.jsonl"),
    ],
)
def test_a_line_that_cannot_be_understood_stops_the_demo_with_its_place(tmp_path: Path, line: Any, told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        written(tmp_path, "events.jsonl", [line])


def test_a_folder_without_a_scenario_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"scenario\.yaml"):
        Scenario(tmp_path, load_catalogue(), NOW)
