"""Policy files are held to their form, and rules always have a result."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.referral import Referral
from schemas.scoring import PolicyPart, RuleFailure, RuleOutcome, RuleResult
from schemas.values import FinancingNeed, KeyArea
from services.screening.policy import POLICIES, PolicyError, UnknownVersionError, load_policies
from services.screening.policy_rules import Rule, RuleText, facts_of
from tests.unit.screening import builders as told

RELEASED = {
    "2020-03-23": "9805122af8e2e17d2090ac428c68e44e0a2eeb0288fe250c4a489eaef2ef75ea",
    "2024-07-01": "89e289380cfbb4af82e9bdad0fe6a0848e21689868c34578dc0a291da49d4dc4",
}
"""Also written here, so that a version and its digest can't be changed in one go without a test that says so."""

SHIPPED = load_policies()
IN_2020, IN_2024 = date(2020, 4, 1), date(2024, 7, 1)


def written(**changes: Any) -> dict[str, Any]:
    """A small policy version as its author would write it."""
    rule = {"code": "private", "zh": "民营", "en": "Private", "inputs": ["ownership"], "when": "ownership == 'private'"}
    return {
        "version": "v1",
        "effective_from": date(2020, 1, 1),
        "title_zh": "试行政策",
        "title_en": "Trial policy",
        "hard_stops": [],
        "classification": [],
        "tilt": [{**rule, "points": 20}],
        **changes,
    }


def tilting(**changes: Any) -> dict[str, Any]:
    policy = written()
    policy["tilt"] = [{**policy["tilt"][0], **changes}]
    return policy


