"""The books find what does not add up: each test spoils a sound world in one way."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from schemas.codec import to_binary
from schemas.envelope import Event, Payload, payload_class
from schemas.loading import load_contracts
from services.demo.account import Account, Fate, account
from services.demo.log import Record
from topics.definition import load_catalogue
from topics.partitioning import partition_of

NOW = datetime(2026, 3, 9, 2, 0, tzinfo=UTC)
CASE = "MZL-001"
NOTICE = "5d0c3c1e-6a55-5f0e-9a3f-0f6a0c0e4b11"
ROUTES = {
    "referral_intake": frozenset({"referral.submitted.v1"}),
    "screening": frozenset({"opinion.given.v1"}),
    "loan_desk": frozenset({"loan.application_reported.v1"}),
    "risk_monitor": frozenset({"indicator.reported.v1", "hold.release_submitted.v1"}),
    "liaison": frozenset({"notice.acknowledgement_submitted.v1"}),
}


def example(kind: str) -> Payload:
    """A sound payload of a type, made of its fields' examples."""
    load_contracts()
    cls = payload_class(kind)
    assert cls is not None
    fields = {name: field.examples[0] for name, field in cls.model_fields.items() if field.examples}
    return cls.model_validate(fields)


class World:
    """Topics with a single registered case, and everything that belongs to it."""

    def __init__(self) -> None:
        load_contracts()
        self.catalogue = load_catalogue()
        self.records: dict[str, list[Record]] = {name: [] for name in self.catalogue.topics}
        self.mailed = [NOTICE]
        self.say("commerce.referrals", "referral.submitted.v1", id="in-1", source="//commerce/15")
        self.answer("referral.events", "referral.registered.v1", cause="in-1", stem="a1")
        self.answer("screening.events", "screening.opened.v1", cause="a10000", stem="b1", referral_id=CASE)
        self.answer("liaison.events", "notice.file_opened.v1", cause="a10000", stem="c1")
        self.answer("liaison.events", "notice.queued.v1", cause="a10000", stem="c1", at=1, file=CASE)
        cause = f"mail/{NOTICE}/result"
        self.answer("liaison.events", "notice.delivered.v1", cause=cause, stem="d1", notice_id=NOTICE)

    def say(self, topic: str, kind: str, *, id: str, source: str, cause: str | None = None, **fields: Any) -> Record:
        body = example(kind)
        body = type(body).model_validate(body.model_dump(mode="json") | fields)
        event: Event[Any] = Event(id, source, kind, NOW, CASE, body, CASE, cause)
        key, value, headers = to_binary(event)
        return self.put(topic, key, value, headers)

    def answer(self, topic: str, kind: str, *, cause: str, stem: str, at: int = 0, **fields: Any) -> Record:
        source = f"//kouan/{self.catalogue.topics[topic].writers[0]}"
        return self.say(topic, kind, id=f"{stem}{at:04x}", source=source, cause=cause, **fields)

    def put(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]], place: int = -1
    ) -> Record:
        partition = partition_of(key or b"", 4) if place < 0 else place
        offset = sum(1 for record in self.records[topic] if record.partition == partition)
        record = Record(topic, partition, offset, 0, key, value, tuple(headers))
        self.records[topic].append(record)
        return record

    def bury(self, record: Record, service: str, reason: str, **changes: bytes) -> None:
        stamps = {
            "dead_letter_id": f"letter-{record.offset}",
            "reason": reason,
            "service": service,
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
        }
        headers = [(f"kouan_{name}", text.encode()) for name, text in stamps.items()]
        self.put(f"{service}.dead-letters", record.key, changes.get("value", record.value), headers)

    def reckon(self) -> Account:
        return account(self.records, self.catalogue, ROUTES, self.mailed)


@pytest.fixture
def world() -> World:
    return World()


def fates(result: Account, topic: str) -> dict[str, int]:
    return dict(next(line.fates for line in result.lines if line.topic == topic))


def told(result: Account) -> str:
    return "\n".join(problem.en for problem in result.problems)


def test_a_sound_world_adds_up(world: World) -> None:
    result = world.reckon()
    assert told(result) == ""
    assert fates(result, "commerce.referrals") == {"referral.registered.v1": 1}
    assert result.cases == {"open": 1}
    assert result.notices == {"queued": 1, "delivered": 1, "failed": 0, "pending": 0, "no-person": 0, "to-partners": 0}
    assert result.mails == {"mails": 1, "different": 1, "repeats": 0}


def test_an_input_without_an_answer_is_told_with_its_place(world: World) -> None:
    lost = world.say("commerce.referrals", "referral.submitted.v1", id="in-2", source="//commerce/15")
    result = world.reckon()
    place = f"commerce.referrals[{lost.partition}]@{lost.offset}"
    assert f"referral_intake has no answer to {place}" in told(result)
    assert result.lines[-1].accounted <= result.lines[-1].records


