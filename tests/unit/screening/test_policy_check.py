"""The strict check finds what can be loaded but can't be meant."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.screening.policy import POLICIES
from services.screening.policy_check import check_file, check_folder
from tests.unit.screening.test_policy import put, tilting, written


def rule(**changes: Any) -> dict[str, Any]:
    """A version with one rule that applies to those who have an enterprise."""
    return tilting(applies_to=["enterprise", "project"], **changes)


def codes(folder: Path) -> list[tuple[str, str]]:
    return [(one.fault.pointer, one.fault.code) for one in check_folder(folder).faults]


def test_the_versions_that_are_shipped_have_no_faults() -> None:
    checked = check_folder(POLICIES)
    assert checked.faults == ()
    assert [released for _, released in checked.versions] == [True, True]


@pytest.mark.parametrize(
    ("policy", "pointer", "code"),
    [
        (rule(when="ownership == 'privat'"), "/tilt/0/when", "unknown_code"),
        (rule(when="ownership in ['private', 'small']"), "/tilt/0/when", "unknown_code"),
        (rule(when="ownership == 'private' and ownership == 'state'"), "/tilt/0/when", "never_met"),
        (
            rule(inputs=["need"], when="need == 'working_capital'", needs=["zone_infrastructure"]),
            "/tilt/0/when",
            "never_met",
        ),
        (rule(inputs=["zone"], when="zone > 12"), "/tilt/0/when", "not_yes_or_no"),
        (rule(inputs=["zone"], when="number(zone) > 12"), "/tilt/0/when", "not_yes_or_no"),
        (rule(inputs=["term_months"], when="term_months + 1"), "/tilt/0/when", "not_yes_or_no"),
        (rule(inputs=["amount"], when="amount > 5"), "/tilt/0/when", "not_yes_or_no"),
        (tilting(), "/tilt/0/applies_to", "input_never_there"),
        (rule(inputs=["investment"], when="number(investment) > 5"), "/tilt/0/applies_to", "input_never_there"),
        ({**rule(), "version": "2020-02-01"}, "/version", "version_not_its_day"),
    ],
)
def test_what_can_be_loaded_but_not_be_meant_is_told(
    tmp_path: Path, policy: dict[str, Any], pointer: str, code: str
) -> None:
    assert codes(put(tmp_path, policy)) == [(pointer, code)]


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": ["term_months"], "when": "term_months > 400"},
        {"inputs": ["zone"], "when": "zone == 'khorgos'"},
        {"inputs": ["ownership"], "when": "contains(ownership, 'priv')"},
        {"inputs": ["country", "need"], "when": "country == 'RU' and need == 'outbound_investment'"},
        {"inputs": ["amount"], "when": "number(amount) > 1000000000"},
    ],
)
def test_what_may_well_be_meant_is_left_alone(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert codes(put(tmp_path, rule(**changes))) == []


def test_all_faults_of_form_and_of_meaning_are_told_at_once(tmp_path: Path) -> None:
    policy = rule(when="ownership == 'privat'")
    first = policy["tilt"][0]
    policy["tilt"] = [first, {**first, "code": "b", "when": "ownership =="}, {**first, "code": "c", "inputs": ["x"]}]
    assert codes(put(tmp_path, policy)) == [
        ("/tilt/1/when", "not_an_expression"),
        ("/tilt/2/inputs/0", "unknown_input"),
        ("/tilt/2/when", "input_not_named"),
        ("/tilt/2/inputs/0", "input_not_used"),
        ("/tilt/0/when", "unknown_code"),
    ]


@pytest.mark.parametrize(("day", "fine"), [(date(2020, 1, 1), False), (date(2020, 1, 2), True)])
def test_a_draft_must_not_change_what_is_decided_already(tmp_path: Path, day: date, fine: bool) -> None:
    put(tmp_path, rule(), {**rule(), "version": "v2", "effective_from": day}, drafts=("v2",))
    assert codes(tmp_path) == ([] if fine else [("/effective_from", "effective_out_of_order")])


def test_one_file_is_checked_against_the_list_beside_it(tmp_path: Path) -> None:
    put(tmp_path, rule(), {**rule(code="B"), "version": "v2", "effective_from": date(2021, 1, 1)})
    path = tmp_path / "v1.yaml"
    path.write_text(path.read_text("utf-8").replace("20", "21"), "utf-8")
    assert "released_version_changed" in [one.fault.code for one in check_file(path).faults]
    assert {one.file for one in check_file(tmp_path / "v2.yaml").faults} == {"v2.yaml"}


def test_a_file_that_stands_alone_is_checked_as_a_draft(tmp_path: Path) -> None:
    path = tmp_path / "v1.yaml"
    path.write_text(yaml.safe_dump(written(tilt=rule()["tilt"])), "utf-8")
    checked = check_file(path)
    assert (checked.faults, [released for _, released in checked.versions]) == ((), [False])


@pytest.mark.parametrize("content", [b"", b"- a", b"\xff\xfe\x00", b"version: 2020-02-31", b"? [a]\n: b", b"{" * 500])
def test_a_file_that_is_no_policy_has_a_fault_and_never_an_exception(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v1.yaml").write_bytes(content)
    assert check_file(tmp_path / "v1.yaml").faults
