"""Policy files: loaded strictly, compiled once, applied to referrals by date.

A version is one YAML file and never changes; what should apply from another day on is another file. The version in
force is the one whose `effective_from` was last reached; referrals older than the first version are scored by
the first.

Expressions are those of the `zen` library. A rule names the inputs that it looks at and sees nothing else: one that the
referral leaves open makes the rule `not_evaluable`, because the library would take it for null and quietly say no.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
import zen
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.referral import Referral
from schemas.screening import PolicyPart, PolicyVersion, RuleFailure, RuleOutcome, RuleResult
from schemas.values import FinancingNeed, KeyArea, LongText, ReasonCode, SubjectKind
from services.screening.domain.outlook import HardStop, Scoring

Fact = str | int | None
"""What a rule may look at: codes and names as text, amounts as decimal text, counts as whole numbers."""

POLICIES: Final = Path(__file__).with_name("policies")

_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
_NAME: Final = re.compile(r"(?<![\w.$#])[A-Za-z_]\w*(?!\w|\s*\()")
_WORDS: Final = frozenset({"and", "or", "not", "in", "true", "false", "null"})


class PolicyError(ValueError):
    """The policy files cannot be used; the text names every fault in every file."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("the policy files have faults:\n" + "\n".join(f"- {fault}" for fault in faults))
        self.faults = tuple(faults)


# --- what a rule may look at ------------------------------------------------------------------------------------------

FACTS: Final[Mapping[str, Callable[[Referral], Fact]]] = {
    "subject_kind": lambda referral: referral.subject_kind.value,
    "zone": lambda referral: referral.zone,
    "province": lambda referral: referral.province,
    "key_area": lambda referral: referral.key_area.value,
    "lane": lambda referral: referral.lane.value,
    "need": lambda referral: referral.need.value,
    "amount": lambda referral: format(referral.amount.amount, "f"),
    "currency": lambda referral: referral.amount.currency.value,
    "term_months": lambda referral: referral.term_months,
    "cooperation_mode": lambda referral: referral.cooperation_mode.value if referral.cooperation_mode else None,
    "country": lambda referral: referral.country,
    "size_class": lambda referral: referral.enterprise.size_class.value if referral.enterprise else None,
    "ownership": lambda referral: referral.enterprise.ownership.value if referral.enterprise else None,
    "industry": lambda referral: referral.enterprise.industry.value if referral.enterprise else None,
    "employees": lambda referral: referral.enterprise.employees if referral.enterprise else None,
    "revenue_10k_cny": lambda referral: referral.enterprise.revenue_10k_cny if referral.enterprise else None,
    "investment": lambda referral: format(referral.project.total_investment.amount, "f") if referral.project else None,
    "investment_currency": lambda referral: (
        referral.project.total_investment.currency.value if referral.project else None
    ),
}


# --- the file ---------------------------------------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleText(_Strict):
    """A rule as written. Empty `applies_to` or `needs` means all kinds of subject or all financing needs."""

    code: ReasonCode
    zh: LongText
    en: LongText
    applies_to: tuple[SubjectKind, ...] = ()
    needs: tuple[FinancingNeed, ...] = ()
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    when: Annotated[str, Field(min_length=1, max_length=2000)]


class ClassificationText(RuleText):
    """A rule that finds a key area in a referral."""

    key_area: KeyArea


class TiltText(RuleText):
    """A rule that gives points for what policy favours."""

    points: Annotated[int, Field(ge=1, le=100, strict=True)]


class PolicyText(_Strict):
    """A policy version as written."""

    version: PolicyVersion
    effective_from: date
    title_zh: LongText
    title_en: LongText
    hard_stops: tuple[RuleText, ...]
    classification: tuple[ClassificationText, ...]
    tilt: tuple[TiltText, ...]


# --- what is compiled from it -----------------------------------------------------------------------------------------


class Rule:
    """A compiled rule.

    Raises ValueError naming all that is wrong with its text: inputs that there are not, or an expression that is none
    or looks at something else than its inputs.
    """

    def __init__(self, part: PolicyPart, text: RuleText, points: int = 0) -> None:
        faults = list(_faults_of(text))
        if faults:
            raise ValueError("; ".join(faults))
        self._part = part
        self._text = text
        self._points = points
        self._kinds = frozenset(text.applies_to or SubjectKind)
        self._needs = frozenset(text.needs or FinancingNeed)
        self._look_up = tuple(FACTS[name] for name in text.inputs)
        self._evaluate: Callable[[dict[str, Fact]], Any] = zen.compile_expression(text.when).evaluate
        self._not_applicable = RuleResult(part=part, code=text.code, outcome=RuleOutcome.NOT_APPLICABLE, inputs={})
        # Most inputs are codes, so that few results occur over and over; they are immutable and may be shared.
        self._judge = lru_cache(maxsize=1024)(self._judge_inputs)

    def apply(self, referral: Referral) -> RuleResult:
        """What the rule makes of a referral: always a result, never an exception."""
        if referral.subject_kind not in self._kinds or referral.need not in self._needs:
            return self._not_applicable
        return self._judge(*[look_up(referral) for look_up in self._look_up])

    def _judge_inputs(self, *values: Fact) -> RuleResult:
        inputs = dict(zip(self._text.inputs, values, strict=True))
        missing = tuple(name for name, value in inputs.items() if value is None)
        outcome, failure = self._outcome(inputs, missing)
        return RuleResult(
            part=self._part,
            code=self._text.code,
            outcome=outcome,
            points=self._points if outcome is RuleOutcome.MET else 0,
            inputs={name: value for name, value in inputs.items() if value is not None},
            missing=missing,
            failure=failure,
        )

    def _outcome(self, inputs: dict[str, Fact], missing: tuple[str, ...]) -> tuple[RuleOutcome, RuleFailure | None]:
        if missing:
            return RuleOutcome.NOT_EVALUABLE, RuleFailure.INPUT_MISSING
        try:
            verdict = self._evaluate(inputs)
        except Exception:  # the library raises plain Exception and RuntimeError, as on a text compared to a number
            return RuleOutcome.NOT_EVALUABLE, RuleFailure.EXPRESSION_FAILED
        if not isinstance(verdict, bool):
            return RuleOutcome.NOT_EVALUABLE, RuleFailure.NOT_YES_OR_NO
        return RuleOutcome.MET if verdict else RuleOutcome.NOT_MET, None


