"""Notices as mails: how one looks, and how it gets to the mail server.

A mail may be sent twice when the process dies between the server's answer and the record of it. Its Message-ID comes
from the notice's id, so that mailboxes and readers recognise the repeat.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.header import Header
from email.utils import format_datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosmtplib
from aiosmtplib.typing import Default
from jinja2 import Template
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.liaison import NoticeQueued, PartnerNoticeQueued
from services.kit.door import Done, Refused, Retry
from services.liaison.domain.context import Pair
from services.liaison.domain.labels import written_deadline, written_moment
from services.liaison.texts import environment

Notice = NoticeQueued | PartnerNoticeQueued

_END = "\r\n"
"""What ends a line of a mail."""

_LINE = 76
"""Characters on a line of base64 at the most (RFC 2045)."""

_PERMANENT = 500
_ANSWER_LIMIT = 500


class Tls(StrEnum):
    """How the connection to the mail server is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class MailSettings(BaseSettings):
    """Where mails go out, from the environment (`KOUAN_SMTP_…`)."""

    model_config = SettingsConfigDict(env_prefix="KOUAN_SMTP_", extra="ignore")

    host: str = Field("127.0.0.1", description="Mail server")
    port: int = Field(25, ge=1, le=65535, description="Its port; 465 is usual with tls, 587 with starttls")
    tls: Tls = Field(Tls.NONE, description="none, starttls or tls; certificates are checked")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the system's")
    sender: str = Field("notices@kouan.invalid", description="Address that mails come from")
    sender_name: str = Field("口岸联络 Kouan Liaison", description="Name beside that address")
    user: str | None = Field(None, description="User at the mail server; unset: no login")
    password: SecretStr | None = Field(None, description="Password of the user")
    password_file: Path | None = Field(None, description="File that holds the password, read at each connection")
    connections: int = Field(8, ge=1, le=64, description="Mails under way at once, each on a connection of its own")
    timeout_seconds: float = Field(20, gt=0, description="Longest wait for one answer of the mail server")

    def secret(self) -> str | None:
        """The password: from the file, if one is named, so that it can be changed while the service runs."""
        if self.password_file is not None:
            return self.password_file.read_text("utf-8").strip()
        return self.password.get_secret_value() if self.password is not None else None


class Letter:
    """Turns a notice into a mail: plain text, and HTML beside it."""

    def __init__(self, settings: MailSettings) -> None:
        self._sender = _mailbox("From", settings.sender_name, settings.sender)
        self._domain = settings.sender.rpartition("@")[2]

    def write(self, notice: Notice) -> bytes:
        """The mail of a notice, as it travels; the same notice gives the same bytes again."""
        # Put together here, it takes less than half of the time of the standard library's messages, which fold every
        # header and walk every line; and mails are the dearest thing that this service does.
        boundary = f"={notice.notice_id}="
        # A rejected referral may have any id, and headers hold ASCII alone.
        file = quote(notice.file)
        subject = f"{notice.subject_zh} | {notice.subject_en}"
        headers = (
            f'Content-Type: multipart/alternative;{_END} boundary="{boundary}"',
            "MIME-Version: 1.0",
            f"From: {self._sender}",
            f"To: {_mailbox('To', f'{notice.name_zh} {notice.name_en}', notice.email)}",
            f"Subject: {_subject(subject)}",
            f"Date: {format_datetime(notice.occurred_at)}",
            f"Message-ID: <{notice.notice_id}@{self._domain}>",
            # Mail programs then show all notices of one file as one conversation.
            f"References: <file.{file}@{self._domain}>",
            "Content-Language: zh-CN, en",
            "Auto-Submitted: auto-generated",
            f"X-Kouan-Notice: {notice.notice_id}",
            f"X-Kouan-File: {file}",
        )
        parts = (_part("plain", self.text(notice)), _part("html", self.html(notice)))
        head = "".join(f"{line}{_END}" for line in headers)
        body = "".join(f"--{boundary}{_END}{part}" for part in parts)
        return f"{head}{_END}{body}--{boundary}--{_END}".encode()

    def text(self, notice: Notice) -> str:
        """The mail's text/plain part."""
        return self._text.render(_values(notice))

    def html(self, notice: Notice) -> str:
        """The mail's text/html part."""
        return self._html.render(_values(notice))

    @cached_property
    def _text(self) -> Template:
        return environment(autoescape=False).get_template("mail.txt.j2")

    @cached_property
    def _html(self) -> Template:
        return environment(autoescape=True).get_template("mail.html.j2")


def _values(notice: Notice) -> dict[str, object]:
    return {
        "notice": notice,
        "occurred": written_moment(notice.occurred_at),
        "deadline": _acknowledge_by(notice) if isinstance(notice, NoticeQueued) else None,
    }


def _acknowledge_by(notice: NoticeQueued) -> Pair | None:
    asked = notice.acknowledge_by
    return written_deadline(asked, notice.provisional) if asked is not None else None


def _part(kind: str, text: str) -> str:
    """A part of a mail, in base64. Text travels with both signs at the end of a line (RFC 2046), also inside it."""
    coded = base64.b64encode(text.replace("\n", _END).encode()).decode()
    lines = [coded[begin : begin + _LINE] for begin in range(0, len(coded), _LINE)]
    return (
        f'Content-Type: text/{kind}; charset="utf-8"{_END}MIME-Version: 1.0{_END}'
        f"Content-Transfer-Encoding: base64{_END}{_END}{_END.join(lines)}{_END}{_END}"
    )


