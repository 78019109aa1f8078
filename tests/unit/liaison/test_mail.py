"""Mails reach a real mail server, once, readable and safe; what it answers becomes the right outcome."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from schemas.liaison import NoticeQueued
from services.kit.door import Done, Refused, Retry
from services.liaison.mail import Letter, Mailer, MailSettings
from tests.unit.liaison.builders import Desk, notices, registered


class Postbox:
    """Takes mails, and answers as told: `answers` by stage, each used until it is taken away."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.sessions: set[int] = set()
        self.answers: dict[str, str] = {}
        self.at_once = 0
        self.most_at_once = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        # One turn of the loop is enough for others to come in, if they are let in.
        for _ in range(20):
            await asyncio.sleep(0)
        self.at_once -= 1
        self.sessions.add(id(session))
        self.envelopes.append(envelope)
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 taken"


def start(postbox: Postbox, **options: Any) -> Controller:
    controller = Controller(postbox, hostname="127.0.0.1", port=0, **options)
    # The controller offers no port of its own choice; the one that the system gave is known only to its server.
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
    controller.start()
    return controller


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def server(postbox: Postbox) -> Iterator[Controller]:
    controller = start(postbox)
    yield controller
    controller.stop()


def settings(server: Controller, **changes: Any) -> MailSettings:
    return MailSettings(host="127.0.0.1", port=server.port, timeout_seconds=5, **changes)


def some_notices(count: int = 1, **changes: Any) -> list[NoticeQueued]:
    (notice, *_) = notices(Desk().hear(registered()))
    stems = (f"00000000-0000-5000-8000-{number:012d}" for number in range(count))
    return [notice.model_copy(update={"notice_id": id, **changes}) for id in stems]


def send(server: Controller, *mails: NoticeQueued, **changes: Any) -> list[Any]:
    """The outcomes of sending all at once on one mailer."""

    async def all_of_them() -> list[Any]:
        mailer = Mailer(settings(server, **changes))
        outcomes = await asyncio.gather(*(mailer.send(one, 1) for one in mails), return_exceptions=True)
        await mailer.close()
        return list(outcomes)

    return asyncio.run(all_of_them())


def test_a_notice_arrives_with_its_text_in_both_forms(server: Controller, postbox: Postbox) -> None:
    (notice,) = some_notices()
    (outcome,) = send(server, notice)
    assert isinstance(outcome, Done)
    (mail,) = postbox.mails
    assert mail["Subject"] == f"{notice.subject_zh} | {notice.subject_en}"
    assert mail["To"].addresses[0].addr_spec == notice.email
    assert notice.name_zh in mail["To"].addresses[0].display_name
    assert postbox.envelopes[0].rcpt_tos == [notice.email]
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert notice.text_zh in plain.get_content().replace("\r\n", "\n")
    assert "<html" in html.get_content()


def test_message_id_and_date_come_from_the_notice_so_that_a_repeat_is_recognised(
    server: Controller, postbox: Postbox
) -> None:
    (notice,) = some_notices()
    send(server, notice)
    send(server, notice)
    first, again = postbox.mails
    assert first["Message-ID"] == again["Message-ID"] == f"<{notice.notice_id}@kouan.invalid>"
    assert first["Date"].datetime == again["Date"].datetime == notice.occurred_at


def test_mails_of_one_file_are_one_conversation(server: Controller, postbox: Postbox) -> None:
    send(server, *some_notices(2))
    assert len({mail["References"] for mail in postbox.mails}) == 1


def test_line_breaks_and_control_characters_cannot_begin_another_header() -> None:
    evil = "木业\r\nBcc: all@example.cn\x0b\u2028X-Evil: 1"
    (notice,) = some_notices(1, subject_zh=evil, name_en=evil)
    mail = email.message_from_bytes(Letter(MailSettings()).write(notice), policy=email.policy.default)
    assert mail["Bcc"] is None
    assert mail["X-Evil"] is None
    assert len(mail["To"].addresses) == 1


def test_no_line_of_a_mail_begins_with_a_dot_or_ends_with_one_sign() -> None:
    # Such lines would have to be changed on their way, which the connection leaves out.
    evil = ".木业\n.\n\r.\r\n.\r\nQUIT\r\n"
    (notice,) = some_notices(name_zh=evil, subject_zh=evil * 20, text_zh=evil * 500)
    mail = Letter(MailSettings()).write(notice)

    assert re.search(rb"(?<!\r)\n|\r(?!\n)|\A\.|\n\.", mail) is None
    assert mail.endswith(b"\r\n")


