"""The ledger's own process, for tests that kill it."""

from __future__ import annotations

from services.kit.worker import run
from tests.support.ledger import build, catalogue

if __name__ == "__main__":
    run(build(), catalogue=catalogue())
