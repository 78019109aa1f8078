"""One load with everything: early, late, reordered and repeated events, deadlines, letters, poison of every kind."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.support.history import History
from tests.support.records import Publisher, Stored, Topics

ACCOUNTS = 30
CLOSING = 6
CLERKS = 5
ENTRIES = 400
LETTER_EVERY = 25
REPEATED_AT_ONCE = 40
REPEATED_LATER = 60

PATIENT = {"message.timeout.ms": 120_000}

ACCOUNT = "ledger.account_requested.v1"
ENTRY = "ledger.entry_made.v1"

Sending = Callable[[], object]


def publish_mixture(history: History, dice: random.Random, close_after: float = 2.0) -> None:
    """Publish it all, acknowledged; some accounts are to be closed so many seconds from now."""
    publisher = history.publisher(**PATIENT)
    accounts, entries, clerks = history.inputs
    close_at = (datetime.now(UTC) + timedelta(seconds=close_after)).isoformat()

    def account(key: str, **body: str) -> Sending:
        return lambda: publisher.event(accounts, ACCOUNT, key, {"name": f"of {key}", **body})

    def entry(number: int) -> Sending:
        # Every second letter is written at the second attempt only.
        body = {"amount": 13 if number % (2 * LETTER_EVERY) == 0 else number % 50, "letter": number % LETTER_EVERY == 0}
        return lambda: publisher.event(
            entries, ENTRY, f"a{number % ACCOUNTS}", body, headers={"ce_time": _some_time(dice)}
        )

    sendings = [account(f"a{number}") for number in range(ACCOUNTS)]
    sendings += [account(f"x{number}", close_at=close_at) for number in range(CLOSING)]
    # One of each two is refused, whichever comes second: a name that is taken, an account that is there.
    sendings += [account(f"{one}{number}", name=f"wanted {number}") for one in "yz" for number in range(3)]
    sendings += [account("a0", name="another")]
    sendings += [entry(number) for number in range(ENTRIES)]
    sendings += [_misplaced(publisher, accounts, f"m{number}") for number in range(3)]
    sendings += [_clerk(publisher, clerks, number) for number in range(4 * CLERKS)]
    sendings += _poison(publisher, entries, clerks)
    # Entries may come before their accounts, clerks' versions in any order.
    dice.shuffle(sendings)
    for send in sendings:
        send()
    fit = [one for one in publisher.sent if one.poison is None and one.topic in (entries, clerks)]
    for one in [*dice.sample(fit, REPEATED_AT_ONCE), *fit[:REPEATED_LATER]]:
        publisher.again(one)
    publisher.event(entries, ENTRY, "a1", {"amount": 1}, id="once")
    publisher.event(entries, ENTRY, "a1", {"amount": 2}, id="once", poison="id-reused")
    publisher.flush(120)
    assert {one.fate for one in publisher.sent} == {"acknowledged"}


def redrive_mixture(history: History) -> None:
    """Send the dead letters round again that can be mended, each twice, and once more with another value."""
    publisher = history.publisher()
    for value in (b'{"amount": 7}', b'{"amount": 7}', b'{"amount": 8}'):
        for letter in dead_letters(history):
            if letter.text("kouan_reason") == "schema":
                publisher.redrive(f"{history.name}.redrive", letter, value)
    publisher.flush()


def repeat_entries(history: History, number: int = 50) -> None:
    """Send some entries once more that were sent before."""
    publisher = history.publishers[0]
    for one in [one for one in publisher.sent if one.topic == f"{history.name}.entries" and one.poison is None][
        :number
    ]:
        publisher.again(one)
    publisher.flush()


def dead_letters(history: History) -> list[Stored]:
    """The dead letters that stand there now."""
    name = f"{history.name}.dead-letters"
    return Topics(history.bootstrap_servers).read([name])[name]


def _some_time(dice: random.Random) -> bytes:
    """Now, or as events tell that come days late."""
    late = timedelta(days=dice.choice((0, 0, 0, 3, 400)), seconds=dice.uniform(0, 60))
    return (datetime.now(UTC) - late).isoformat().encode()


def _clerk(publisher: Publisher, topic: str, number: int) -> Sending:
    version, field = ((1, "name"), (2, "called"))[number % 2]
    key, body = f"c{number % CLERKS}", {field: f"员 {number}"}
    return lambda: publisher.event(topic, f"ledger.clerk_named.v{version}", key, body)


def _misplaced(publisher: Publisher, topic: str, key: str) -> Sending:
    """An account that a client with another partitioner put somewhere, most likely wrong."""
    return lambda: publisher.event(topic, ACCOUNT, key, {"name": f"of {key}"}, partition=int(key[1:]))


def _poison(publisher: Publisher, entries: str, clerks: str) -> list[Sending]:
    """One record of each kind that can't be applied, and the code that says why."""

    def event(code: str, body: object, kind: str = ENTRY, *, id: str | None = None, **headers: bytes | None) -> Sending:
        return lambda: publisher.event(entries, kind, "a2", body, id=id, poison=code, headers=headers)  # type: ignore[arg-type]

    def raw(code: str, value: bytes | None, *headers: tuple[str, bytes], key: bytes | None = b"a2") -> Sending:
        return lambda: publisher.record(entries, key, value, headers, poison=code)

    def written(value: bytes) -> Sending:
        return lambda: publisher.record(entries, b"a2", value, _headers(str(uuid.uuid4())), poison="undecodable")

    structured = ("content-type", b"application/cloudevents+json")
    one = {"amount": 1}
    return [
        raw("missing-attribute", bytes(range(256))),
        raw("missing-attribute", b"\xff\x00 no event", key=None),
        raw("empty-value", None, ("ce_id", b"nothing")),
        raw("undecodable", b"[", structured),
        raw("missing-attribute", b"{}", structured),
        raw("repeated-header", json.dumps(one).encode(), *_headers("repeated"), ("ce_type", ENTRY.encode())),
        written(b"{"),
        event("bad-attribute", one, id="with\0nul"),
        event("unsupported-version", one, ce_specversion=b"0.3"),
        event("bad-time", one, ce_time=b"yesterday"),
        event("missing-attribute", one, ce_source=None),
        event("wrong-source", one, ce_source=b"//commerce/mofcom"),
        event("key-mismatch", one, ce_subject=b"a3"),
        event("unknown-type", one, "ledger.miracle_made.v1"),
        event("nul-character", {"amount": 1, "note": "with\0nul"}),
        event("too-large", {"amount": 1, "note": "x" * 1_100_000}),
        event("schema", {"amount": "much"}),
        event("schema", {"sum": 1}),
        event("unexpected", {"amount": 666}),
        lambda: publisher.event(clerks, "ledger.clerk_named.v2", "c1", {"called": "nobody"}, poison="nobody"),
    ]


def _headers(id: str) -> list[tuple[str, bytes]]:
    attributes = {
        "specversion": "1.0", "id": id, "source": "//bank/exim-nmg", "type": ENTRY, "subject": "a2",
        "time": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    return [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
