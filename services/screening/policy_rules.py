"""The rule library: what a rule may look at, how it is written, and what it makes of a referral.

Expressions are those of the `zen` library, compiled once. A rule names the inputs that it looks at and sees nothing
else: one that the referral leaves open makes the rule `not_evaluable`, because the library would take it for null and
quietly say no.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Annotated, Any, Final

import zen
from pydantic import BaseModel, ConfigDict, Field

from schemas.faults import Fault
from schemas.referral import Referral
from schemas.scoring import PolicyPart, RuleFailure, RuleOutcome, RuleResult
from schemas.values import FinancingNeed, KeyArea, LongText, ReasonCode, SubjectKind

Fact = str | int | None
"""What a rule may look at: codes and names as text, amounts as decimal text, counts as whole numbers."""

Facts = Mapping[str, Fact]
"""All facts of a referral, by the names in `FACTS`."""

QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")
"""A text inside an expression."""

FUNCTIONS: Final = frozenset(
    {
        *("abs", "ceil", "contains", "endsWith", "floor", "len", "lower", "matches", "max", "min", "number", "round"),
        *("startsWith", "string", "sum", "trim", "upper"),
    }
)
"""What expressions may call. Others of the library tell the time or throw dice, so that a score could not be repeated,
or go through as many numbers as they are told to.
"""

_CALL: Final = re.compile(r"([A-Za-z_]\w*)\s*\(")
"""A call inside an expression without texts; words of the language before a parenthesis look the same."""

_NAME: Final = re.compile(r"(?<![\w.$#])[A-Za-z_]\w*(?!\w|\s*\()")
_WORDS: Final = frozenset({"and", "or", "not", "in", "true", "false", "null"})

FACTS: Final[Mapping[str, Callable[[Referral], Fact]]] = {
    "subject_kind": lambda referral: str(referral.subject_kind),
    "zone": lambda referral: referral.zone,
    "province": lambda referral: referral.province,
    "key_area": lambda referral: str(referral.key_area),
    "lane": lambda referral: str(referral.lane),
    "need": lambda referral: str(referral.need),
    "amount": lambda referral: format(referral.amount.amount, "f"),
    "currency": lambda referral: str(referral.amount.currency),
    "term_months": lambda referral: referral.term_months,
    "cooperation_mode": lambda referral: str(referral.cooperation_mode) if referral.cooperation_mode else None,
    "country": lambda referral: referral.country,
    "direction": lambda referral: str(referral.direction) if referral.direction else None,
    "chain_role": lambda referral: str(referral.chain.role) if referral.chain else None,
    "size_class": lambda referral: str(referral.enterprise.size_class) if referral.enterprise else None,
    "ownership": lambda referral: str(referral.enterprise.ownership) if referral.enterprise else None,
    "industry": lambda referral: str(referral.enterprise.industry) if referral.enterprise else None,
    "employees": lambda referral: referral.enterprise.employees if referral.enterprise else None,
    "revenue_10k_cny": lambda referral: referral.enterprise.revenue_10k_cny if referral.enterprise else None,
    "investment": lambda referral: format(referral.project.total_investment.amount, "f") if referral.project else None,
    "investment_currency": lambda referral: (
        str(referral.project.total_investment.currency) if referral.project else None
    ),
}
"""The inputs that rules may name, and where each stands in a referral; None where the referral leaves it open."""


def facts_of(referral: Referral) -> Facts:
    """All that rules may look at in a referral, looked up once for all of them."""
    return {name: look_up(referral) for name, look_up in FACTS.items()}


class Strict(BaseModel):
    """Base of what stands in a policy file: nothing beside what is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleText(Strict):
    """A rule as written. Empty `applies_to` or `needs` means all kinds of subject or all financing needs."""

    code: ReasonCode
    zh: LongText
    en: LongText
    applies_to: tuple[SubjectKind, ...] = ()
    needs: tuple[FinancingNeed, ...] = ()
    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    when: Annotated[str, Field(min_length=1, max_length=2000)]

    @property
    def kinds(self) -> frozenset[SubjectKind]:
        """The kinds of subject that the rule is about."""
        return frozenset(self.applies_to or SubjectKind)

    @property
    def purposes(self) -> frozenset[FinancingNeed]:
        """The financing needs that the rule is about."""
        return frozenset(self.needs or FinancingNeed)


class ClassificationText(RuleText):
    """A rule that finds a key area in a referral."""

    key_area: KeyArea


class TiltText(RuleText):
    """A rule that gives points for what policy favours."""

    points: Annotated[int, Field(ge=1, le=100, strict=True)]


