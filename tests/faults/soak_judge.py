"""What a soak came to, judged from topics, databases and mails against what was sent; by queries on its book.

What the services decide and store with is not used here: a fault in it must not hide itself.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from services.embedded.smtp import read_mails
from tests.support.outcome import DEAD_LETTERS, INPUTS, Databases, Output, read_topics
from tests.support.scenario import PLACES
from tests.support.system import ALL_SERVICES
from topics.definition import load_catalogue

MOST_TOLD = 10
PORTION = 5000
ANSWERS = ("registered", "rejected", "duplicate_found", "consent_awaited", "refused")
"""What a submission may be answered with; `consent_awaited` where the case goes on later."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that must hold: its figure in words of both languages, and every way in which it does not hold."""

    name: str
    zh: str
    en: str
    figure: str
    faults: list[str]

    @property
    def kept(self) -> bool:
        return not self.faults


# Writing down what stands


def write_down(book: sqlite3.Connection, bootstrap_servers: str, databases: Databases, mails: Path) -> None:
    """Everything that the topics, the databases and the mail server's file hold."""
    _Reader(book).read(read_topics(bootstrap_servers))
    book.execute("CREATE INDEX IF NOT EXISTS event_cause ON event (cause)")
    book.execute("CREATE INDEX IF NOT EXISTS event_id ON event (id)")
    _write_states(book, databases)
    _write_mails(book, mails)
    book.commit()


class _Reader:
    """Puts records into the book, some thousands at a time."""

    def __init__(self, book: sqlite3.Connection) -> None:
        self._book = book

    def read(self, records: Iterator[Output]) -> None:
        while portion := list(islice(records, PORTION)):
            events = [one for one in portion if one.topic not in DEAD_LETTERS]
            self._stood(one for one in events if one.topic in INPUTS)
            self._events(one for one in events if one.header("ce_id"))
            self._letters(one for one in portion if one.topic in DEAD_LETTERS)
            self._bodies(events)
            self._book.commit()

    def _stood(self, inputs: Iterable[Output]) -> None:
        self._book.executemany(
            "INSERT INTO stood VALUES (?, ?, ?, ?)",
            [
                (one.topic, one.partition, one.offset, zlib.crc32((one.key or b"") + b"\0" + (one.value or b"")))
                for one in inputs
            ],
        )

    def _events(self, events: Iterable[Output]) -> None:
        self._book.executemany(
            "INSERT INTO event (topic, source, id, part, place, key, kind, cause, crc) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET copies = copies + 1, "
            "differing = differing + (crc <> excluded.crc), strayed = strayed + (part <> excluded.part)",
            [
                (
                    one.topic, *one.ident, one.partition, one.offset, (one.key or b"").decode(errors="replace"),
                    one.kind, one.header("ce_causationid"), zlib.crc32(repr(one.content()[1:]).encode()),
                )
                for one in events
            ],
        )  # fmt: skip

    def _letters(self, letters: Iterable[Output]) -> None:
        self._book.executemany(
            "INSERT INTO letter (id, service, topic, part, place, reason) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET copies = copies + 1",
            [
                (
                    one.ident[1], one.topic.partition(".")[0], one.header("kouan_topic"),
                    int(one.header("kouan_partition")), int(one.header("kouan_offset")), one.header("kouan_reason"),
                )
                for one in letters
            ],
        )  # fmt: skip

    def _bodies(self, events: Iterable[Output]) -> None:
        """What is to be added up or set against each other; copies left out."""
        for one in events:
            kind = one.kind.rpartition(".v")[0]
            take = _TAKEN.get((one.topic, kind))
            if take is not None and self._first(one):
                take(self._book, one, json.loads(one.value or b"{}"))

    def _first(self, one: Output) -> bool:
        row = self._book.execute(
            "SELECT part, place FROM event WHERE topic = ? AND source = ? AND id = ?", (one.topic, *one.ident)
        ).fetchone()
        return bool(row == (one.partition, one.offset))


Take = Callable[[sqlite3.Connection, Output, dict[str, Any]], None]


