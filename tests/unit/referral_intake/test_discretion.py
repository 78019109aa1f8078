"""What one side may read of the other's referral, on whatever topic, before the enterprise has agreed to that."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.envelope import Payload
from schemas.faults import Fault
from schemas.referral import Referral, ReferralRegistered, ReferralRejected, ReferralSubmitted
from services.referral_intake.domain.case import Case
from tests.unit.referral_intake.builders import consented, enterprise, folded, project, referral, submitted
from tests.unit.referral_intake.desk import (
    OTHER,
    consent,
    exact_claims,
    near_claim,
    revocation,
    when,
    when_broken,
    when_due,
    withdrawal,
)
from topics.acl import rights, user_of_source
from topics.definition import load_catalogue

NAME, CODE, SITE, PURPOSE = "满洲里示例木业有限公司", "91330100799655058B", "互贸区华埠大街 18 号", "采购进口原木。"
TOLD = (NAME, CODE, SITE, PURPOSE, "精深加工二期", "4200", "5000000")
"""What is known of the enterprise by its referral alone."""

BODY = referral(site=SITE)
TOO_MUCH = referral(site=SITE, enterprise=enterprise(revenue_10k_cny=4200, size_class="micro"))
PROJECT = referral(site=SITE, subject_kind="project", project=project())


def readable_by(user: str) -> set[str]:
    """The topics that the catalogue's access rights let a user read."""
    return {one.name for one in rights(load_catalogue()) if (one.user, one.operation) == (user, "Read")}


def read(outputs: list[Payload], sources: tuple[str, ...] = ("//bank/", "//bank/exim")) -> str:
    """All that the other side may read of what intake wrote."""
    topics = set[str]().union(*(readable_by(user_of_source(source)) for source in sources))
    catalogue = load_catalogue()
    return "\n".join(
        one.model_dump_json(exclude_none=True)
        for one in outputs
        if catalogue.topic_for("referral_intake", one.TYPE).name in topics
    )


def story(*inputs: Any, case: Case | None = None, **said_how: Any) -> list[Payload]:
    """What intake writes in the course of some inputs."""
    written = list[Payload]()
    for payload in inputs:
        written += when(case, payload, **said_how)
        case = folded(written)
    return written


def test_the_other_side_may_read_what_becomes_of_referrals_but_neither_what_is_kept_nor_dead_letters() -> None:
    for source in ("//bank/exim", "//commerce/mofcom"):
        assert "referral.events" in readable_by(user_of_source(source))
    for source in ("//bank/exim", "//bank/", "//commerce/mofcom", "//commerce/"):
        assert not {"referral.kept", "referral_intake.dead-letters"} & readable_by(user_of_source(source))


@pytest.mark.parametrize("scopes", [(), ("commerce",), ("bank",)])
@pytest.mark.parametrize("body", [BODY, PROJECT])
@pytest.mark.parametrize(
    "later",
    [
        (),
        (withdrawal(),),
        (consent("partner"), revocation("partner")),
        (submitted(referral(site=SITE, term_months=9), consent=None),),
        (submitted(TOO_MUCH, consent=None),),
    ],
)
def test_nothing_of_the_enterprise_is_to_be_read_before_it_consented(
    scopes: tuple[str, ...], body: Referral, later: tuple[Any, ...]
) -> None:
    first = submitted(body, consented(*scopes) if scopes else None)
    own = dict.fromkeys(exact_claims(body), "MZL-2020-0001")
    written = story(first, *later, holders={**own, near_claim("same_site", body): OTHER})
    assert '"missing"' in read(written)
    assert [word for word in (*TOLD, OTHER) if word in read(written)] == []


def test_all_of_it_is_to_be_read_once_the_enterprise_has_consented() -> None:
    written = story(submitted(BODY, consent=None), consent("commerce", "bank"))
    assert isinstance(written[-1], ReferralRegistered)
    assert [word for word in (NAME, CODE, SITE, PURPOSE, "4200", "5000000") if word not in read(written)] == []


def test_a_referral_that_lacked_consent_to_the_end_is_turned_back_without_its_content() -> None:
    written = story(submitted(BODY, consent=None))
    case = folded(written)
    assert case is not None
    assert [word for word in TOLD if word in read([*written, *when_due(case)])] == []


# --- faults -----------------------------------------------------------------------------------------------------------

WRONG = "91330100799655058C"


def broken(**changes: Any) -> dict[str, Any]:
    """A submission as JSON, with something in it that breaks its schema."""
    body = BODY.model_dump(mode="json", exclude_none=True)
    body["enterprise"] |= changes.pop("enterprise", {})
    return {"referral": body | changes}


def test_rules_quote_what_was_written_only_with_consent() -> None:
    wrong_zone = referral(zone="nowhere")
    (silent,), (loud,) = (faults(when(None, submitted(wrong_zone, given))) for given in (None, consented()))
    assert (silent.code, silent.pointer) == (loud.code, loud.pointer)
    assert "nowhere" in loud.en
    assert silent.en == loud.en.replace("nowhere", "…")
    assert silent.zh == loud.zh.replace("nowhere", "…")


@pytest.mark.parametrize(
    ("body", "written"),
    [
        (broken(enterprise={"credit_code": WRONG}), WRONG),
        (broken(zone=NAME), NAME),
        (broken(amount={"amount": "5000000.00", "currency": NAME * 30}), NAME),
        (broken(zone="nowhere_near", term_months="a dozen"), "nowhere_near"),
        (broken(amount={"amount": "5,000,000", "currency": "CNY"}), "5,000,000"),
    ],
)
def test_complaints_of_the_schema_quote_what_was_written_only_with_consent(body: dict[str, Any], written: str) -> None:
    consent_given = {"consent": consented().model_dump(mode="json")}
    silent, loud = (when_broken(None, ReferralSubmitted, one) for one in (body, body | consent_given))
    assert [fault.pointer for fault in faults(silent)] == [fault.pointer for fault in faults(loud)]
    assert written in read(loud)
    assert written not in read(silent)


def faults(outputs: list[Payload]) -> tuple[Fault, ...]:
    """The faults in the only answer."""
    (rejected,) = outputs
    assert isinstance(rejected, ReferralRejected)
    return rejected.faults
