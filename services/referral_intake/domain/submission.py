"""What a submission is answered: all its faults, the case that it duplicates, the consent that it lacks, or a case."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from schemas.consent import ConsentRecorded, ConsentScope
from schemas.envelope import Event, Payload
from schemas.reference import china_date
from schemas.referral import Referral, ReferralRegistered, ReferralRejected, ReferralSubmitted
from schemas.referral_course import ConsentAwaited, ReferralKept, ReferralRepeated
from schemas.referral_glimpse import consent_in, referral_in
from schemas.resemblance import Resemblance, ResemblanceFlagged
from schemas.values import Side, side_of
from services.kit.door import Malformed
from services.referral_intake.domain.asked import Asked
from services.referral_intake.domain.case import OPEN, Case, Status
from services.referral_intake.domain.checks import check, check_broken, entries_used
from services.referral_intake.domain.discretion import unquoted
from services.referral_intake.domain.matters import matter_of
from services.referral_intake.domain.outlook import Outlook
from services.referral_intake.domain.refusals import ID_IN_USE
from services.referral_intake.domain.size_class import is_classifiable

NEEDED: Final = (ConsentScope.COMMERCE, ConsentScope.BANK)


def decide_submitted(case: Case | None, event: Event[ReferralSubmitted], outlook: Outlook) -> Iterable[Payload]:
    """A sound referral about a matter of its own is registered once the enterprise consents; faults go before all."""
    referral, side = event.data.referral, speaker(event)
    scopes = _consented(case, event.data)
    if case is not None and case.status in OPEN and case.referral() == referral:
        if scopes == case.consent:
            yield ReferralRepeated(status=case.status, revision=case.revision, repeated_at=event.time)
            return
        if case.status is Status.REGISTERED:
            yield _consent_grown(event, scopes)
            return
    if case is not None and case.status is Status.REGISTERED:
        yield ID_IN_USE.of(event)
        return
    asked = Asked(event.subject, event.source, china_date(event.time), referral, event.data.consent)
    if faults := check(asked, outlook):
        if lacking(referral, scopes):
            faults = unquoted(faults, referral)
        yield ReferralRejected(faults=faults, side=side, source=event.source, rejected_at=event.time)
        return
    matter = matter_of(event, outlook.scopes)
    if matter.duplicate:
        yield matter.duplicate.told(side, event.source, event.time)
        return
    if missing := lacking(referral, scopes):
        yield _awaited(case, event, scopes, missing, outlook)
        yield ReferralKept(
            referral=referral,
            consent=event.data.consent,
            claims=matter.claims,
            resembles=matter.resembles,
            kept_at=event.time,
        )
    else:
        yield ReferralRegistered(
            referral=referral,
            side=side,
            source=event.source,
            registered_at=event.time,
            directory_versions=entries_used(referral, china_date(event.time), outlook.directory),
            consent_scopes=scopes,
            consent=event.data.consent,
            claims=matter.claims,
            not_classifiable=not is_classifiable(referral.enterprise),
        )
        yield from matter.flagged(() if case is None else case.resembles, event.source, event.time)


def decide_malformed_submission(case: Case | None, event: Event[Malformed], outlook: Outlook) -> Iterable[Payload]:
    """A submission that breaks the schema is answered like any other: with all its faults, of both kinds."""
    if case is not None and case.status is Status.REGISTERED:
        yield ID_IN_USE.of(event)
        return
    body, day = event.data.body, china_date(event.time)
    consent = consent_in(body)
    asked = Asked(event.subject, event.source, day, referral_in(body), consent)
    faults = check_broken(asked, event.data.faults, outlook)
    if not set(NEEDED) <= {*(() if case is None else case.consent), *(consent.scopes or ())}:
        faults = unquoted(faults, asked.referral, body)
    yield ReferralRejected(faults=faults, side=speaker(event), source=event.source, rejected_at=event.time)


def registered_now(case: Case, scopes: tuple[ConsentScope, ...], at: datetime, outlook: Outlook) -> ReferralRegistered:
    """A referral that waited for consent, registered when that has come."""
    referral = case.referral()
    return ReferralRegistered(
        referral=referral,
        side=case.side,
        source=case.source,
        registered_at=at,
        directory_versions=entries_used(referral, china_date(at), outlook.directory),
        consent_scopes=scopes,
        claims=case.claims,
        not_classifiable=not is_classifiable(referral.enterprise),
    )


def flagged_now(case: Case, at: datetime) -> Iterable[ResemblanceFlagged]:
    """What a referral that waited for consent resembles, told when that has come."""
    if case.alike:
        alike = tuple(Resemblance.model_validate_json(one) for one in case.alike)
        yield ResemblanceFlagged(resembles=alike, source=case.source, flagged_at=at)


def lacking(referral: Referral, scopes: Iterable[ConsentScope]) -> tuple[ConsentScope, ...]:
    """For whom consent is missing; for nobody where no enterprise's data are in the referral."""
    if referral.enterprise is None:
        return ()
    return tuple(scope for scope in NEEDED if scope not in scopes)


def in_order(scopes: Iterable[ConsentScope]) -> tuple[ConsentScope, ...]:
    """Scopes, each once and in the order of the contract."""
    given = set(scopes)
    return tuple(scope for scope in ConsentScope if scope in given)


def speaker(event: Event[Any]) -> Side:
    """The side whose system sent an input; the table has let no other pass."""
    side = side_of(event.source)
    assert side is not None
    return side


def _consented(case: Case | None, submitted: ReferralSubmitted) -> tuple[ConsentScope, ...]:
    """What consent covers with what the submission brings; where it brings none, what is on record."""
    known = () if case is None else case.consent
    return in_order(known if submitted.consent is None else (*known, *submitted.consent.scopes))


def _consent_grown(event: Event[ReferralSubmitted], scopes: tuple[ConsentScope, ...]) -> ConsentRecorded:
    consent = event.data.consent
    assert consent is not None
    return ConsentRecorded(
        scopes=scopes,
        evidence=consent.evidence,
        recorded_at=event.time,
        day=consent.given_on,
        given_by=consent.given_by,
        side=speaker(event),
        source=event.source,
    )


def _awaited(
    case: Case | None,
    event: Event[ReferralSubmitted],
    scopes: tuple[ConsentScope, ...],
    missing: tuple[ConsentScope, ...],
    outlook: Outlook,
) -> ConsentAwaited:
    until, provisional = outlook.working_days.after(event.time, outlook.limits.consent_working_days)
    if case is not None and case.until is not None:
        # Submitting again while waiting is no way to hold the matter longer.
        until = case.until
    return ConsentAwaited(
        consent_scopes=scopes,
        missing=missing,
        until=until,
        until_provisional=provisional,
        side=speaker(event),
        source=event.source,
        submitted_at=event.time,
    )