def _paid_out(book: sqlite3.Connection, one: Output, body: dict[str, Any]) -> None:
    _loan(book, one, body["amount"]["currency"], body["amount"]["amount"], "0")


def _paid_back(book: sqlite3.Connection, one: Output, body: dict[str, Any]) -> None:
    _loan(book, one, body["loan"]["currency"], "0", body["principal"])


def _loan(book: sqlite3.Connection, one: Output, currency: str, paid_out: str, paid_back: str) -> None:
    book.execute(
        "INSERT INTO loan VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "paid_out = paid_out + excluded.paid_out, paid_back = paid_back + excluded.paid_back",
        ((one.key or b"").decode(), currency, _cents(paid_out), _cents(paid_back)),
    )


def _counted(book: sqlite3.Connection, one: Output, body: dict[str, Any]) -> None:
    now, before = body["outstanding"], body["outstanding_before"]
    _tally(
        book, "counted exposure", f"{body['subject']} {now['currency']}",
        _cents(now["amount"]) - _cents(before["amount"]),
    )  # fmt: skip


def _refused(book: sqlite3.Connection, one: Output, body: dict[str, Any]) -> None:
    _tally(book, "came refusals", body["code"], 1)


def _notice(column: str) -> Take:
    def take(book: sqlite3.Connection, one: Output, body: dict[str, Any]) -> None:
        book.execute(
            f"INSERT INTO notice (id, {column}) VALUES (?, 1) ON CONFLICT DO UPDATE SET {column} = {column} + 1",
            (body["notice_id"],),
        )

    return take


_TAKEN: dict[tuple[str, str], Take] = {
    ("loan.events", "loan.disbursed"): _paid_out,
    ("loan.events", "loan.repaid"): _paid_back,
    ("risk.events", "risk.exposure_counted"): _counted,
    ("loan.events", "loan.refused"): _refused,
    ("screening.events", "screening.refused"): _refused,
    ("liaison.events", "notice.queued"): _notice("queued"),
    ("liaison.events", "notice.partner_queued"): _notice("queued"),
    ("liaison.events", "notice.delivered"): _notice("told"),
    ("liaison.events", "notice.failed"): _notice("failed"),
    ("liaison.events", "notice.partner_failed"): _notice("failed"),
}


def _tally(book: sqlite3.Connection, what: str, key: str, number: int) -> None:
    book.execute(
        "INSERT INTO tallied VALUES (?, ?, ?) ON CONFLICT (what, key) DO UPDATE SET number = number + excluded.number",
        (what, key, number),
    )


def _cents(amount: object) -> int:
    return int(Decimal(str(amount)) * 100)


def _write_states(book: sqlite3.Connection, databases: Databases) -> None:
    for what, service, sql in (
        ("intake", "referral_intake", "SELECT key, status FROM referral_intake_case"),
        ("screening", "screening", "SELECT key, status FROM screening_case"),
        ("held", "screening", "SELECT key, 'held' FROM screening_case WHERE CAST(holds AS TEXT) NOT IN ('[]', '{}')"),
        ("loans", "loan_desk", "SELECT key, status FROM loan_desk_case WHERE status IS NOT NULL AND status <> ''"),
    ):
        rows = [(what, key, value) for key, value in databases.query(service, sql)]
        book.executemany("INSERT INTO became VALUES (?, ?, ?)", rows)
    for service in ALL_SERVICES:
        rows = databases.query(service, "SELECT source, id, outcome FROM kit_inbox")
        book.executemany("INSERT INTO inbox VALUES (?, ?, ?, ?)", ((service, *row) for row in rows))
    for zone, cny, usd in databases.query("risk_monitor", "SELECT key, cny, usd FROM risk_monitor_subject"):
        if zone in {place.zone for place in PLACES}:
            _tally(book, "stored exposure", f"{zone} CNY", _cents(cny))
            _tally(book, "stored exposure", f"{zone} USD", _cents(usd))