# Words in headers are coded again and again for the same few persons, and for all who get a notice of one thing: kept,
# they cost nothing, and without it a fifth of what a mail takes to be written.


@lru_cache(maxsize=256)
def _subject(text: str) -> str:
    return Header(_one_line(text), "utf-8", header_name="Subject").encode(linesep=_END)


@lru_cache(maxsize=1024)
def _mailbox(header: str, name: str, address: str) -> str:
    """A name beside its address. The address is plain: the directory takes no others."""
    mailbox = Header(_one_line(name), "utf-8", header_name=header)
    mailbox.append(f"<{_one_line(address)}>", "us-ascii")
    return mailbox.encode(linesep=_END)


def _one_line(text: str) -> str:
    """The text on one line without control characters: a line break in a header would begin another header."""
    plain = "".join(" " if unicodedata.category(character).startswith("C") else character for character in text)
    return " ".join(plain.split())


class Mailer:
    """Sends notices through one mail server, on connections that stay open from mail to mail."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._letter = Letter(settings)
        self._room = asyncio.Semaphore(settings.connections)
        self._idle: list[aiosmtplib.SMTP] = []

    async def send(self, notice: Notice, attempt: int) -> Done | Refused:
        """Hand a notice to the mail server.

        5xx about the recipient or the content is final. Whatever the server says about us (greeting, login, sender) is
        no fault of the mail, so that a wrong password doesn't turn every notice into a failed one.

        Raises:
            Retry: not now (no connection, 4xx, login or sender refused); the same mail may succeed later.
        """
        async with self._room:
            try:
                return await self._hand_over(notice.email, self._letter.write(notice))
            except ValueError as error:
                return Refused("unwritable", str(error)[:_ANSWER_LIMIT])
            except (aiosmtplib.SMTPException, OSError) as error:
                raise Retry(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Take leave of the mail server."""
        while self._idle:
            await _leave(self._idle.pop())

    async def _hand_over(self, recipient: str, content: bytes) -> Done | Refused:
        while self._idle:
            # A server may have closed an idle connection long ago; that says nothing about the mail.
            try:
                async with self._kept(self._idle.pop()) as connection:
                    return await _deliver(connection, self._settings.sender, recipient, content)
            except (aiosmtplib.SMTPServerDisconnected, ConnectionError):
                continue
        async with self._kept(await self._connect()) as connection:
            return await _deliver(connection, self._settings.sender, recipient, content)

    @asynccontextmanager
    async def _kept(self, connection: aiosmtplib.SMTP) -> AsyncIterator[aiosmtplib.SMTP]:
        """Lends a connection; afterwards it is kept, or closed where it failed."""
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.is_connected:
            self._idle.append(connection)

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        trust = None
        if settings.tls is not Tls.NONE:
            trust = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
        connection = Connection(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.tls is Tls.TLS,
            start_tls=settings.tls is Tls.STARTTLS,
            tls_context=trust,
            timeout=settings.timeout_seconds,
        )
        try:
            await connection.connect()
            password = settings.secret()
            if settings.user is not None and password is not None:
                await connection.login(settings.user, password)
        except BaseException:
            connection.close()
            raise
        return connection


class Connection(aiosmtplib.SMTP):
    """A connection that hands a mail over as `Letter` wrote it.

    The library looks at every character for ends of lines to mend and dots to double, which takes a quarter of its time
    for a mail and finds none in ours.
    """

    async def data(  # the parameters are the library's
        self,
        message: str | bytes,
        /,
        *,
        timeout: Any = Default.token,  # noqa: ASYNC109
    ) -> aiosmtplib.SMTPResponse:
        """DATA and the mail behind it; raises SMTPDataError where the server does not take it."""
        protocol = self.protocol
        content = message.encode("ascii") if isinstance(message, str) else message
        if protocol is None or f"{_END}.".encode() in content or not content.endswith(_END.encode()):
            return await super().data(content, timeout=timeout)
        begun = await self.execute_command(b"DATA", timeout=timeout)
        if begun.code != aiosmtplib.SMTPStatus.start_input:
            raise aiosmtplib.SMTPDataError(begun.code, begun.message)
        protocol.write(content + f".{_END}".encode())
        answer = await protocol.read_response(self.timeout if timeout is Default.token else timeout)
        if answer.code != aiosmtplib.SMTPStatus.completed:
            raise aiosmtplib.SMTPDataError(answer.code, answer.message)
        return answer


async def _deliver(connection: aiosmtplib.SMTP, sender: str, recipient: str, content: bytes) -> Done | Refused:
    # Step by step: the library's `sendmail` takes both addresses apart twice and mends the mail once more to tell its
    # size, of which a server that minds would say no less when it has the mail.
    try:
        await connection.mail(sender)
        await connection.rcpt(recipient)
        _, answer = await connection.data(content)
    except aiosmtplib.SMTPResponseException as error:
        with suppress(aiosmtplib.SMTPException, ConnectionError):
            await connection.rset()
        if isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPDataError):
            return _refusal(error)
        raise
    return Done(answer[:_ANSWER_LIMIT])


def _refusal(error: aiosmtplib.SMTPResponseException) -> Refused:
    if error.code < _PERMANENT:
        raise error
    return Refused(f"smtp-{error.code}", f"{error.code} {error.message}"[:_ANSWER_LIMIT])


async def _leave(connection: aiosmtplib.SMTP) -> None:
    try:
        await connection.quit()
    except (aiosmtplib.SMTPException, OSError):
        connection.close()
