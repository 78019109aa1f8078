"""Simulated liaison persons answer what their mails ask, and make the mistakes that they are told to make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from uuid import UUID, uuid5

import orjson
import pytest

from schemas.codec import decode
from schemas.liaison import NoticeQueued
from schemas.loading import load_contracts
from schemas.values import Side, side_of
from services.demo.persons import LiaisonPersons, mailed_notices
from services.demo.scenario import Persons
from services.liaison.mail import Letter, MailSettings
from topics.definition import load_catalogue

NOW = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)


def notice(number: int, *, due: datetime | None = NOW + timedelta(days=1), side: Side = Side.BANK) -> NoticeQueued:
    load_contracts()
    fields = {name: field.examples[0] for name, field in NoticeQueued.model_fields.items() if field.examples}
    given = NoticeQueued.model_validate(fields)
    id = str(uuid5(UUID(int=7), str(number)))
    return given.model_copy(
        update={"notice_id": id, "file": f"A-{number}", "acknowledge_by": due, "side": side, "person_id": f"p-{number}"}
    )


def mail_file(folder: Path, notices: list[NoticeQueued]) -> Path:
    """The mail server's file, with the mails as liaison writes them."""
    letter = Letter(MailSettings())
    path = folder / "mails.jsonl"
    lines = [
        {
            "number": number,
            "message_id": message_from_bytes(letter.write(one))["Message-ID"],
            "sender": "",
            "to": [one.email],
            "subject": "",
            "text": letter.text(one),
        }
        for number, one in enumerate(notices, 1)
    ]
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


def persons(in_time: int = 100, late: int = 100, mistakes: int = 0) -> LiaisonPersons:
    return LiaisonPersons(Persons(in_time=in_time, late=late, mistakes=mistakes), load_catalogue())


def test_each_mail_that_asks_is_acknowledged_by_its_recipient_from_the_recipients_side(tmp_path: Path) -> None:
    notices = [notice(1, side=Side.BANK), notice(2, side=Side.COMMERCE), notice(3, due=None)]
    answers = persons().answer(mail_file(tmp_path, notices), notices, NOW)
    events = [decode(one.key, one.value, one.headers) for one in answers]
    assert [(event.data.notice_id, event.data.person_id) for event in events] == [
        (one.notice_id, one.person_id) for one in notices[:2]
    ]
    assert [side_of(event.source) for event in events] == [Side.BANK, Side.COMMERCE]
    assert [one.key for one in answers] == [b"A-1", b"A-2"]
    assert {one.topic for one in answers} == {"bank.actions", "commerce.actions"}


def test_a_notice_whose_mail_never_arrived_is_not_answered(tmp_path: Path) -> None:
    assert persons().answer(mail_file(tmp_path, [notice(1)]), [notice(1), notice(2)], NOW)[1:] == []
    assert persons().answer(tmp_path / "none.jsonl", [notice(1)], NOW) == []


@pytest.mark.parametrize(("in_time", "late", "answered"), [(100, 0, {"A-1"}), (0, 100, {"A-2"}), (0, 0, set())])
def test_habits_tell_apart_what_is_in_time_and_what_is_late(
    tmp_path: Path, in_time: int, late: int, answered: set[str]
) -> None:
    notices = [notice(1), notice(2, due=NOW - timedelta(days=1))]
    answers = persons(in_time, late).answer(mail_file(tmp_path, notices), notices, NOW)
    assert {(one.key or b"").decode() for one in answers} == answered


def test_a_share_of_mails_is_answered_and_always_the_same_ones(tmp_path: Path) -> None:
    notices = [notice(number) for number in range(200)]
    file = mail_file(tmp_path, notices)
    first = persons(in_time=60).answer(file, notices, NOW)
    assert 90 <= len(first) <= 150
    assert first == persons(in_time=60).answer(file, list(reversed(notices)), NOW)


def test_mistakes_are_another_person_the_other_side_and_a_mistyped_notice(tmp_path: Path) -> None:
    notices = [notice(number) for number in range(3)]
    answers = persons(in_time=0, mistakes=1).answer(mail_file(tmp_path, notices), notices, NOW)
    wrong_person, wrong_side, mistyped = (decode(one.key, one.value, one.headers) for one in answers)
    assert wrong_person.data.person_id == "p-0-deputy"
    assert side_of(wrong_side.source) is Side.COMMERCE
    assert mistyped.data.notice_id not in {one.notice_id for one in notices}


def test_mails_are_counted_by_their_notice_repeats_included(tmp_path: Path) -> None:
    notices = [notice(1), notice(2), notice(1)]
    assert mailed_notices(mail_file(tmp_path, notices)) == [one.notice_id for one in notices]
