"""What intake answers to each input: referrals registered or turned back, amended, withdrawn, consent recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from schemas.consent import ConsentGiven, ConsentRecorded, ConsentRevoked, ConsentScope
from schemas.envelope import Event, Payload
from schemas.reference import Directory, china_date
from schemas.referral import (
    AmendmentSubmitted,
    DuplicateFound,
    Referral,
    ReferralAmended,
    ReferralRegistered,
    ReferralRejected,
    ReferralSubmitted,
    ReferralWithdrawn,
    WithdrawalSubmitted,
)
from schemas.referral_glimpse import glimpse_of
from schemas.values import Side, side_of
from services.kit.door import Invalid, Malformed
from services.referral_intake.domain.case import Case, Status
from services.referral_intake.domain.checks import check, check_broken, entries_used
from services.referral_intake.domain.claims import claims_wanted, rule_of
from services.referral_intake.domain.refusals import (
    ALREADY_REGISTERED,
    CONSENT_UNCHANGED,
    FAULTY_AMENDMENT,
    ID_IN_USE,
    NOT_REGISTERED,
    NOTHING_CHANGED,
    OTHER_SUBJECT,
    UNKNOWN_CASE,
    WITHDRAWN_BEFORE,
    WOULD_DUPLICATE,
    WRONG_PARTY,
    Refusal,
)

_NEEDS_OPEN_CASE: Final[Mapping[Status | None, Refusal | None]] = {
    None: UNKNOWN_CASE,
    Status.REJECTED: NOT_REGISTERED,
    Status.DUPLICATE: NOT_REGISTERED,
    Status.REGISTERED: None,
    Status.WITHDRAWN: WITHDRAWN_BEFORE,
}
TRANSITIONS: Final[Mapping[type[Payload], Mapping[Status | None, Refusal | None]]] = {
    ReferralSubmitted: {
        None: None,
        Status.REJECTED: None,
        Status.DUPLICATE: None,
        Status.REGISTERED: ID_IN_USE,
        Status.WITHDRAWN: WITHDRAWN_BEFORE,
    },
    AmendmentSubmitted: _NEEDS_OPEN_CASE,
    WithdrawalSubmitted: _NEEDS_OPEN_CASE,
    ConsentGiven: _NEEDS_OPEN_CASE,
    ConsentRevoked: _NEEDS_OPEN_CASE,
}
"""Input → state of the case (None: no case yet) → why it is refused there, or None where it may be decided."""


def decide_submitted(case: Case | None, event: Event[ReferralSubmitted], directory: Directory) -> Iterable[Payload]:
    """A sound referral about a matter of its own is registered; a faulty one is rejected with all its faults."""
    side, referral, day = _speaker(event), event.data.referral, china_date(event.time)
    if refusal := _refusal(case, ReferralSubmitted, side):
        if refusal is ID_IN_USE and case is not None and case.referral() == referral:
            refusal = ALREADY_REGISTERED
        yield refusal.of(ReferralSubmitted, event.time)
    elif faults := check(event.subject, event.source, referral, day, directory):
        yield ReferralRejected(faults=faults, side=side, source=event.source, rejected_at=event.time)
    elif held := _held_by_another(event):
        claim, holder = held
        yield DuplicateFound(
            duplicate_of=holder, rule=rule_of(claim), side=side, source=event.source, found_at=event.time
        )
    else:
        yield ReferralRegistered(
            referral=referral,
            side=side,
            source=event.source,
            registered_at=event.time,
            directory_versions=entries_used(referral, day, directory),
        )


def decide_malformed_submission(case: Case | None, event: Event[Malformed], directory: Directory) -> Iterable[Payload]:
    """A submission that breaks the schema is answered like any other: with all its faults, of both kinds."""
    side, broken = _speaker(event), event.data
    if refusal := _refusal(case, ReferralSubmitted, side):
        yield refusal.of(ReferralSubmitted, event.time)
        return
    seen, day = glimpse_of(broken.body), china_date(event.time)
    faults = check_broken(event.subject, event.source, seen, broken.faults, day, directory)
    yield ReferralRejected(faults=faults, side=side, source=event.source, rejected_at=event.time)


def decide_amendment(case: Case | None, event: Event[AmendmentSubmitted], directory: Directory) -> Iterable[Payload]:
    """The referring side may change its open referral, as long as it stays sound and about the same subject."""
    wanted, day = event.data.referral, china_date(event.time)
    refusal = _refusal(case, AmendmentSubmitted, _speaker(event))
    if refusal or case is None:
        yield (refusal or UNKNOWN_CASE).of(AmendmentSubmitted, event.time)
        return
    standing = case.referral()
    if standing == wanted:
        yield NOTHING_CHANGED.of(AmendmentSubmitted, event.time)
    elif faults := check(event.subject, case.source, wanted, day, directory):
        yield FAULTY_AMENDMENT.of(AmendmentSubmitted, event.time, faults)
    elif _subject(standing) != _subject(wanted):
        yield OTHER_SUBJECT.of(AmendmentSubmitted, event.time)
    elif _held_by_another(event):
        yield WOULD_DUPLICATE.of(AmendmentSubmitted, event.time)
    else:
        yield ReferralAmended(
            referral=wanted,
            revision=case.revision + 1,
            changed=tuple(_changes(standing.model_dump(), wanted.model_dump())),
            reason=event.data.reason,
            amended_at=event.time,
            directory_versions=entries_used(wanted, day, directory),
        )


def decide_malformed_amendment(case: Case | None, event: Event[Malformed], directory: Directory) -> Iterable[Payload]:
    """An amendment that breaks the schema changes nothing; the referring side is told all its faults."""
    refusal = _refusal(case, AmendmentSubmitted, _speaker(event))
    if refusal or case is None:
        yield (refusal or UNKNOWN_CASE).of(AmendmentSubmitted, event.time)
        return
    broken, day = event.data, china_date(event.time)
    faults = check_broken(event.subject, case.source, glimpse_of(broken.body), broken.faults, day, directory)
    yield FAULTY_AMENDMENT.of(AmendmentSubmitted, event.time, faults)


def decide_withdrawal(case: Case | None, event: Event[WithdrawalSubmitted], directory: Directory) -> Iterable[Payload]:
    """The referring side may take its open referral back."""
    if refusal := _refusal(case, WithdrawalSubmitted, _speaker(event)):
        yield refusal.of(WithdrawalSubmitted, event.time)
    else:
        yield ReferralWithdrawn(code=event.data.code, reason=event.data.reason, withdrawn_at=event.time)


def decide_consent_given(case: Case | None, event: Event[ConsentGiven], directory: Directory) -> Iterable[Payload]:
    """The enterprise's consent is put on record beside its open referral."""
    before = set(case.consent) if case is not None else set()
    return _record_consent(case, event, before | set(event.data.scopes))


