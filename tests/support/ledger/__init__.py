"""A trivial service to try the kit on: accounts that are opened on one topic and booked on another.

It uses every way through the one door: messages of two topics (an entry may come early), a deadline that closes an
account, an effect that writes a line to a file, and claims on account names. Clerks are a second aggregate under keys
of their own, and what is said of them has two versions. Service, topics and group take the name that they are built
with, so that tests don't meet.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pydantic import Field
from sqlmodel import Field as Column

from schemas.envelope import Event, Payload
from schemas.upcasting import upcaster
from services.kit.columns import StateRow, json_column
from services.kit.door import (
    Aggregate,
    Deadline,
    Done,
    Early,
    Effect,
    EffectResult,
    Invalid,
    Malformed,
    Retry,
    Route,
    Service,
)
from topics.definition import Catalogue, Key, Kind, Owner, Text, Topic

PARTITIONS = 4


class AccountRequested(Payload):
    TYPE = "ledger.account_requested.v1"
    name: str = Field(min_length=1)
    close_at: datetime | None = None


class EntryMade(Payload):
    TYPE = "ledger.entry_made.v1"
    amount: int
    letter: bool = False


class AccountOpened(Payload):
    TYPE = "ledger.account_opened.v1"
    name: str
    close_at: datetime | None = None


class AccountRefused(Payload):
    TYPE = "ledger.account_refused.v1"
    reason: str


class EntryBooked(Payload):
    TYPE = "ledger.entry_booked.v1"
    amount: int
    balance: int
    number: int


class LetterQueued(Payload):
    TYPE = "ledger.letter_queued.v1"
    letter_id: str
    text: str


class LetterSent(Payload):
    TYPE = "ledger.letter_sent.v1"
    letter_id: str


class AccountClosed(Payload):
    TYPE = "ledger.account_closed.v1"
    balance: int


class ClerkNamed(Payload):
    TYPE = "ledger.clerk_named.v2"
    called: str = Field(min_length=1)


class ClerkNamedV1(Payload):
    TYPE = "ledger.clerk_named.v1"
    name: str = Field(min_length=1)


class ClerkRecorded(Payload):
    TYPE = "ledger.clerk_recorded.v2"
    called: str
    number: int


class ClerkRecordedV1(Payload):
    TYPE = "ledger.clerk_recorded.v1"
    name: str
    number: int


@upcaster(ClerkNamedV1, ClerkNamed)
def named(old: ClerkNamedV1) -> ClerkNamed:
    return ClerkNamed(called=old.name)


@upcaster(ClerkRecordedV1, ClerkRecorded)
def recorded(old: ClerkRecordedV1) -> ClerkRecorded:
    return ClerkRecorded(called=old.name, number=old.number)


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    balance: int = 0
    entries: int = 0
    letters: int = 0
    close_at: datetime | None = None
    closed: bool = False


class AccountRow(StateRow, table=True):
    __tablename__ = "ledger_account"

    name: str
    balance: int
    entries: int
    letters: int
    close_at: str | None = Column(default=None)
    closed: bool


@dataclass(frozen=True, slots=True)
class Clerk:
    names: tuple[str, ...]


class ClerkRow(StateRow, table=True):
    __tablename__ = "ledger_clerk"

    names: list[str] = json_column()


class NoContext:
    """The ledger looks nothing up."""

    def learn(self, event: Event[Payload]) -> None:
        raise AssertionError("the ledger reads no reference topics")


def open_account(account: Account | None, event: Event[AccountRequested], context: NoContext) -> Iterable[Payload]:
    if account is not None:
        yield AccountRefused(reason="exists")
    elif event.holders:
        yield AccountRefused(reason="name taken")
    else:
        yield AccountOpened(name=event.data.name, close_at=event.data.close_at)


def refuse_malformed(account: Account | None, event: Event[Malformed], context: NoContext) -> Iterable[Payload]:
    yield AccountRefused(reason=", ".join(fault.pointer for fault in event.data.faults))


def book(account: Account | None, event: Event[EntryMade], context: NoContext) -> Iterable[Payload]:
    if account is None:
        raise Early("the account is not open yet")
    if account.closed:
        raise Invalid("closed", "the account is closed")
    if event.data.amount == 666:
        raise ZeroDivisionError("a fault of the ledger itself")
    yield EntryBooked(amount=event.data.amount, balance=account.balance + event.data.amount, number=account.entries + 1)
    if event.data.letter:
        yield LetterQueued(
            letter_id=f"{event.subject}-{account.entries + 1}", text=f"{account.name} {event.data.amount}"
        )


def settle_letter(account: Account, event: Event[EffectResult], context: NoContext) -> Iterable[Payload]:
    yield LetterSent(letter_id=event.data.effect_id)


def close(account: Account, event: Event[Deadline], context: NoContext) -> Iterable[Payload]:
    yield AccountClosed(balance=account.balance)


def evolve(account: Account | None, payload: Payload) -> Account:
    match payload:
        case AccountOpened():
            return Account(payload.name, close_at=payload.close_at)
        case EntryBooked() if account is not None:
            return replace(account, balance=payload.balance, entries=payload.number)
        case LetterSent() if account is not None:
            return replace(account, letters=account.letters + 1)
        case AccountClosed() if account is not None:
            return replace(account, closed=True)
    raise AssertionError(f"{payload!r} has nothing to do with {account!r}")


def deadlines(account: Account) -> Iterable[Deadline]:
    if account.close_at is not None and not account.closed:
        yield Deadline("close", account.close_at)


def name_clerk(clerk: Clerk | None, event: Event[ClerkNamed], context: NoContext) -> Iterable[Payload]:
    if event.data.called == "nobody":
        raise Invalid("nobody", "a clerk is somebody")
    yield ClerkRecorded(called=event.data.called, number=len(clerk.names) + 1 if clerk else 1)


def evolve_clerk(clerk: Clerk | None, payload: ClerkRecorded) -> Clerk:
    return Clerk((*clerk.names, payload.called) if clerk else (payload.called,))


async def write_letter(payload: LetterQueued, attempt: int) -> Done:
    if payload.text.endswith(" 13") and attempt < 2:
        raise Retry("the letter box is shut")
    post(payload)
    return Done("written")


def post(payload: LetterQueued) -> None:
    """One line a letter; appending so little is one write, however many workers do it."""
    with Path(os.environ["LEDGER_LETTERS"]).open("a", encoding="utf-8") as file:
        file.write(f"{payload.letter_id}\t{payload.text}\n")


def build(name: str = "ledger") -> Service:
    """The service; `name` is its group's too, and begins its topics' names."""
    return Service(
        name=name,
        aggregates=(
            Aggregate(
                name="account",
                keyed_by=("account",),
                state=Account,
                table=AccountRow,
                evolve=evolve,
                records=(AccountOpened, EntryBooked, LetterSent, AccountClosed),
                routes={AccountRequested: Route(open_account, refuse_malformed), EntryMade: book},
                deadlines=deadlines,
                due=close,
                effects=(
                    Effect(
                        name="letter",
                        opened_by=LetterQueued,
                        closed_by=(LetterSent,),
                        identify=lambda payload: payload.letter_id,
                        perform=write_letter,
                        result=settle_letter,
                    ),
                ),
                claims=lambda account: () if account.closed else (account.name,),
                claims_wanted=lambda event: (event.data.name,) if isinstance(event.data, AccountRequested) else (),
            ),
            Aggregate(
                name="clerk",
                keyed_by=("clerk",),
                state=Clerk,
                table=ClerkRow,
                evolve=evolve_clerk,
                records=(ClerkRecorded,),
                routes={ClerkNamed: name_clerk},
            ),
        ),
        context=NoContext,
        migrations="tests.support.ledger.migrations",
    )


def topic(name: str, kind: Kind, service: str = "ledger", **fields: object) -> Topic:
    """A topic of a test catalogue; what is not given is as most topics have it."""
    ours = {"owner": Owner.KOUAN, "writers": (service,)}
    theirs = {"owner": Owner.BANK, "writers": ("bank",), "sources": ("//bank/",)}
    common = {
        "name": name,
        "title": Text(zh=name, en=name),
        "kind": kind,
        "key": Key(name="account", example="a-1", why=Text(zh="同一账户保持先后", en="all of an account in order")),
        "partitions": PARTITIONS,
        "replication": 1,
        "min_insync_replicas": 1,
        **(theirs if kind is Kind.INPUT else ours),
    }
    return Topic(**{**common, **fields})  # type: ignore[arg-type]


def catalogue(name: str = "ledger") -> Catalogue:
    """The ledger's topics."""
    inputs = {"readers": (name,), "redistributed_by": name, "max_message_bytes": 4 * 1024 * 1024}
    in_order = Text(zh="同一经办人保持先后", en="all of a clerk in order")
    by_clerk = {"key": Key(name="clerk", example="c-1", why=in_order)}
    outputs = (
        AccountOpened, AccountRefused, EntryBooked, LetterQueued, LetterSent, AccountClosed,
        ClerkRecorded, ClerkRecordedV1,
    )  # fmt: skip
    carrier = {"max_message_bytes": 5 * 1024 * 1024}
    return Catalogue.of(
        (
            topic(f"{name}.accounts", Kind.INPUT, events=frozenset({AccountRequested.TYPE}), **inputs),
            topic(f"{name}.entries", Kind.INPUT, events=frozenset({EntryMade.TYPE}), **inputs),
            topic(
                f"{name}.clerks",
                Kind.INPUT,
                events=frozenset({ClerkNamed.TYPE, ClerkNamedV1.TYPE}),
                **inputs,
                **by_clerk,
            ),
            topic(
                f"{name}.events",
                Kind.RECORD,
                name,
                sources=(f"//kouan/{name}",),
                events=frozenset(one.TYPE for one in outputs),
            ),
            topic(f"{name}.dead-letters", Kind.DEAD_LETTERS, name, **carrier),
            topic(f"{name}.redrive", Kind.REDRIVE, writers=("operators",), readers=(name,), **carrier),
        )
    )
