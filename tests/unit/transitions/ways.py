"""Ways into states that a search among the examples would be long in finding: who says what, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.envelope import Payload
from schemas.plan import PlanPart, PlanPartSignedOff, PlanPartSubmitted

Step = tuple[type[Payload], dict[str, Any], str]
"""An input as its first example has it but for some fields, and the system that says it."""

COMMERCE, BANK = "//commerce/15", "//bank/exim-nmg"

WAYS: Final[Mapping[str, tuple[Step, ...]]] = {
    "cooperation-zone plan": (
        *[(PlanPartSubmitted, {"part": part, "version": 1}, COMMERCE) for part in PlanPart],
        *[(PlanPartSignedOff, {"part": part, "version": 1}, COMMERCE) for part in PlanPart],
        *[(PlanPartSignedOff, {"part": part, "version": 1, "signed_by": "exim-nmg-01"}, BANK) for part in PlanPart],
    ),
}
"""By service and table, as the tests are named."""
