"""One of the real services on a kit that is broken on purpose, with a fault that strikes at a named point.

`python -m tests.support.broken_service SERVICE`; `LEDGER_KIT` and `LEDGER_FAULT` as in `tests.support.broken`.
"""

from __future__ import annotations

import os
import sys

from schemas.loading import load_contracts
from services.kit.worker import run
from services.registry import build
from tests.support.broken import FAULTS, KITS


def main(service: str) -> None:
    """Break the kit, lay the fault, and run the service."""
    KITS[os.environ.get("LEDGER_KIT", "sound")]()
    fault, _, nth = os.environ.get("LEDGER_FAULT", "none").partition(":")
    FAULTS[fault](int(nth or 1))
    load_contracts()
    run(build(service))


if __name__ == "__main__":
    main(sys.argv[1])
