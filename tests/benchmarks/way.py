"""Where the time of a case goes, from its submission to the mail about it: read from the topics that it came through.

A record bears the moment at which its publisher made it: a party the submission, a service what it decided. From one
such moment to the next stands all that one step takes: commit and sending by the one, reading by the other.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import Consumer, Message, TopicPartition
from rich.table import Table

from schemas.liaison import NoticeDelivered, NoticeQueued
from schemas.referral import ReferralRegistered, ReferralSubmitted
from schemas.screening import ScreeningOpened
from tests.benchmarks.topics import Ends, Place
from topics.definition import load_catalogue

DUE, SUBMITTED, REGISTERED, OPENED, QUEUED, TAKEN, DELIVERED = range(7)
STEPS = (
    (DUE, SUBMITTED, "到期 → 提交 · due → submitted"),
    (SUBMITTED, REGISTERED, "提交 → 登记 · submitted → registered (intake)"),
    (REGISTERED, OPENED, "登记 → 开始筛选 · registered → opened (screening)"),
    (OPENED, QUEUED, "开始筛选 → 通知 · opened → notice (liaison)"),
    (QUEUED, TAKEN, "通知 → 邮件收下 · notice → mail accepted (liaison, SMTP)"),
    (TAKEN, DELIVERED, "邮件收下 → 记录在案 · mail accepted → on record (liaison)"),
)
KINDS = {
    each.TYPE.encode(): place
    for each, place in (
        (ReferralSubmitted, SUBMITTED),
        (ReferralRegistered, REGISTERED),
        (ScreeningOpened, OPENED),
        (NoticeQueued, QUEUED),
        (NoticeDelivered, DELIVERED),
    )
}
TOPICS = ("commerce.referrals", "referral.events", "screening.events", "liaison.events")
SECONDS = 30.0

Moments = dict[int, float]
"""Seconds since the epoch at which a case was at each place of its way."""


@dataclass(slots=True)
class Way:
    """The topics of the way: `begin` notes where they end, `moments` reads what came since."""

    servers: str
    since: Mapping[Place, int]

    @classmethod
    def begin(cls, servers: str) -> Way:
        """From now on."""
        return cls(servers, _ends(servers))

    def moments(self, cases: Sequence[str]) -> dict[str, Moments]:
        """When each case was submitted, registered and opened, and when the first mail that asks for opinions on it
        was queued and found to be delivered."""
        found: dict[str, Moments] = {case: {} for case in cases}
        asked: dict[str, str] = {}
        for message in self._messages():
            headers = dict(message.headers() or ())
            place = KINDS.get(bytes(headers.get("ce_type") or b""))
            case = bytes(message.key() or b"").decode()
            if place is None or case not in found:
                continue
            if place in (QUEUED, DELIVERED):
                body = json.loads(message.value() or b"{}")
                if place == QUEUED and body["about_type"] == ScreeningOpened.TYPE:
                    asked.setdefault(case, body["notice_id"])
                if asked.get(case) != body["notice_id"]:
                    continue
            found[case].setdefault(place, message.timestamp()[1] / 1000)
        return found

    def _messages(self) -> Iterator[Message]:
        left = {place: end for place, end in _ends(self.servers).items() if end > self.since.get(place, 0)}
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "bench-way", "enable.auto.commit": False})
        try:
            consumer.assign([TopicPartition(*place, self.since.get(place, 0)) for place in left])
            end = time.monotonic() + SECONDS
            while left and time.monotonic() < end:
                for message in consumer.consume(2000, 1):
                    if message.error():
                        continue
                    yield message
                    place = (message.topic() or "", message.partition() or 0)
                    if (message.offset() or 0) + 1 >= left.get(place, 0):
                        left.pop(place, None)
        finally:
            consumer.close()


def _ends(servers: str) -> dict[Place, int]:
    catalogue = load_catalogue()
    with closing(Ends(servers)) as ends:
        return ends.of((name, catalogue.topics[name].partitions) for name in TOPICS)


def steps(moments: Mapping[str, Moments]) -> dict[str, list[float]]:
    """Milliseconds of each step, case by case; cases of which a moment is not known are left out."""
    return {
        name: [(of[end] - of[begin]) * 1000 for of in moments.values() if begin in of and end in of]
        for begin, end, name in STEPS
    }


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """p50, p99 and the maximum: values that were measured, none in between, since some may be infinite."""
    ordered = sorted(values)
    p50, p99 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.99))
    return p50, p99, ordered[-1]


def table_of(ways: Mapping[int, Mapping[str, Sequence[float]]]) -> Table:
    """The steps, each with its p50 and p99 at every rate."""
    table = Table(title="一步一步 · step by step, p50 / p99 ms")
    table.add_column("")
    for rate in ways:
        table.add_column(f"{rate} /s", justify="right")
    for _, _, name in STEPS:
        cells = []
        for way in ways.values():
            values = way.get(name, ())
            cells.append("{:.0f} / {:.0f}".format(*percentiles(values)[:2]) if values else "")
        table.add_row(name, *cells)
    return table
