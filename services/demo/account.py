"""The books at the end: what became of every record, from the topics and the mail server's file alone.

Nothing here asks what the scenario meant to happen. An input is accounted for by exactly one of: a dead letter that
names its place, its way on to the right partition, an earlier record that it repeats, a reader that it is not for, or
one answer that names it as its cause.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from schemas.codec import DecodeError, PayloadError, decode
from schemas.envelope import Event
from services.demo.coverage import Coverage, Known, coverage
from services.demo.log import Record
from topics.definition import OUTPUTS, Catalogue, Kind, Topic
from topics.partitioning import partition_of

Place = tuple[str, int, int]
Routes = Mapping[str, frozenset[str]]
"""Which event types each service decides about."""

DEADLINE = re.compile(r".+/.+/[0-9]+")
"""Id of what a deadline caused: its key, its name, its time in milliseconds."""

EFFECT = re.compile(r".+/.+/result")
"""Id of what an effect's result caused."""


REFUSED = re.compile(r".+\.refused\.v[0-9]+")
"""Type of an answer that refuses an input."""

DECIDED = frozenset({"shortlisted", "declined", "expired", "withdrawn"})
"""How joint screening ends."""

PAID_OUT = frozenset({"disbursed", "repaying", "overdue", "settled", "written_off"})
"""States of a loan of which money was paid out."""


class Fate:
    """What can become of an input besides an answer, which goes by its event type."""

    DEAD = "dead-letter"
    SENT_ON = "sent-on"
    REPEAT = "repeat"
    OTHERS = "not-for-this-reader"
    SILENT = "known-already"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not add up, in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Line:
    """The inputs of one topic as one reader answered them: `records` is the sum of `fates`, or there is a problem."""

    topic: str
    reader: str
    records: int
    fates: Mapping[str, int]

    @property
    def accounted(self) -> int:
        """Records whose fate is known."""
        return sum(self.fates.values())


@dataclass(slots=True)
class Account:
    """The whole reckoning."""

    lines: list[Line] = field(default_factory=list)
    dead_letters: dict[str, dict[str, int]] = field(default_factory=dict)
    refusals: dict[str, dict[str, int]] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    repeated_outputs: int = 0
    registered: int = 0
    cases: dict[str, int] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=dict)
    opinions: dict[str, int] = field(default_factory=dict)
    loans: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    notices: dict[str, int] = field(default_factory=dict)
    acknowledgements: dict[str, int] = field(default_factory=dict)
    mails: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Whether everything adds up."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Read:
    """A record with what could be read of it: the whole event, its envelope alone, or neither."""

    record: Record
    event: Event[Any] | None


def account(
    records: Mapping[str, list[Record]], catalogue: Catalogue, routes: Routes, mailed: Iterable[str]
) -> Account:
    """Reckon up: all records by topic, and the notice ids of the mails that the mail server took."""
    return _Books(records, catalogue, routes).reckon(list(mailed))