def _write_mails(book: sqlite3.Connection, path: Path) -> None:
    for mail in read_mails(path):
        crc = zlib.crc32(repr((mail.sender, mail.to, mail.subject, mail.text)).encode())
        book.execute(
            "INSERT INTO notice (id, mails, crc) VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET mails = mails + 1, "
            "differing = differing + (coalesce(crc, excluded.crc) <> excluded.crc), crc = coalesce(crc, excluded.crc)",
            (mail.message_id.strip("<>").partition("@")[0], crc),
        )


# Judging


def judge(book: sqlite3.Connection) -> Iterator[Verdict]:
    """Everything that must hold of what the book tells."""
    book.execute("ANALYZE")
    _find_places(book)
    for one in (
        _acknowledged, _answered, _states, _taken_in, _once, _order, _balances, _notices, _dead_letters
    ):  # fmt: skip
        try:
            yield one(book)
        except Exception as error:
            yield Verdict(one.__name__.strip("_"), "未能判断", "could not be judged", "", [repr(error)])


def _find_places(book: sqlite3.Connection) -> None:
    """Give what was acknowledged without a place the first one at which it stands and nothing else was said to."""
    rows = _rows(book, "SELECT topic, part, place, crc FROM sent WHERE place < 0 ORDER BY topic, part, place DESC")
    for topic, part, place, crc in rows:
        book.execute(
            "UPDATE sent SET place = coalesce((SELECT min(t.place) FROM stood t LEFT JOIN sent s "
            "USING (topic, part, place) WHERE t.topic = ? AND t.part = ? AND t.crc = ? AND s.crc IS NULL), place) "
            "WHERE topic = ? AND part = ? AND place = ?",
            (topic, part, crc, topic, part, place),
        )


def _acknowledged(book: sqlite3.Connection) -> Verdict:
    lost = _rows(
        book,
        "SELECT s.topic, s.part, s.place, s.source, s.id FROM sent s LEFT JOIN stood t USING (topic, part, place) "
        "WHERE t.crc IS NULL OR t.crc <> s.crc",
    )
    return Verdict(
        "acknowledged", "确认过的每条输入都在其位置上", "every acknowledged input stands where the broker said",
        f"{_number(book, 'SELECT count(*) FROM sent'):,}", _told(f"not there: {row}" for row in lost),
    )  # fmt: skip


def _answered(book: sqlite3.Connection) -> Verdict:
    kinds = " OR ".join(f"e.kind LIKE 'referral.{kind}.v%'" for kind in ANSWERS)
    submissions = "SELECT DISTINCT source, id FROM sent WHERE kind = 'referral.submitted.v1' AND NOT poison"
    rows = _rows(
        book,
        f"SELECT s.id, count(e.id) FROM ({submissions}) s LEFT JOIN event e "
        f"ON e.cause = s.id AND e.topic = 'referral.events' AND ({kinds}) GROUP BY s.id HAVING count(e.id) <> 1",
    )
    return Verdict(
        "answered", "每份确认过的推荐恰有一个结果", "every acknowledged submission has exactly one answer",
        f"{_number(book, f'SELECT count(*) FROM ({submissions})'):,}",
        _told(f"submission {id} has {number} answers" for id, number in rows),
    )  # fmt: skip


def _states(book: sqlite3.Connection) -> Verdict:
    differing = _rows(
        book,
        "SELECT a.what, a.key, a.value, b.value FROM asked a LEFT JOIN became b USING (what, key) "
        "WHERE b.value IS NOT a.value UNION ALL "
        "SELECT b.what, b.key, a.value, b.value FROM became b LEFT JOIN asked a USING (what, key) WHERE a.key IS NULL",
    )
    faults = [f"{what} of {key}: {came}, asked for was {asked}" for what, key, asked, came in differing]
    faults += _tallies_differ(book, "refusals", "came refusals")
    return Verdict(
        "states", "每个案件的状态与剧本一致", "every case is in the state that its story asks for",
        f"{_number(book, 'SELECT count(*) FROM asked'):,}", _told(faults),
    )  # fmt: skip


