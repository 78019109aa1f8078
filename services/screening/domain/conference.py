"""The conference of both headquarters, where one side supports a case and the other opposes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from schemas.deliberation import ScreeningConferenceCalled, ScreeningConferenceOutcomeRecorded
from schemas.envelope import Event, Payload
from schemas.opinion import ConferenceOutcome, ConferenceOutcomeGiven, Verdict
from schemas.reference import china_date
from schemas.screening import ConferenceResult
from schemas.values import side_of
from services.kit.door import Early
from services.screening.domain.case import Case, Status
from services.screening.domain.opinions import reasons_of
from services.screening.domain.outlook import Outlook
from services.screening.domain.pace import PACES
from services.screening.domain.persons import objection
from services.screening.domain.refusals import Code, refuse
from services.screening.domain.subject import check_subject


def call_conference(case: Case, referral_id: str, called_at: datetime, outlook: Outlook) -> ScreeningConferenceCalled:
    """Both headquarters are asked what is to become of a case on which the sides disagree."""
    (supporting,), (opposing,) = case.of_verdict(Verdict.SUPPORT), case.of_verdict(Verdict.OPPOSE)
    days = PACES[case.pace].conference
    deadline, provisional = outlook.working_days.after(called_at, days)
    return ScreeningConferenceCalled(
        referral_id=referral_id,
        lane=case.lane,
        supported_by=supporting,
        opposed_by=opposing,
        reasons=reasons_of(case.opinions[opposing]),
        working_days=days,
        deadline=deadline,
        deadline_provisional=provisional,
        called_at=called_at,
    )


def take_outcome(case: Case, event: Event[ConferenceOutcomeGiven], outlook: Outlook) -> Iterator[Payload]:
    """A headquarters answers, once and in time.

    While its side's opinion stands on an open case the conference may be to come, when the other side's topic has been
    read; then the answer waits. Before that opinion there is nothing to wait for: what waits keeps back all that its
    side says of the case later, that opinion as well.
    """
    given, side = event.data, side_of(event.source)
    assert side is not None, "the table lets the two headquarters through alone"
    check_subject(event)
    code = objection(outlook, china_date(event.time), side, given.given_by, given.on_behalf_of)
    if code is None and case.status is Status.OPEN and side in case.opinions:
        raise Early("no conference has been called yet")
    conference = case.conference
    if code is None and conference is None:
        code = Code.NOT_IN_CONFERENCE
    if code is None and conference is not None:
        if side in conference.answers:
            code = Code.SECOND_OUTCOME
        elif event.time > conference.deadline and not case.held:
            code = Code.AFTER_DEADLINE
        elif case.status is not Status.CONFERENCE:
            code = Code.NOT_IN_CONFERENCE
    if code is not None:
        yield refuse(event, code)
        return
    yield ScreeningConferenceOutcomeRecorded(
        referral_id=event.subject,
        side=side,
        outcome=given.outcome,
        text=given.text,
        given_by=given.given_by,
        given_at=event.time,
    )


def result_of(case: Case) -> ConferenceResult:
    """How the conference ended."""
    assert case.conference is not None
    outcomes = [answer.outcome for answer in case.conference.answers.values()]
    if len(outcomes) < 2:
        return ConferenceResult.UNANSWERED
    return ConferenceResult.AGREED if outcomes[0] is outcomes[1] else ConferenceResult.DIFFERED


def agreed_to_shortlist(case: Case) -> bool:
    """Whether both headquarters want the case on the shortlist."""
    assert case.conference is not None
    answers = case.conference.answers.values()
    return len(answers) == 2 and all(answer.outcome is ConferenceOutcome.SHORTLIST for answer in answers)