def decide_consent_revoked(case: Case | None, event: Event[ConsentRevoked], directory: Directory) -> Iterable[Payload]:
    """From now on the enterprise's data may be shared with fewer."""
    before = set(case.consent) if case is not None else set()
    return _record_consent(case, event, before - set(event.data.scopes))


def _record_consent(
    case: Case | None, event: Event[ConsentGiven] | Event[ConsentRevoked], covered: set[ConsentScope]
) -> Iterable[Payload]:
    kind = type(event.data)
    scopes = tuple(scope for scope in ConsentScope if scope in covered)
    refusal = _refusal(case, kind, _speaker(event))
    if refusal is None and case is not None and case.consent == scopes:
        refusal = CONSENT_UNCHANGED
    if refusal:
        yield refusal.of(kind, event.time)
    else:
        yield ConsentRecorded(scopes=scopes, evidence=event.data.evidence, recorded_at=event.time)


def _speaker(event: Event[Any]) -> Side:
    side = side_of(event.source)
    if side is None:
        raise Invalid("wrong-source", f"{event.source} speaks for neither side; referrals come from one of the two")
    return side


def _refusal(case: Case | None, kind: type[Payload], side: Side) -> Refusal | None:
    if case is not None and case.side is not side:
        return WRONG_PARTY
    return TRANSITIONS[kind][case.status if case is not None else None]


def _held_by_another(event: Event[Any]) -> tuple[str, str] | None:
    """The first claim that the input needs and another case holds, with that case's id."""
    for claim in claims_wanted(event):
        holder = event.holders.get(claim)
        if holder is not None and holder != event.subject:
            return claim, holder
    return None


def _subject(referral: Referral) -> tuple[str, str | None]:
    return referral.subject_kind, referral.enterprise.credit_code if referral.enterprise is not None else None


def _changes(before: Any, after: Any, pointer: str = "") -> Iterable[str]:
    """JSON Pointers to what differs, as deep as both sides have the same fields."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before:
            yield from _changes(before[name], after[name], f"{pointer}/{name}")
    elif before != after:
        yield pointer
