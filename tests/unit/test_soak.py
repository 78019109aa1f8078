"""The soak's judge finds each kind of violation in a book that was doctored, and nothing in one that is right."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.faults import soak_load
from tests.faults.soak_book import open_book
from tests.faults.soak_judge import Verdict, judge
from tests.faults.soak_limits import WARM_SECONDS, watched
from tests.faults.soak_load import WAVE, Load, waves
from tests.faults.soak_report import Report, Strike, write_report
from tests.faults.soak_watch import Look, Sample, Seen
from tests.support.mischief import CATALOGUE
from tests.support.outcome import DEAD_LETTERS, INPUTS, OUTPUTS
from topics.definition import load_catalogue

SOURCE = "//commerce/15"
OURS = "//kouan/referral_intake"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Two referrals that were registered, one poison, one loan, one notice: all is right."""
    with closing(open_book(tmp_path / "book.db")) as book:
        submitted, registered = "referral.submitted.v1", "referral.registered.v1"
        for place, id in enumerate(("one", "two")):
            book.execute(
                "INSERT INTO sent VALUES ('commerce.referrals', 0, ?, ?, ?, ?, 0, 5)", (place, SOURCE, id, submitted)
            )
            book.execute("INSERT INTO stood VALUES ('commerce.referrals', 0, ?, 5)", (place,))
            for topic, source, name, kind, cause in (
                ("commerce.referrals", SOURCE, id, submitted, ""),
                ("referral.events", OURS, f"out-{id}", registered, id),
            ):
                book.execute(
                    "INSERT INTO event (topic, source, id, part, place, key, kind, cause, crc) "
                    "VALUES (?, ?, ?, 0, ?, 'R', ?, ?, 1)",
                    (topic, source, name, place, kind, cause),
                )
            book.execute("INSERT INTO inbox VALUES ('referral_intake', ?, ?, 1)", (SOURCE, id))
            book.execute("INSERT INTO asked VALUES ('intake', ?, 'registered')", (id,))
            book.execute("INSERT INTO became VALUES ('intake', ?, 'registered')", (id,))
        book.execute("INSERT INTO sent VALUES ('commerce.referrals', 1, 0, '', '', '', 1, 6)")
        book.execute("INSERT INTO stood VALUES ('commerce.referrals', 1, 0, 6)")
        book.execute("INSERT INTO letter VALUES ('l', 'referral_intake', 'commerce.referrals', 1, 0, 'bad', 1)")
        book.execute("INSERT INTO loan VALUES ('R', 'CNY', 500, 200)")
        book.execute("INSERT INTO notice VALUES ('n', 1, 1, 0, 1, 9, 0)")
        for what in ("exposure", "counted exposure", "stored exposure"):
            book.execute("INSERT INTO tallied VALUES (?, 'ruili CNY', 300)", (what,))
        book.execute("INSERT INTO tallied VALUES ('dead letters', 'bad', 1)")
        yield book


def broken(book: sqlite3.Connection) -> set[str]:
    return {one.name for one in judge(book) if not one.kept}


def test_a_book_in_which_all_is_right_has_no_faults(book: sqlite3.Connection) -> None:
    assert [one for one in judge(book) if not one.kept] == []


