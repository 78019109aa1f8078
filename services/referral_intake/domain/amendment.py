"""What an amendment is answered: a new version with what changed, or why not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.envelope import Event, Payload
from schemas.reference import china_date
from schemas.referral import AmendmentSubmitted, Referral, ReferralAmended
from schemas.referral_glimpse import referral_in
from services.kit.door import Malformed
from services.referral_intake.domain.asked import Asked
from services.referral_intake.domain.case import Case
from services.referral_intake.domain.checks import check, check_broken, entries_used
from services.referral_intake.domain.matters import matter_of
from services.referral_intake.domain.outlook import Outlook
from services.referral_intake.domain.refusals import (
    FAULTY_AMENDMENT,
    NOTHING_CHANGED,
    OTHER_SUBJECT,
    WOULD_DUPLICATE,
)


def decide_amendment(case: Case, event: Event[AmendmentSubmitted], outlook: Outlook) -> Iterable[Payload]:
    """The referring side may change its open referral, as long as it stays sound and about the same subject."""
    wanted, day, standing = event.data.referral, china_date(event.time), case.referral()
    if standing == wanted:
        yield NOTHING_CHANGED.of(event)
        return
    if faults := check(Asked(event.subject, case.source, day, wanted), outlook):
        yield FAULTY_AMENDMENT.of(event, faults)
        return
    if _subject(standing) != _subject(wanted):
        yield OTHER_SUBJECT.of(event)
        return
    matter = matter_of(event, outlook.scopes, case.claims)
    if matter.duplicate:
        yield WOULD_DUPLICATE.of(event)
        return
    yield ReferralAmended(
        referral=wanted,
        revision=case.revision + 1,
        changed=tuple(_changes(standing.model_dump(), wanted.model_dump())),
        reason=event.data.reason,
        amended_at=event.time,
        directory_versions=entries_used(wanted, day, outlook.directory),
        claims=matter.claims,
    )
    yield from matter.flagged(case.resembles, case.source, event.time)


def decide_malformed_amendment(case: Case, event: Event[Malformed], outlook: Outlook) -> Iterable[Payload]:
    """An amendment that breaks the schema changes nothing; the referring side is told all its faults."""
    asked = Asked(event.subject, case.source, china_date(event.time), referral_in(event.data.body))
    yield FAULTY_AMENDMENT.of(event, check_broken(asked, event.data.faults, outlook))


def _subject(referral: Referral) -> tuple[str, str | None]:
    return referral.subject_kind, referral.enterprise.credit_code if referral.enterprise is not None else None


def _changes(before: Any, after: Any, pointer: str = "") -> Iterable[str]:
    """JSON Pointers to what differs, as deep as both sides have the same fields."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before:
            yield from _changes(before[name], after[name], f"{pointer}/{name}")
    elif before != after:
        yield pointer
