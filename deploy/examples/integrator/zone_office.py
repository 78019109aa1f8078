"""The system of a zone office: it refers enterprises from its own books, and hears what becomes of them.

It uses a Kafka client and JSON, and nothing of kouan's: so could a program in any language.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from kafka import KafkaConsumer, KafkaProducer

SOURCE = "//commerce/manzhouli"
REFERRALS = "commerce.referrals"
DECISIONS = "screening.events"


@dataclass(frozen=True)
class Application:
    """One line of the office's books: amounts in 10,000 yuan, as its forms have them.

    `consent` is the number of the paper by which the enterprise let the office share its data, `consented` its day.
    """

    number: str
    version: int
    received: datetime
    enterprise: str
    credit_code: str
    employees: int
    revenue: int
    purpose: str
    amount: Decimal
    months: int
    consent: str
    consented: date


def refer(applications: Iterable[Application], servers: str) -> None:
    """Publish the applications as referrals; returns when the broker has confirmed all of them."""
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    try:
        sent = [
            producer.send(
                REFERRALS,
                key=application.number.encode(),
                value=json.dumps(body_of(application), ensure_ascii=False).encode(),
                headers=[(name, text.encode()) for name, text in headers_of(application).items()],
            )
            for application in applications
        ]
        for one in sent:
            one.get(timeout=30)
    finally:
        producer.close()


def headers_of(application: Application) -> dict[str, str]:
    """The envelope. A line that is sent again keeps its id, a corrected one gets a new one."""
    return {
        "ce_specversion": "1.0",
        "ce_id": f"{application.number}/{application.version}",
        "ce_source": SOURCE,
        "ce_type": "referral.submitted.v1",
        "ce_time": application.received.isoformat(),
        "ce_subject": application.number,
        "content-type": "application/json",
    }


def body_of(application: Application) -> dict[str, object]:
    """The referral as the contract wants it: amounts in yuan, as text."""
    return {
        "referral": {
            "subject_kind": "enterprise",
            "name": application.enterprise,
            "enterprise": {
                "credit_code": application.credit_code,
                "name": application.enterprise,
                "size_class": "small",
                "ownership": "private",
                "industry": "manufacturing",
                "employees": application.employees,
                "revenue_10k_cny": application.revenue,
            },
            "zone": "manzhouli",
            "province": "15",
            "branch": "exim-nmg",
            "key_area": "border_trade_chain",
            "lane": "ordinary",
            "need": "equipment_purchase",
            "amount": {"amount": f"{application.amount * 10_000:.2f}", "currency": "CNY"},
            "term_months": application.months,
            "country": "RU",
            "purpose": application.purpose,
        },
        "consent": {
            "scopes": ["commerce", "bank"],
            "given_by": "legal_representative",
            "given_on": application.consented.isoformat(),
            "evidence": application.consent,
        },
    }


def shortlisted(servers: str) -> set[str]:
    """The numbers of all cases that were shortlisted so far."""
    consumer = KafkaConsumer(
        DECISIONS, bootstrap_servers=servers, auto_offset_reset="earliest", consumer_timeout_ms=1000
    )
    try:
        return {
            record.key.decode()
            for record in consumer
            if dict(record.headers)["ce_type"].startswith(b"screening.shortlisted.")
        }
    finally:
        consumer.close()