@pytest.mark.parametrize(
    ("doctored", "names"),
    [
        ("DELETE FROM stood WHERE place = 1", {"acknowledged"}),
        ("UPDATE stood SET crc = 4 WHERE part = 0 AND place = 1", {"acknowledged"}),
        ("DELETE FROM event WHERE id = 'out-two'", {"answered"}),
        ("INSERT INTO event SELECT topic, source, 'out-more', part, place + 1, key, kind, cause, crc, 1, 0, 0 "
         "FROM event WHERE id = 'out-two'", {"answered"}),
        ("UPDATE became SET value = 'rejected' WHERE key = 'one'", {"states"}),
        ("DELETE FROM became WHERE key = 'one'", {"states"}),
        ("INSERT INTO tallied VALUES ('came refusals', 'over_contracted', 1)", {"states"}),
        ("DELETE FROM inbox WHERE id = 'two'", {"taken_in"}),
        ("INSERT INTO inbox VALUES ('liaison', '//kouan/risk_monitor', 'x', 2)", {"taken_in"}),
        ("UPDATE event SET copies = 2, differing = 1 WHERE id = 'out-one'", {"once"}),
        ("INSERT INTO event SELECT 'loan.events', source, id, part, place, key, kind, '', crc, 1, 0, 0 "
         "FROM event WHERE id = 'out-two'", {"once"}),
        ("UPDATE event SET place = 1 - place WHERE topic = 'referral.events'", {"order"}),
        ("UPDATE loan SET paid_back = 100", {"balances"}),
        ("UPDATE tallied SET number = 299 WHERE what = 'stored exposure'", {"balances"}),
        ("DELETE FROM tallied WHERE what = 'counted exposure'", {"balances"}),
        ("UPDATE notice SET mails = 0", {"notices"}),
        ("UPDATE notice SET told = 2", {"notices"}),
        ("UPDATE notice SET queued = 0", {"notices"}),
        ("UPDATE notice SET mails = 2, differing = 1", {"notices"}),
        ("DELETE FROM letter", {"dead_letters"}),
        ("UPDATE letter SET part = 0", {"dead_letters"}),
        ("DROP TABLE letter", {"dead_letters"}),
    ],
)  # fmt: skip
def test_a_violation_is_found_under_its_name(book: sqlite3.Connection, doctored: str, names: set[str]) -> None:
    book.execute(doctored)
    assert broken(book) == names


def test_what_was_acknowledged_without_a_place_is_looked_for_by_what_it_says(book: sqlite3.Connection) -> None:
    """`two` stands where nothing else was said to; for one more like it there is no place left."""
    book.execute("UPDATE sent SET place = -1 WHERE id = 'two'")
    assert broken(book) == set()
    book.execute("UPDATE sent SET place = -1 WHERE id = 'two'")
    book.execute("INSERT INTO sent SELECT topic, part, -2, source, id, kind, poison, crc FROM sent WHERE id = 'two'")
    assert "acknowledged" in broken(book)


def test_a_mail_that_was_sent_again_with_the_same_content_is_no_fault(book: sqlite3.Connection) -> None:
    book.execute("UPDATE notice SET mails = 2")
    assert broken(book) == set()


def seen(memory: list[int]) -> Seen:
    """A run of so many samples of one worker, ten seconds apart."""
    samples = [Sample(10.0 * place, WARM_SECONDS, size, 20) for place, size in enumerate(memory)]
    return Seen([Look(10.0 * len(memory), 5000, {})], {"screening-0": samples})


def verdict(of: Seen, name: str) -> Verdict:
    loaded = 10.0 * len(of.samples["screening-0"])
    return next(one for one in watched(of, loaded, 5000, [], []) if one.name == name)


def test_memory_that_grows_by_more_than_its_share_is_found() -> None:
    assert verdict(seen([100_000_000] * 30), "memory").kept
    assert verdict(seen([100_000_000 + 400_000 * place for place in range(30)]), "memory").kept
    assert not verdict(seen([100_000_000 + 1_000_000 * place for place in range(30)]), "memory").kept


def test_a_long_run_in_which_no_memory_could_be_compared_is_no_proof_and_who_was_left_out_is_named() -> None:
    young = [Sample(60.0 * place, WARM_SECONDS - 1, 100_000_000, 20) for place in range(30)]
    old = [Sample(60.0 * place, WARM_SECONDS, 100_000_000, 20) for place in range(30)]
    looks = [Look(1800.0, 5000, {})]

    def memory(samples: dict[str, list[Sample]]) -> Verdict:
        return next(one for one in watched(Seen(looks, samples), 1800.0, 5000, [], []) if one.name == "memory")

    assert not memory({"screening-0": young}).kept
    some = memory({"screening-0": young, "liaison-0": old})
    assert some.kept
    assert "screening 无从比较 not compared" in some.figure


