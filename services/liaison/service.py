"""Composition root of liaison: which input goes to which decision, and by what mails go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.envelope import Event, Payload
from schemas.liaison import (
    NoticeAcknowledged,
    NoticeAcknowledgementSubmitted,
    NoticeDelivered,
    NoticeEscalated,
    NoticeFailed,
    NoticeFileOpened,
    NoticeQueued,
    NoticeRefused,
    PartnerNoticeFailed,
    PartnerNoticeQueued,
)
from schemas.reference import Directory
from schemas.referral import ReferralRegistered
from services.kit.door import Aggregate, Effect, Service
from services.kit.working_days import WorkingDays
from services.liaison.domain.context import Texts
from services.liaison.domain.follow_up import decide_acknowledgement, decide_overdue, decide_sent
from services.liaison.domain.partners import decide_partner_sent
from services.liaison.domain.routing import RULES
from services.liaison.domain.state import File, deadlines, evolve
from services.liaison.domain.telling import decide_registration, decide_told
from services.liaison.mail import Mailer, MailSettings
from services.liaison.store import LiaisonFile
from services.liaison.texts import Renderer

_ROUTES: Final[Mapping[type[Payload], Callable[..., Any]]] = {
    **{rule.event: decide_told for rule in RULES},
    ReferralRegistered: decide_registration,
    NoticeAcknowledgementSubmitted: decide_acknowledgement,
}


class Context:
    """The directory as told so far, the working days, and the texts of notices."""

    def __init__(self, working_days: WorkingDays, renderer: Renderer) -> None:
        self.directory = Directory()
        self.working_days = working_days
        self._renderer = renderer

    def learn(self, event: Event[Any]) -> None:
        """Take in one event of a directory topic."""
        self.directory.learn(event)

    def render(self, template: str, values: Mapping[str, object]) -> Texts:
        """The texts of a template, filled in."""
        return self._renderer.render(template, values)


def build() -> Service:
    """Liaison, with the mail server that the environment names (`KOUAN_SMTP_…`)."""
    mailer = Mailer(MailSettings())
    mail = Effect(
        name="mail",
        opened_by=NoticeQueued,
        closed_by=(NoticeDelivered, NoticeFailed),
        identify=lambda payload: payload.notice_id,
        perform=mailer.send,
        result=decide_sent,
    )
    partner_mail = Effect(
        name="partner_mail",
        opened_by=PartnerNoticeQueued,
        closed_by=(NoticeDelivered, PartnerNoticeFailed),
        identify=lambda payload: payload.notice_id,
        perform=mailer.send,
        result=decide_partner_sent,
    )
    file = Aggregate(
        name="file",
        keyed_by=("referral_id", "referral_id_or_zone", "referral_id_or_plan"),
        state=File,
        table=LiaisonFile,
        evolve=evolve,
        records=(
            NoticeFileOpened,
            NoticeQueued,
            NoticeDelivered,
            NoticeFailed,
            NoticeAcknowledged,
            NoticeEscalated,
            NoticeRefused,
            PartnerNoticeQueued,
            PartnerNoticeFailed,
        ),
        routes=_ROUTES,
        deadlines=deadlines,
        due=decide_overdue,
        effects=(mail, partner_mail),
    )
    return Service(
        name="liaison",
        aggregates=(file,),
        context=lambda: Context(WorkingDays(), Renderer()),
        migrations="services.liaison.migrations",
    )
