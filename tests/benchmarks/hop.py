"""The durable hop: read a 450-byte referral, validate it, drop repeats, change one state row, emit one event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from schemas.envelope import Event, Model, Payload
from services.kit.columns import StateRow
from services.kit.door import Aggregate, Service
from topics.definition import Catalogue, Key, Kind, Owner, Text, Topic

PARTITIONS = 4


class Enterprise(Model):
    uscc: str
    name: str
    size: Literal["micro", "small", "medium", "large"]
    ownership: Literal["private", "state", "foreign"]


class HopSubmitted(Payload):
    TYPE = "hop.submitted.v1"
    referral_id: str
    occurred_at: datetime
    enterprise: Enterprise
    zone: str
    key_area: str
    amount_cny: Decimal
    term_months: int
    purpose: str


class HopScored(Payload):
    TYPE = "hop.scored.v1"
    referral_id: str
    eligible: bool
    score: int
    amount_cny: Decimal
    zone: str


@dataclass(frozen=True, slots=True)
class Scored:
    score: int
    eligible: bool
    amount: Decimal
    zone: str


class ScoredRow(StateRow, table=True):
    __tablename__ = "hop_scored"

    score: int
    eligible: bool
    amount: str
    zone: str


class NoContext:
    def learn(self, event: Event[Payload]) -> None:
        raise AssertionError("the hop reads no reference topics")


def score(state: Scored | None, event: Event[HopSubmitted], context: NoContext) -> Iterable[Payload]:
    data = event.data
    yield HopScored(
        referral_id=data.referral_id,
        eligible=data.amount_cny > 0,
        score=data.term_months,
        amount_cny=data.amount_cny,
        zone=data.zone,
    )


def evolve(state: Scored | None, payload: HopScored) -> Scored:
    return Scored(payload.score, payload.eligible, payload.amount_cny, payload.zone)


def build() -> Service:
    return Service(
        name="hop",
        aggregates=(
            Aggregate(
                name="referral",
                keyed_by=("referral_id",),
                state=Scored,
                table=ScoredRow,
                evolve=evolve,
                records=(HopScored,),
                routes={HopSubmitted: score},
            ),
        ),
        context=NoContext,
        migrations="tests.benchmarks.hop_migrations",
    )


def catalogue() -> Catalogue:
    key = Key(name="referral_id", example="R00000001", why=Text(zh="同一推荐保持先后", en="all of a referral in order"))

    def topic(name: str, kind: Kind, **fields: object) -> Topic:
        common = {"name": name, "title": Text(zh=name, en=name), "kind": kind, "key": key}
        return Topic(**{**common, "partitions": PARTITIONS, "owner": Owner.KOUAN, "writers": ("hop",), **fields})  # type: ignore[arg-type]

    return Catalogue.of(
        (
            topic(
                "commerce.hops", Kind.INPUT, owner=Owner.COMMERCE, writers=("commerce",), sources=("//commerce/",),
                readers=("hop",), redistributed_by="hop", events=frozenset({HopSubmitted.TYPE}),
            ),
            topic("hop.events", Kind.RECORD, sources=("//kouan/hop",), events=frozenset({HopScored.TYPE})),
            topic("hop.dead-letters", Kind.DEAD_LETTERS),
            topic("hop.redrive", Kind.REDRIVE, writers=("operators",), readers=("hop",)),
        )
    )  # fmt: skip
