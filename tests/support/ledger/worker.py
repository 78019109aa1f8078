"""The ledger's own process, for tests that kill it; `LEDGER_NAME` says as what it runs."""

from __future__ import annotations

import os

from services.kit.worker import run
from tests.support.ledger import build, catalogue

if __name__ == "__main__":
    name = os.environ.get("LEDGER_NAME", "ledger")
    run(build(name), catalogue=catalogue(name))
