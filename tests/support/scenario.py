"""A scenario for the tests that kill, pause and break: many cases whose outcome no order between topics can change.

What makes it so: amounts far below every limit; a decision only where both opinions come; loan reports only for cases
that get shortlisted; amendments and withdrawals only where no decision can cross them, and consent taken back likewise;
consent for partners before the referral, so that it can't cross the shortlist; duplicates only behind their originals
in one partition; and times shortly before the session, so that nothing falls due but the decisions. Inputs of one key
on one topic keep their order, everything else is shuffled: opinions come before their referrals, headquarters answer
before the conference is called, loan reports come before the opinions, one in fifty comes twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid5

import orjson
from kafka.partitioner import murmur2

from schemas.values import credit_check_character
from services.client.rows import check_rows, read_rows
from tests.support.cases import CONSENT, WRITERS, Case, Place
from topics.definition import load_catalogue

DIRECTORY = Path(__file__).parents[2] / "deploy" / "reference" / "directory.jsonl"
PARTITIONS = 4
_NAMESPACE = UUID("6f3b8a52-6a0e-4d55-9a6c-3b1f0c7d2e41")


PLACES = (
    Place("manzhouli", "15", "exim-nmg"),
    Place("erenhot", "15", "exim-nmg"),
    Place("dandong", "21", "exim-ln"),
    Place("hunchun", "22", "exim-jl"),
    Place("helong", "22", "exim-jl"),
    Place("heihe", "23", "exim-hlj"),
    Place("suifenhe", "23", "exim-hlj"),
    Place("pingxiang", "45", "exim-gx"),
    Place("dongxing", "45", "exim-gx"),
    Place("hekou", "53", "exim-yn"),
    Place("lincang", "53", "exim-yn"),
    Place("wanding", "53", "exim-yn"),
    Place("ruili", "53", "exim-yn"),
    Place("yining", "65", "exim-xj"),
    Place("bole", "65", "exim-xj"),
    Place("tacheng", "65", "exim-xj"),
    Place("jeminay", "65", "exim-xj"),
    Place("horgos", "65", "exim-xj"),
    Place("mohan_boten", "53", "exim-yn"),
)

PATHS: Mapping[str, int] = {
    "shortlisted": 12,
    "second_opinion": 3,
    "sent_back": 1,
    "declined": 6,
    "conference_agreed": 2,
    "conference_differed": 1,
    "consent_later": 1,
    "consent_missing": 1,
    "consent_revoked": 1,
    "stopped": 3,
    "one_opinion": 4,
    "amended": 3,
    "withdrawn": 4,
    "faulty": 16,
    "malformed": 8,
    "duplicate": 14,
    "loan_rejected": 3,
    "loan_settled": 6,
    "loan_running": 5,
    "loan_refused": 2,
    "loan_overdue": 2,
    "loan_held": 2,
}
"""What becomes of a referral, and of how many in a hundred."""


@dataclass(frozen=True, slots=True)
class Input:
    """One record as its publisher sends it. `rank` orders the inputs in time of publication."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int
    rank: float