def _faults_of(text: RuleText) -> Iterator[str]:
    try:
        zen.compile_expression(text.when)
    except Exception as error:
        yield f"not an expression: {text.when!r}: {_first_line(error)}"
        return
    inputs, used = set(text.inputs), _names_in(text.when)
    for name in sorted(inputs - FACTS.keys()):
        yield f"{name}: no such input; there are {', '.join(sorted(FACTS))}"
    for name in sorted(used - inputs):
        yield f"{name}: looked at, but not among the inputs"
    for name in sorted(inputs - used):
        yield f"{name}: among the inputs, but not looked at"


def _names_in(expression: str) -> set[str]:
    """The names that an expression looks at: what is neither text, nor a function, nor a word of the language."""
    return set(_NAME.findall(_QUOTED.sub("''", expression))) - _WORDS


@dataclass(frozen=True, slots=True)
class Policy:
    """One compiled policy version."""

    version: str
    digest: str
    effective_from: date
    rules: tuple[Rule, ...]
    stops: Mapping[str, HardStop]
    key_areas: Mapping[str, KeyArea]

    def score(self, referral: Referral) -> Scoring:
        """Apply every rule, and add up."""
        results = tuple(rule.apply(referral) for rule in self.rules)
        met = [result for result in results if result.outcome is RuleOutcome.MET]
        found = {self.key_areas[result.code] for result in met if result.part is PolicyPart.CLASSIFICATION}
        return Scoring(
            version=self.version,
            digest=self.digest,
            effective_from=self.effective_from,
            score=sum(result.points for result in met),
            hard_stops=tuple(self.stops[result.code] for result in met if result.part is PolicyPart.HARD_STOP),
            key_areas=tuple(area for area in KeyArea if area in found),
            rules=results,
        )


class Policies:
    """All policy versions, by the day from which each applies."""

    def __init__(self, policies: list[Policy]) -> None:
        self._policies = sorted(policies, key=lambda policy: policy.effective_from)
        self._days = [policy.effective_from for policy in self._policies]

    def in_force(self, on: date) -> Policy:
        """The version in force on a day; before the first one, the first."""
        return self._policies[max(0, bisect_right(self._days, on) - 1)]

    @property
    def versions(self) -> tuple[str, ...]:
        """Names of all versions, oldest first."""
        return tuple(policy.version for policy in self._policies)


def load_policies(folder: Path = POLICIES) -> Policies:
    """Load every `*.yaml` of a folder. Raises PolicyError with all faults of all files at once."""
    faults: list[str] = []
    policies: list[Policy] = []
    for path in sorted(folder.glob("*.yaml")):
        policy = _load(path, faults)
        if policy is not None:
            policies.append(policy)
    if not policies and not faults:
        faults.append(f"{folder}: no policy version (*.yaml) found; at least one is needed")
    faults += [f"version {name} stands in more than one file" for name in _repeated(one.version for one in policies)]
    days = (str(policy.effective_from) for policy in policies)
    faults += [f"more than one version is effective from {day}" for day in _repeated(days)]
    if faults:
        raise PolicyError(faults)
    return Policies(policies)


def _load(path: Path, faults: list[str]) -> Policy | None:
    try:
        content = path.read_bytes()
        text = PolicyText.model_validate(yaml.safe_load(content))
    except (OSError, yaml.YAMLError) as error:
        faults.append(f"{path.name}: cannot be read as YAML: {error}")
        return None
    except ValidationError as error:
        faults += [f"{path.name}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return None
    if path.stem != text.version:
        faults.append(f"{path.name}: holds version {text.version}; name the file {text.version}.yaml")
    return Policy(
        version=text.version,
        digest=sha256(content).hexdigest(),
        effective_from=text.effective_from,
        rules=tuple(_compile(path.name, text, faults)),
        stops={rule.code: HardStop(rule.code, rule.zh, rule.en) for rule in text.hard_stops},
        key_areas={rule.code: rule.key_area for rule in text.classification},
    )


def _compile(file: str, text: PolicyText, faults: list[str]) -> Iterator[Rule]:
    written = (
        *((PolicyPart.HARD_STOP, rule, 0) for rule in text.hard_stops),
        *((PolicyPart.CLASSIFICATION, rule, 0) for rule in text.classification),
        *((PolicyPart.TILT, rule, rule.points) for rule in text.tilt),
    )
    faults += [f"{file}: {code}: stands more than once" for code in _repeated(rule.code for _, rule, _ in written)]
    for part, rule, points in written:
        try:
            yield Rule(part, rule, points)
        except ValueError as error:
            faults.append(f"{file}: {rule.code}: {error}")


def _repeated(names: Iterator[str]) -> list[str]:
    seen: set[str] = set()
    return sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]


def _first_line(error: Exception) -> str:
    """The library appends a stack trace of its own, which helps nobody who writes a policy."""
    return str(error).partition("\n")[0]
