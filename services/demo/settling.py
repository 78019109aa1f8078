"""When the services have read, decided, sent and told all that there was: asked, not slept for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from schemas.liaison import NoticeDelivered, NoticeFailed, NoticeQueued, PartnerNoticeFailed, PartnerNoticeQueued
from services.demo.log import TopicsLog
from services.embedded.processes import Process, Workers
from topics.definition import Catalogue

QUIET_SECONDS = 6.0
"""Nothing may happen for so long before all counts as settled; workers tell their figures every five seconds."""

SETTLE_SECONDS = 200.0

Ends = Mapping[tuple[str, int], int]


class NotSettled(Exception):
    """Something still waits after the time given; the text says what."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one worker is: records not yet read, early inputs that wait (their keys), messages not yet sent."""

    service: str
    unread: int
    parked: int
    unsent: int

    def __str__(self) -> str:
        return f"{self.service}: {self.unread} unread, {self.parked} parked, {self.unsent} unsent"


def standing(process: Process, ends: Ends, catalogue: Catalogue) -> Standing | None:
    """Where a worker stands against where its topics end; None while it does not answer."""
    samples = process.samples()
    if not samples:
        return None
    positions = {
        (sample.labels["topic"], int(sample.labels["partition"])): int(sample.value)
        for sample in samples
        if sample.name == "kouan_position"
    }
    read = [topic.name for topic in catalogue.inputs_of(process.name)]
    unread = sum(max(0, end - positions.get(place, 0)) for place, end in ends.items() if place[0] in read)
    figures = {name: int(sum(s.value for s in samples if s.name == name)) for name in _FIGURES}
    return Standing(process.name, unread, figures["kouan_parked_keys"], figures["kouan_outbox_unsent"])


_FIGURES = ("kouan_parked_keys", "kouan_outbox_unsent")


class Settling:
    """Waits for the workers of one run."""

    def __init__(self, workers: Workers, log: TopicsLog, catalogue: Catalogue) -> None:
        self._workers = workers
        self._log = log
        self._catalogue = catalogue
        self._mails = _Mails(log, catalogue.record_topic_of("liaison").name)

    def standings(self) -> list[Standing]:
        """Where every worker stands now.

        Raises:
            ProcessFailed: one of them has ended.
            NotSettled: one does not answer.
        """
        ends = self._log.ends()
        found = []
        for process in self._workers:
            process.check_alive()
            one = standing(process, ends, self._catalogue)
            if one is None:
                raise NotSettled(f"{process.name} does not tell its figures")
            found.append(one)
        return found

    def until_read(self, told: Callable[[str], object] = lambda text: None) -> None:
        """Wait until every record that stands on the topics now has been read and stored."""
        self._wait(lambda: _left(self.standings(), parked=False, unsent=False), told)

    def until_settled(self, told: Callable[[str], object] = lambda text: None) -> None:
        """Wait until nothing is unread, early or unsent, no mail is under way, and nothing new comes for a while."""
        quiet: list[tuple[float, dict[tuple[str, int], int]]] = []

        def left() -> str:
            ends = self._log.catch_up()
            open_work = _left(self.standings())
            if not open_work and (mails := self._mails.under_way()):
                open_work = f"{mails} 封邮件未了 mails under way"
            if open_work or (quiet and quiet[0][1] != ends):
                quiet.clear()
            if not open_work and not quiet:
                quiet.append((time.monotonic(), ends))
            if open_work:
                return open_work
            waited = time.monotonic() - quiet[0][0]
            return "" if waited >= QUIET_SECONDS else f"静候 quiet for {waited:.0f} s"

        self._wait(left, told)

    def _wait(self, left: Callable[[], str], told: Callable[[str], object]) -> None:
        end = time.monotonic() + SETTLE_SECONDS
        while open_work := left():
            if time.monotonic() > end:
                raise NotSettled(f"after {SETTLE_SECONDS:.0f} s: {open_work}")
            told(open_work)
            time.sleep(0.25)


def _left(standings: list[Standing], *, parked: bool = True, unsent: bool = True) -> str:
    waiting = [one for one in standings if one.unread or (parked and one.parked) or (unsent and one.unsent)]
    return "; ".join(map(str, waiting))


class _Mails:
    """Which notices are queued whose mail's fate is not told yet; looks at every record once."""

    def __init__(self, log: TopicsLog, topic: str) -> None:
        self._records = log.records[topic]
        self._seen = 0
        self._queued: set[str] = set()
        self._settled: set[str] = set()

    def under_way(self) -> int:
        for record in self._records[self._seen :]:
            kind = dict(record.headers).get("ce_type", b"").decode(errors="replace")
            if record.value is not None and kind in _MAIL_STEPS:
                notices = self._queued if kind in _MAILS_ASKED else self._settled
                notices.add(orjson.loads(record.value)["notice_id"])
        self._seen = len(self._records)
        return len(self._queued - self._settled)


_MAILS_ASKED = frozenset({NoticeQueued.TYPE, PartnerNoticeQueued.TYPE})
_MAIL_STEPS = _MAILS_ASKED | {NoticeDelivered.TYPE, NoticeFailed.TYPE, PartnerNoticeFailed.TYPE}