class _Books:
    def __init__(self, records: Mapping[str, list[Record]], catalogue: Catalogue, routes: Routes) -> None:
        self._records = records
        self._catalogue = catalogue
        self._routes = routes
        self._account = Account()
        self._read = {
            topic.name: [Read(record, _event(record)) for record in records[topic.name]]
            for topic in catalogue.topics.values()
            if topic.kind not in (Kind.DEAD_LETTERS, Kind.REDRIVE)
        }

    def reckon(self, mailed: list[str]) -> Account:
        for topic in self._of_kind(Kind.INPUT):
            for reader in sorted(set(topic.readers) & set(self._routes)):
                self._account.lines.append(self._line(topic, reader))
        self._reckon_dead_letters()
        self._reckon_refusals()
        self._reckon_outputs()
        statuses = self._reckon_cases()
        loans = self._reckon_loans()
        self._reckon_coverage(statuses, loans)
        self._reckon_risks()
        self._reckon_notices(mailed)
        return self._account

    # Inputs

    def _line(self, topic: Topic, reader: str) -> Line:
        fates: Counter[str] = Counter()
        seen: dict[tuple[str, str], tuple[bytes | None, bytes | None]] = {}
        reads = self._read[topic.name]
        for read in reads:
            fate = self._fate(topic, reader, read, seen)
            if fate is not None:
                fates[fate] += 1
        return Line(topic.name, reader, len(reads), dict(sorted(fates.items())))

    def _fate(self, topic: Topic, reader: str, read: Read, seen: dict[tuple[str, str], Any]) -> str | None:
        """What became of one record at one reader; None, with a problem noted, where that is not to be found."""
        record, event = read.record, read.event
        letters = self._letters.get((reader, record.place), {})
        answers = self._answers(reader, event) if event is not None else []
        if letters:
            if len(letters) > 1:
                self._problem(f"{_where(record)} 有多份死信", f"{_where(record)} has more than one dead letter")
            if event is not None:
                seen.setdefault((event.source, event.id), (record.key, record.value))
            return Fate.DEAD
        if event is None:
            self._unaccounted(record, reader)
            return None
        if partition_of(record.key or b"", topic.partitions) != record.partition:
            return self._sent_on(topic, read, reader)
        ident = (event.source, event.id)
        if ident in seen:
            if seen[ident] == (record.key, record.value):
                return Fate.REPEAT
            self._unaccounted(record, reader)
            return None
        seen[ident] = (record.key, record.value)
        if event.type not in self._routes[reader]:
            return Fate.OTHERS
        return self._answered(record, reader, event, answers)

    def _answered(self, record: Record, reader: str, event: Event[Any], answers: list[Event[Any]]) -> str | None:
        if not answers:
            if self._acknowledged_before(event):
                return Fate.SILENT
            self._unaccounted(record, reader)
            return None
        decisions = {answer.id[:-4] for answer in answers}
        if len(decisions) > 1:
            self._problem(
                f"{_where(record)}（{event.type}）被 {reader} 处理了 {len(decisions)} 次",
                f"{_where(record)} ({event.type}) took effect {len(decisions)} times at {reader}",
            )
        positions = sorted(int(answer.id[-4:], 16) for answer in answers)
        if positions != list(range(len(positions))):
            self._problem(
                f"{_where(record)}（{event.type}）的结果不完整：只有第 {positions} 项",
                f"{_where(record)} ({event.type}) lacks some of its outputs: only {positions} are there",
            )
        return min(answers, key=lambda answer: answer.id).type

    def _sent_on(self, topic: Topic, read: Read, reader: str) -> str | None:
        record = read.record
        home = partition_of(record.key or b"", topic.partitions)
        for other in self._records[topic.name]:
            if other.partition == home and (other.key, other.value) == (record.key, record.value):
                return Fate.SENT_ON
        self._unaccounted(record, reader)
        return None

    def _acknowledged_before(self, event: Event[Any]) -> bool:
        """A person who acknowledges once more gets no answer, because nothing is new."""
        if event.type != "notice.acknowledgement_submitted.v1" or event.data is None:
            return False
        return (event.data.notice_id, event.data.person_id) in self._acknowledged

    def _unaccounted(self, record: Record, reader: str) -> None:
        kind = dict(record.headers).get("ce_type", b"?").decode(errors="replace")
        self._problem(
            f"{reader} 未处理 {_where(record)}（{kind}，键 {record.key!r}）",
            f"{reader} has no answer to {_where(record)} ({kind}, key {record.key!r})",
        )

    def _answers(self, service: str, event: Event[Any]) -> list[Event[Any]]:
        return self._caused.get((service, event.id), [])

    @cached_property
    def _caused(self) -> dict[tuple[str, str], list[Event[Any]]]:
        """Outputs of each service by the id that caused them, each id once."""
        found: dict[tuple[str, str], dict[str, Event[Any]]] = defaultdict(dict)
        for topic in self._outputs:
            for event in self._events(topic.name):
                found[topic.writers[0], event.causation_id or ""].setdefault(event.id, event)
        return {cause: list(events.values()) for cause, events in found.items()}

    @cached_property
    def _letters(self) -> dict[tuple[str, Place], dict[str, str]]:
        """Dead letters: by service and place of the original, their ids with reasons (a repeat has the same id)."""
        found: dict[tuple[str, Place], dict[str, str]] = defaultdict(dict)
        for topic in self._of_kind(Kind.DEAD_LETTERS):
            for record in self._records[topic.name]:
                named = {name: value.decode(errors="replace") for name, value in record.headers}
                place = (named["kouan_topic"], int(named["kouan_partition"]), int(named["kouan_offset"]))
                found[named["kouan_service"], place][named["kouan_dead_letter_id"]] = named["kouan_reason"]
        return found

    def _reckon_dead_letters(self) -> None:
        """By service and reason; each is a copy of the record whose place it names."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        originals = {record.place: record for records in self._records.values() for record in records}
        for (service, _), letters in self._letters.items():
            counts[service].update(letters.values())
        for topic in self._of_kind(Kind.DEAD_LETTERS):
            for record in self._records[topic.name]:
                named = dict(record.headers)
                place = (named["kouan_topic"].decode(), int(named["kouan_partition"]), int(named["kouan_offset"]))
                original = originals.get(place)
                if original is None or (original.key, original.value) != (record.key, record.value):
                    self._problem(f"死信 {_where(record)} 与原记录不符", f"dead letter {_where(record)} is no copy")
        for service, counter in counts.items():
            if unexpected := counter["unexpected"]:
                self._problem(
                    f"{service} 有 {unexpected} 份死信出自程序错误，见其日志",
                    f"{service} wrote {unexpected} dead letters because of an error of its own, see its log",
                )
        self._account.dead_letters = {service: dict(sorted(counter.items())) for service, counter in counts.items()}

    def _reckon_refusals(self) -> None:
        """Refusals by writer and code."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for topic in self._outputs:
            for event in self._events(topic.name):
                if REFUSED.fullmatch(event.type):
                    counts[topic.writers[0]][str(event.data.code)] += 1
        self._account.refusals = {writer: dict(sorted(counter.items())) for writer, counter in sorted(counts.items())}

    # Outputs

    def _reckon_outputs(self) -> None:
        """Every output is readable by its contract, and has a cause that stands on the topics."""
        causes = {read.event.id for reads in self._read.values() for read in reads if read.event is not None}
        for topic in self._outputs:
            ids: set[str] = set()
            for read in self._read[topic.name]:
                event = read.event
                if event is None or event.data is None:
                    where = _where(read.record)
                    self._problem(f"{where} 不符合其契约", f"{where} breaks its contract")
                    continue
                if event.id in ids:
                    self._account.repeated_outputs += 1
                ids.add(event.id)
                cause = event.causation_id or ""
                if cause not in causes and not DEADLINE.fullmatch(cause) and not EFFECT.fullmatch(cause):
                    self._problem(
                        f"{_where(read.record)}（{event.type}）没有来由",
                        f"{_where(read.record)} ({event.type}) has no cause",
                    )
            self._account.outputs[topic.name] = len(ids)

    def _reckon_cases(self) -> dict[str, str]:
        """Cases by where joint screening left them, which is returned by case; opinions by side and verdict."""
        registered = self._of_type("referral.registered.v1")
        opened = self._of_type("screening.opened.v1")
        self._each_answered("referral.registered.v1", "screening", "screening.opened.v1")
        self._each_answered("referral.registered.v1", "liaison", "notice.file_opened.v1")
        status: dict[str, str] = {event.subject: "open" for event in opened}
        for event in self._topic_events("screening"):
            name = event.type.split(".")[1]
            if name in DECIDED or name == "conference_called":
                status[event.subject] = name
        counts = Counter(status.values())
        if len(registered) != len(status) or len({event.subject for event in registered}) != len(registered):
            self._problem(
                f"已登记 {len(registered)} 件，进入筛选 {len(status)} 件",
                f"{len(registered)} cases registered, {len(status)} in screening",
            )
        self._account.registered = len(registered)
        self._account.cases = dict(sorted(counts.items()))
        opinions = Counter(
            f"{event.data.side}-{event.data.verdict}" for event in self._of_type("screening.opinion_recorded.v1")
        )
        self._account.opinions = dict(sorted(opinions.items()))
        return status

    def _reckon_loans(self) -> dict[str, str]:
        """Loans by state, which is returned by case; every case that screening ended is known to the loan desk."""
        states: dict[str, str] = {}
        expected: set[str] = set()
        for event in self._topic_events("loan_desk"):
            if event.type in ("loan.expected.v1", "loan.ruled_out.v1"):
                expected.add(event.subject)
            elif event.type != "loan.refused.v1":
                states[event.subject] = str(event.data.loan.status)
                self._check_balance(event)
        ended = {event.subject for event in self._topic_events("screening") if event.type.split(".")[1] in DECIDED}
        if ended != expected:
            odd = ", ".join(sorted(ended ^ expected)[:5])
            self._problem(
                f"筛选已结束 {len(ended)} 件，贷款台账知道 {len(expected)} 件（{odd}）",
                f"screening ended {len(ended)} cases, the loan desk knows {len(expected)} ({odd})",
            )
        self._account.loans = dict(sorted(Counter(states.values()).items()))
        return states

    def _reckon_coverage(self, statuses: Mapping[str, str], loans: Mapping[str, str]) -> None:
        """Cases by each code of the domain; one whose loan was paid out counts as financed."""
        bodies = {event.subject: event.data.referral for event in self._of_type("referral.registered.v1")}
        bodies |= {event.subject: event.data.referral for event in self._of_type("referral.amended.v1")}
        modes = {event.subject: str(event.data.mode) for event in self._of_type("cooperation.mode_proposed.v1")}
        self._account.coverage = coverage(
            Known(bodies[case], modes.get(case), "financed" if loans.get(case) in PAID_OUT else status)
            for case, status in statuses.items()
            if case in bodies
        )

    def _check_balance(self, event: Event[Any]) -> None:
        loan = event.data.loan
        in_order = loan.disbursed <= loan.contracted <= loan.approved
        if not in_order or loan.outstanding != loan.disbursed - loan.repaid:
            self._problem(f"贷款 {loan.loan_id} 金额不平", f"the amounts of loan {loan.loan_id} do not balance")

    def _reckon_risks(self) -> None:
        """Warnings in force by level; raised = in force + cleared; every hold and release was answered."""
        in_force: dict[tuple[str, str], str] = {}
        raised = cleared = 0
        for event in self._topic_events("risk_monitor"):
            if event.type == "risk.warning_cleared.v1":
                in_force.pop((event.data.subject_kind, event.subject), None)
                cleared += 1
            elif event.type.startswith("risk.warning_raised"):
                raised += event.type == "risk.warning_raised.v1"
                in_force[event.data.subject_kind, event.subject] = str(event.data.level)
        if raised != len(in_force) + cleared:
            self._problem(
                f"预警：发出 {raised}，生效 {len(in_force)}，解除 {cleared}",
                f"warnings: {raised} raised, {len(in_force)} in force, {cleared} cleared",
            )
        self._account.warnings = {**dict(sorted(Counter(in_force.values()).items())), "cleared": cleared}
        held = self._each_answered("risk.held.v1", "screening")
        released = self._each_answered("risk.released.v1", "screening")
        self._account.holds = {"held": held, "released": released}

    def _each_answered(self, cause: str, service: str, answer: str | None = None) -> int:
        """Each event of one type led to exactly one decision of a service; returns how many there are."""
        events = self._of_type(cause)
        for event in events:
            answers = self._answers(service, event)
            decisions = {one.id[:-4] for one in answers}
            right = answer is None or any(one.type == answer for one in answers)
            if len(decisions) != 1 or not right:
                self._problem(
                    f"{event.subject} 的 {cause} 在 {service} 有 {len(decisions)} 个结果",
                    f"{cause} of {event.subject} led to {len(decisions)} decisions of {service}",
                )
        return len(events)

    # Notices

    def _reckon_notices(self, mailed: list[str]) -> None:
        """Queued = delivered + failed + pending; the mail server's mails are the delivered ones."""
        to_persons = {event.data.notice_id: event for event in self._of_type("notice.queued.v1")}
        to_partners = self._notices("notice.partner_queued.v1")
        queued = to_persons.keys() | to_partners
        delivered = self._notices("notice.delivered.v1")
        failed = self._notices("notice.failed.v1") | self._notices("notice.partner_failed.v1")
        without_person = failed - queued
        failed -= without_person
        pending = queued - delivered - failed
        if both := delivered & failed:
            self._problem(f"{len(both)} 份通知既送达又失败", f"{len(both)} notices both delivered and failed")
        if stray := delivered - queued:
            self._problem(f"{len(stray)} 份送达的通知从未排队", f"{len(stray)} notices delivered, never queued")
        if pending:
            self._problem(f"{len(pending)} 份通知未了结", f"{len(pending)} notices neither delivered nor failed")
        self._account.notices = {
            "queued": len(queued), "delivered": len(delivered), "failed": len(failed), "pending": len(pending),
            "no-person": len(without_person), "to-partners": len(to_partners),
        }  # fmt: skip
        self._reckon_mails(delivered, mailed)
        self._reckon_acknowledgements(to_persons)

    def _notices(self, kind: str) -> set[str]:
        return {event.data.notice_id for event in self._of_type(kind)}

    def _reckon_mails(self, delivered: set[str], mailed: list[str]) -> None:
        arrived = set(mailed)
        self._account.mails = {"mails": len(mailed), "different": len(arrived), "repeats": len(mailed) - len(arrived)}
        if arrived != delivered:
            lost, unknown = len(delivered - arrived), len(arrived - delivered)
            self._problem(
                f"送达 {len(delivered)} 份，邮件服务器收到 {len(arrived)} 份（缺 {lost}，多 {unknown}）",
                f"{len(delivered)} delivered, {len(arrived)} mails arrived ({lost} lacking, {unknown} unknown)",
            )

    def _reckon_acknowledgements(self, queued: Mapping[str, Event[Any]]) -> None:
        asked = {id for id, event in queued.items() if event.data.acknowledge_by is not None}
        acknowledged = {event.data.notice_id: event.data.late for event in self._of_type("notice.acknowledged.v1")}
        escalated = {event.data.notice_id for event in self._of_type("notice.escalated.v1")} & asked
        late = {id for id, was_late in acknowledged.items() if was_late}
        in_time = acknowledged.keys() - late
        waiting = asked - escalated - in_time
        if not acknowledged.keys() <= asked or late - escalated or in_time & escalated:
            self._problem("确认与升级互相矛盾", "acknowledgements and escalations contradict each other")
        self._account.acknowledgements = {
            "asked": len(asked), "in-time": len(in_time), "late": len(late),
            "escalated-only": len(escalated - late), "waiting": len(waiting),
        }  # fmt: skip

    @cached_property
    def _acknowledged(self) -> set[tuple[str, str]]:
        return {(e.data.notice_id, e.data.person_id) for e in self._of_type("notice.acknowledged.v1")}

    # Looking things up

    @cached_property
    def _outputs(self) -> list[Topic]:
        return [topic for topic in self._catalogue.topics.values() if topic.kind in OUTPUTS]

    def _of_kind(self, kind: Kind) -> list[Topic]:
        return [topic for topic in self._catalogue.topics.values() if topic.kind is kind]

    def _events(self, topic: str) -> Iterator[Event[Any]]:
        """Readable events of a topic, per key in order, each id once."""
        ids: set[str] = set()
        for read in self._read[topic]:
            event = read.event
            if event is not None and event.data is not None and event.id not in ids:
                ids.add(event.id)
                yield event

    def _topic_events(self, service: str) -> Iterator[Event[Any]]:
        return self._events(self._catalogue.record_topic_of(service).name)

    def _of_type(self, kind: str) -> list[Event[Any]]:
        return self._by_type.get(kind, [])

    @cached_property
    def _by_type(self) -> dict[str, list[Event[Any]]]:
        found: dict[str, list[Event[Any]]] = defaultdict(list)
        for topic in self._outputs:
            for event in self._events(topic.name):
                found[event.type].append(event)
        return found

    def _problem(self, zh: str, en: str) -> None:
        self._account.problems.append(Problem(zh, en))


def _event(record: Record) -> Event[Any] | None:
    """The event of a record; with `data` None where only its envelope is sound; None where not even that is."""
    try:
        return decode(record.key, record.value, record.headers)
    except PayloadError as error:
        return error.event
    except DecodeError:
        return None


def _where(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"
