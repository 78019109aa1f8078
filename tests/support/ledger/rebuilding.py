"""A ledger with something of everything on record, and its rebuilding."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from services.kit.rebuild import Report, rebuild
from services.kit.settings import Settings
from tests.support.ledger import build, catalogue
from tests.support.ledger.running import RunningLedger

ACCOUNTS = 40


def rebuilt(ledger: RunningLedger, **options: Any) -> Report:
    settings = Settings(
        bootstrap_servers=ledger.bootstrap_servers, data_dir=ledger.folder, database_url=ledger.database_url
    )
    return asyncio.run(rebuild(build(ledger.name), settings, catalogue(ledger.name), **options))


def publish(ledger: RunningLedger) -> list[Any]:
    """Accounts (some with a day on which they are closed), clerks, entries for all, some with letters, and repeats;
    returns the entries."""
    publisher = ledger.history.publisher()
    soon, late = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (1, 86_400))
    for number in range(ACCOUNTS):
        body = {"name": f"名 {number}"}
        if number % 4 < 2:
            body["close_at"] = (soon if number % 4 else late).isoformat()
        publisher.event(ledger.topic("accounts"), "ledger.account_requested.v1", f"a{number}", body)
    for number in range(ACCOUNTS):
        version, field = (1, "name") if number % 2 else (2, "called")
        kind = f"ledger.clerk_named.v{version}"
        publisher.event(ledger.topic("clerks"), kind, f"c{number % 9}", {field: f"员 {number}"})
    entries = [
        publisher.event(
            ledger.topic("entries"), "ledger.entry_made.v1", f"a{key}", {"amount": amount, "letter": key % 10 == 0}
        )
        for amount in range(1, 9)
        for key in range(0, ACCOUNTS, 2)
    ]
    for one in entries[::5]:
        publisher.again(one)
    publisher.flush()
    return entries
