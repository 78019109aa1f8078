"""Where something happened and whom it concerns: its case, if any, and the place by which units are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.loan import LoanRefused
from schemas.reference import Directory
from schemas.referral import DuplicateFound, ReferralRejected
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
from schemas.values import BANK_HQ, COMMERCE_HQ, Side
from services.kit.door import Early
from services.liaison.domain.recipients import Place, place_of_case, place_of_zone
from services.liaison.domain.state import CaseFacts, File

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


def _of_publisher(event: Event[LoanRefused], state: File | None, directory: Directory) -> Found:
    case = case_of(event, state)
    return case, place_of_case(case, event.data.refused_source)


def _of_screener(event: Event[ScreeningRefused], state: File | None, directory: Directory) -> Found:
    """A side's step was refused. Our own services need no mail."""
    case, side = case_of(event, state), event.data.side
    return case, place_of_case(case, *((screener(case, side),) if side is not None else ()))


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


def _zone_of(payload: RiskFact) -> str | None:
    if payload.subject_kind is RiskSubject.ZONE:
        return payload.subject
    return payload.zone if isinstance(payload, RiskWarning) else None


_WHERE: Final[Mapping[type[Payload], Where]] = {
    ReferralRejected: _of_referrer,
    DuplicateFound: _of_referrer,
    LoanRefused: _of_publisher,
    ScreeningRefused: _of_screener,
    RiskRefused: _of_headquarters,
    **dict.fromkeys((RiskWarningRaised, RiskWarningRaisedFurther, RiskWarningCleared, RiskLimitBreached), _of_risk),
}
"""Events that are not (only) of a case that must be registered first."""
