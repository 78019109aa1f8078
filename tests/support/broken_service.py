"""One of the real services on a kit that is broken on purpose, with a fault that strikes at a named point.

`python -m tests.support.broken_service SERVICE`; `LEDGER_KIT` and `LEDGER_FAULT` as in `tests.support.broken`.
"""

from __future__ import annotations

import sys

from schemas.loading import load_contracts
from services.kit.worker import run
from services.registry import build
from tests.support.broken import break_and_lay


def main(service: str) -> None:
    """Break the kit, lay the fault, and run the service."""
    break_and_lay()
    load_contracts()
    run(build(service))


if __name__ == "__main__":
    main(sys.argv[1])