def _taken_in(book: sqlite3.Connection) -> Verdict:
    """Of each type that a service takes in, it took in every event: the inbox has all of them or none."""
    faults, number = [], 0
    for service in ALL_SERVICES:
        topics = [topic.name for topic in load_catalogue().inputs_of(service)]
        marks = ", ".join("?" * len(topics))
        for kind, all_of_them, taken, missing in _rows(
            book,
            "SELECT kind, count(*), count(i.id), max(CASE WHEN i.id IS NULL THEN e.source || ' ' || e.id END) "
            "FROM (SELECT DISTINCT source, id, kind FROM event WHERE "
            f"topic IN ({marks}) AND id NOT IN (SELECT id FROM sent WHERE poison)) e "
            "LEFT JOIN inbox i ON i.service = ? AND i.source = e.source AND i.id = e.id GROUP BY kind",
            (*topics, service),
        ):
            number += taken
            if 0 < taken < all_of_them:
                faults.append(f"{service} took in {taken} of {all_of_them} {kind}, not {missing}")
    dead = _number(book, "SELECT count(*) FROM inbox WHERE outcome <> 1 AND source LIKE '//kouan/%'")
    faults += [f"{dead} events of our own services were refused as dead"] if dead else []
    return Verdict(
        "taken_in", "每个服务对其每条输入恰接收一次", "every service took in each of its events, and once",
        f"{number:,}", _told(faults),
    )  # fmt: skip


def _once(book: sqlite3.Connection) -> Verdict:
    poison = "SELECT id FROM sent WHERE poison"
    faults = [
        f"{topic}: {source} {id} stands {copies} times, {differing} with other content"
        for topic, source, id, copies, differing in _rows(
            book,
            "SELECT topic, source, id, copies, differing FROM event WHERE differing AND "
            f"source LIKE '//kouan/%' AND id NOT IN ({poison})",
        )
    ]
    faults += [
        f"{source} {id} stands on {topics}"
        for source, id, topics in _rows(
            book,
            "SELECT source, id, group_concat(topic) FROM event WHERE source LIKE '//kouan/%' "
            "GROUP BY source, id HAVING count(*) > 1",
        )
    ]
    ours = "FROM event WHERE source LIKE '//kouan/%'"
    number, copies = _number(book, f"SELECT count(*) {ours}"), _number(book, f"SELECT sum(copies - 1) {ours}")
    return Verdict(
        "once", "服务的每个事件只有一个 id、一种内容（重发同 id 可辨）",
        "every event of the services has one id and one content (a repeat has the same id)",
        f"{number:,}；重发 repeats {copies:,}", _told(faults),
    )  # fmt: skip


def _order(book: sqlite3.Connection) -> Verdict:
    """What comes of one key's events on one topic stands in their order, on each topic that it leads to."""
    ordered = (
        "SELECT e.topic, e.id, c.topic AS cause_topic, c.key, c.place, lag(c.place) OVER "
        "(PARTITION BY e.topic, e.part, c.topic, c.key ORDER BY e.place) AS before "
        "FROM event e JOIN event c ON c.id = e.cause WHERE e.cause <> '' AND NOT c.strayed"
    )
    rows = _rows(book, f"SELECT * FROM ({ordered}) WHERE place < before")
    return Verdict(
        "order", "同一键的结果按原因的次序排列", "what comes of a key's events stands in their order",
        f"{_number(book, f'SELECT count(*) FROM ({ordered})'):,}",
        _told(f"{topic}: {id} of {key} on {cause} at {place} comes after {before}"
              for topic, id, cause, key, place, before in rows),
    )  # fmt: skip


