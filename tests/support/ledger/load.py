"""Load for a ledger, beside whatever a test does to it: accounts, entries, repeats and poison, at random."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.ledger.running import RunningLedger, seed
from tests.support.records import Publisher

ACCOUNTS = 200
ENTRIES = 4000
LETTER_EVERY = 200
REPEAT_EVERY = 25
POISON_EVERY = 500


def new_dice() -> random.Random:
    """Dice from the seed that is named, or a new one; the seed is printed."""
    number = seed()
    print(f"KOUAN_TEST_SEED={number}")  # noqa: T201
    return random.Random(number)


@contextmanager
def load(ledger: RunningLedger, dice: random.Random, seconds: float, **settings: Any) -> Iterator[None]:
    """Publish beside the test, over some seconds; entries may come before their accounts.

    Ends when the fate of every record is told: acknowledged, or, by a publisher whose `settings` say so, given up.
    """
    publisher = ledger.history.publisher(**settings)
    thread = threading.Thread(target=_publish, args=(ledger, publisher, random.Random(dice.random()), seconds))
    thread.start()
    try:
        yield
    finally:
        thread.join()
        publisher.flush(60)


def _publish(ledger: RunningLedger, publisher: Publisher, dice: random.Random, seconds: float) -> None:
    accounts = [f"a{number}" for number in range(ACCOUNTS)]
    opens_at = {account: dice.randrange(ENTRIES // 2) for account in accounts}
    waiting = sorted(accounts, key=opens_at.__getitem__)
    began = time.monotonic()
    for number in range(ENTRIES):
        while waiting and opens_at[waiting[0]] <= number:
            account = waiting.pop(0)
            publisher.event(ledger.topic("accounts"), "ledger.account_requested.v1", account, {"name": f"of {account}"})
        body = {"amount": dice.randrange(500), "letter": number % LETTER_EVERY == 0}
        one = publisher.event(ledger.topic("entries"), "ledger.entry_made.v1", dice.choice(accounts), body)
        if number % REPEAT_EVERY == 0:
            publisher.again(one)
        if number % POISON_EVERY == 0:
            account = dice.choice(accounts)
            publisher.record(
                ledger.topic("entries"), account.encode(), b"\xff\x00 no event", poison="missing-attribute"
            )
        ahead = began + seconds * number / ENTRIES - time.monotonic()
        if ahead > 0.02:
            time.sleep(ahead)
