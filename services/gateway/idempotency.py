"""Idempotency-Key, as in the IETF draft: a request that is sent again gets the answer it got, and no second effect.

A key is reserved before the work. That begins as soon as the row stands in an open transaction, which keeps the key
from everybody else, and goes on while the row is committed; nothing is answered before both are done. The answer is
stored behind the response, which need not wait for it: the broker has confirmed the events by then. Should a process
die in between, and a reservation or an answer be lost with it, the same request publishes the same events under the
same ids once more, by which every reader knows a repeat, and gets the same answer. What is to be written at one
moment is written in one transaction, so that many requests share the price of one. A reservation that its process
left behind can be taken over after its lease, by the same request only; only successes are stored, so that whatever
failed may be sent again under its key.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog
from starlette.datastructures import Headers

from services.gateway.problems import Problem, unavailable
from services.kit.database import Database
from services.kit.failures import Transient

log = structlog.get_logger()

_QUOTED: Final = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,128})"')
_BARE: Final = re.compile(r"[A-Za-z0-9._~:/+=-]{1,128}")
_SWEEP_ROWS: Final = 5000
_SWEEP_SECONDS: Final = 60.0
_COMPANY_SECONDS: Final = 0.005
"""So long an answer waits for a reservation with which to share a transaction."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it is stored: status, media type and body (UTF-8)."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reservation:
    """A key that this request holds; `fingerprint` tells its payload from others."""

    source: str
    key: str
    fingerprint: str
    owner: str
    kept: asyncio.Future[None] = field(compare=False)
    """Done when the reservation is durable, or failed with what the database said."""


_Outcome = Reservation | Answer | Problem
_Wanted = tuple[Reservation, "asyncio.Future[_Outcome]"]


def key_of(headers: Headers) -> str:
    """The Idempotency-Key of a request.

    Raises:
        Problem: 400 when it is missing, given twice or malformed.
    """
    given = headers.getlist("idempotency-key")
    if not given:
        raise _bad_key(
            "idempotency-key-missing",
            "缺少 Idempotency-Key 请求头；请为每个新请求取一个新值，如 UUID，重发时沿用原值。",
            "The Idempotency-Key header is missing; choose a new value for each new request, such as a UUID, "
            "and keep it when the request is sent again.",
        )
    quoted = _QUOTED.fullmatch(given[0])
    if len(given) > 1 or not (quoted or _BARE.fullmatch(given[0])):
        raise _bad_key(
            "idempotency-key-malformed",
            "Idempotency-Key 应只出现一次，为 1 至 128 个 ASCII 字符；请使用 UUID。",
            "Idempotency-Key has to be given once, as 1 to 128 ASCII characters; use a UUID.",
        )
    return quoted.group(1) if quoted else given[0]


