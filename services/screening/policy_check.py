"""The strict check of policy files: beyond what would keep them from being loaded, what can't be meant.

Rules whose inputs are all codes are tried with every combination there is, so that one which can never be met is found
before it is released. Rules that look at numbers or names as well are tried with samples: that finds one which gives
no yes or no, but proves nothing about whether it can be met.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

import zen

from schemas.faults import Fault
from schemas.referral import ChainRole, OutboundDirection
from schemas.values import (
    COUNTRIES,
    CooperationMode,
    Currency,
    FinancingNeed,
    Industry,
    KeyArea,
    Lane,
    Ownership,
    SizeClass,
    SubjectKind,
)
from services.screening.policy import RELEASED, Folder, VersionFile, read_folder, read_version
from services.screening.policy_files import FileFault
from services.screening.policy_rules import QUOTED, Fact, RuleText, functions_in

_CODES: Final[Mapping[str, tuple[Fact, ...]]] = {
    "subject_kind": tuple(SubjectKind),
    "key_area": tuple(KeyArea),
    "lane": tuple(Lane),
    "need": tuple(FinancingNeed),
    "currency": tuple(Currency),
    "cooperation_mode": tuple(CooperationMode),
    "country": tuple(sorted(COUNTRIES)),
    "direction": tuple(OutboundDirection),
    "chain_role": tuple(ChainRole),
    "size_class": tuple(SizeClass),
    "ownership": tuple(Ownership),
    "industry": tuple(Industry),
    "investment_currency": tuple(Currency),
}
"""Inputs that are codes, with all that each may be."""

_SAMPLES: Final[Mapping[str, tuple[Fact, ...]]] = {
    "zone": ("manzhouli", "mohan_boten"),
    "province": ("15", "53"),
    "amount": ("5000000.00", "1"),
    "investment": ("36000000.00", "1"),
    "term_months": (1, 12, 13, 61, 360),
    "employees": (0, 126, 5000),
    "revenue_10k_cny": (0, 4200, 100_000),
}
"""The other inputs, with some of what each may be."""

_TRIED_AT_MOST: Final = 20_000
_OF_ENTERPRISE: Final = frozenset({"size_class", "ownership", "industry", "employees", "revenue_10k_cny"})
_OF_PROJECT: Final = frozenset({"investment", "investment_currency"})


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found: the versions looked at, in order, with whether each is released, and all faults."""

    versions: tuple[tuple[VersionFile, bool], ...]
    faults: tuple[FileFault, ...]


def check_folder(folder: Path) -> Checked:
    """Check all versions of a folder and its list of released ones."""
    found = read_folder(folder)
    return _checked(found, found.files, found.faults)


def check_file(path: Path) -> Checked:
    """Check one version, against the list of released ones beside it where there is one."""
    found = read_folder(path.parent)
    same = tuple(file for file in found.files if file.written.name == path.name)
    if same:
        return _checked(found, same, (fault for fault in found.faults if fault.file == path.name))
    alone = read_version(path)
    return _checked(found, (alone,), alone.faults)


def _checked(folder: Folder, files: Sequence[VersionFile], faults: Iterable[FileFault]) -> Checked:
    last = max(
        (file.text.effective_from for file in folder.files if file.text and file.text.version in folder.released),
        default=None,
    )
    told = [*faults]
    versions: list[tuple[VersionFile, bool]] = []
    for file in files:
        released = file.text is not None and file.text.version in folder.released
        versions.append((file, released))
        if file.text is None:
            continue
        if not released:
            told += _faults_of_draft(file, last)
        told += _faults_of_day(file)
        faulty = {tuple(fault.fault.pointer.split("/")[1:3]) for fault in file.faults}
        for _, place, rule in file.text.rules():
            # What can't be compiled can't be tried either.
            if (place[0], str(place[1])) not in faulty:
                told += [file.written.at(place, fault) for fault in faults_of_meaning(rule)]
    return Checked(tuple(versions), tuple(told))


def _faults_of_draft(file: VersionFile, last: date | None) -> Iterator[FileFault]:
    assert file.text is not None
    if last is not None and file.text.effective_from <= last:
        yield file.written.fault(
            "effective_out_of_order",
            ("effective_from",),
            f"生效日期不晚于最近发布版本的生效日期 {last}，会改变已经作出的决定；请改为更晚的日期。",
            f"not after {last}, from which the latest version in {RELEASED} is effective: what is decided already "
            "would change; choose a later day.",
        )


