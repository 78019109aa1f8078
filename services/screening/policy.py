"""Policy versions: loaded strictly, compiled once, applied to referrals by date.

A version is one YAML file and never changes once it is released; what should apply from another day on is another
file. `released.yaml` beside them names the versions that may decide, with their digests; the others are drafts. The
version in force is the released one whose `effective_from` was last reached; referrals older than the first version
are scored by the first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, RootModel, StringConstraints, ValidationError

from schemas.faults import Fault, faults_of
from schemas.referral import Referral
from schemas.scoring import PolicyPart, PolicyVersion, RuleOutcome
from schemas.values import Day, KeyArea, LongText
from services.screening.domain.outlook import HardStop, Scoring
from services.screening.policy_files import FileFault, Written
from services.screening.policy_rules import (
    ClassificationText,
    Facts,
    Rule,
    RuleText,
    Strict,
    TiltText,
    facts_of,
    faults_of_rule,
)

POLICIES: Final = Path(__file__).with_name("policies")
"""Folder of the versions that are shipped."""

RELEASED: Final = "released.yaml"
"""Name of the file that lists the released versions."""


class PolicyError(ValueError):
    """The policy files cannot be used; `faults` holds all that is wrong with all files."""

    def __init__(self, faults: Iterable[FileFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("the policy files have faults:\n" + "\n".join(f"- {fault}" for fault in self.faults))


class UnknownVersionError(LookupError):
    """No policy version of that name; the text names those there are."""


# --- the files --------------------------------------------------------------------------------------------------------


class PolicyText(Strict):
    """A policy version as written."""

    version: PolicyVersion
    effective_from: Day
    title_zh: LongText
    title_en: LongText
    hard_stops: tuple[RuleText, ...]
    classification: tuple[ClassificationText, ...]
    tilt: tuple[TiltText, ...]

    def rules(self) -> Iterator[tuple[PolicyPart, tuple[str, int], RuleText]]:
        """Every rule in order, with its part and its place in the file."""
        parts: tuple[tuple[PolicyPart, str, Sequence[RuleText]], ...] = (
            (PolicyPart.HARD_STOP, "hard_stops", self.hard_stops),
            (PolicyPart.CLASSIFICATION, "classification", self.classification),
            (PolicyPart.TILT, "tilt", self.tilt),
        )
        for part, name, texts in parts:
            for position, text in enumerate(texts):
                yield part, (name, position), text


_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Field(strict=True)]


class ReleasedText(RootModel[dict[PolicyVersion, _Digest]]):
    """The released versions with the SHA-256 of their files, in the order of their release."""


@dataclass(frozen=True, slots=True)
class VersionFile:
    """One version as it stands in its file; `text` is None where the file has faults in its form."""

    written: Written
    text: PolicyText | None
    faults: tuple[FileFault, ...]


@dataclass(frozen=True, slots=True)
class Folder:
    """All versions of a folder, and what is wrong with them.

    `files` are in order of their names; `released` holds names and digests in order of release.
    """

    files: tuple[VersionFile, ...]
    released: Mapping[str, str]
    faults: tuple[FileFault, ...]


def read_folder(folder: Path = POLICIES) -> Folder:
    """Read every version of a folder with all faults of all files; nothing is raised."""
    files = tuple(read_version(path) for path in sorted(folder.glob("*.yaml")) if path.name != RELEASED)
    faults = [fault for file in files for fault in file.faults]
    written = Written.of_file(folder / RELEASED)
    if not files:
        zh = f"{folder} 中没有政策版本（*.yaml），至少需要一个；请核对文件夹。"
        en = f"{folder}: no policy version (*.yaml) found; at least one is needed, so check the folder."
        return Folder((), {}, (written.fault("no_versions", (), zh, en),))
    released: Mapping[str, str] = {}
    if not (folder / RELEASED).exists():
        zh = f"文件夹中没有 {RELEASED}；请在其中列出已发布的版本及其 SHA-256。"
        en = f"the folder has no {RELEASED}; list the released versions there, each with its SHA-256."
        return Folder(
            files, {}, (*faults, FileFault(RELEASED, None, Fault(code="none_released", pointer="", zh=zh, en=en)))
        )
    if written.faults:
        faults += written.faults
    else:
        try:
            released = ReleasedText.model_validate(written.value).root
        except ValidationError as error:
            faults += [written.at((), fault) for fault in faults_of(error)]
    faults += _faults_of_release(written, files, released)
    return Folder(files, released, tuple(faults))


def read_version(path: Path) -> VersionFile:
    """Read one version with all faults that keep it from being compiled; nothing is raised."""
    return version_of(Written.of_file(path))


def version_of(written: Written) -> VersionFile:
    """One version with all faults that keep it from being compiled, whatever it was read from."""
    if written.value is None:
        missing = written.fault("empty", (), "文件是空的；请写入政策版本。", "the file is empty; write a version.")
        return VersionFile(written, None, written.faults or (missing,))
    try:
        text = PolicyText.model_validate(written.value)
    except ValidationError as error:
        return VersionFile(written, None, (*written.faults, *(written.at((), fault) for fault in faults_of(error))))
    return VersionFile(written, text, (*written.faults, *_faults_of_version(written, text)))


def _faults_of_version(written: Written, text: PolicyText) -> Iterator[FileFault]:
    name = f"{text.version}.yaml"
    if written.name != name:
        yield written.fault(
            "wrong_file_name",
            ("version",),
            f"文件中的版本是 {text.version}；请把文件命名为 {name}。",
            f"holds version {text.version}; name the file {name}.",
        )
    seen: set[str] = set()
    for _, place, rule in text.rules():
        if rule.code in seen:
            yield written.fault(
                "repeated_code",
                (*place, "code"),
                f"代码 {rule.code} 出现不止一次；请给每条规则不同的代码。",
                f"{rule.code}: stands more than once; give each rule a code of its own.",
            )
        seen.add(rule.code)
        yield from (written.at(place, fault) for fault in faults_of_rule(rule))


def _faults_of_release(
    list_: Written, files: Sequence[VersionFile], released: Mapping[str, str]
) -> Iterator[FileFault]:
    by_name = {file.written.name.removesuffix(".yaml"): file for file in files}
    if not released and not list_.faults:
        yield list_.fault(
            "none_released", (), "没有已发布的版本；请列出至少一个。", "no version is released; list one."
        )
    for name, digest in released.items():
        file = by_name.get(name)
        if file is None:
            yield list_.fault(
                "released_version_missing",
                (name,),
                f"已发布的版本 {name} 没有文件；请恢复 {name}.yaml。",
                f"released version {name} has no file; put {name}.yaml back.",
            )
        elif file.written.digest != digest:
            yield file.written.fault(
                "released_version_changed",
                (),
                f"已发布的版本不得改动（SHA-256 与 {RELEASED} 不符）；请恢复原文件，把新内容写成新的版本。",
                f"a released version never changes (its SHA-256 is not the one in {RELEASED}); put the file back as it "
                "was, and write what is new as another version.",
            )
    days = [(name, text.effective_from) for name in released if (text := _text_of(by_name.get(name)))]
    for (before, day), (after, next_day) in pairwise(days):
        if next_day <= day:
            yield list_.fault(
                "effective_out_of_order",
                (after,),
                f"版本 {after} 自 {next_day} 起生效，不晚于先发布的 {before}（{day}）；请改为更晚的日期。",
                f"version {after} is effective from {next_day}, which is not after {day}, the day of {before} that was "
                "released before it; choose a later day.",
            )


def _text_of(file: VersionFile | None) -> PolicyText | None:
    return None if file is None else file.text


# --- what is compiled from them ---------------------------------------------------------------------------------------

# Members looked up once: going through an enumeration took as long as half of all rules.
_KEY_AREAS: Final = tuple(KeyArea)
_MET: Final = RuleOutcome.MET
_CLASSIFICATION: Final = PolicyPart.CLASSIFICATION
_HARD_STOP: Final = PolicyPart.HARD_STOP


@dataclass(frozen=True, slots=True)
class Policy:
    """One compiled policy version; `texts` holds its rules as written, by code."""

    version: str
    digest: str
    effective_from: date
    rules: tuple[Rule, ...]
    texts: Mapping[str, RuleText]
    stops: Mapping[str, HardStop]
    key_areas: Mapping[str, KeyArea]

    def score(self, referral: Referral) -> Scoring:
        """Apply every rule, and add up."""
        return self.score_facts(facts_of(referral))

    def score_facts(self, facts: Facts) -> Scoring:
        """The same, for who scores one referral by several versions."""
        results = tuple([rule.apply(facts) for rule in self.rules])
        met = [result for result in results if result.outcome is _MET]
        found = {self.key_areas[result.code] for result in met if result.part is _CLASSIFICATION}
        return Scoring(
            version=self.version,
            digest=self.digest,
            effective_from=self.effective_from,
            score=sum([result.points for result in met]),
            hard_stops=tuple([self.stops[result.code] for result in met if result.part is _HARD_STOP]),
            key_areas=tuple([area for area in _KEY_AREAS if area in found]),
            rules=results,
        )


class Policies:
    """All policy versions: those that may decide by the day from which each applies, and drafts by name.

    `released` apply from the day that they say; `agreed` are given with the day from which each applies, and of two
    that begin on one day the later one in the list counts.
    """

    def __init__(
        self,
        released: Iterable[Policy],
        drafts: Iterable[Policy] = (),
        agreed: Iterable[tuple[date, Policy]] = (),
    ) -> None:
        begun = [*((policy.effective_from, policy) for policy in released), *agreed]
        begun.sort(key=lambda one: one[0])
        self._days = [day for day, _ in begun]
        self._released = [policy for _, policy in begun]
        self._drafts = tuple(drafts)
        self._by_name = {policy.version: policy for policy in self._released}
        for draft in self._drafts:
            self._by_name.setdefault(draft.version, draft)

    def with_agreed(self, agreed: Iterable[tuple[date, Policy]]) -> Policies:
        """These versions and those that were agreed on besides."""
        kept = {policy.version for policy in self._released}
        added = [one for one in agreed if one[1].version not in kept]
        return Policies((), self._drafts, (*zip(self._days, self._released, strict=True), *added))

    def in_force(self, on: date) -> Policy:
        """The version in force on a day; before the first one, the first."""
        return self._released[max(0, bisect_right(self._days, on) - 1)]

    def version(self, name: str) -> Policy:
        """The version of that name, released or draft. Raises UnknownVersionError."""
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownVersionError(f"there is no policy version {name}; there are {', '.join(self.names)}") from None

    @property
    def versions(self) -> tuple[str, ...]:
        """Names of the versions that may decide, oldest first."""
        return tuple(policy.version for policy in self._released)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all versions: the released ones, oldest first, then the drafts."""
        return tuple(self._by_name)


def load_policies(folder: Path = POLICIES) -> Policies:
    """Load every version of a folder. Raises PolicyError with all faults of all files at once."""
    found = read_folder(folder)
    if found.faults:
        raise PolicyError(found.faults)
    policies = [compile_policy(file.text, file.written.digest) for file in found.files if file.text]
    return Policies(
        (policy for policy in policies if policy.version in found.released),
        (policy for policy in policies if policy.version not in found.released),
    )


def compile_policy(text: PolicyText, digest: str) -> Policy:
    """The rules of a version without faults, ready to be applied; `digest` is the SHA-256 of its text."""
    points = {rule.code: rule.points for rule in text.tilt}
    return Policy(
        version=text.version,
        digest=digest,
        effective_from=text.effective_from,
        rules=tuple(Rule(part, rule, points.get(rule.code, 0)) for part, _, rule in text.rules()),
        texts={rule.code: rule for _, _, rule in text.rules()},
        stops={rule.code: HardStop(rule.code, rule.zh, rule.en) for rule in text.hard_stops},
        key_areas={rule.code: rule.key_area for rule in text.classification},
    )
