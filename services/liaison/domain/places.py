"""Where something happened and whom it concerns: its case, if any, and the place by which units are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from schemas.advice import (
    AdviceAnswered,
    AdviceEscalated,
    AdviceFact,
    AdviceFurtherRouted,
    AdviceReminded,
    AdviceRouted,
)
from schemas.bulletin import BulletinMatched
from schemas.consortium import CooperationConsentMissing
from schemas.cooperation import CooperationRefused
from schemas.deliberation import (
    ScreeningEscalated,
    ScreeningOpinionDrafted,
    ScreeningOpinionReturned,
    ScreeningPrecedentWeighed,
    ScreeningReminded,
)
from schemas.envelope import Event, Payload
from schemas.loan import LoanRefused
from schemas.matchmaking import MatchTakenUp, MatchTurnedDown, WishClosed, WishMatched, WishUnmatched
from schemas.partner import (
    CooperationInvitationEnded,
    CooperationInvitationPaused,
    CooperationInvitationResumed,
    CooperationPartnerInvited,
)
from schemas.plan import PlanLateMarked, PlanPartRecorded, PlanPartReplaced, PlanSignedOff
from schemas.reference import Directory
from schemas.referral import DuplicateFound, ReferralRefused, ReferralRejected
from schemas.referral_course import ConsentAwaited, ReferralClosed
from schemas.resemblance import ResemblanceFlagged
from schemas.risk import (
    RiskFact,
    RiskLimitBreached,
    RiskRefused,
    RiskSubject,
    RiskWarning,
    RiskWarningCleared,
    RiskWarningRaised,
    RiskWarningRaisedFurther,
)
from schemas.screening import ScreeningRefused
from schemas.values import BANK_HQ, COMMERCE_HQ, Side, side_of
from schemas.work_plan import WorkPlanActionLate, WorkPlanOpened
from services.kit.door import Early
from services.liaison.domain.recipients import Place, place_of_case, place_of_zone
from services.liaison.domain.state import CaseFacts, File

_PARTNER: Final = "//partner/"

Found = tuple[CaseFacts | None, Place]
Where = Callable[[Event[Any], File | None, Directory], Found]


def where(event: Event[Any], state: File | None, directory: Directory) -> Found:
    """The case of an event (None where it is of none) and its place.

    Raises:
        Early: the event is of a case that is not registered here yet.
    """
    return _WHERE.get(type(event.data), _in_case)(event, state, directory)


def case_of(event: Event[Any], state: File | None) -> CaseFacts:
    """The case of an event.

    Raises:
        Early: it is not registered here yet.
    """
    if state is None or state.facts is None:
        raise Early(f"{event.type} of case {event.subject}, which is not registered here yet")
    return state.facts


def _in_case(event: Event[Any], state: File | None, directory: Directory) -> Found:
    """Something happened in a case: it concerns those in charge since its registration, and whoever referred it."""
    case = case_of(event, state)
    return case, place_of_case(case)


def _of_referrer(event: Event[Any], state: File | None, directory: Directory) -> Found:
    """What was not registered concerns the party that referred, and nobody else."""
    return None, Place(parties=(event.data.source,))


def _of_sender(event: Event[ReferralRefused | CooperationRefused], state: File | None, directory: Directory) -> Found:
    """What was refused concerns whoever sent it, which need not be a party of the case, if there is one."""
    source = event.data.source
    if source is not None and source.startswith(_PARTNER):
        return None, Place(partners=(partner_code(source),))
    # Our own services need no mail; events of former releases do not say whose it was.
    return None, Place(parties=(source,) if source is not None and side_of(source) is not None else ())


def _of_the_referrer(event: Event[Any], state: File | None, directory: Directory) -> Found:
    case = case_of(event, state)
    return case, place_of_case(case, case.source)


def _of_referral(event: Event[ReferralClosed | ResemblanceFlagged], state: File | None, directory: Directory) -> Found:
    """Intake's own events come after the registration on the same topic: without one, none has been.

    Waiting for it would hold up the registration itself; and before it only the referrer may hear of the matter.
    """
    source = (event.data.source,) if event.data.source is not None else ()
    if state is None or state.facts is None:
        return None, Place(parties=source, parties_alone=True)
    parties = (state.facts.source,) if isinstance(event.data, ReferralClosed) else ()
    return state.facts, place_of_case(state.facts, *parties)


def _of_partner(event: Event[Any], state: File | None, directory: Directory) -> Found:
    """An invitation concerns its partner, who is told what the invitation says and nothing else of the case."""
    case_of(event, state)
    return None, Place(partners=(event.data.partner,))


def _of_zone(event: Event[Any], state: File | None, directory: Directory) -> Found:
    return None, place_of_zone(event.data.zone, event.time, directory)


def _of_answerer(event: Event[AdviceFact], state: File | None, directory: Directory) -> Found:
    """A question concerns the unit of the bank that has it."""
    place = place_of_zone(event.data.zone, event.time, directory)
    return None, replace(place, parties=(f"//bank/{event.data.routed_to}",))


def _of_owners(event: Event[WorkPlanOpened], state: File | None, directory: Directory) -> Found:
    place = place_of_zone(event.data.zone, event.time, directory)
    return None, replace(place, named=tuple(dict.fromkeys(action.owner for action in event.data.plan.actions)))


def _of_owner(event: Event[WorkPlanActionLate], state: File | None, directory: Directory) -> Found:
    """An action is late: its owner is told; where the directory knows no such person, the unit of the owner's side."""
    payload = event.data
    place = place_of_zone(payload.zone, event.time, directory)
    if directory.person(payload.owner, event.time) is not None:
        return None, replace(place, named=(payload.owner,))
    if payload.owner_side is Side.COMMERCE:
        return None, replace(place, parties=(f"//commerce/{payload.zone}",))
    return None, replace(place, parties=tuple(f"//bank/{branch}" for branch in place.branches))


