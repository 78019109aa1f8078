"""Advice, decided: where a question goes, who answers, and what happens when nobody does.

`TABLE` says who may do what; README.md shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from schemas.advice import (
    AdviceAnswered,
    AdviceAnswerGiven,
    AdviceClosed,
    AdviceClosureSubmitted,
    AdviceEscalated,
    AdviceFurtherQuestionAsked,
    AdviceFurtherRouted,
    AdviceQuestionAsked,
    AdviceReminded,
    AdviceRouted,
    AdviceTopic,
)
from schemas.consent import ConsentScope
from schemas.cooperation import CooperationRefused
from schemas.envelope import Event, Payload
from schemas.reference import Directory
from schemas.values import BANK_HQ
from services.cooperation.domain.advice import (
    ESCALATION,
    RECORDS,
    REMINDER,
    SILENCE,
    Advice,
    Status,
    evolve,
)
from services.cooperation.domain.outlook import Outlook
from services.cooperation.domain.parties import branches_of, is_others_person, may_not_open, not_entitled, unit_of
from services.cooperation.domain.refusals import Code, refuse, refuse_by_table
from services.kit.door import Deadline, Early
from services.kit.transitions import CLOCK, Party, Transition, Transitions

FOR_HEADQUARTERS: Final = frozenset(
    {AdviceTopic.CREDIT_POLICY, AdviceTopic.INDUSTRY_PLANNING, AdviceTopic.OUTBOUND_INVESTMENT}
)
"""What branches do not answer: policy, planning, and what is approved centrally."""

BRANCH_DAYS: Final = 5
HEADQUARTERS_DAYS: Final = 10
REMINDED_BEFORE: Final = 2
ASK_ON_DAYS: Final = 20
"""Working days: for an answer of a branch and of the headquarters; left at the reminder; for a further question."""

NOT_ASKED_ON: Final = "not_asked_on"

_COMMERCE: Final = frozenset({Party.COMMERCE})
_BANK: Final = frozenset({Party.BANK})
_UNANSWERED: Final = (Status.AWAITING, Status.ESCALATED)
_OF_ANSWERS: Final = (Code.NOT_ROUTED_TO_YOU, Code.WRONG_PERSON, Code.NO_QUESTION, Code.EARLIER_QUESTION)

TABLE: Final = Transitions(
    "advice",
    (
        Transition(
            AdviceQuestionAsked,
            (None,),
            _COMMERCE,
            {AdviceRouted: Status.AWAITING},
            (Code.UNKNOWN_ZONE, Code.NOT_CONCERNED, Code.WRONG_PERSON, Code.CONSENT_MISSING, Code.BRANCH_ELSEWHERE),
        ),
        Transition(
            AdviceFurtherQuestionAsked,
            (Status.ANSWERED,),
            _COMMERCE,
            {AdviceFurtherRouted: Status.AWAITING},
            (Code.NOT_CONCERNED, Code.WRONG_PERSON),
        ),
        Transition(AdviceAnswerGiven, (None,), _BANK, {}, (Code.NO_QUESTION,), early=True),
        Transition(AdviceAnswerGiven, _UNANSWERED, _BANK, {AdviceAnswered: Status.ANSWERED}, _OF_ANSWERS),
        Transition(AdviceAnswerGiven, (Status.ANSWERED,), _BANK, {}, (*_OF_ANSWERS, Code.ANSWERED_BEFORE)),
        Transition(
            AdviceClosureSubmitted,
            (*_UNANSWERED, Status.ANSWERED),
            _COMMERCE,
            {AdviceClosed: Status.CLOSED},
            (Code.NOT_CONCERNED, Code.WRONG_PERSON),
        ),
        Transition(REMINDER, (Status.AWAITING,), CLOCK, {AdviceReminded: None}),
        Transition(ESCALATION, (Status.AWAITING,), CLOCK, {AdviceEscalated: Status.ESCALATED}),
        Transition(SILENCE, (Status.ANSWERED,), CLOCK, {AdviceClosed: Status.CLOSED}),
    ),
    status=lambda advice: advice.status,
    evolve=evolve,
    records=RECORDS,
    refused=CooperationRefused,
    refuse=refuse_by_table,
)


def route_question(advice: None, event: Event[AdviceQuestionAsked], outlook: Outlook) -> Iterator[Payload]:
    """A question goes to the branch that is asked or serves the province, or to the headquarters by its topic."""
    told = event.data
    code = may_not_open(event, told.zone, told.asked_by, outlook.directory)
    consents = told.consent.scopes if told.consent is not None else ()
    if code is None and told.enterprise is not None and ConsentScope.BANK not in consents:
        code = Code.CONSENT_MISSING
    if (
        code is None
        and told.branch is not None
        and told.branch not in branches_of(told.zone, outlook.directory, event.time)
    ):
        code = Code.BRANCH_ELSEWHERE
    if code is not None:
        yield refuse(event, code)
        return
    routed_to = _unit_for(event, outlook.directory)
    yield AdviceRouted(
        advice_id=event.subject,
        zone=told.zone,
        routed_to=routed_to,
        round=1,
        question=told.question,
        documents=told.documents,
        asked_by=told.asked_by,
        asked_at=event.time,
        source=event.source,
        topic=told.topic.value,
        enterprise=told.enterprise,
        consent=told.consent if told.enterprise is not None else None,
        **_term(event, routed_to, outlook),
    )


def route_further_question(
    advice: Advice, event: Event[AdviceFurtherQuestionAsked], outlook: Outlook
) -> Iterator[Payload]:
    """A further question stays with the unit that has the first."""
    told = event.data
    code = not_entitled(event, advice.zone, told.asked_by, outlook.directory)
    if code is not None:
        yield refuse(event, code, advice.zone)
        return
    yield AdviceFurtherRouted(
        advice_id=event.subject,
        zone=advice.zone,
        routed_to=advice.routed_to,
        round=advice.round + 1,
        question=told.question,
        documents=told.documents,
        asked_by=told.asked_by,
        asked_at=event.time,
        **_term(event, advice.routed_to, outlook),
    )


def record_answer(advice: Advice | None, event: Event[AdviceAnswerGiven], outlook: Outlook) -> Iterator[Payload]:
    """The unit that has the question answers it, or the headquarters does.

    Raises:
        Early: the question that is answered stands on another topic and has not come yet. Should it never come, the
            answer is refused.
    """
    told, code = event.data, None
    if advice is None:
        raise Early("the question has not been asked yet", (refuse(event, Code.NO_QUESTION),))
    if unit_of(event.source) not in (advice.routed_to, BANK_HQ):
        code = Code.NOT_ROUTED_TO_YOU
    elif is_others_person(event, told.given_by, outlook.directory):
        code = Code.WRONG_PERSON
    elif told.round > advice.round:
        missing = f"question {told.round} has not been asked yet"
        raise Early(missing, (refuse(event, Code.NO_QUESTION, advice.zone),))
    elif told.round < advice.round:
        code = Code.EARLIER_QUESTION
    elif advice.status is Status.ANSWERED:
        code = Code.ANSWERED_BEFORE
    if code is not None:
        yield refuse(event, code, advice.zone)
        return
    closes_at, _ = outlook.working_days.after(event.time, ASK_ON_DAYS)
    yield AdviceAnswered(
        **_fact(advice, event),
        source=event.source,
        answer=told.answer,
        documents=told.documents,
        given_by=told.given_by,
        late=event.time > advice.deadline,
        closes_at=closes_at,
        answered_at=event.time,
    )


def close_question(advice: Advice, event: Event[AdviceClosureSubmitted], outlook: Outlook) -> Iterator[Payload]:
    """The asking side needs no more, answered or not."""
    told = event.data
    code = not_entitled(event, advice.zone, told.closed_by, outlook.directory)
    if code is not None:
        yield refuse(event, code, advice.zone)
        return
    yield _closed(advice, event, told.code.value, told.referral_id)


def settle_due(advice: Advice, event: Event[Deadline], outlook: Outlook) -> Iterator[Payload]:
    """The bank is reminded, its headquarters told, or an answered question on which nobody asks is closed."""
    if event.data.name == REMINDER:
        yield AdviceReminded(**_fact(advice, event), deadline=advice.deadline, reminded_at=event.time)
    elif event.data.name == ESCALATION:
        yield AdviceEscalated(**_fact(advice, event), escalated_at=event.time)
    else:
        yield _closed(advice, event, NOT_ASKED_ON, None)


def _fact(advice: Advice, event: Event[Any]) -> dict[str, Any]:
    return {
        "advice_id": event.subject,
        "zone": advice.zone,
        "routed_to": advice.routed_to,
        "round": advice.round,
    }


def _closed(advice: Advice, event: Event[Any], code: str, referral_id: str | None) -> AdviceClosed:
    answered = advice.status is Status.ANSWERED
    return AdviceClosed(
        **_fact(advice, event), code=code, referral_id=referral_id, answered=answered, closed_at=event.time
    )


def _unit_for(event: Event[AdviceQuestionAsked], directory: Directory) -> str:
    told = event.data
    branches = branches_of(told.zone, directory, event.time)
    if told.topic in FOR_HEADQUARTERS or not branches:
        return BANK_HQ
    return told.branch or branches[0]


def _term(event: Event[Any], routed_to: str, outlook: Outlook) -> Mapping[str, Any]:
    days = HEADQUARTERS_DAYS if routed_to == BANK_HQ else BRANCH_DAYS
    deadline, provisional = outlook.working_days.after(event.time, days)
    remind_at, _ = outlook.working_days.after(event.time, days - REMINDED_BEFORE)
    return {
        "working_days": days,
        "remind_at": remind_at,
        "deadline": deadline,
        "deadline_provisional": provisional,
    }


ROUTES: Final = TABLE.routes(
    {
        AdviceQuestionAsked: route_question,
        AdviceFurtherQuestionAsked: route_further_question,
        AdviceAnswerGiven: record_answer,
        AdviceClosureSubmitted: close_question,
    }
)
DUE: Final = TABLE.due(settle_due)