class Plain(yaml.SafeDumper):
    """Writes out what stands in several places, as people do, in place of an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def put(folder: Path, *policies: dict[str, Any], drafts: tuple[str, ...] = ()) -> Path:
    """A folder with these versions, all of them released but those named as drafts."""
    for policy in policies:
        text = yaml.dump(policy, Dumper=Plain, allow_unicode=True)
        (folder / f"{policy['version']}.yaml").write_text(text, "utf-8")
    names = [policy["version"] for policy in policies if policy["version"] not in drafts]
    release(folder, {name: sha256((folder / f"{name}.yaml").read_bytes()).hexdigest() for name in names})
    return folder


def release(folder: Path, digests: Any) -> None:
    (folder / "released.yaml").write_text(yaml.safe_dump(digests, sort_keys=False), "utf-8")


def faults_in(folder: Path) -> list[tuple[str, str, str]]:
    """File, place and code of each fault that keeps a folder from being loaded."""
    with pytest.raises(PolicyError) as caught:
        load_policies(folder)
    return [(one.file, one.fault.pointer, one.fault.code) for one in caught.value.faults]


def result_of(folder: Path, policy: dict[str, Any], referral: Referral) -> RuleResult:
    (result,) = load_policies(put(folder, policy)).in_force(IN_2020).score(referral).rules
    return result


def zone_plan(**changes: Any) -> Referral:
    return told.referral(subject_kind="zone_plan", enterprise=None, need="zone_infrastructure", **changes)


def project(amount: str, currency: str = "CNY") -> Referral:
    return told.referral(
        subject_kind="project",
        need="plant_construction",
        amount={"amount": amount, "currency": currency},
        project={"name": "木材加工二期", "total_investment": {"amount": "10000000.00", "currency": "CNY"}},
    )


def codes(referral: Referral, on: date = IN_2020) -> dict[str, str]:
    return {rule.code: rule.outcome.value for rule in SHIPPED.in_force(on).score(referral).rules}


# --- the versions that are shipped ------------------------------------------------------------------------------------


def test_released_versions_never_change() -> None:
    files = {path.stem: path for path in POLICIES.glob("*.yaml") if path.name != "released.yaml"}
    assert yaml.safe_load((POLICIES / "released.yaml").read_bytes()) == RELEASED
    assert {name: sha256(path.read_bytes()).hexdigest() for name, path in files.items()} == RELEASED


@pytest.mark.parametrize(
    ("day", "version"),
    [
        (date(2019, 1, 1), "2020-03-23"),
        (date(2020, 3, 23), "2020-03-23"),
        (date(2024, 6, 30), "2020-03-23"),
        (date(2024, 7, 1), "2024-07-01"),
        (date(2031, 1, 1), "2024-07-01"),
    ],
)
def test_the_version_in_force_is_the_last_that_took_effect(day: date, version: str) -> None:
    assert SHIPPED.in_force(day).version == version


@pytest.mark.parametrize(
    ("changes", "points"),
    [
        ({"enterprise": {"size_class": "large", "ownership": "state", "industry": "mining"}}, 0),
        ({"enterprise": {"size_class": "micro", "ownership": "state", "industry": "mining"}}, 25),
        ({"enterprise": {"size_class": "medium", "ownership": "private", "industry": "mining"}}, 20),
        ({"enterprise": {"size_class": "medium", "ownership": "state", "industry": "manufacturing"}}, 0),
        (
            {
                "enterprise": {"size_class": "medium", "ownership": "state", "industry": "manufacturing"},
                "term_months": 13,
            },
            30,
        ),
        ({"enterprise": {"size_class": "large", "ownership": "state", "industry": "mining"}, "lane": "resumption"}, 25),
        ({"term_months": 24, "lane": "resumption"}, 100),
    ],
)
def test_the_tilt_favours_what_it_is_meant_to(changes: dict[str, Any], points: int) -> None:
    body = told.REFERRAL_EXAMPLE
    enterprise = {**body["enterprise"], **changes.pop("enterprise", {})}  # type: ignore[dict-item]
    scoring = SHIPPED.in_force(IN_2020).score(told.referral(enterprise=enterprise, **changes))
    assert scoring.score == points == sum(rule.points for rule in scoring.rules)


@pytest.mark.parametrize("need", FinancingNeed)
def test_every_financing_need_belongs_to_a_key_area(need: FinancingNeed) -> None:
    assert SHIPPED.in_force(IN_2020).score(told.referral(need=need, country="RU")).key_areas


def test_every_key_area_can_be_found() -> None:
    found = {
        area for need in FinancingNeed for area in SHIPPED.in_force(IN_2020).score(told.referral(need=need)).key_areas
    }
    assert found == set(KeyArea)


def test_a_zone_plan_belongs_to_cluster_development_and_rules_on_enterprises_do_not_apply() -> None:
    scoring = SHIPPED.in_force(IN_2020).score(zone_plan())
    assert KeyArea.CLUSTER_DEVELOPMENT in scoring.key_areas
    outcomes = codes(zone_plan())
    assert outcomes["micro_or_small"] == outcomes["private_enterprise"] == "not_applicable"


@pytest.mark.parametrize(("amount", "outcome"), [("8500000.00", "not_met"), ("8500000.01", "met")])
def test_the_share_of_project_capital_is_exact_to_the_cent(amount: str, outcome: str) -> None:
    assert codes(project(amount))["project_capital_too_low"] == outcome


def test_amounts_in_different_currencies_are_not_compared() -> None:
    assert codes(project("9999999.00", "USD"))["project_capital_too_low"] == "not_met"


@pytest.mark.parametrize(("country", "outcome"), [("PY", "met"), ("KZ", "not_met"), (None, "not_evaluable")])
def test_outbound_investment_is_held_to_its_permitted_direction(country: str | None, outcome: str) -> None:
    assert codes(told.outbound(country))["outbound_direction_not_permitted"] == outcome


def test_what_is_permitted_follows_the_version_in_force() -> None:
    rule = "outbound_direction_not_permitted"
    assert (codes(told.outbound("HN"))[rule], codes(told.outbound("HN"), IN_2024)[rule]) == ("met", "not_met")


@pytest.mark.parametrize(("months", "outcome"), [(60, "not_met"), (61, "met")])
def test_working_capital_is_lent_for_five_years_at_the_most_since_2024(months: int, outcome: str) -> None:
    assert codes(told.referral(term_months=months), IN_2024)["working_capital_term_too_long"] == outcome


# --- rules that can't be evaluated ------------------------------------------------------------------------------------


def test_a_rule_whose_input_is_missing_says_which(tmp_path: Path) -> None:
    policy = tilting(inputs=["country", "ownership"], when="country == 'RU' and ownership == 'private'")
    result = result_of(tmp_path, policy, told.referral(country=None))
    assert (result.outcome, result.failure) == (RuleOutcome.NOT_EVALUABLE, RuleFailure.INPUT_MISSING)
    assert (result.missing, result.inputs, result.points) == (("country",), {"ownership": "private"}, 0)


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"inputs": ["zone"], "when": "zone > 12"}, RuleFailure.EXPRESSION_FAILED),
        ({"inputs": ["zone"], "when": "number(zone) > 12"}, RuleFailure.EXPRESSION_FAILED),
        ({"inputs": ["term_months"], "when": "term_months + 1"}, RuleFailure.NOT_YES_OR_NO),
        ({"inputs": ["term_months"], "when": "term_months / 0"}, RuleFailure.NOT_YES_OR_NO),
        ({"inputs": ["zone"], "when": "zone"}, RuleFailure.NOT_YES_OR_NO),
    ],
)
def test_a_rule_that_fails_has_a_named_result_and_no_points(
    tmp_path: Path, changes: dict[str, Any], failure: RuleFailure
) -> None:
    result = result_of(tmp_path, tilting(**changes), told.referral())
    assert (result.outcome, result.failure, result.points) == (RuleOutcome.NOT_EVALUABLE, failure, 0)


def test_not_even_a_panic_of_the_library_is_an_exception_here() -> None:
    text = RuleText(code="dice", zh="掷骰", en="Dice", inputs=("term_months",), when="rand(-term_months) > 1")
    result = Rule(PolicyPart.HARD_STOP, text).apply(facts_of(told.referral()))
    assert (result.outcome, result.failure) == (RuleOutcome.NOT_EVALUABLE, RuleFailure.EXPRESSION_FAILED)


def test_a_hard_stop_that_cannot_be_evaluated_does_not_stop_but_is_told() -> None:
    scoring = SHIPPED.in_force(IN_2020).score(told.outbound(None))
    assert scoring.hard_stops == ()
    (result,) = [rule for rule in scoring.rules if rule.code == "outbound_direction_not_permitted"]
    assert (result.part, result.missing) == (PolicyPart.HARD_STOP, ("country",))


# --- files with faults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "pointer", "code"),
    [
        (written(title_zh=None), "/title_zh", "wrong_type"),
        (written(comment="x"), "/comment", "unknown_field"),
        (written(tilt=None), "/tilt", "wrong_type"),
        (written(effective_from=20200101), "/effective_from", "bad_date"),
        (tilting(points="20"), "/tilt/0/points", "wrong_type"),
        (tilting(points=0), "/tilt/0/points", "too_small"),
        (tilting(inputs=[]), "/tilt/0/inputs", "too_few"),
        (tilting(when="ownership =="), "/tilt/0/when", "not_an_expression"),
        (tilting(inputs=["term_months"], when="rand(term_months) > 1"), "/tilt/0/when", "unknown_function"),
        (tilting(inputs=["zone"], when="d(zone) < d()"), "/tilt/0/when", "unknown_function"),
        (tilting(when="`${ownership}` == 'private'"), "/tilt/0/when", "not_a_text"),
        (tilting(inputs=["colour"], when="colour == 'red'"), "/tilt/0/inputs/0", "unknown_input"),
        (tilting(when="ownership == 'private' and country == 'RU'"), "/tilt/0/when", "input_not_named"),
        (tilting(inputs=["ownership", "country"]), "/tilt/0/inputs/1", "input_not_used"),
        (written(tilt=[*written()["tilt"]] * 2), "/tilt/1/code", "repeated_code"),
    ],
)
def test_a_faulty_policy_is_refused_with_its_place(
    tmp_path: Path, policy: dict[str, Any], pointer: str, code: str
) -> None:
    assert faults_in(put(tmp_path, policy)) == [("v1.yaml", pointer, code)]


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    put(tmp_path, tilting(when="(", code="a"), {**tilting(points=1000), "version": "v2"}, drafts=("v2",))
    (tmp_path / "v4.yaml").write_text("tilt: [", "utf-8")
    assert [file for file, _, _ in faults_in(tmp_path)] == ["v1.yaml", "v2.yaml", "v4.yaml"]


def test_a_fault_names_the_line_and_says_in_both_languages_what_to_do(tmp_path: Path) -> None:
    put(tmp_path, written())
    lines = (tmp_path / "v1.yaml").read_text("utf-8").splitlines()
    at = next(number for number, line in enumerate(lines, 1) if "points" in line)
    lines[at - 1] = "  points: 0"
    (tmp_path / "v1.yaml").write_text("\n".join(lines), "utf-8")
    with pytest.raises(PolicyError) as caught:
        load_policies(tmp_path)
    (fault,) = [one for one in caught.value.faults if one.fault.code == "too_small"]
    assert (fault.line, str(fault).startswith(f"v1.yaml:{at}: /tilt/0/points:")) == (at, True)
    assert "请" in fault.fault.zh
    assert "correct it" in fault.fault.en


def test_a_name_written_twice_in_one_place_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, written(), drafts=()) / "v1.yaml"
    path.write_text(path.read_text("utf-8") + "title_en: Another\n", "utf-8")
    assert ("v1.yaml", "/title_en", "repeated_name") in faults_in(tmp_path)


def test_a_file_is_named_after_its_version(tmp_path: Path) -> None:
    (put(tmp_path, written()) / "v1.yaml").rename(tmp_path / "other.yaml")
    assert ("other.yaml", "/version", "wrong_file_name") in faults_in(tmp_path)


def test_a_folder_without_policies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no policy version"):
        load_policies(tmp_path)


def test_words_inside_a_text_are_not_taken_for_inputs(tmp_path: Path) -> None:
    policy = tilting(when="ownership == 'country and zone' or ownership == \"lane\"")
    assert result_of(tmp_path, policy, told.referral()).outcome is RuleOutcome.NOT_MET


# --- release ----------------------------------------------------------------------------------------------------------


def test_a_released_version_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, written()) / "v1.yaml"
    path.write_text(path.read_text("utf-8") + "# a remark\n", "utf-8")
    assert faults_in(tmp_path) == [("v1.yaml", "", "released_version_changed")]


def test_a_released_version_that_is_gone_is_refused(tmp_path: Path) -> None:
    put(tmp_path, written(), {**written(), "version": "v2", "effective_from": date(2021, 1, 1)})
    (tmp_path / "v2.yaml").unlink()
    assert faults_in(tmp_path) == [("released.yaml", "/v2", "released_version_missing")]


@pytest.mark.parametrize("day", [date(2019, 12, 31), date(2020, 1, 1)])
def test_what_is_released_later_takes_effect_later(tmp_path: Path, day: date) -> None:
    put(tmp_path, written(), {**written(), "version": "v2", "effective_from": day})
    assert faults_in(tmp_path) == [("released.yaml", "/v2", "effective_out_of_order")]


@pytest.mark.parametrize("digests", [None, {}, ["v1"], {"v1": 5}, {"v1": "9805"}])
def test_a_list_that_releases_nothing_or_is_none_is_refused(tmp_path: Path, digests: Any) -> None:
    put(tmp_path, written())
    release(tmp_path, digests)
    assert {file for file, _, _ in faults_in(tmp_path)} == {"released.yaml"}


def test_a_folder_without_the_list_is_refused(tmp_path: Path) -> None:
    (put(tmp_path, written()) / "released.yaml").unlink()
    assert faults_in(tmp_path) == [("released.yaml", "", "none_released")]


def test_a_draft_decides_nothing_but_can_be_asked_for(tmp_path: Path) -> None:
    draft = {**written(), "version": "v2", "effective_from": date(2020, 2, 1)}
    policies = load_policies(put(tmp_path, written(), draft, drafts=("v2",)))
    assert policies.in_force(IN_2020).version == "v1"
    assert (policies.versions, policies.names) == (("v1",), ("v1", "v2"))
    assert policies.version("v2").effective_from == date(2020, 2, 1)


def test_asking_for_a_version_that_is_not_there_names_those_there_are() -> None:
    with pytest.raises(UnknownVersionError, match="2020-03-23, 2024-07-01"):
        SHIPPED.version("2031")


def test_a_file_with_aliases_is_refused_because_a_few_lines_may_unfold_into_more_than_memory_holds(
    tmp_path: Path,
) -> None:
    (tmp_path / "v1.yaml").write_text("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "utf-8")
    release(tmp_path, {"v1": sha256((tmp_path / "v1.yaml").read_bytes()).hexdigest()})
    assert [code for _, _, code in faults_in(tmp_path)] == ["alias_used"]
