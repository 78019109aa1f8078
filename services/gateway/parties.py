"""Who calls: parties, and the keys by which they are known.

A key is `kg_<key id>_<secret>`. The secret is 256 random bits, so its SHA-256 is all that has to be kept: what slow
hashes such as bcrypt protect are secrets that can be guessed, and they would cost each request a tenth of a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Final

import structlog
from fastapi import Request

from services.gateway.feed_store import Reader
from services.gateway.places import withheld
from services.gateway.problems import Problem, unavailable
from services.kit.database import Database
from services.kit.failures import Transient

log = structlog.get_logger()

_FORM: Final = re.compile(r"kg_([a-z0-9]{12})_([0-9a-f]{64})")
_SOURCE: Final = re.compile(r"//(?:commerce|bank|partner)/[a-z0-9]+(?:[._-][a-z0-9]+)*")
_HEADQUARTERS: Final = frozenset({"//commerce/mofcom", "//bank/exim"})
_MISS_SECONDS: Final = 0.2
_STALE_SECONDS: Final = 60.0
_COLUMNS: Final = "key_id, source, digest, created_ms, expires_ms, revoked_ms, used_ms"


@dataclass(frozen=True, slots=True)
class Party:
    """The system that calls: `source` is the only one in whose name it may publish."""

    source: str
    key_id: str

    @property
    def side(self) -> str:
        """`commerce`, `bank` or `partner`."""
        return self.source.split("/")[2]

    @property
    def code(self) -> str:
        """What the source names within its side: `manzhouli`, `exim-nmg`, `mofcom`."""
        return self.source.split("/", 3)[3]

    @property
    def may_see_all(self) -> bool:
        """Whether it is the headquarters of its side."""
        return self.source in _HEADQUARTERS

    def reader(self, types: tuple[str, ...] = ()) -> Reader:
        """Whose eyes it has, and for which types; () for all."""
        if self.may_see_all:
            return Reader(None, types, withheld(self.source))
        return Reader(self.source, types)


@dataclass(frozen=True, slots=True)
class Key:
    """One key as it is kept; times are milliseconds since 1970."""

    key_id: str
    source: str
    digest: str
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    used_ms: int | None


class BadSource(ValueError):
    """Not the source of a party."""


def check_source(source: str) -> None:
    """Raise BadSource unless a source is that of a party."""
    if not _SOURCE.fullmatch(source):
        raise BadSource(source)


def add_key(database: Database, source: str, expires_ms: int | None = None) -> str:
    """Make a key for a source; returns it whole, which nobody can do again. Call on the database's thread.

    Raises:
        BadSource: the source is not that of a party.
    """
    check_source(source)
    key_id = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(12))
    secret = secrets.token_hex(32)
    database.execute(
        "INSERT INTO gateway_key (key_id, source, digest, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?)",
        (key_id, source, _digest(secret), _now_ms(), expires_ms),
    )
    return f"kg_{key_id}_{secret}"


def list_keys(database: Database) -> list[Key]:
    """All keys, those that no longer hold included, by source and age. Call on the database's thread."""
    rows = database.query(f"SELECT {_COLUMNS} FROM gateway_key ORDER BY source, created_ms, key_id")
    return [Key(*row) for row in rows]


def revoke_key(database: Database, key_id: str) -> bool:
    """Let a key hold no longer; False where there is no such key. Call on the database's thread."""
    return bool(
        database.execute(
            "UPDATE gateway_key SET revoked_ms = coalesce(revoked_ms, ?) WHERE key_id = ?", (_now_ms(), key_id)
        )
    )