class Answers:
    """The stored answers of one gateway process; `lease_s` is longer than any request may take."""

    def __init__(self, database: Database, *, lease_s: float, keep_hours: int) -> None:
        self._database = database
        self._lease_ms = int(lease_s * 1000)
        self._keep_ms = keep_hours * 3600 * 1000
        self._process = uuid.uuid4().hex[:12]
        self._number = 0
        self._over: list[tuple[Reservation, Answer | None]] = []
        self._wanted: list[_Wanted] = []
        self._writing: asyncio.Task[None] | None = None
        self._write_later: asyncio.TimerHandle | None = None
        self._sql = _statements(database)

    async def reserve(self, source: str, key: str, fingerprint: str) -> Reservation | Answer:
        """Reserve a key; gives the stored answer where the same request was answered before.

        The work may begin then; it may be answered when the reservation is `durable`.

        Raises:
            Problem: 409 while the same request is under way, 422 when the key belongs to another payload, 503 when the
                database can't be written.
        """
        self._number += 1
        loop = asyncio.get_running_loop()
        owner = f"{self._process}-{self._number}"
        reservation = Reservation(source, key, fingerprint, owner, loop.create_future())
        future: asyncio.Future[_Outcome] = loop.create_future()
        self._wanted.append((reservation, future))
        self._write_now()
        try:
            found = await future
        except Transient as failure:
            raise _not_written(failure) from None
        if isinstance(found, Problem):
            raise found
        return found

    async def durable(self, reservation: Reservation) -> None:
        """Wait until a reservation is committed.

        Raises:
            Problem: 503 when it could not be, and the key is free.
        """
        try:
            await reservation.kept
        except Transient as failure:
            raise _not_written(failure) from None

    def store(self, reservation: Reservation, answer: Answer) -> None:
        """Keep the answer of a request that succeeded, with whatever else is written in a moment."""
        self._over.append((reservation, answer))
        self._write_soon()

    def release(self, reservation: Reservation) -> None:
        """Let the same request try again. Where that can't be written, it may after the lease."""
        self._over.append((reservation, None))
        self._write_soon()

    async def settle(self) -> None:
        """Wait until all that was stored and released is written."""
        self._write_now()
        if self._writing is not None:
            await self._writing

    async def keep_swept(self) -> None:
        """Forget what is older than answers are kept; runs until cancelled."""
        while True:
            try:
                before = _now_ms() - self._keep_ms
                swept = _SWEEP_ROWS
                while swept == _SWEEP_ROWS:
                    swept = await self._database.run(self._database.execute, self._sql.sweep, (before, _SWEEP_ROWS))
            except Transient as failure:
                log.warning("old answers could not be removed", error=str(failure))
            await asyncio.sleep(_SWEEP_SECONDS)

    def take_over(self) -> None:
        """End all leases: for a process that is the only one on its database and has just started."""
        self._database.execute("UPDATE gateway_answer SET leased_until_ms = 0 WHERE status IS NULL")

    def _write_soon(self) -> None:
        if self._writing is None and self._write_later is None:
            self._write_later = asyncio.get_running_loop().call_later(_COMPANY_SECONDS, self._write_now)

    def _write_now(self) -> None:
        if self._write_later is not None:
            self._write_later.cancel()
            self._write_later = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="write answers")

    async def _write(self) -> None:
        """Write what waits, all of it at once, until no reservation waits any more."""
        loop = asyncio.get_running_loop()
        while self._wanted or self._over:
            over, self._over = self._over, []
            wanted, self._wanted = self._wanted, []
            try:
                await self._database.run(self._commit, over, wanted, loop)
            except Exception as failure:
                if over:
                    log.warning("answers could not be stored; their keys end with their leases", error=str(failure))
                _fail(wanted, failure)
                continue
            for reservation, _ in wanted:
                # Who was refused the key never asks, and who has gone meanwhile asks no more.
                if not reservation.kept.done():
                    reservation.kept.set_result(None)
        self._writing = None

    def _commit(
        self,
        over: Sequence[tuple[Reservation, Answer | None]],
        wanted: Sequence[_Wanted],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """One transaction; runs on the database's thread. What is given up goes before what is asked for, and the
        outcomes are told before the commit.
        """
        with self._database.transaction():
            if over:
                self._database.execute(self._sql.store, (_json(_row_of_answer(*each) for each in over),))
            if wanted:
                found = self._reserved([reservation for reservation, _ in wanted])
                loop.call_soon_threadsafe(_tell, wanted, found)

    def _reserved(self, wanted: Sequence[Reservation]) -> list[_Outcome]:
        now = _now_ms()
        # One statement can't touch a row twice: of those that want the same key at one moment, the first is asked for.
        first = {(each.source, each.key): each for each in reversed(wanted)}
        rows = ((e.source, e.key, e.fingerprint, e.owner, now, now + self._lease_ms) for e in first.values())
        owners = {owner for (owner,) in self._database.query(self._sql.reserve, (_json(rows), now))}
        others = {place for place, each in first.items() if each.owner not in owners}
        there = {}
        if others:
            there = {(row[0], row[1]): row[2:] for row in self._database.query(self._sql.look_up, (_json(others),))}
        return [
            each if each.owner in owners else _judged(each, there.get((each.source, each.key)) or _held_by(first, each))
            for each in wanted
        ]


def _tell(wanted: Sequence[_Wanted], found: Sequence[_Outcome]) -> None:
    for (_, future), outcome in zip(wanted, found, strict=True):
        if not future.done():
            future.set_result(outcome)


def _fail(wanted: Sequence[_Wanted], failure: Exception) -> None:
    """Nothing of a transaction came about: tell those that still wait for its outcome, and those that work already."""
    for reservation, future in wanted:
        if not future.done():
            future.set_exception(failure)
        if not reservation.kept.done():
            reservation.kept.set_exception(failure)
            # That nobody may ever ask is no oversight to be logged.
            reservation.kept.exception()


def _not_written(failure: Transient) -> Problem:
    log.warning("an idempotency key could not be reserved", error=str(failure))
    return unavailable(
        ("暂时无法受理，请以同一 Idempotency-Key 重发。", "Send the same request again, with the same key.")
    )


@dataclass(frozen=True, slots=True)
class _Statements:
    reserve: str
    look_up: str
    store: str
    sweep: str


def _statements(database: Database) -> _Statements:
    six = database.rows("text", "text", "text", "text", "bigint", "bigint")
    return _Statements(
        reserve=(
            "INSERT INTO gateway_answer (source, key, fingerprint, owner, created_ms, leased_until_ms) "
            f"SELECT c0, c1, c2, c3, c4, c5 FROM {six} WHERE true "
            "ON CONFLICT (source, key) DO UPDATE "
            "SET owner = excluded.owner, leased_until_ms = excluded.leased_until_ms "
            "WHERE gateway_answer.status IS NULL AND gateway_answer.leased_until_ms < ? "
            "AND gateway_answer.fingerprint = excluded.fingerprint RETURNING owner"
        ),
        look_up=(
            "SELECT a.source, a.key, a.fingerprint, a.status, a.media_type, a.body FROM gateway_answer a "
            f"JOIN {database.rows('text', 'text')} ON a.source = c0 AND a.key = c1"
        ),
        store=(
            "UPDATE gateway_answer SET status = c3, media_type = c4, body = c5, leased_until_ms = 0 "
            f"FROM {database.rows('text', 'text', 'text', 'bigint', 'text', 'text')} "
            "WHERE source = c0 AND key = c1 AND owner = c2 AND gateway_answer.status IS NULL"
        ),
        sweep=(
            "DELETE FROM gateway_answer WHERE (source, key) IN "
            "(SELECT source, key FROM gateway_answer WHERE created_ms < ? LIMIT ?)"
        ),
    )


def _row_of_answer(reservation: Reservation, answer: Answer | None) -> tuple[Any, ...]:
    place = (reservation.source, reservation.key, reservation.owner)
    return (*place, answer.status, answer.media_type, answer.body.decode()) if answer else (*place, None, None, None)


def _held_by(first: dict[tuple[str, str], Reservation], each: Reservation) -> tuple[Any, ...]:
    """The row that another request of the same transaction has just reserved."""
    return (first[each.source, each.key].fingerprint, None, None, None)


def _judged(wanted: Reservation, row: Sequence[Any]) -> Answer | Problem:
    """What stands under a key that is not free."""
    fingerprint, status, media_type, body = row
    if fingerprint != wanted.fingerprint:
        return Problem(
            422,
            "idempotency-key-reused",
            ("Idempotency-Key 已用于其他内容", "The Idempotency-Key belongs to another request"),
            ("此键先前用于不同的内容；请换一个新的键。", "It was sent with another payload before; choose a new key."),
        )
    if status is None:
        return Problem(
            409,
            "request-in-flight",
            ("同一请求正在处理", "The same request is under way"),
            ("请稍后以同一键重发，以取得结果。", "Send it again in a moment, with the same key, to get its answer."),
            headers={"Retry-After": "1"},
        )
    return Answer(status, media_type, body.encode())


def _bad_key(name: str, zh: str, en: str) -> Problem:
    return Problem(400, name, ("Idempotency-Key 有误", "The Idempotency-Key is missing or malformed"), (zh, en))


def _json(rows: Iterable[Iterable[Any]]) -> bytes:
    return orjson.dumps([list(row) for row in rows])


def _now_ms() -> int:
    return int(time.time() * 1000)