class Rule:
    """A compiled rule. Its text has to be without faults (see `faults_of_rule`)."""

    def __init__(self, part: PolicyPart, text: RuleText, points: int = 0) -> None:
        self._part = part
        self._text = text
        self._points = points
        self._kinds = frozenset(kind.value for kind in text.kinds)
        self._needs = frozenset(need.value for need in text.purposes)
        self._look_up: Callable[[Facts], Any] = itemgetter(*text.inputs)
        self._evaluate: Callable[[dict[str, Fact]], Any] = zen.compile_expression(text.when).evaluate
        self._not_applicable = RuleResult(part=part, code=text.code, outcome=RuleOutcome.NOT_APPLICABLE, inputs={})
        # Most inputs are codes, so that few results occur over and over; they are immutable and may be shared.
        self._judge = lru_cache(maxsize=1024)(self._judge_inputs)

    def apply(self, facts: Facts) -> RuleResult:
        """What the rule makes of a referral's facts: always a result, never an exception."""
        if facts["subject_kind"] not in self._kinds or facts["need"] not in self._needs:
            return self._not_applicable
        return self._judge(self._look_up(facts))

    def _judge_inputs(self, values: tuple[Fact, ...] | Fact) -> RuleResult:
        inputs = dict(zip(self._text.inputs, values if isinstance(values, tuple) else (values,), strict=True))
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
        except BaseException as error:
            # Plain Exception and RuntimeError, as on a text compared to a number; or the panic of the library's own
            # language, which is no Exception to let programs end. Here it is one rule that can't be evaluated.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            return RuleOutcome.NOT_EVALUABLE, RuleFailure.EXPRESSION_FAILED
        if not isinstance(verdict, bool):
            return RuleOutcome.NOT_EVALUABLE, RuleFailure.NOT_YES_OR_NO
        return RuleOutcome.MET if verdict else RuleOutcome.NOT_MET, None


def faults_of_rule(text: RuleText) -> Iterator[Fault]:
    """All that keeps a rule from being compiled: no expression, or one that looks at something else than its inputs."""
    try:
        zen.compile_expression(text.when)
    except Exception as error:  # plain Exception is what the library raises
        told = _first_line(error)
        yield Fault(
            code="not_an_expression",
            pointer="/when",
            zh=f"表达式无法解析：{text.when}（{told}）；请更正。",
            en=f"not an expression: {text.when} ({told}); correct it.",
        )
        return
    if "`" in text.when:
        yield Fault(
            code="not_a_text",
            pointer="/when",
            zh="表达式中的文字请用单引号或双引号，不用反引号。",
            en="Quote texts in an expression with ' or \", not with `.",
        )
    for name in sorted(functions_in(text.when) - FUNCTIONS):
        known = ", ".join(sorted(FUNCTIONS))
        yield Fault(
            code="unknown_function",
            pointer="/when",
            zh=f"规则不能调用 {name}；可用：{known}。",
            en=f"{name}: no function that a rule may call; there are {known}.",
        )
    inputs, used = set(text.inputs), _names_in(text.when)
    for name in sorted(inputs - FACTS.keys()):
        known = ", ".join(sorted(FACTS))
        yield Fault(
            code="unknown_input",
            pointer=f"/inputs/{text.inputs.index(name)}",
            zh=f"没有名为 {name} 的输入；可用：{known}。",
            en=f"{name}: no such input; there are {known}.",
        )
    for name in sorted(used - inputs):
        yield Fault(
            code="input_not_named",
            pointer="/when",
            zh=f"表达式用到 {name}，但 inputs 中没有列出；请列出，文字请加引号。",
            en=f"{name}: looked at, but not among the inputs; name it there, or quote it if it is a text.",
        )
    for name in sorted(inputs - used):
        yield Fault(
            code="input_not_used",
            pointer=f"/inputs/{text.inputs.index(name)}",
            zh=f"inputs 列出了 {name}，但表达式没有用到；请删除。",
            en=f"{name}: among the inputs, but not looked at; remove it.",
        )


def functions_in(expression: str) -> set[str]:
    """The functions that an expression calls."""
    return set(_CALL.findall(QUOTED.sub("''", expression))) - _WORDS


def _names_in(expression: str) -> set[str]:
    """The names that an expression looks at: what is neither text, nor a function, nor a word of the language."""
    return set(_NAME.findall(QUOTED.sub("''", expression))) - _WORDS


def _first_line(error: Exception) -> str:
    """The library appends a stack trace of its own, which helps nobody who writes a policy."""
    return str(error).partition("\n")[0]
