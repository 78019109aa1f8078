"""Liaison as a worker on a real broker and mail server: a partner's invitation, one that is refused, and a rebuild."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.loading import load_contracts
from schemas.partner import CooperationPartnerInvited
from schemas.referral import ReferralRegistered
from services.cli import app
from services.cli.case import read_steps
from services.embedded.processes import worker, worker_environment
from services.embedded.smtp import SmtpProcess, read_mails
from services.kit.rebuild import rebuild
from services.kit.settings import Settings
from services.registry import build
from tests.support.brokers import unique
from tests.support.events import put
from tests.support.system import wait_until
from tests.unit.liaison.builders import BRANCH_PERSON, PARTNER, ZONE_PERSON, event, payload, told
from topics.definition import load_catalogue

pytestmark = pytest.mark.broker

WITHIN_S = 60.0
SECRET = "某某保密名称有限公司"
# Of a province that no other test has, so that nobody else invites them.
REACHED = PARTNER.model_copy(update={"code": "mailed-guarantee", "provinces": ("99",)})
REFUSED = REACHED.model_copy(update={"code": "gone-surety", "email": "gone@surety.example"})
PERSONS = (ZONE_PERSON, BRANCH_PERSON)


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[SmtpProcess]:
    """A mail server that knows one of the two partners no more."""
    with SmtpProcess(tmp_path / "mails.jsonl", rejected=["gone@surety.example"]) as server:
        yield server


def test_a_partner_gets_its_invitation_the_branch_hears_of_one_that_does_not_arrive_and_both_can_be_rebuilt(
    kafka: str, mails: SmtpProcess, tmp_path: Path
) -> None:
    load_contracts()
    assert CliRunner().invoke(app, ["topics", "apply", "-b", kafka]).exit_code == 0
    case = unique("CASE")
    body = payload(ReferralRegistered)
    named = body.model_copy(update={"referral": body.referral.model_copy(update={"name": SECRET})})
    invitations = [
        event(payload(CooperationPartnerInvited, partner=code), id=unique("e"), source="//kouan/cooperation", key=case)
        for code in (REACHED.code, REFUSED.code)
    ]
    # The invitations may be read before the case that they are about.
    put(kafka, *(told(entry, id=unique("d")) for entry in (*PERSONS, REACHED, REFUSED)), *invitations)
    put(kafka, event(named, id=unique("e"), source="//kouan/referral_intake", key=case))

    def said() -> list[str]:
        steps = read_steps(case, load_catalogue(), kafka)
        return sorted(step.type for step in steps if step.topic == "liaison.events")

    environment = worker_environment(kafka, tmp_path / "data", smtp_port=mails.port, log_level="WARNING")
    with worker("liaison", environment, tmp_path / "logs") as running:
        running.wait_ready()
        wait_until(lambda: "notice.partner_failed.v1" in said(), WITHIN_S, "the refused mail is on record")
        wait_until(
            lambda: said().count("notice.delivered.v1") == said().count("notice.queued.v1") + 1, WITHIN_S, "sent"
        )
    assert said().count("notice.partner_queued.v1") == 2

    ours = [mail for mail in read_mails(tmp_path / "mails.jsonl") if mail.to == ["desk@guarantee.example"]]
    (invitation,) = [mail for mail in ours if case in mail.subject]
    assert SECRET not in invitation.text + invitation.subject
    told_instead = [
        mail
        for mail in read_mails(tmp_path / "mails.jsonl")
        if mail.to == ["branch-person@liaison.example"] and "Partner not reached" in mail.subject
    ]
    assert len(told_instead) == 1

    report = asyncio.run(
        rebuild(build("liaison"), Settings(bootstrap_servers=kafka, data_dir=tmp_path / "data"), load_catalogue())
    )
    assert report.differences.total == 0, report.differences