def test_open_files_that_pile_up_and_too_few_events_are_found() -> None:
    many = seen([100] * 30)
    many.samples["screening-0"].append(Sample(295.0, WARM_SECONDS, 100, 200))
    assert not verdict(many, "files").kept
    many.looks[-1] = Look(300.0, 4999, {})
    assert not verdict(many, "volume").kept


def test_waves_have_new_ids_and_tell_their_poison() -> None:
    stream = waves(7)
    first, second = next(stream), next(stream)
    assert len(first.expected.intake) == len(second.expected.intake) == WAVE
    assert not first.expected.intake.keys() & second.expected.intake.keys()
    ids = [{dict(one.headers).get("ce_id") for one in wave.inputs} - {None} for wave in (first, second)]
    assert not ids[0] & ids[1]
    assert len(first.poison) == sum(first.expected.dead.values())


def test_the_report_tells_every_verdict_and_every_fault(tmp_path: Path) -> None:
    report = Report(
        7, 1.0, 20.0, ("liaison",), 150, 2000, 60.0,
        [Strike(10.0, 14.0, ["甲"], ["a worker <is> killed"], ["screening-0"])],
        seen([100] * 6),
        [Verdict("once", "一次", "once", "5", []), Verdict("order", "次序", "order", "6", ["R is out"])],
    )  # fmt: skip
    write_report(report, tmp_path)
    text = (tmp_path / "soak-report.md").read_text(encoding="utf-8")
    assert "✓ 成立 kept" in text
    assert "R is out" in text
    assert "0:10" in text
    ElementTree.parse(tmp_path / "soak.svg")
    assert '"kept": false' in (tmp_path / "soak.json").read_text(encoding="utf-8")


def test_the_judge_reads_every_topic_on_which_events_of_cases_stand() -> None:
    read = {*INPUTS, *OUTPUTS, *DEAD_LETTERS}
    others = {name.rpartition(".")[2] for name in load_catalogue().topics.keys() - read}
    assert others == {"directory", "policies", "redrive"}
    assert read <= load_catalogue().topics.keys()


def test_every_fault_has_a_name_of_its_own_and_lasts_less_than_the_time_between_faults() -> None:
    assert len({one.name for one in CATALOGUE}) == len(CATALOGUE) >= 15
    assert all(0 <= one.lasts[0] <= one.lasts[1] <= 12 for one in CATALOGUE)
    assert random.Random(1).choice(CATALOGUE).zh


class _Message:
    numbers = count()

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return next(self.numbers)


class _StuckOnce:
    """A producer of which the first one confirms the first ten records and then nothing more."""

    made: list[_StuckOnce]

    def __init__(self, _: object) -> None:
        self.waiting: list[Any] = []
        self.keys: list[Any] = []
        self.left = 10**9 if self.made else 10
        self.made.append(self)

    def produce(self, topic: str, *, key: Any, on_delivery: Any, **_: object) -> None:
        self.keys.append(key)
        self.waiting.append(on_delivery)

    def poll(self, _: float) -> None:
        while self.waiting and self.left:
            self.left -= 1
            self.waiting.pop(0)(None, _Message())

    def purge(self) -> None:
        for told in self.waiting:
            told("purged", _Message())


def test_what_a_stuck_producer_does_not_confirm_is_published_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _StuckOnce.made = []
    monkeypatch.setattr(soak_load, "Producer", _StuckOnce)
    monkeypatch.setattr(soak_load, "STUCK_SECONDS", 0.05)
    load = Load("nowhere", tmp_path / "book.db", 1)
    load.grant(10**9)
    load.start()
    load.finish(60)

    stuck, other = _StuckOnce.made
    assert load.failures == []
    assert load.begun_anew == 1
    # From the eleventh on, in their order, and whatever came after.
    assert other.keys[: len(stuck.keys) - 10] == stuck.keys[10:]
    with closing(open_book(tmp_path / "book.db")) as book:
        [(noted,)] = book.execute("SELECT count(*) FROM sent")
    assert noted == load.confirmed == 10 + len(other.keys)