def _balances(book: sqlite3.Connection) -> Verdict:
    faults = _tallies_differ(book, "exposure", "counted exposure")
    faults += _tallies_differ(book, "exposure", "stored exposure")
    zones = "SELECT currency, sum(paid_out - paid_back) FROM loan GROUP BY currency"
    asked = "SELECT substr(key, -3), sum(number) FROM tallied WHERE what = 'exposure' GROUP BY 1"
    by_loans, by_story = dict(_rows(book, zones)), dict(_rows(book, asked))
    faults += [
        f"{currency}: the loans come to {by_loans.get(currency, 0)}, their stories to {by_story.get(currency, 0)}"
        for currency in {*by_loans, *by_story}
        if by_loans.get(currency, 0) != by_story.get(currency, 0)
    ]
    faults += [
        f"loan of {key}: more paid back than out"
        for (key,) in _rows(book, "SELECT key FROM loan WHERE paid_back > paid_out")
    ]
    paid = _number(book, "SELECT sum(paid_out) FROM loan") / 100
    return Verdict(
        "balances", "贷款与区域敞口守恒：报送＝事件＝数据库", "loans and zones balance: reported = told = stored",
        f"{_number(book, 'SELECT count(*) FROM loan'):,} 笔 loans，{paid:,.2f}", _told(faults),
    )  # fmt: skip


def _notices(book: sqlite3.Connection) -> Verdict:
    rows = _rows(
        book,
        "SELECT id, queued, told, failed, mails, differing FROM notice WHERE differing OR queued > 1 OR "
        "(queued AND (told + failed <> 1 OR (told AND mails < 1))) OR (NOT queued AND (told OR mails))",
    )
    faults = [
        f"notice {id}: asked for {queued}, told of {told}, failed {failed}, mails {mails}, {differing} differing"
        for id, queued, told, failed, mails, differing in rows
    ]
    number = _number(book, "SELECT sum(queued) FROM notice")
    again = _number(book, "SELECT sum(max(mails - 1, 0)) FROM notice")
    return Verdict(
        "notices", "每个通知一封邮件（中断时可能重发，Message-ID 相同）",
        "each notice is one mail (sent again after an interruption: same Message-ID)",
        f"{number:,}；重发 repeats {again:,}", _told(faults),
    )  # fmt: skip


def _dead_letters(book: sqlite3.Connection) -> Verdict:
    faults = [
        f"poison at {topic}/{part}/{place} has {number} dead letters"
        for topic, part, place, number in _rows(
            book,
            "SELECT s.topic, s.part, s.place, count(l.id) FROM sent s LEFT JOIN letter l USING (topic, part, place) "
            "WHERE s.poison GROUP BY 1, 2, 3 HAVING count(l.id) <> 1",
        )
    ]
    faults += [
        f"{service}: {reason} at {topic}/{part}/{place}, and nothing was wrong with it"
        for service, reason, topic, part, place in _rows(
            book,
            "SELECT l.service, l.reason, l.topic, l.part, l.place FROM letter l "
            "LEFT JOIN sent s USING (topic, part, place) WHERE s.poison IS NOT 1",
        )
    ]
    came = dict(_rows(book, "SELECT reason, count(*) FROM letter GROUP BY reason"))
    asked = dict(_rows(book, "SELECT key, number FROM tallied WHERE what = 'dead letters'"))
    faults += [f"dead letters for {reason}: {came.get(reason)}, asked for were {asked.get(reason)}"
               for reason in {*came, *asked} if came.get(reason) != asked.get(reason)]  # fmt: skip
    return Verdict(
        "dead_letters", "死信恰为所投的坏消息", "the dead letters are the poison that was sent",
        f"{sum(came.values()):,}", _told(faults),
    )  # fmt: skip


def _tallies_differ(book: sqlite3.Connection, asked: str, came: str) -> list[str]:
    one, other = (
        {
            key: number
            for key, number in _rows(book, "SELECT key, number FROM tallied WHERE what = ?", (what,))
            if number
        }
        for what in (asked, came)
    )
    return [
        f"{came} of {key}: {other.get(key, 0)}, asked for was {one.get(key, 0)}"
        for key in {*one, *other}
        if one.get(key) != other.get(key)
    ]


def _rows(book: sqlite3.Connection, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    return book.execute(sql, tuple(values)).fetchall()


def _number(book: sqlite3.Connection, sql: str) -> int:
    return int(book.execute(sql).fetchone()[0] or 0)


def _told(faults: Iterable[str]) -> list[str]:
    found = list(faults)
    return [*found[:MOST_TOLD], f"… {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else found
