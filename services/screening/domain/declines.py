"""Declines: by a hard stop, or for the reasons of the side that opposes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from schemas.opinion import OPINION_CODES, Finality, Verdict
from schemas.screening import ConferenceResult, DeclineCause, DeclineReason, ScreeningDeclined
from schemas.values import Side
from services.screening.domain.case import Case, Opinion
from services.screening.domain.outlook import HardStop, Scoring


def decline_stopped(scoring: Scoring, referral_id: str, decided_at: datetime) -> ScreeningDeclined:
    """A hard stop declines for good."""
    return ScreeningDeclined(
        referral_id=referral_id,
        cause=DeclineCause.HARD_STOP,
        finality=Finality.FINAL,
        reasons=tuple(_stop_reason(stop) for stop in scoring.hard_stops),
        policy_version=scoring.version,
        decided_at=decided_at,
    )


def decline_opposed(
    case: Case, referral_id: str, decided_at: datetime, conference: ConferenceResult | None = None
) -> ScreeningDeclined:
    """The reasons on record of whoever opposes decline; one final reason makes it final."""
    opposed = {side: case.opinions[side] for side in case.of_verdict(Verdict.OPPOSE)}
    reasons = tuple(reason for side, opinion in opposed.items() for reason in _side_reasons(side, opinion))
    final = any(reason.finality is Finality.FINAL for reason in reasons)
    return ScreeningDeclined(
        referral_id=referral_id,
        cause=DeclineCause.OPPOSED,
        finality=Finality.FINAL if final else Finality.REPAIRABLE,
        reasons=reasons,
        opposed_by=tuple(opposed),
        policy_version=case.policy_version,
        decided_at=decided_at,
        conference=conference,
    )


def declined_for_good(case: Case) -> bool:
    """Whether a declined case was declined by what can't be repaired: a hard stop, or a final reason of a side."""
    opposed = [case.opinions[side] for side in case.of_verdict(Verdict.OPPOSE)]
    return not opposed or any(
        OPINION_CODES[said.code].finality is Finality.FINAL for opinion in opposed for said in opinion.reasons
    )


def _stop_reason(stop: HardStop) -> DeclineReason:
    return DeclineReason(code=stop.code, finality=Finality.FINAL, zh=stop.zh, en=stop.en)


def _side_reasons(side: Side, opinion: Opinion) -> Iterator[DeclineReason]:
    for said in opinion.reasons:
        meaning = OPINION_CODES[said.code]
        if meaning.verdict is Verdict.OPPOSE:
            yield DeclineReason(
                code=said.code,
                finality=meaning.finality or Finality.FINAL,
                zh=meaning.zh,
                en=meaning.en,
                side=side,
                text=said.text,
                remedy_zh=meaning.remedy_zh,
                remedy_en=meaning.remedy_en,
            )
