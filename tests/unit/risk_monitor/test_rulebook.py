"""Rule files are read strictly, and the version of the day is applied."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from services.risk_monitor.rulebook import SHIPPED, RuleFileError, load_rules, read_rules

NEWEST = SHIPPED / "2023-07-01.yaml"


def changed(folder: Path, path: tuple[str, ...], value: object) -> Path:
    """A copy of the newest rule file with one value changed."""
    document = yaml.safe_load(NEWEST.read_text(encoding="utf-8"))
    part = document
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    copy = folder / "rules.yaml"
    copy.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return copy


def test_the_files_that_come_with_the_service_are_named_for_the_day_they_begin() -> None:
    for path in SHIPPED.glob("*.yaml"):
        rules = read_rules(path)
        assert path.stem == rules.version == rules.effective_from.isoformat()


def test_what_happened_before_the_first_version_is_judged_by_the_first() -> None:
    assert load_rules().at(datetime(2019, 1, 1, tzinfo=UTC)).effective_from == date(2020, 3, 23)


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("loan", "more_than_days", "loss"), 200, "loan/more_than_days"),
        (("zone", "percent_of_limit", "cleared_below"), "75", "zone/percent_of_limit"),
        (("zone", "limit_cny", "default"), 5.5, "zone/limit_cny/default"),
        (("zone", "accounting_rate", "usd_cny"), "0", "zone/accounting_rate/usd_cny"),
        (("zone", "surprise"), 1, "zone/surprise"),
        (("indicators", "zone", "debt_ratio", "levels"), {}, "indicators/zone/debt_ratio"),
        (("indicators", "zone", "debt_ratio", "worse"), "lower", "indicators/zone/debt_ratio"),
        (("indicators", "case"), {}, "indicators/case"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_of_its_fault(
    tmp_path: Path, path: tuple[str, ...], value: object, place: str
) -> None:
    with pytest.raises(RuleFileError, match=f"rules.yaml: .*{place}"):
        load_rules(changed(tmp_path, path, value).parent)


def test_a_folder_without_rule_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match="no rule file"):
        load_rules(tmp_path)


def test_two_versions_from_the_same_day_are_refused(tmp_path: Path) -> None:
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(NEWEST.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(RuleFileError, match="same day"):
        load_rules(tmp_path)