def test_an_input_that_took_effect_twice_is_told(world: World) -> None:
    world.answer("referral.events", "referral.registered.v1", cause="in-1", stem="a2")
    assert "took effect 2 times at referral_intake" in told(world.reckon())


def test_an_answer_of_which_a_part_is_missing_is_told(world: World) -> None:
    world.say("bank.opinions", "opinion.given.v1", id="in-3", source="//bank/exim-nmg", referral_id=CASE)
    world.answer("screening.events", "screening.opinion_recorded.v1", cause="in-3", stem="e1", at=1, referral_id=CASE)
    assert "lacks some of its outputs" in told(world.reckon())


def test_the_same_event_once_more_is_a_repeat(world: World) -> None:
    first = world.records["commerce.referrals"][0]
    world.put(first.topic, first.key, first.value, first.headers)
    result = world.reckon()
    assert result.balanced
    assert fates(result, "commerce.referrals") == {"referral.registered.v1": 1, Fate.REPEAT: 1}


def test_other_content_under_the_same_id_is_not_taken_for_a_repeat(world: World) -> None:
    first = world.records["commerce.referrals"][0]
    body = orjson.loads(first.value or b"") | {"more": 1}
    other = world.put(first.topic, first.key, orjson.dumps(body), first.headers)
    assert not world.reckon().balanced
    world.bury(other, "referral_intake", "id-reused")
    result = world.reckon()
    assert told(result) == ""
    assert result.dead_letters == {"referral_intake": {"id-reused": 1}}


def test_what_nobody_can_read_needs_a_dead_letter_that_is_a_copy(world: World) -> None:
    hostile = world.put("commerce.referrals", b"X", b"\xff\x00", ())
    assert "has no answer" in told(world.reckon())
    world.bury(hostile, "referral_intake", "undecodable", value=b"something else")
    assert "is no copy" in told(world.reckon())


def test_a_dead_letter_because_of_a_bug_is_told(world: World) -> None:
    hostile = world.put("commerce.referrals", b"X", b"\xff\x00", ())
    world.bury(hostile, "referral_intake", "unexpected")
    assert "because of an error of its own" in told(world.reckon())


def test_a_record_on_a_wrong_partition_was_sent_on_if_its_copy_stands_on_the_right_one(world: World) -> None:
    first = world.records["commerce.referrals"][0]
    world.put(first.topic, first.key, first.value, first.headers, place=(first.partition + 1) % 4)
    assert fates(world.reckon(), "commerce.referrals")[Fate.SENT_ON] == 1
    world.records["commerce.referrals"].remove(first)
    assert "has no answer" in told(world.reckon())


def test_a_registered_case_that_screening_never_opened_is_told(world: World) -> None:
    world.records["screening.events"].clear()
    assert "led to 0 decisions of screening" in told(world.reckon())


def test_an_output_without_a_cause_is_told(world: World) -> None:
    world.answer("screening.events", "screening.opened.v1", cause="nobody", stem="f1", referral_id=CASE)
    assert "has no cause" in told(world.reckon())


def test_an_output_sent_twice_counts_once(world: World) -> None:
    first = world.records["screening.events"][0]
    world.put(first.topic, first.key, first.value, first.headers)
    result = world.reckon()
    assert result.balanced
    assert result.repeated_outputs == 1
    assert result.outputs["screening.events"] == 1


def test_a_delivered_notice_without_a_mail_and_a_mail_without_a_notice_are_told(world: World) -> None:
    world.mailed = []
    assert "1 lacking, 0 unknown" in told(world.reckon())
    world.mailed = [NOTICE, "another"]
    assert "0 lacking, 1 unknown" in told(world.reckon())


def test_a_mail_sent_twice_after_a_crash_counts_once(world: World) -> None:
    world.mailed = [NOTICE, NOTICE]
    result = world.reckon()
    assert result.balanced
    assert result.mails["repeats"] == 1


def test_a_notice_whose_fate_is_not_told_is_pending(world: World) -> None:
    world.records["liaison.events"].pop()
    assert "1 notices neither delivered nor failed" in told(world.reckon())


def test_a_shortlisted_case_that_the_loan_desk_does_not_know_is_told(world: World) -> None:
    cause = f"{CASE}/decision/1"
    world.answer("screening.events", "screening.shortlisted.v1", cause=cause, stem="g1", referral_id=CASE)
    assert "the loan desk knows 0" in told(world.reckon())
    world.answer("loan.events", "loan.expected.v1", cause="g10000", stem="h1")
    assert told(world.reckon()) == ""
