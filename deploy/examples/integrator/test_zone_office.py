"""The zone office tests its own system against kouan's contracts, on a real broker, in its own CI."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest
from zone_office import REFERRALS, SOURCE, Application, refer, shortlisted

from schemas.screening import ScreeningShortlisted

SAWMILL = Application(
    number="MZL-2026-0117",
    version=1,
    received=datetime.fromisoformat("2026-03-02T09:30:00+08:00"),
    enterprise="满洲里示例木业有限公司",
    credit_code="91150781MA0N0A1B2Q",
    employees=126,
    revenue=4200,
    purpose="购置锯材加工设备，促进进口木材落地加工。",
    amount=Decimal("500"),
    months=36,
    consent="MZL-SQ-2026-0042",
    consented=date(2026, 2, 27),
)


def test_what_we_publish_keeps_to_the_contract(kouan_broker, kouan_check):
    refer([SAWMILL, replace(SAWMILL, number="MZL-2026-0118")], kouan_broker)

    events = kouan_check(REFERRALS)

    assert {(event.source, event.subject) for event in events} == {
        (SOURCE, "MZL-2026-0117"),
        (SOURCE, "MZL-2026-0118"),
    }
    assert events[0].data.referral.amount.amount == Decimal(5_000_000)


def test_every_mistake_in_our_books_is_told_with_its_place(kouan_broker, kouan_check):
    wrong = replace(SAWMILL, number="MZL-2026-0119", credit_code="91150781MA0N0A1B2X", months=0, amount=Decimal(-1))
    refer([wrong], kouan_broker)

    with pytest.raises(AssertionError) as refused:
        kouan_check(REFERRALS)

    places = {finding.fault.pointer for finding in refused.value.findings}
    assert places == {
        "/data/referral/enterprise/credit_code",
        "/data/referral/term_months",
        "/data/referral/amount/amount",
    }


def test_our_referral_is_registered_once_however_often_we_send_it(kouan_broker, kouan_services, kouan_read, eventually):
    mill = replace(
        SAWMILL, number="MZL-2026-0201", credit_code="91150781MA0N0A1C3W", enterprise="满洲里示例面粉有限公司"
    )
    kouan_services("referral_intake")

    refer([mill, mill, replace(mill, version=2)], kouan_broker)

    eventually(lambda: kouan_read("referral.events", subject=mill.number, type="referral.repeated.v1"))
    answers = kouan_read("referral.events", subject=mill.number)
    assert [answer.type for answer in answers] == ["referral.registered.v1", "referral.repeated.v1"]
    assert answers[0].data.referral.name == mill.enterprise
    assert answers[1].data.status == "registered"


def test_we_hear_that_a_case_of_ours_was_shortlisted(kouan_broker, kouan_publish, eventually):
    decision = ScreeningShortlisted(
        referral_id=SAWMILL.number,
        lane="ordinary",
        revision=1,
        score=45,
        key_areas=("border_trade_chain",),
        policy_version="2020-03-23",
        decided_at=SAWMILL.received,
    )

    kouan_publish(decision, source="//kouan/screening", subject=SAWMILL.number)

    eventually(lambda: SAWMILL.number in shortlisted(kouan_broker))
