"""The judge finds nothing in an honest history, and finds each way in which one can be false."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import Database, Watch, open_ends
from tests.support.judge import Evidence, Judge, placed
from tests.support.records import Sent, Stored

QUIET = datetime(2026, 5, 1, 12, tzinfo=UTC)
SOON, LATER = QUIET - timedelta(hours=1), QUIET + timedelta(hours=1)


class Book:
    """An honest history of a few inputs, one line at a time."""

    def __init__(self) -> None:
        names = ("accounts", "entries", "clerks", "events", "dead-letters", "redrive")
        self.evidence = Evidence("l", [], {name: [] for name in names}, [], [], quiet_at=QUIET)
        self.number = 0

    def put(self, topic: str, kind: str, key: str, id: str, body: Any, **headers: str) -> Stored:
        place = (f"l.{topic}", 0, len(self.evidence.read[topic]))
        given = {"ce_id": id, "ce_source": "//x", "ce_type": f"ledger.{kind}.v1", **headers}
        record = Stored(place, key.encode(), json.dumps(body).encode(), {n: v.encode() for n, v in given.items()})
        self.evidence.read[topic].append(record)
        return record

    def takes(self, topic: str, kind: str, key: str, id: str, body: Any, poison: str | None = None) -> Stored:
        record = self.put(topic, kind, key, id, body)
        headers = list(record.headers.items())
        sent = Sent(f"l.{topic}", record.key, record.value, headers, poison, "acknowledged", record.place)
        self.evidence.sent = [*self.evidence.sent, sent]
        return record

    def says(self, kind: str, key: str, cause: str, body: Any) -> Stored:
        self.number += 1
        return self.put("events", kind, key, f"o{self.number}", body, ce_causationid=cause)

    def buries(self, record: Stored, letter: str, reason: str) -> Stored:
        topic, partition, offset = record.place
        headers = {n: v.decode() for n, v in record.headers.items()} | {
            "kouan_topic": topic, "kouan_partition": str(partition), "kouan_offset": str(offset),
            "kouan_dead_letter_id": letter, "kouan_reason": reason,
        }  # fmt: skip
        buried = replace(record, place=("l.dead-letters", 0, 0), headers={n: v.encode() for n, v in headers.items()})
        self.evidence.read["dead-letters"].append(buried)
        return buried


def honest() -> Evidence:
    """Two accounts, one of them closed; four entries, one of them with a letter, one sent round again; two clerks."""
    book = Book()
    for key, at in (("a", SOON), ("b", LATER)):
        asked = {"name": f"of {key}", "close_at": at.isoformat()}
        book.takes("accounts", "account_requested", key, f"open {key}", asked)
        book.says("account_opened", key, f"open {key}", asked)
    book.takes("accounts", "account_requested", "c", "open c", {"name": "of b"})
    book.says("account_refused", "c", "open c", {"reason": "name taken"})
    for number, amount in enumerate((5, 7), 1):
        book.takes("entries", "entry_made", "b", f"e{number}", {"amount": amount, "letter": number == 1})
        balance = 5 if number == 1 else 12
        book.says("entry_booked", "b", f"e{number}", {"amount": amount, "balance": balance, "number": number})
    book.says("letter_queued", "b", "e1", {"letter_id": "b-1", "text": "of b 5"})
    book.says("letter_sent", "b", "e1 queued", {"letter_id": "b-1"})
    book.evidence.written = ["b-1"]
    bad = book.takes("entries", "entry_made", "b", "e3", {"amount": "much"}, poison="schema")
    book.put("redrive", "entry_made", "b", "e3", {"amount": 1}, kouan_dead_letter_id="L3")
    book.buries(bad, "L3", "schema")
    book.says("entry_booked", "b", "e3", {"amount": 1, "balance": 13, "number": 3})
    worse = book.takes("entries", "entry_made", "b", "e4", {"amount": None}, poison="schema")
    book.buries(worse, "L4", "schema")
    book.says("account_closed", "a", "a/close", {"balance": 0})
    for number, name in enumerate(("Ana", "Bo"), 1):
        book.takes("clerks", "clerk_named", "k", f"n{number}", {"called": name})
        book.says("clerk_recorded", "k", f"n{number}", {"called": name, "number": number})
    book.evidence.accounts = [("a", "of a", 0, 0, 0, 1), ("b", "of b", 13, 3, 1, 0)]
    book.evidence.clerks = [("k", ["Ana", "Bo"])]
    return book.evidence


def test_nothing_is_found_in_an_honest_history() -> None:
    assert Judge(honest()).found() == []


def output(evidence: Evidence, kind: str, nth: int = 1) -> Stored:
    of_kind = [one for one in evidence.read["events"] if one.kind == f"ledger.{kind}.v1"]
    return of_kind[nth - 1]


def without(evidence: Evidence, kind: str, nth: int = 1) -> None:
    evidence.read["events"].remove(output(evidence, kind, nth))


def saying(record: Stored, **changes: Any) -> Stored:
    return replace(record, value=json.dumps(record.body | changes).encode())


def changed(evidence: Evidence, kind: str, nth: int, **changes: Any) -> None:
    events = evidence.read["events"]
    one = output(evidence, kind, nth)
    events[events.index(one)] = saying(one, **changes)


def again(evidence: Evidence, kind: str, nth: int = 1, id: str | None = None, **changes: Any) -> None:
    """An output once more: the same one, or (with an id) another one like it."""
    one = saying(output(evidence, kind, nth), **changes)
    headers = dict(one.headers) | ({"ce_id": id.encode()} if id else {})
    place = (one.place[0], 0, len(evidence.read["events"]))
    evidence.read["events"].append(replace(one, place=place, headers=headers))


def swapped(evidence: Evidence, kind: str, first: int, second: int) -> None:
    """Two outputs change their causes: what came later was applied first."""
    events = evidence.read["events"]
    one, other = output(evidence, kind, first), output(evidence, kind, second)
    causes = {"ce_causationid": other.headers["ce_causationid"]}, {"ce_causationid": one.headers["ce_causationid"]}
    for record, cause in zip((one, other), causes, strict=True):
        events[events.index(record)] = replace(record, headers={**record.headers, **cause})


def moved(evidence: Evidence, kind: str, nth: int) -> None:
    events = evidence.read["events"]
    one = output(evidence, kind, nth)
    events[events.index(one)] = replace(one, place=(one.place[0], 1, one.place[2]))


def elsewhere(evidence: Evidence, kind: str, nth: int) -> None:
    events = evidence.read["events"]
    one = output(evidence, kind, nth)
    events[events.index(one)] = replace(one, key=b"z")


def forgets(evidence: Evidence, topic: str, nth: int) -> None:
    """An acknowledged record that is not on its topic."""
    del evidence.read[topic][nth - 1]


def unknown_but_applied(evidence: Evidence) -> None:
    """A publisher was told nothing, the record is nowhere, and something came of it."""
    evidence.sent[4].fate, evidence.sent[4].place = "unknown", None
    del evidence.read["entries"][1]


def buried_twice(evidence: Evidence) -> None:
    letter = evidence.read["dead-letters"][1]
    evidence.read["dead-letters"].append(
        replace(letter, headers={**letter.headers, "kouan_dead_letter_id": b"another"})
    )


def buried_without_reason(evidence: Evidence) -> None:
    evidence.sent[5].poison = None


def buried_differently(evidence: Evidence, **changes: Any) -> None:
    letters = evidence.read["dead-letters"]
    letters[1] = replace(letters[1], **changes)


def set_(evidence: Evidence, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(evidence, name, value)


def two_of_one_name(evidence: Evidence) -> None:
    """The account that was refused was opened."""
    events = evidence.read["events"]
    refused = output(evidence, "account_refused")
    headers = {**refused.headers, "ce_type": b"ledger.account_opened.v1"}
    events[events.index(refused)] = replace(refused, headers=headers, value=b'{"name": "of b"}')


FALSEHOODS: dict[str, tuple[Callable[[Evidence], None], str]] = {
    "an acknowledged input is gone": (lambda e: forgets(e, "clerks", 2), r"another record stands there"),
    "an acknowledged input had no effect": (lambda e: without(e, "entry_booked", 2), r"has the outputs \{\}"),
    "an input was applied twice": (lambda e: again(e, "entry_booked", 2, id="new"), r"\{'entry_booked': 2\}"),
    "a part of what an input leads to is missing": (lambda e: without(e, "letter_queued"), r"has the outputs"),
    "an output comes from nothing": (unknown_but_applied, r"names e2 as its cause, which is no input"),
    "a repeat differs": (lambda e: again(e, "entry_booked", 2, balance=99), r"and, differently, at"),
    "an output says what nobody asked for": (lambda e: changed(e, "entry_booked", 2, amount=8), r"asked for was"),
    "a clerk has another name": (lambda e: changed(e, "clerk_recorded", 1, called="Eve"), r"asked for was"),
    "an account is to be closed another day": (
        lambda e: changed(e, "account_opened", 2, close_at=QUIET.isoformat()), r"asked for was",
    ),
    "an output stands under another key": (lambda e: elsewhere(e, "entry_booked", 2), r"its input under"),
    "an account was refused for no reason": (lambda e: changed(e, "account_opened", 2, name="x"), r"was refused"),
    "entries were applied out of order": (lambda e: swapped(e, "entry_booked", 1, 2), r"applied out of order"),
    "clerks were recorded out of order": (lambda e: swapped(e, "clerk_recorded", 1, 2), r"applied out of order"),
    "numbers have a gap": (lambda e: changed(e, "entry_booked", 2, number=4), r"numbered \[1, 4, 3\]"),
    "a key is on two partitions": (lambda e: moved(e, "entry_booked", 2), r"on partitions"),
    "a balance does not add up": (lambda e: changed(e, "entry_booked", 2, balance=13), r"says 13, is 12"),
    "a balance is wrong when it is closed": (lambda e: changed(e, "account_closed", 1, balance=3), r"closed with 3"),
    "money is gone": (
        lambda e: set_(e, accounts=[e.accounts[0], ("b", "of b", 12, 3, 1, 0)]), r"entries of 13 .* hold 12",
    ),
    "a poison has no dead letter": (lambda e: forgets(e, "dead-letters", 2), r"has 0 dead letters"),
    "a poison has two dead letters": (buried_twice, r"has 2 dead letters"),
    "a dead letter has nothing wrong": (buried_without_reason, r"nothing was wrong with it"),
    "a dead letter has other bytes": (lambda e: buried_differently(e, value=b"{}"), r"original bytes"),
    "a dead letter has another key": (lambda e: buried_differently(e, key=b"z"), r"original bytes"),
    "a dead letter was applied as well": (lambda e: forgets(e, "redrive", 1), r"has outputs as well"),
    "what was sent round again was applied twice": (
        lambda e: again(e, "entry_booked", 3, id="new"), r"sent round again and has the outputs",
    ),
    "what was sent round again was not applied": (
        lambda e: without(e, "entry_booked", 3), r"sent round again and has the outputs \{\}",
    ),
    "a letter was not written": (lambda e: set_(e, written=[]), r"was written 0 times"),
    "a letter was written twice": (
        lambda e: set_(e, written=["b-1", "b-1"], letters_once=True), r"was written 2 times",
    ),
    "a letter was told of twice": (lambda e: again(e, "letter_sent", 1, id="new"), r"was told of 2 times"),
    "a letter was told of by nobody": (lambda e: without(e, "letter_sent"), r"was told of 0 times"),
    "a letter was not asked for": (lambda e: set_(e, written=["b-1", "b-9"]), r"b-9 was never asked for"),
    "an account was not closed in time": (lambda e: without(e, "account_closed"), r"not closed when its time came"),
    "an account was closed twice": (lambda e: again(e, "account_closed", 1, id="new"), r"was closed 2 times"),
    "the database knows less": (lambda e: set_(e, accounts=e.accounts[:1]), r"the database has None"),
    "the database knows more": (lambda e: set_(e, clerks=[*e.clerks, ("z", ["?"])]), r"the topic tells None"),
    "two accounts have one name": (two_of_one_name, r"2 accounts are called of b"),
    "something applied is still parked": (lambda e: set_(e, parked=[("l.entries", 0, 1)]), r"is parked"),
}  # fmt: skip


@pytest.mark.parametrize("falsehood", FALSEHOODS)
def test_the_judge_finds_that(falsehood: str) -> None:
    doctor, expected = FALSEHOODS[falsehood]
    evidence = honest()
    doctor(evidence)

    found = Judge(evidence).found()

    assert any(re.search(expected, one) for one in found), found


def test_an_entry_may_wait_for_an_account_that_nobody_opened() -> None:
    evidence = honest()
    headers = {"ce_id": b"early", "ce_source": b"//x", "ce_type": b"ledger.entry_made.v1"}
    early = Stored(("l.entries", 0, 9), b"d", b'{"amount": 3}', headers)
    evidence.read["entries"].append(early)

    assert any("has the outputs {}" in one for one in Judge(evidence).found())
    evidence.parked = [early.place]
    assert Judge(evidence).found() == []


def test_an_input_of_unknown_fate_may_have_one_effect_or_none() -> None:
    applied, not_there = honest(), honest()
    applied.sent[-1].fate = "unknown"
    not_there.sent = [*not_there.sent, Sent("l.entries", b"b", b'{"amount": 9}', [], fate="unknown")]

    assert Judge(applied).found() == Judge(not_there).found() == []


def test_a_repeat_of_an_output_and_of_a_dead_letter_does_no_harm() -> None:
    evidence = honest()
    again(evidence, "entry_booked", 2)
    evidence.read["dead-letters"].append(evidence.read["dead-letters"][0])

    assert Judge(evidence).found() == []


def test_what_is_left_undone_is_told() -> None:
    told = open_ends({("t", 0): 5}, {("t", 0): 5, ("t", 1): 3}, 2, {"kit_outbox": 1, "kit_effect": 0})

    assert told == [
        "t[1] is applied up to 0 of 3",
        "1 rows in kit_outbox do not go away",
        "2 deadlines are overdue",
    ]
    assert open_ends({("t", 0): 5}, {("t", 0): 5}, 0, {"kit_outbox": 0}) == []


def test_a_position_that_went_back_for_a_moment_is_told(tmp_path: Path) -> None:
    path = tmp_path / "watched.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE kit_position (topic TEXT, partition INTEGER, next_offset INTEGER)")
        database.execute("CREATE TABLE kit_task (aggregate TEXT, partition INTEGER, epoch INTEGER)")
        database.execute("INSERT INTO kit_position VALUES ('t', 0, 7)")
        with Watch(Database(f"sqlite:///{path}", "l")) as watch:
            assert watch.laid.wait(10)
            for offset in (9, 4, 12):
                database.execute("UPDATE kit_position SET next_offset = ?", (offset,))
        assert watch.fell == ["t[0] went back from 9 to 4"]


def test_what_was_acknowledged_without_an_offset_is_looked_for_by_what_it_says() -> None:
    """The broker has a batch that comes again already, and does not say where."""
    book = Book()
    first = book.takes("entries", "entry_made", "a", "e1", {"amount": 1})
    second = replace(first, place=("l.entries", 0, 1))
    book.evidence.read["entries"].append(second)
    sent = book.evidence.sent[0]
    unplaced = replace(sent, place=("l.entries", 0, None))
    elsewhere = replace(unplaced, place=("l.entries", 1, None))

    assert [one.place for one in placed([sent, unplaced], book.evidence.read)] == [first.place, second.place]
    book.evidence.sent = [sent, unplaced, unplaced, elsewhere]
    assert Judge(book.evidence).acknowledged() == [
        f"acknowledged at {place}, but another record stands there"
        for place in (("l.entries", 0, None), ("l.entries", 1, None))
    ]
