"""Callbacks of parties: how they are registered, and how what is sent to them is signed (Standard Webhooks).

No secret lies in the database. Each webhook's secret is derived by HMAC-SHA256 from the webhook's random id and one
master secret, which the gateway and whoever registers webhooks have in the environment or in a file
(`KOUAN_GATEWAY_WEBHOOK_MASTER`, `…_FILE`). So a copy of the database signs nothing, and a webhook made anew has another
secret. The database keeps a digest of each derived secret, by which a gateway with another master notices that it has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from services.gateway.feed_store import Reader
from services.gateway.outcome_settings import OutcomeSettings
from services.gateway.parties import Party
from services.kit.database import Database

MASTER_LENGTH: Final = 32

_COLUMNS: Final = (
    "webhook_id, source, url, types, secret_check, created_ms, after_seq, failures, failing_since_ms,"
    " next_attempt_ms, disabled_ms, trouble"
)


class NoMaster(Exception):
    """There is no usable master secret; the text says what to set."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One callback. `after_seq`: everything up to it was delivered. Times are milliseconds since 1970."""

    webhook_id: str
    source: str
    url: str
    types: str
    secret_check: str
    created_ms: int
    after_seq: int
    failures: int
    failing_since_ms: int | None
    next_attempt_ms: int
    disabled_ms: int | None
    trouble: str

    @property
    def reader(self) -> Reader:
        """Whose eyes it has: its party's."""
        return Party(self.source, "").reader(tuple(self.types.split(",")) if self.types else ())


@dataclass(frozen=True, slots=True)
class Replay:
    """A stretch of the feed that is to be delivered once more: after `after_seq`, up to `to_seq`."""

    replay: int
    after_seq: int
    to_seq: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver one event. `status` is the HTTP status, None where no answer came; `trouble` "" on success."""

    seq: int
    replayed: bool
    at_ms: int
    took_ms: int
    status: int | None
    trouble: str


@dataclass(frozen=True, slots=True)
class Master:
    """The master secret, from which the secrets of all webhooks are derived."""

    secret: bytes = field(repr=False)

    def secret_of(self, webhook_id: str) -> bytes:
        """The secret of one webhook: 32 bytes."""
        return hmac.digest(self.secret, f"kouan/webhook/{webhook_id}".encode(), "sha256")


def load_master(settings: OutcomeSettings) -> Master:
    """The master secret that the settings name.

    Raises:
        NoMaster: none is named, it can't be read, or is too short.
    """
    if settings.webhook_master is not None:
        text = settings.webhook_master.get_secret_value()
    elif settings.webhook_master_file is not None:
        try:
            text = settings.webhook_master_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NoMaster(f"KOUAN_GATEWAY_WEBHOOK_MASTER_FILE can't be read: {error}") from error
    else:
        raise NoMaster("set KOUAN_GATEWAY_WEBHOOK_MASTER_FILE to a file that holds a random secret")
    if len(text) < MASTER_LENGTH:
        raise NoMaster(f"the master secret has {len(text)} characters; take {MASTER_LENGTH} random ones or more")
    return Master(text.encode())


def shown(secret: bytes) -> str:
    """A secret as its receiver is given it (Standard Webhooks)."""
    return "whsec_" + base64.b64encode(secret).decode()


def check_of(secret: bytes) -> str:
    """By what a secret is recognised without being known."""
    return hashlib.sha256(b"check" + secret).hexdigest()[:16]


def message_id(source: str, id: str) -> str:
    """The `webhook-id` of an event: the same in every attempt and replay, by which a receiver drops repeats."""
    return "msg_" + hashlib.sha256(f"{source}\0{id}".encode()).hexdigest()[:32]


def sign(secret: bytes, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that prove a message: HMAC-SHA256 over id, time (seconds since 1970) and body."""
    signed = f"{message}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
    return {"webhook-id": message, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}


# The following are called on the thread of the database that they are given.


def add(database: Database, master: Master, source: str, url: str, types: Sequence[str], after_seq: int) -> str:
    """Register a callback that gets what comes after a number of the feed; returns its id."""
    webhook_id = "wh_" + secrets.token_hex(8)
    database.execute(
        f"INSERT INTO gateway_webhook ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, 0, NULL, 0, NULL, '')",
        (webhook_id, source, url, ",".join(types), check_of(master.secret_of(webhook_id)), now_ms(), after_seq),
    )
    return webhook_id


def listed(database: Database) -> list[Webhook]:
    """All webhooks, by source and age."""
    rows = database.query(f"SELECT {_COLUMNS} FROM gateway_webhook ORDER BY source, created_ms, webhook_id")
    return [Webhook(*row) for row in rows]


def find(database: Database, webhook_id: str) -> Webhook | None:
    """One webhook."""
    rows = database.query(f"SELECT {_COLUMNS} FROM gateway_webhook WHERE webhook_id = ?", (webhook_id,))
    return Webhook(*rows[0]) if rows else None


def remove(database: Database, webhook_id: str) -> bool:
    """Forget a webhook, its replays and its attempts; False where there is none."""
    with database.transaction():
        database.execute("DELETE FROM gateway_replay WHERE webhook_id = ?", (webhook_id,))
        database.execute("DELETE FROM gateway_attempt WHERE webhook_id = ?", (webhook_id,))
        return bool(database.execute("DELETE FROM gateway_webhook WHERE webhook_id = ?", (webhook_id,)))


