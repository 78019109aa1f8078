"""A real SMTP server for the demo and the tests, which keeps what it accepts in a JSON Lines file.

It runs as its own process (`python -m services.embedded.smtp`), so that neither killing a service nor killing the
server loses mail: a message is answered with 250 only after its line is written.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"
START_SECONDS = 30
STOP_SECONDS = 10
SIZE_LIMIT = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mail:
    """One accepted message: `number` counts from 1 in the order of acceptance, `to` are the envelope's recipients."""

    number: int
    message_id: str
    sender: str
    to: list[str]
    subject: str
    text: str


class MailFile:
    """The file of accepted messages, one JSON object a line; opened again, it goes on where it ended."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        content = path.read_bytes()
        complete = content.rfind(b"\n") + 1
        if complete < len(content):
            # Killed in the middle of a line: its sender has had no 250 and sends again.
            os.ftruncate(self._descriptor, complete)
        self._count = content.count(b"\n")

    def append(self, envelope: Envelope) -> Mail:
        """Write one message; it outlives this process as soon as this returns."""
        # The older message class reads a mail in a tenth of the time of the newer one.
        message = message_from_bytes(envelope.original_content or b"")
        mail = Mail(
            number=self._count + 1,
            message_id=str(message.get("Message-ID", "")).strip(),
            sender=envelope.mail_from or "",
            to=[str(recipient) for recipient in envelope.rcpt_tos],
            subject=_subject(message),
            text=_text(message),
        )
        os.write(self._descriptor, orjson.dumps(asdict(mail)) + b"\n")
        self._count += 1
        return mail

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _text(message: Message) -> str:
    """The first plain text (else the first text of any kind) of a message, with plain line ends."""
    texts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    plain = [part for part in texts if part.get_content_subtype() == "plain"]
    for part in (*plain, *texts):
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            return _decoded(content, part.get_content_charset("utf-8")).replace("\r\n", "\n")
    return ""


def _decoded(content: bytes, charset: str) -> str:
    # What a message says of itself may be wrong; it was accepted all the same, so it is kept as well as can be.
    try:
        return content.decode(charset, errors="replace")
    except LookupError:
        return content.decode(errors="replace")


def _subject(message: Message) -> str:
    written = str(message.get("Subject", ""))
    try:
        return str(make_header(decode_header(written)))
    except (LookupError, ValueError, HeaderParseError):
        return written


def read_mails(path: Path) -> Iterator[Mail]:
    """The messages accepted so far, in order; none where the file is not there yet."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield Mail(**orjson.loads(line))


class MailHandler:
    """What the server does with a recipient and with a message."""

    def __init__(self, mails: MailFile, rejected: Iterable[str] = ()) -> None:
        self._mails = mails
        self._rejected = frozenset(address.lower() for address in rejected)

    async def handle_RCPT(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a recipient, or answer 550 for a mailbox that this server was told not to have."""
        if parseaddr(address)[1].lower() in self._rejected:
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the message, then say so."""
        try:
            mail = self._mails.append(envelope)
        except OSError as error:
            return f"452 4.3.1 The message cannot be stored: {error.strerror}"
        return f"250 2.0.0 OK number {mail.number}"


class SmtpProcess:
    """The server in a process of its own, for the length of a `with` block; it ends when its starter ends.

    Raises `RuntimeError` with what the server wrote when it does not start.
    """

    host = HOST

    def __init__(self, file: Path, port: int = 0, rejected: Iterable[str] = ()) -> None:
        self.file = file
        self.port = port
        self._rejected = tuple(rejected)
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> Self:
        """Start the server and wait until it listens; with port 0 it chooses one and keeps it when started again."""
        command = [sys.executable, "-m", __name__, "--file", str(self.file), "--port", str(self.port), "--attached"]
        for address in self._rejected:
            command += ["--reject", address]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        watchdog = threading.Timer(START_SECONDS, self._process.kill)
        watchdog.start()
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline().strip()
        finally:
            watchdog.cancel()
        if not line:
            self.stop()
            raise RuntimeError("邮件服务器未能启动，原因见上 / the mail server did not start, see the message above")
        self.port = int(line.rpartition(":")[2])
        return self

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def stop(self) -> None:
        """End the server; may be called again."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


async def serve(file: Path, port: int, rejected: Iterable[str], attached: bool) -> None:
    """Serve on the loopback interface until cancelled, or, if `attached`, until standard input ends."""
    loop = asyncio.get_running_loop()
    mails = MailFile(file)
    handler = MailHandler(mails, rejected)
    listener = socket.create_server((HOST, port))
    server = await loop.create_server(
        lambda: SMTP(handler, loop=loop, hostname="localhost", ident="kouan", data_size_limit=SIZE_LIMIT),
        sock=listener,
    )
    sys.stdout.write(f"{HOST}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    if attached:
        watch = threading.Thread(target=_until_input_ends, args=(loop, ended), daemon=True)
        watch.start()
    try:
        await ended.wait()
    finally:
        server.close()
        mails.close()


def _until_input_ends(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        continue
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(ended.set)


def main(arguments: list[str] | None = None) -> None:
    """Run the server from the command line; its address is the first line that it writes."""
    parser = argparse.ArgumentParser(prog="python -m services.embedded.smtp", description="SMTP → JSON Lines")
    parser.add_argument("--file", type=Path, required=True, help="接收的邮件写入此文件 / accepted messages go here")
    parser.add_argument("--port", type=int, default=0, help="端口，0 为任选 / port, 0 to choose one")
    parser.add_argument("--reject", action="append", default=[], help="拒收的地址 / a mailbox to refuse")
    parser.add_argument("--attached", action="store_true", help="标准输入结束时退出 / end with standard input")
    given = parser.parse_args(arguments)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(given.file, given.port, given.reject, given.attached))


if __name__ == "__main__":
    main()