@dataclass(slots=True)
class Expected:
    """What has to come out, worked out from the paths alone. Amounts are outstanding principal by zone and currency."""

    intake: dict[str, str] = field(default_factory=dict)
    screening: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    loans: dict[str, str] = field(default_factory=dict)
    exposure: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    dead: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything to publish: the directory first, then `inputs` in order."""

    base: datetime
    directory: tuple[Input, ...]
    inputs: tuple[Input, ...]
    expected: Expected

    def chunks(self, number: int) -> Iterator[Sequence[Input]]:
        """The inputs in so many parts of nearly equal size."""
        for part in range(number):
            yield self.inputs[part * len(self.inputs) // number : (part + 1) * len(self.inputs) // number]


def build_scenario(referrals: int, base: datetime | None = None) -> Scenario:
    """A scenario of so many referrals whose first event happened at `base` (default: four hours ago)."""
    base = base or datetime.now(UTC).replace(microsecond=0) - timedelta(hours=4)
    writer = Writer(base)
    for number, path in enumerate(_paths(referrals)):
        writer.write(number, path)
    writer.write_figures()
    writer.write_nonsense()
    inputs = tuple(sorted(writer.inputs, key=lambda one: one.rank))
    return Scenario(base, tuple(_directory(base)), inputs, writer.expected)


def partition_for(key: bytes, partitions: int = PARTITIONS) -> int:
    """The partition that Java clients choose."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def _paths(referrals: int) -> list[str]:
    shares = [name for name, share in PATHS.items() for _ in range(share)]
    paths = [shares[number * len(shares) // referrals] for number in range(referrals)]
    Random(referrals).shuffle(paths)
    # A duplicate needs an original before it.
    first = paths.index("shortlisted")
    paths[0], paths[first] = paths[first], paths[0]
    return paths


def _directory(base: datetime) -> Iterator[Input]:
    catalogue = load_catalogue()
    checked = check_rows(read_rows(DIRECTORY))
    assert not checked.faults, checked.faults
    for _, record in checked.prepared:
        partition = partition_for(record.key, catalogue.topics[record.topic].partitions)
        yield Input(record.topic, partition, record.key, record.value, tuple(record.headers), _ms(base), 0.0)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class Writer:
    """Writes inputs case by case, and beside them what is to come of each."""

    def __init__(self, base: datetime, seed: int = 20200323) -> None:
        self.base = base
        self.inputs: list[Input] = []
        self.expected = Expected()
        self._random = Random(seed)
        self._originals: dict[tuple[str, int], list[tuple[float, dict[str, Any], str]]] = {}
        self._last_rank: dict[tuple[str, str], float] = {}
        self._events = 0

    # Cases

    def write(self, number: int, path: str) -> None:
        """One referral with all that its publishers say about it."""
        place = self._random.choice(PLACES)
        bank = number % 3 == 0
        source = f"//bank/{place.branch}" if bank else f"//commerce/{(place.province, place.zone)[number % 2]}"
        topic = "bank.referrals" if bank else "commerce.referrals"
        id = f"{place.branch.removeprefix('exim-').upper()}-{self.base:%Y}-{number:06d}"
        body = self._referral(number, place, path)
        case = Case(self, number, id, place, topic, source, body)
        if path == "duplicate":
            self._write_duplicate(case)
        else:
            WRITERS[path](case)

    def _write_duplicate(self, case: Case) -> None:
        """The same enterprise, need and zone again, behind the first in the same partition of the same topic."""
        for partition in range(PARTITIONS):
            originals = self._originals.get((case.topic, partition))
            if not originals:
                continue
            rank, body, source = self._random.choice(originals)
            id = case.id
            while partition_for(id.encode()) != partition:
                id += "d"
            self.send(
                case.topic,
                source,
                "referral.submitted.v1",
                id,
                {"referral": body, "consent": CONSENT},
                case.at(0),
                rank + 0.5,
            )
            self.expected.intake[id] = "duplicate"
            return
        WRITERS["shortlisted"](case)

    def original(self, case: Case, rank: float) -> None:
        """Remember a case that others may be duplicates of."""
        place = (case.topic, partition_for(case.id.encode()))
        self._originals.setdefault(place, []).append((rank, case.body, case.source))

    def _referral(self, number: int, place: Place, path: str) -> dict[str, Any]:
        first = f"91{place.province}0{number % 900 + 100}MA{number:07d}"
        code = first + credit_check_character(first)
        name = f"{place.zone} 试验企业 {number}"
        stopped = path == "stopped"
        body: dict[str, Any] = {
            "subject_kind": "enterprise",
            "name": name,
            "enterprise": {
                "credit_code": code,
                "name": name,
                "size_class": "medium" if path == "faulty" else "small",
                "ownership": ("private", "state", "mixed")[number % 3],
                "industry": "manufacturing",
                "employees": 40 + number % 200,
                "revenue_10k_cny": 400 + number % 1500,
            },
            "zone": place.zone,
            "province": place.province,
            "branch": place.branch,
            "key_area": "two_way_investment" if stopped else "border_trade_chain",
            "lane": "resumption" if number % 4 == 0 else "ordinary",
            "need": "outbound_investment" if stopped else ("working_capital", "equipment_purchase")[number % 2],
            "amount": {"amount": f"{50_000 + number % 7 * 1000}.00", "currency": ("CNY", "USD")[number % 5 == 0]},
            "term_months": 12 if number % 2 else 24,
            "purpose": f"第 {number} 号推荐的用途。",
        }
        if stopped:
            body |= {"country": "TV", "direction": "ordinary"}
        if path == "malformed":
            body["term_months"] = "a year"
        return body

    # Beside the cases

    def write_figures(self) -> None:
        """Good figures of each zone from both sides, and bad ones of some enterprises of their own."""
        for number, place in enumerate(PLACES):
            figures = [{"name": "debt_ratio", "value": f"0.{20 + number}", "unit": "ratio"}]
            body = {"subject_kind": "zone", "code": place.zone, "period": "2020-Q1", "figures": figures}
            for topic, source in (
                ("commerce.indicators", f"//commerce/{place.zone}"),
                ("bank.indicators", f"//bank/{place.branch}"),
            ):
                self.send(
                    topic, source, "indicator.reported.v1", place.zone, body, self.base, self._random.uniform(0, 99)
                )
            first = f"91{place.province}0{number + 100}MB{number:07d}"
            code = first + credit_check_character(first)
            figures = [{"name": "debt_ratio", "value": "1.10", "unit": "ratio"}]
            body = {"subject_kind": "enterprise", "code": code, "period": "2020-03", "figures": figures}
            self.send(
                "commerce.indicators", f"//commerce/{place.zone}", "indicator.reported.v1", code, body, self.base,
                self._random.uniform(0, 99),
            )  # fmt: skip

    def write_nonsense(self) -> None:
        """What becomes dead letters: on topics on which everything keeps its place, so that offsets are the same."""
        topic, source = "commerce.referrals", "//commerce/15"
        sound = next(one for one in self.inputs if one.topic == topic)
        for number in range(6):
            rank = self._random.uniform(0, self._events / 10)
            key = f"nonsense-{number}".encode()
            noise = bytes(self._random.getrandbits(8) for _ in range(200))
            self._place(Input(topic, number % PARTITIONS, key, noise, (), _ms(self.base), rank))
            self.expected.dead["missing-attribute"] += 1
        self._place(Input(topic, 1, b"empty", None, (), _ms(self.base), 3.5))
        self.expected.dead["empty-value"] += 1
        self.send(topic, source, "referral.praised.v1", "unknown-type", {}, self.base, 4.5)
        self.expected.dead["unknown-type"] += 1
        self.send("commerce.opinions", "//bank/exim-xj", "opinion.given.v1", "wrong-side", {}, self.base, 5.5)
        # The body is looked at first; whatever is wrong with it, the source may not write there.
        self.expected.dead["wrong-source"] += 1
        headers = tuple((name, value) for name, value in sound.headers)
        other = orjson.dumps({**orjson.loads(sound.value or b""), "note": "another content"})
        last = max(one.rank for one in self.inputs) + 1
        self._place(Input(topic, sound.partition, sound.key, other, headers, sound.timestamp_ms, last))
        self.expected.dead["id-reused"] += 1

    # Records

    def send(
        self, topic: str, source: str, kind: str, key: str, body: Mapping[str, Any], time: datetime, rank: float,
        *, misplaced: bool = False, once: bool = False,
    ) -> str:  # fmt: skip
        """One event in binary mode, whose id is returned; one in fifty is sent a second time, later."""
        rank = max(rank, self._last_rank.get((topic, key), -1e9) + 1e-6)
        self._last_rank[topic, key] = rank
        self._events += 1
        id = str(uuid5(_NAMESPACE, f"{self.base.isoformat()} {self._events}"))
        headers = (
            ("ce_specversion", b"1.0"),
            ("ce_id", id.encode()),
            ("ce_source", source.encode()),
            ("ce_type", kind.encode()),
            ("ce_time", time.isoformat().encode()),
            ("ce_subject", key.encode()),
            ("content-type", b"application/json"),
        )
        partition = (partition_for(key.encode()) + misplaced) % PARTITIONS
        one = Input(topic, partition, key.encode(), orjson.dumps(body), headers, _ms(time), rank)
        self._place(one)
        if self._events % 50 == 0 and not misplaced and not once:
            later = rank + self._random.uniform(1, 400)
            self._place(Input(topic, partition, one.key, one.value, headers, one.timestamp_ms, later))
            self.expected.repeats += 1
        return id

    def _place(self, one: Input) -> None:
        self.inputs.append(one)

    def jitter(self, low: float, high: float) -> float:
        """A shift in the order of publication."""
        return self._random.uniform(low, high)