class Keys:
    """All keys in memory, read again every moment: asking costs no query, and a revoked key ends within seconds."""

    def __init__(self, database: Database, refresh_s: float) -> None:
        self._database = database
        self._refresh_s = refresh_s
        self._keys: dict[str, Key] = {}
        self._parties: dict[str, Party] = {}
        self._read_at = float("-inf")
        self._used: dict[str, int] = {}
        self._reading = asyncio.Lock()

    async def keep_fresh(self) -> None:
        """Read the keys again and again, and note when they were last used; runs until cancelled."""
        while True:
            try:
                await self._read(time.monotonic())
            except Transient as failure:
                log.warning("the keys could not be read", error=str(failure))
            await asyncio.sleep(self._refresh_s)

    async def party_of(self, authorization: str | None) -> Party:
        """The party whose key the `Authorization` header holds.

        Raises:
            Problem: 401 for a key that is missing, unknown, expired or revoked; 503 when keys can't be read.
        """
        if authorization is None:
            raise _unauthenticated(
                "key-missing",
                "缺少 Authorization 请求头；请写成 Authorization: Bearer kg_…。",
                "The Authorization header is missing; send Authorization: Bearer kg_….",
            )
        scheme, _, credentials = authorization.partition(" ")
        form = _FORM.fullmatch(credentials) if scheme.lower() == "bearer" else None
        if form is None:
            raise _unauthenticated(
                "key-malformed",
                "Authorization 不是 Bearer kg_<编号>_<密钥> 的形式；请完整粘贴密钥。",
                "Authorization is not of the form Bearer kg_<key id>_<secret>; paste the whole key.",
            )
        key_id, secret = form.groups()
        key = self._keys.get(key_id) or await self._look_again(key_id)
        if key is None or not hmac.compare_digest(_digest(secret), key.digest):
            raise _unauthenticated(
                "key-unknown",
                "密钥无效；请核对，或向运行方申请新密钥。",
                "The key is not valid; check it, or ask the operators for a new one.",
            )
        now = _now_ms()
        if key.revoked_ms is not None:
            raise _unauthenticated(
                "key-revoked",
                "密钥已被吊销；请向运行方申请新密钥。",
                "The key was revoked; ask the operators for a new one.",
            )
        if key.expires_ms is not None and key.expires_ms <= now:
            raise _unauthenticated(
                "key-expired",
                "密钥已过期；请向运行方申请新密钥。",
                "The key has expired; ask the operators for a new one.",
            )
        if time.monotonic() - self._read_at > _STALE_SECONDS:
            raise unavailable(("暂时无法核对密钥，请稍后重试。", "Keys can't be checked at present; try again later."))
        self._used[key_id] = now
        return self._parties[key_id]

    async def _look_again(self, key_id: str) -> Key | None:
        """A key that was added a moment ago; strangers who guess ids can't cause more than a few reads a second."""
        asked_at = time.monotonic()
        await asyncio.sleep(max(0.0, self._read_at + _MISS_SECONDS - asked_at))
        try:
            await self._read(asked_at)
        except Transient:
            raise unavailable(
                ("暂时无法核对密钥，请稍后重试。", "Keys can't be checked at present; try again later.")
            ) from None
        return self._keys.get(key_id)

    async def _read(self, asked_at: float) -> None:
        """Read all keys, unless somebody has begun to since this moment."""
        async with self._reading:
            if self._read_at > asked_at:
                return
            began = time.monotonic()
            used, self._used = self._used, {}
            keys = await self._database.run(self._note_and_list, used)
            self._keys = {key.key_id: key for key in keys}
            self._parties = {key.key_id: Party(key.source, key.key_id) for key in keys}
            self._read_at = began

    def _note_and_list(self, used: dict[str, int]) -> list[Key]:
        # The minute is all that "last used" has to tell, and a write a second for each key would be for nothing.
        known = self._keys
        stale = [
            (at, key_id)
            for key_id, at in used.items()
            if key_id in known and at - (known[key_id].used_ms or 0) > 60_000
        ]
        if stale:
            with self._database.transaction():
                for parameters in stale:
                    self._database.execute("UPDATE gateway_key SET used_ms = ? WHERE key_id = ?", parameters)
        return list_keys(self._database)


async def authenticated(request: Request) -> Party:
    """FastAPI dependency: the party that calls, or a problem of status 401."""
    keys: Keys = request.app.state.keys
    return await keys.party_of(request.headers.get("authorization"))


def _unauthenticated(name: str, zh: str, en: str) -> Problem:
    return Problem(
        401, name, ("未能确认身份", "Not authenticated"), (zh, en), headers={"WWW-Authenticate": 'Bearer realm="kouan"'}
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _now_ms() -> int:
    return int(time.time() * 1000)
