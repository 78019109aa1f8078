"""A repaired referral and its forerunner: what was agreed there is not asked again here.

The two cases belong to different tasks, so they talk over a topic: the new one asks, the earlier one answers with the
opinions that supported it, and the new one puts those on record.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from schemas.deliberation import ScreeningPrecedentWeighed
from schemas.envelope import Event, Payload
from schemas.opinion import Verdict
from schemas.precedent import CarriedOpinion, PrecedentAnswered, PrecedentAsked
from schemas.referral import ReferralRegistered
from schemas.screening import ScreeningOpinionRecorded
from services.kit.door import To
from services.screening.domain.case import UNDECIDED, Asked, Case, Status
from services.screening.domain.declines import declined_for_good
from services.screening.domain.evolving import asked_of
from services.screening.domain.opinions import reasons_of
from services.screening.domain.outlook import Outlook, terms_of


def ask_forerunner(event: Event[ReferralRegistered], forerunner: str) -> To:
    """The question of a new case to the one that it repairs."""
    terms = terms_of(event.data.referral)
    return To(
        forerunner,
        PrecedentAsked(referral_id=forerunner, asked_by=event.subject, terms=terms, asked_at=event.time),
    )


def answer_precedent(case: Case | None, event: Event[PrecedentAsked], outlook: Outlook) -> Iterator[To]:
    """The earlier case answers with its supporting opinions, or with why none stands."""
    asked = event.data
    code = _against(case, asked_of(asked.terms))
    opinions = () if case is None or code is not None else tuple(_supporting(case))
    if code is None and not opinions:
        code = "nobody_supported"
    answer = PrecedentAnswered(
        referral_id=asked.asked_by, forerunner=event.subject, opinions=opinions, code=code, asked_at=asked.asked_at
    )
    yield To(asked.asked_by, answer)


def take_precedent(case: Case, event: Event[PrecedentAnswered], outlook: Outlook) -> Iterator[Payload]:
    """Opinions that stand are recorded as carried over, for sides that have not begun to speak for themselves."""
    answer = event.data
    carried = []
    for opinion in answer.opinions:
        if opinion.side in case.opinions or case.draft_of(opinion.side) is not None:
            continue
        carried.append(opinion.side)
        yield ScreeningOpinionRecorded(
            referral_id=event.subject,
            side=opinion.side,
            verdict=Verdict.SUPPORT,
            reasons=opinion.reasons,
            given_by=opinion.given_by,
            given_at=opinion.given_at,
            checked_by=opinion.checked_by,
            checked_at=opinion.checked_at,
            carried_from=answer.forerunner,
        )
    yield ScreeningPrecedentWeighed(
        referral_id=event.subject,
        forerunner=answer.forerunner,
        carried=tuple(carried),
        code=None if carried else answer.code or "sides_spoke",
        weighed_at=answer.asked_at,
    )


def _against(case: Case | None, wanted: Asked) -> str | None:
    """Why nothing of this case stands for what is wanted now; None where its opinions may."""
    if case is None:
        return "forerunner_unknown"
    if case.status in UNDECIDED:
        return "forerunner_undecided"
    if case.status is Status.WITHDRAWN:
        return "forerunner_withdrawn"
    if case.status is Status.DECLINED and declined_for_good(case):
        return "declined_for_good"
    before = case.asked
    if before is None:
        return "terms_unknown"
    if (before.credit_code, before.zone, before.need) != (wanted.credit_code, wanted.zone, wanted.need):
        return "other_matter"
    if before.currency is not wanted.currency or Decimal(before.amount) < Decimal(wanted.amount):
        return "terms_grown"
    return "terms_grown" if before.term_months < wanted.term_months else None


def _supporting(case: Case) -> Iterator[CarriedOpinion]:
    for side in case.of_verdict(Verdict.SUPPORT):
        opinion = case.opinions[side]
        yield CarriedOpinion(
            side=side,
            reasons=reasons_of(opinion),
            given_by=opinion.given_by,
            given_at=opinion.given_at,
            checked_by=opinion.checked_by,
            checked_at=opinion.checked_at,
        )