def _faults_of_day(file: VersionFile) -> Iterator[FileFault]:
    assert file.text is not None
    try:
        named = date.fromisoformat(file.text.version)
    except ValueError:
        return
    if named != file.text.effective_from:
        yield file.written.fault(
            "version_not_its_day",
            ("version",),
            f"版本以日期 {named} 命名，却自 {file.text.effective_from} 起生效；请使两者一致。",
            f"named after the day {named}, but effective from {file.text.effective_from}; make the two agree.",
        )


def faults_of_meaning(rule: RuleText) -> Iterator[Fault]:
    """What is wrong with a rule that can be compiled: inputs that are never there, unknown codes, no yes or no."""
    yield from _inputs_never_there(rule)
    unknown = list(_unknown_codes(rule))
    yield from unknown
    if not unknown:
        yield from _trial(rule)


def _inputs_never_there(rule: RuleText) -> Iterator[Fault]:
    for names, without, zh, en in (
        (_OF_ENTERPRISE, {SubjectKind.ZONE_PLAN}, "企业", "an enterprise"),
        (_OF_PROJECT, {SubjectKind.ENTERPRISE, SubjectKind.ZONE_PLAN}, "项目", "a project"),
    ):
        used = sorted(names & set(rule.inputs))
        lacking = ", ".join(sorted(rule.kinds & without))
        if used and lacking:
            yield Fault(
                code="input_never_there",
                pointer="/applies_to",
                zh=f"{'、'.join(used)} 属于{zh}，而 {lacking} 没有；请用 applies_to 限定规则。",
                en=f"{', '.join(used)}: of {en}, which {lacking} lacks; limit the rule by applies_to.",
            )


def _unknown_codes(rule: RuleText) -> Iterator[Fault]:
    """Texts that no input of the rule can be. Rules that call functions are left out: these may take parts of codes."""
    counts = {"term_months", "employees", "revenue_10k_cny"}
    if not set(rule.inputs) <= _CODES.keys() | counts or functions_in(rule.when):
        return
    known = {str(code) for name in rule.inputs for code in _CODES.get(name, ())}
    for text in sorted({quoted[1:-1] for quoted in QUOTED.findall(rule.when)} - known):
        yield Fault(
            code="unknown_code",
            pointer="/when",
            zh=f"'{text}' 不是所列输入的任何代码，比较永远不成立；请更正。",
            en=f"'{text}' is none of the codes that its inputs may be, so nothing equals it; correct it.",
        )


def _trial(rule: RuleText) -> Iterator[Fault]:
    expression = zen.compile_expression(rule.when)
    combinations = product(*[_values(name, rule) for name in rule.inputs])
    met = tried = 0
    for values in islice(combinations, _TRIED_AT_MOST):
        inputs = dict(zip(rule.inputs, values, strict=True))
        verdict = _verdict(expression, inputs)
        if verdict is None:
            shown = ", ".join(f"{name} = {value}" for name, value in inputs.items())
            yield Fault(
                code="not_yes_or_no",
                pointer="/when",
                zh=f"表达式在 {shown} 时得不出“是”或“否”；请更正。",
                en=f"gives no yes or no for {shown}; correct it.",
            )
            return
        tried += 1
        met += verdict
    if not met and tried < _TRIED_AT_MOST and set(rule.inputs) <= _CODES.keys():
        yield Fault(
            code="never_met",
            pointer="/when",
            zh=f"规则永远不会成立（已试遍全部 {tried} 种情形）；请更正或删除。",
            en=f"can never be met (all {tried} cases were tried); correct it, or remove the rule.",
        )


def _values(name: str, rule: RuleText) -> tuple[Fact, ...]:
    if name == "subject_kind":
        return tuple(kind.value for kind in SubjectKind if kind in rule.kinds)
    if name == "need":
        return tuple(need.value for need in FinancingNeed if need in rule.purposes)
    return tuple(str(code) for code in _CODES[name]) if name in _CODES else _SAMPLES[name]


def _verdict(expression: Any, inputs: dict[str, Fact]) -> bool | None:
    try:
        verdict = expression.evaluate(inputs)
    except Exception:  # plain Exception and RuntimeError are what the library raises
        return None
    return verdict if isinstance(verdict, bool) else None