def test_one_connection_serves_many_mails(server: Controller, postbox: Postbox) -> None:
    async def one_after_the_other() -> None:
        mailer = Mailer(settings(server))
        for notice in some_notices(5):
            assert isinstance(await mailer.send(notice, 1), Done)
        await mailer.close()

    asyncio.run(one_after_the_other())
    assert len(postbox.mails) == 5
    assert len(postbox.sessions) == 1


def test_no_more_mails_than_connections_are_under_way_at_once(server: Controller, postbox: Postbox) -> None:
    outcomes = send(server, *some_notices(12), connections=3)
    assert all(isinstance(one, Done) for one in outcomes)
    assert len(postbox.mails) == 12
    assert 1 < postbox.most_at_once <= 3


def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(postbox: Postbox) -> None:
    async def with_a_restart() -> None:
        first = start(postbox)
        mailer = Mailer(settings(first))
        one, other = some_notices(2)
        assert isinstance(await mailer.send(one, 1), Done)
        await asyncio.to_thread(first.stop)
        second = Controller(postbox, hostname="127.0.0.1", port=first.port)
        await asyncio.to_thread(second.start)
        try:
            assert isinstance(await mailer.send(other, 1), Done)
        finally:
            await mailer.close()
            await asyncio.to_thread(second.stop)

    asyncio.run(with_a_restart())
    assert len(postbox.mails) == 2


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
def test_a_mail_refused_for_good_is_refused_and_the_connection_serves_the_next_one(
    server: Controller, postbox: Postbox, stage: str
) -> None:
    async def refused_then_taken() -> None:
        mailer = Mailer(settings(server))
        one, other = some_notices(2)
        postbox.answers[stage] = "550 no such mailbox"
        outcome = await mailer.send(one, 1)
        assert outcome == Refused("smtp-550", "550 no such mailbox")
        postbox.answers.clear()
        assert isinstance(await mailer.send(other, 1), Done)
        await mailer.close()

    asyncio.run(refused_then_taken())
    assert len(postbox.mails) == 1


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("RCPT", "450 mailbox busy"),
        ("DATA", "451 try later"),
        ("MAIL", "421 closing down"),
        ("MAIL", "550 sender not allowed"),
    ],
)
def test_what_may_pass_is_tried_again(server: Controller, postbox: Postbox, stage: str, answer: str) -> None:
    postbox.answers[stage] = answer
    (outcome,) = send(server, *some_notices())
    assert isinstance(outcome, Retry)


def test_a_server_that_is_not_there_is_tried_again(postbox: Postbox) -> None:
    gone = start(postbox)
    gone.stop()
    (outcome,) = send(gone, *some_notices())
    assert isinstance(outcome, Retry)


class Doorkeeper:
    """Lets in who knows the password."""

    def __call__(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"kouan", b"geheim")
        return AuthResult(success=known, handled=False)


@pytest.fixture
def guarded(postbox: Postbox) -> Iterator[Controller]:
    controller = start(postbox, authenticator=Doorkeeper(), auth_required=True, auth_require_tls=False)
    yield controller
    controller.stop()


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_the_password_is_read_from_its_file_at_each_connection(
    guarded: Controller, postbox: Postbox, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("wrong\n")

    async def after_a_correction() -> None:
        mailer = Mailer(settings(guarded, user="kouan", password_file=secret))
        (notice,) = some_notices()
        with pytest.raises(Retry):
            await mailer.send(notice, 1)
        secret.write_text("geheim\n")
        assert isinstance(await mailer.send(notice, 2), Done)
        await mailer.close()

    asyncio.run(after_a_correction())
    assert len(postbox.mails) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_without_a_login_where_one_is_demanded_no_mail_is_given_up(guarded: Controller) -> None:
    (outcome,) = send(guarded, *some_notices())
    assert isinstance(outcome, Retry)


def test_settings_come_from_the_environment_and_do_not_show_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "mail.example.cn", "PORT": "465", "TLS": "tls", "PASSWORD": "geheim"}.items():
        monkeypatch.setenv(f"KOUAN_SMTP_{name}", value)
    made = MailSettings()
    assert (made.host, made.port, made.tls.value, made.secret()) == ("mail.example.cn", 465, "tls", "geheim")
    assert "geheim" not in repr(made)
