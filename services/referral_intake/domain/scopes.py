"""What makes two referrals the same matter, or alike: scopes, each a few parts of a referral put together.

A claim is the text that only one open case may hold: `<scope>:<digest of the parts>`, and behind that, where the scope
has a window, `.<period>`. Claims are stored and recorded, so how they are made must not change without a migration.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from schemas.reference import china_date
from schemas.referral import DuplicateRule, Enterprise, Project, Referral
from schemas.values import SubjectKind

_BETWEEN_PARTS: Final = "\x1f"
_COMPANY: Final = re.compile(r"(集团)?(股份)?(有限)?(责任)?公司$|(集团|厂|商行|经营部)$")


class Part(StrEnum):
    """What a scope can be made of."""

    CREDIT_CODE = "credit_code"
    NEED = "need"
    ZONE = "zone"
    NAME = "name"
    PROJECT_NAME = "project_name"
    ZONE_PLAN = "zone_plan"
    ENTERPRISE_CORE_NAME = "enterprise_core_name"
    PROJECT_CORE_NAME = "project_core_name"
    LEGAL_PERSON = "legal_person"
    SITE = "site"


@dataclass(frozen=True, slots=True)
class Window:
    """For how many days after its registration a case keeps others out. Days count in periods of `step` days.

    A claim is held for every period that the window touches, so that a unique row suffices: two referrals less than
    `days` apart are always the same matter, two that are `days + step` apart never.
    """

    days: int
    step: int

    def periods(self, at: datetime) -> range:
        """The periods that a window beginning on a moment's day in China touches."""
        first = china_date(at).toordinal()
        return range(first // self.step, (first + self.days - 1) // self.step + 1)


@dataclass(frozen=True, slots=True)
class Scope:
    """One way to be the same matter (`rule` is what duplicates are told as) or only alike (no `rule`)."""

    name: str
    subjects: tuple[SubjectKind, ...]
    of: tuple[Part, ...]
    zh: str
    en: str
    active: bool = True
    rule: DuplicateRule | None = None
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """What a referral claims in one scope: `claims` to be held, `known_as` those that others may hold already."""

    scope: Scope
    claims: tuple[str, ...]
    known_as: tuple[str, ...]

    def holder(self, holders: Mapping[str, str], own: str) -> str | None:
        """The other case that holds one of them; None if nobody or only the case itself does."""
        found = (holders.get(claim) for claim in self.known_as)
        return next((holder for holder in found if holder is not None and holder != own), None)


def seek(scopes: Iterable[Scope], referral: Referral, at: datetime) -> Iterator[Sought]:
    """What a referral claims, scope by scope; a scope of which a part is missing says nothing."""
    for scope in scopes:
        if not scope.active or referral.subject_kind not in scope.subjects:
            continue
        parts = [_PARTS[part](referral) for part in scope.of]
        known = [part for part in parts if part]
        if len(known) < len(parts):
            continue
        stem = _claim(scope.name, *known)
        if scope.window is None:
            yield Sought(scope, (stem,), (stem,))
        else:
            claims = tuple(f"{stem}.{period}" for period in scope.window.periods(at))
            # Without a period: cases from before there were windows hold it for as long as they are open.
            yield Sought(scope, claims, (*claims, stem))


def stem_of(claim: str) -> str:
    """A claim without its period."""
    return claim.partition(".")[0]


def claims_before_scopes(referral: Referral) -> tuple[str, ...]:
    """The claims of cases that were registered before scopes could be configured; their events do not name them."""
    if referral.subject_kind is SubjectKind.ZONE_PLAN:
        return (_claim(DuplicateRule.SAME_ZONE_PLAN, referral.zone, _bare(referral.name)),)
    if referral.enterprise is None:
        return ()
    code = referral.enterprise.credit_code
    if referral.subject_kind is SubjectKind.ENTERPRISE:
        return (_claim(DuplicateRule.ENTERPRISE_NEED_ZONE, code, referral.need, referral.zone),)
    if referral.project is None:
        return ()
    return (_claim(DuplicateRule.SAME_PROJECT, code, _bare(referral.project.name)),)


def _claim(name: str, *parts: str) -> str:
    digest = blake2b(_BETWEEN_PARTS.join(parts).encode(), digest_size=16)
    return f"{name}:{digest.hexdigest()}"


@lru_cache(maxsize=4096)
def _bare(name: str) -> str:
    """A name without what people write now one way, now another: width, case, spaces, punctuation."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", name).casefold() if sign.isalnum())


@lru_cache(maxsize=4096)
def _core(name: str) -> str:
    """A bare name without the legal form at its end, as long as something is left."""
    bare = _bare(name)
    return _COMPANY.sub("", bare) or bare


def _of_enterprise(read: Callable[[Enterprise], str | None]) -> Callable[[Referral], str | None]:
    return lambda referral: None if referral.enterprise is None else read(referral.enterprise)


def _of_project(read: Callable[[Project], str | None]) -> Callable[[Referral], str | None]:
    return lambda referral: None if referral.project is None else read(referral.project)


_PARTS: Final[Mapping[Part, Callable[[Referral], str | None]]] = {
    Part.CREDIT_CODE: _of_enterprise(lambda enterprise: enterprise.credit_code),
    Part.NEED: lambda referral: referral.need,
    Part.ZONE: lambda referral: referral.zone,
    Part.NAME: lambda referral: _bare(referral.name),
    Part.PROJECT_NAME: _of_project(lambda project: _bare(project.name)),
    Part.ZONE_PLAN: lambda referral: referral.zone_plan,
    Part.ENTERPRISE_CORE_NAME: _of_enterprise(lambda enterprise: _core(enterprise.name)),
    Part.PROJECT_CORE_NAME: _of_project(lambda project: _core(project.name)),
    Part.LEGAL_PERSON: _of_enterprise(lambda enterprise: enterprise.legal_person_digest),
    Part.SITE: lambda referral: None if referral.site is None else _bare(referral.site),
}
