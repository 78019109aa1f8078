"""Simulated liaison persons: they read the mails that arrived for them, and acknowledge some of them.

A person sees the mail only. What the mail asks for (notice id and person id) goes to the system of the person's own
side, which knows the file of the notice from the topics and publishes the acknowledgement. Who answers what depends on
file, person and kind of notice, not on chance, so that every run has the same figures.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from schemas.codec import to_binary
from schemas.envelope import Event
from schemas.liaison import NoticeAcknowledgementSubmitted, NoticeQueued
from schemas.values import Side
from services.demo.scenario import Persons, Publication
from services.embedded.smtp import Mail, read_mails
from topics.definition import Catalogue

_ASKED = re.compile(r"submit the notice id (?P<notice>[0-9a-f-]{36}) and the person id (?P<person>[A-Za-z0-9._-]+) in")
_MESSAGE = re.compile(r"<(?P<notice>[0-9a-f-]{36})@.+>")
_IDS = uuid.UUID("0f6d4d5f-9b1f-5a39-8c8e-1f5d0c9f7a52")
_WHOLE = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """One mail that asks a person for an acknowledgement."""

    notice_id: str
    person_id: str


def notice_of(mail: Mail) -> str:
    """The notice that a mail carries, by its Message-ID; empty where it is none of ours."""
    match = _MESSAGE.fullmatch(mail.message_id)
    return match["notice"] if match else ""


def mailed_notices(file: Path) -> list[str]:
    """The notice of every mail that the mail server took, in order, repeats included."""
    return [notice_of(mail) for mail in read_mails(file)]


def asked_by(mails: Iterable[Mail]) -> dict[str, Asked]:
    """The mails that ask for an acknowledgement, by notice; each once."""
    found = (_ASKED.search(mail.text) for mail in mails)
    return {match["notice"]: Asked(match["notice"], match["person"]) for match in found if match}


class LiaisonPersons:
    """All liaison persons of both sides."""

    def __init__(self, habits: Persons, catalogue: Catalogue) -> None:
        self._habits = habits
        self._catalogue = catalogue

    def answer(self, file: Path, queued: Iterable[NoticeQueued], now: datetime) -> list[Publication]:
        """The acknowledgements of all mails in `file`, some of them mistaken, as records to be published."""
        asked = asked_by(read_mails(file))
        notices = sorted(
            (notice for notice in queued if notice.notice_id in asked),
            key=lambda notice: (notice.file, notice.template, notice.person_id),
        )
        willing = [notice for notice in notices if self._answers(notice, now)]
        correct = (self._acknowledgement(one, asked[one.notice_id].person_id, one.side, now) for one in willing)
        return [*correct, *self._mistakes(notices, {one.notice_id for one in willing}, now)]

    def _answers(self, notice: NoticeQueued, now: datetime) -> bool:
        assert notice.acknowledge_by is not None
        share = self._habits.in_time if notice.acknowledge_by > now else self._habits.late
        digest = blake2b(f"{notice.file}/{notice.person_id}/{notice.template}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") % _WHOLE < share

    def _mistakes(self, notices: list[NoticeQueued], answered: set[str], now: datetime) -> Iterator[Publication]:
        """Somebody else answers; the other side answers; the notice id is mistyped."""
        silent = [notice for notice in notices if notice.notice_id not in answered]
        count = self._habits.mistakes
        for notice in silent[:count]:
            yield self._acknowledgement(notice, f"{notice.person_id}-deputy", notice.side, now)
        for notice in silent[count : 2 * count]:
            other = Side.BANK if notice.side is Side.COMMERCE else Side.COMMERCE
            yield self._acknowledgement(notice, notice.person_id, other, now)
        for notice in silent[2 * count : 3 * count]:
            mistyped = notice.model_copy(update={"notice_id": str(uuid.uuid5(_IDS, notice.notice_id))})
            yield self._acknowledgement(mistyped, notice.person_id, notice.side, now)

    def _acknowledgement(self, notice: NoticeQueued, person: str, side: Side, now: datetime) -> Publication:
        source = "//commerce/mofcom" if side is Side.COMMERCE else "//bank/exim"
        event: Event[Any] = Event(
            id=str(uuid.uuid5(_IDS, f"{notice.notice_id}/{person}/{side}")),
            source=source,
            type=NoticeAcknowledgementSubmitted.TYPE,
            time=now,
            subject=notice.file,
            data=NoticeAcknowledgementSubmitted(notice_id=notice.notice_id, person_id=person),
            correlation_id=notice.file,
        )
        key, value, headers = to_binary(event)
        topic = self._catalogue.topic_of_publisher(source, event.type)
        return Publication(topic.name, key, value, tuple(headers))