def enable(database: Database, webhook_id: str) -> bool:
    """Let a disabled or waiting webhook go on at once, where it stopped; False where there is none."""
    return bool(
        database.execute(
            "UPDATE gateway_webhook SET disabled_ms = NULL, failures = 0, failing_since_ms = NULL, next_attempt_ms = 0,"
            " trouble = '' WHERE webhook_id = ?",
            (webhook_id,),
        )
    )


def ask_replay(database: Database, webhook: Webhook, after_seq: int, to_seq: int) -> bool:
    """Have a stretch of the feed delivered once more; False where nothing in it was delivered before.

    What was not delivered yet comes by itself and is left out.
    """
    to_seq = min(to_seq, webhook.after_seq)
    if to_seq <= after_seq:
        return False
    database.execute(
        "INSERT INTO gateway_replay (webhook_id, after_seq, to_seq) VALUES (?, ?, ?)",
        (webhook.webhook_id, after_seq, to_seq),
    )
    return True


def next_replay(database: Database, webhook_id: str) -> Replay | None:
    """The replay that is to be worked on."""
    rows = database.query(
        "SELECT replay, after_seq, to_seq FROM gateway_replay WHERE webhook_id = ? ORDER BY replay LIMIT 1",
        (webhook_id,),
    )
    return Replay(*rows[0]) if rows else None


def attempts_of(database: Database, webhook_id: str, limit: int) -> list[Attempt]:
    """The newest attempts, newest first."""
    rows = database.query(
        "SELECT seq, replayed, at_ms, took_ms, status, trouble FROM gateway_attempt WHERE webhook_id = ?"
        " ORDER BY attempt DESC LIMIT ?",
        (webhook_id, limit),
    )
    return [Attempt(row[0], bool(row[1]), *row[2:]) for row in rows]


def record_delivered(database: Database, webhook_id: str, attempt: Attempt, replay: Replay | None) -> None:
    """Note that an event was delivered, and move the place past it."""
    with database.transaction():
        _record(database, webhook_id, attempt)
        _move(database, webhook_id, attempt.seq, replay)
        database.execute(
            "UPDATE gateway_webhook SET failures = 0, failing_since_ms = NULL, next_attempt_ms = 0, trouble = ''"
            " WHERE webhook_id = ? AND disabled_ms IS NULL",
            (webhook_id,),
        )


def record_failed(database: Database, webhook_id: str, attempt: Attempt, pause_ms: int, *, disable: bool) -> None:
    """Note that a try failed, and when the next one is due; or that there will be none."""
    with database.transaction():
        _record(database, webhook_id, attempt)
        database.execute(
            "UPDATE gateway_webhook SET failures = failures + 1, next_attempt_ms = ?, trouble = ?,"
            " failing_since_ms = coalesce(failing_since_ms, ?), disabled_ms = ? WHERE webhook_id = ?",
            (
                attempt.at_ms + attempt.took_ms + pause_ms,
                attempt.trouble,
                attempt.at_ms,
                attempt.at_ms if disable else None,
                webhook_id,
            ),
        )


def skip_to(database: Database, webhook_id: str, seq: int, replay: Replay | None) -> None:
    """Note that nothing up to a number is for this webhook."""
    with database.transaction():
        _move(database, webhook_id, seq, replay)


def set_trouble(database: Database, webhook_id: str, trouble: str) -> None:
    """Let the list show why nothing is delivered."""
    database.execute("UPDATE gateway_webhook SET trouble = ? WHERE webhook_id = ?", (trouble, webhook_id))


def forget_attempts(database: Database, before_ms: int, limit: int = 1000) -> int:
    """Drop attempts that were made before a moment; returns how many."""
    return database.execute(
        "DELETE FROM gateway_attempt WHERE attempt IN (SELECT attempt FROM gateway_attempt WHERE at_ms < ? LIMIT ?)",
        (before_ms, limit),
    )


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def _record(database: Database, webhook_id: str, attempt: Attempt) -> None:
    # Nothing is kept of a webhook that was removed meanwhile.
    database.execute(
        "INSERT INTO gateway_attempt (webhook_id, seq, replayed, at_ms, took_ms, status, trouble)"
        " SELECT webhook_id, ?, ?, ?, ?, ?, ? FROM gateway_webhook WHERE webhook_id = ?",
        (
            attempt.seq,
            attempt.replayed,
            attempt.at_ms,
            attempt.took_ms,
            attempt.status,
            attempt.trouble,
            webhook_id,
        ),
    )


def _move(database: Database, webhook_id: str, seq: int, replay: Replay | None) -> None:
    if replay is None:
        database.execute(
            "UPDATE gateway_webhook SET after_seq = ? WHERE webhook_id = ? AND after_seq < ?", (seq, webhook_id, seq)
        )
    elif seq >= replay.to_seq:
        database.execute("DELETE FROM gateway_replay WHERE replay = ?", (replay.replay,))
    else:
        database.execute("UPDATE gateway_replay SET after_seq = ? WHERE replay = ?", (seq, replay.replay))