def _of_matched_zones(event: Event[WishMatched], state: File | None, directory: Directory) -> Found:
    return None, Place(parties=tuple(f"//commerce/{match.zone}" for match in event.data.matches))


def _of_zone_and_submitter(event: Event[MatchTakenUp], state: File | None, directory: Directory) -> Found:
    place = place_of_zone(event.data.zone, event.time, directory)
    return None, replace(place, parties=_submitter(event.data))


def _of_submitter(
    event: Event[WishUnmatched | MatchTurnedDown | WishClosed], state: File | None, directory: Directory
) -> Found:
    """What comes of a wish is told to whoever submitted it; events of former releases do not say who that was."""
    return None, Place(parties=_submitter(event.data))


def _submitter(payload: MatchTakenUp | WishUnmatched | MatchTurnedDown | WishClosed) -> tuple[str, ...]:
    return (payload.submitted_from,) if payload.submitted_from is not None else ()


def _of_publisher(event: Event[LoanRefused], state: File | None, directory: Directory) -> Found:
    case = case_of(event, state)
    return case, place_of_case(case, event.data.refused_source)


def _of_sides(sides: Callable[[Any], Iterable[Side]]) -> Where:
    """What concerns one side of a screening (or both) and not the other."""

    def found(event: Event[Any], state: File | None, directory: Directory) -> Found:
        case = case_of(event, state)
        return case, place_of_case(case, *(screener(case, side) for side in sides(event.data)))

    return found


def _side(payload: ScreeningRefused | ScreeningOpinionDrafted | ScreeningOpinionReturned) -> tuple[Side, ...]:
    # What our own services asked for and were refused needs no mail.
    return (payload.side,) if payload.side is not None else ()


def _missing(payload: ScreeningReminded | ScreeningEscalated) -> tuple[Side, ...]:
    return payload.missing


def _carried(payload: ScreeningPrecedentWeighed) -> tuple[Side, ...]:
    return payload.carried


def _of_risk(event: Event[RiskFact], state: File | None, directory: Directory) -> Found:
    """A statement about risk: of a case it goes to those in charge of the case, otherwise to those of the zone."""
    if event.data.subject_kind is RiskSubject.CASE:
        return _in_case(event, state, directory)
    return None, place_of_zone(_zone_of(event.data), event.time, directory)


def _of_headquarters(event: Event[RiskRefused], state: File | None, directory: Directory) -> Found:
    """A release of a hold was refused: the headquarters that asked are told, whether or not there is such a case."""
    hq = f"//commerce/{COMMERCE_HQ}" if event.data.side is Side.COMMERCE else f"//bank/{BANK_HQ}"
    return None, Place(parties=(hq,))


def screener(case: CaseFacts, side: Side) -> str:
    """Who speaks for a side in the screening of a case: the province's department, or the branch."""
    return f"//commerce/{case.province}" if side is Side.COMMERCE else f"//bank/{case.branch}"


def partner_code(source: str) -> str:
    """The partner whose system speaks as this source."""
    return source.removeprefix(_PARTNER).partition("/")[0]


def _zone_of(payload: RiskFact) -> str | None:
    if payload.subject_kind is RiskSubject.ZONE:
        return payload.subject
    return payload.zone if isinstance(payload, RiskWarning) else None


_WHERE: Final[Mapping[type[Payload], Where]] = {
    ReferralRejected: _of_referrer,
    DuplicateFound: _of_referrer,
    ConsentAwaited: _of_referrer,
    **dict.fromkeys((ReferralRefused, CooperationRefused), _of_sender),
    **dict.fromkeys((ReferralClosed, ResemblanceFlagged), _of_referral),
    CooperationConsentMissing: _of_the_referrer,
    **dict.fromkeys((CooperationPartnerInvited, CooperationInvitationEnded), _of_partner),
    **dict.fromkeys((CooperationInvitationPaused, CooperationInvitationResumed), _of_partner),
    **dict.fromkeys((PlanPartRecorded, PlanPartReplaced, PlanSignedOff, PlanLateMarked), _of_zone),
    BulletinMatched: _of_zone,
    MatchTakenUp: _of_zone_and_submitter,
    **dict.fromkeys((WishUnmatched, MatchTurnedDown, WishClosed), _of_submitter),
    **dict.fromkeys((AdviceRouted, AdviceFurtherRouted, AdviceReminded, AdviceEscalated), _of_answerer),
    AdviceAnswered: _of_zone,
    WorkPlanOpened: _of_owners,
    WorkPlanActionLate: _of_owner,
    WishMatched: _of_matched_zones,
    LoanRefused: _of_publisher,
    **dict.fromkeys((ScreeningRefused, ScreeningOpinionDrafted, ScreeningOpinionReturned), _of_sides(_side)),
    **dict.fromkeys((ScreeningReminded, ScreeningEscalated), _of_sides(_missing)),
    ScreeningPrecedentWeighed: _of_sides(_carried),
    RiskRefused: _of_headquarters,
    **dict.fromkeys((RiskWarningRaised, RiskWarningRaisedFurther, RiskWarningCleared, RiskLimitBreached), _of_risk),
}
"""Events that are not (only) of a case that must be registered first."""
