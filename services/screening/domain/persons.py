"""Whether a person may speak for a side: of that side, not away, and a deputy only for whom the directory says so.

Nothing here depends on the case or on what else has arrived.
"""

from __future__ import annotations

from datetime import date

from schemas.values import Side
from services.screening.domain.case import Opinion
from services.screening.domain.outlook import Outlook
from services.screening.domain.refusals import Code


def objection(outlook: Outlook, on: date, side: Side | None, person: str, on_behalf_of: str | None) -> Code | None:
    """What speaks against this person's speaking on that day; None if nothing. Unknown persons may speak (README)."""
    if outlook.side_of_person(person, on) not in (side, None):
        return Code.WRONG_PARTY
    if outlook.deputy_of(person, on) is not None:
        return Code.PERSON_ABSENT
    if on_behalf_of is None:
        return None
    if outlook.side_of_person(on_behalf_of, on) not in (side, None):
        return Code.WRONG_PARTY
    return None if outlook.deputy_of(on_behalf_of, on) == person else Code.NOT_DEPUTY


def same_hands(opinion: Opinion, checker: str, on_behalf_of: str | None) -> bool:
    """Whether maker and checker are one person, in their own name or standing in for one another."""
    makers = {opinion.given_by, opinion.on_behalf_of or opinion.given_by}
    return not makers.isdisjoint({checker, on_behalf_of or checker})
