"""Ways into states that a search among the examples would be long in finding: who says what, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.envelope import Payload
from schemas.matchmaking import MatchAnswered, WishSubmitted
from schemas.opinion import OpinionGiven
from schemas.plan import PlanPart, PlanPartSignedOff, PlanPartSubmitted
from schemas.referral import REFERRAL_EXAMPLE, ReferralRegistered
from schemas.screening import ScreeningShortlisted

Step = tuple[type[Payload], dict[str, Any], str]
"""An input as its first example has it but for some fields, and the system that says it."""

COMMERCE, BANK, INTAKE = "//commerce/15", "//bank/exim-nmg", "//kouan/referral_intake"
_CHECKED = {"given_by": "clerk-1", "checked_by": "clerk-2", "on_behalf_of": None}
_SUPPORTS = {**_CHECKED, "verdict": "support", "reasons": ()}
_OPPOSES = {
    **_CHECKED,
    "verdict": "oppose",
    "reasons": [{"code": "collateral_insufficient", "text": "抵押物评估值低于贷款金额。"}],
}

WAYS: Final[Mapping[str, tuple[tuple[Step, ...], ...]]] = {
    "screening-case": (
        (
            (ReferralRegistered, {}, INTAKE),
            (OpinionGiven, _SUPPORTS, COMMERCE),
            (OpinionGiven, _SUPPORTS, BANK),
        ),
        (
            (ReferralRegistered, {}, INTAKE),
            (OpinionGiven, _OPPOSES, BANK),
            (OpinionGiven, _SUPPORTS, COMMERCE),
        ),
    ),
    "cooperation-consortium": (
        (
            (ReferralRegistered, {"referral": REFERRAL_EXAMPLE | {"cooperation_mode": "direct_loan"}}, INTAKE),
            (ScreeningShortlisted, {}, "//kouan/screening"),
        ),
    ),
    "cooperation-wish": (
        (
            (WishSubmitted, {"industry": "manufacturing", "provinces": ("15",)}, COMMERCE),
            (MatchAnswered, {"zone": "manzhouli", "answer": "taken_up", "code": None}, COMMERCE),
        ),
    ),
    "cooperation-zone plan": (
        (
            *[(PlanPartSubmitted, {"part": part, "version": 1}, COMMERCE) for part in PlanPart],
            *[(PlanPartSignedOff, {"part": part, "version": 1}, COMMERCE) for part in PlanPart],
            *[(PlanPartSignedOff, {"part": part, "version": 1, "signed_by": "clerk-1"}, BANK) for part in PlanPart],
        ),
    ),
}
"""By service and table, as the tests are named."""
