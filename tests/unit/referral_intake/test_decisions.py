"""Given what was recorded, when a side submits or amends, then intake answers so."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from schemas.consent import ConsentRecorded
from schemas.document import DOCUMENT_EXAMPLE
from schemas.referral import (
    AmendmentSubmitted,
    ReferralAmended,
    ReferralRefused,
    ReferralRegistered,
    ReferralRejected,
    ReferralSubmitted,
)
from schemas.referral_course import ReferralRepeated
from schemas.values import Side
from services.kit.door import Invalid
from services.referral_intake.domain.case import Status, claims_of
from tests.unit.referral_intake.builders import (
    BANK,
    COMMERCE,
    DAY,
    consented,
    enterprise,
    folded,
    moment,
    money,
    project,
    referral,
    submitted,
)
from tests.unit.referral_intake.desk import (
    OTHER,
    amendment,
    exact_claims,
    fault_places,
    in_state,
    near_claim,
    refusal_code,
    registered,
    when,
    when_broken,
)

CHAIN = {"chain_id": "MZL-TIMBER-1", "role": "upstream", "key_link": True}


def document(**changes: Any) -> dict[str, Any]:
    return {**DOCUMENT_EXAMPLE, **changes}


# --- submitted --------------------------------------------------------------------------------------------------------


def test_sound_referral_is_registered_with_all_that_later_services_need() -> None:
    body = referral()
    assert when(None, submitted(body)) == [
        ReferralRegistered(
            referral=body,
            side=Side.COMMERCE,
            source=COMMERCE,
            registered_at=moment(DAY),
            directory_versions=("zone/manzhouli@2020-01-01", "branch/exim-nmg@2020-01-01"),
            consent_scopes=("commerce", "bank"),
            consent=consented(),
            claims=(*exact_claims(body), near_claim("same_name", body)),
        )
    ]


@pytest.mark.parametrize(
    ("source", "side"),
    [
        ("//commerce/15", Side.COMMERCE),
        ("//commerce/manzhouli", Side.COMMERCE),
        ("//commerce/mofcom", Side.COMMERCE),
        ("//bank/exim-nmg", Side.BANK),
        ("//bank/exim", Side.BANK),
    ],
)
def test_either_side_may_refer_from_province_zone_branch_or_headquarters(source: str, side: Side) -> None:
    (answer,) = when(None, submitted(), source=source)
    assert isinstance(answer, ReferralRegistered)
    assert (answer.side, answer.source) == (side, source)


def test_source_that_is_neither_side_is_a_dead_letter() -> None:
    with pytest.raises(Invalid):
        when(None, submitted(), source="//partner/frontier-guarantee")


def test_faults_of_all_rules_come_in_one_answer() -> None:
    body = referral(
        subject_kind="project",
        enterprise=enterprise(size_class="medium"),
        project=project(total_investment=money("1000000.00")),
        zone="dongxing",
        key_area="market_diversification",
        cooperation_mode="sme_on_lending",
    )
    outputs = when(None, submitted(body), source="//commerce/21", subject="no such id")
    assert fault_places(outputs) == [
        ("referral_id_form", ""),
        ("source_not_concerned", ""),
        ("province_not_of_zone", "/referral/province"),
        ("branch_not_of_province", "/referral/branch"),
        ("size_class_contradicted", "/referral/enterprise/size_class"),
        ("mode_not_for_size", "/referral/cooperation_mode"),
        ("country_missing", "/referral/country"),
        ("goods_missing", "/referral/goods"),
        ("amount_above_investment", "/referral/amount/amount"),
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"zone": "nowhere", "province": "15"}, ("zone_unknown", "/referral/zone")),
        ({"branch": "exim-mars"}, ("branch_unknown", "/referral/branch")),
        ({"branch": "exim-gx"}, ("branch_not_of_province", "/referral/branch")),
        ({"province": "21"}, ("province_not_of_zone", "/referral/province")),
        ({"enterprise": None}, ("enterprise_missing", "/referral/enterprise")),
        ({"subject_kind": "project"}, ("project_missing", "/referral/project")),
        ({"project": project()}, ("project_unexpected", "/referral/project")),
        ({"need": "outbound_investment"}, ("country_missing", "/referral/country")),
        ({"need": "outbound_investment", "country": "CN"}, ("country_not_foreign", "/referral/country")),
        ({"need": "farm_produce_import", "country": "RU"}, ("goods_missing", "/referral/goods")),
        ({"subject_kind": "zone_plan", "enterprise": None}, ("zone_plan_missing", "/referral/zone_plan")),
        ({"zone_plan": "MZL-PLAN-2020"}, ("zone_plan_unexpected", "/referral/zone_plan")),
        ({"subject_kind": "zone_plan", "chain": CHAIN}, ("chain_unexpected", "/referral/chain")),
        ({"repairs": "MZL-2020-0001"}, ("repairs_itself", "/referral/repairs")),
        ({"need": "outbound_investment"}, ("direction_missing", "/referral/direction")),
        ({"direction": "ordinary"}, ("direction_unexpected", "/referral/direction")),
        (
            {"need": "outbound_investment", "direction": "prohibited"},
            ("direction_not_permitted", "/referral/direction"),
        ),
        (
            {"need": "outbound_investment", "direction": "restricted"},
            ("outbound_approval_missing", "/referral/outbound_approval"),
        ),
        ({"term_months": 37}, ("term_implausible", "/referral/term_months")),
        ({"amount": money("9999.99")}, ("amount_implausible", "/referral/amount/amount")),
        ({"amount": money("3000000000.00", "USD")}, ("amount_implausible", "/referral/amount/amount")),
        ({"amount": money("420000000.01")}, ("amount_above_revenue", "/referral/amount/amount")),
        ({"amount": money("60000001.00", "USD")}, ("amount_above_revenue", "/referral/amount/amount")),
        ({"documents": [document(), document(uri="urn:mzl:2")]}, ("document_repeated", "/referral/documents/1")),
        (
            {"documents": [document(media_type="application/zip")]},
            ("document_type_unsupported", "/referral/documents/0/media_type"),
        ),
        (
            {"documents": [document(size_bytes=209715201)]},
            ("document_too_large", "/referral/documents/0/size_bytes"),
        ),
    ],
)
def test_each_rule_names_its_fault_and_place(changes: dict[str, Any], fault: tuple[str, str]) -> None:
    assert fault in fault_places(when(None, submitted(referral(**changes)), source="//commerce/mofcom"))


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_kind": "zone_plan", "enterprise": None, "zone_plan": "MZL-PLAN-2020"},
        {"subject_kind": "project", "project": project(), "zone_plan": "MZL-PLAN-2020"},
        {"subject_kind": "project", "project": project()},
        {"subject_kind": "project", "project": project(total_investment=money("10.00", "USD"))},
        {"need": "inbound_investment", "country": "RU"},
        {"key_area": "market_diversification", "need": "outbound_investment", "country": "RU", "direction": "ordinary"},
        {"enterprise": enterprise(employees=None)},
        {"enterprise": enterprise(industry="other", size_class="large")},
        {"cooperation_mode": "sme_on_lending"},
        {"amount": money("420000000.00"), "term_months": 36},
        {"need": "equipment_purchase", "term_months": 37},
        {"need": "outbound_investment", "country": "RU", "direction": "restricted", "outbound_approval": "N15-2020-1"},
        {"documents": [document(), document(uri="urn:mzl:2", sha256="0" * 64)]},
        {"chain": CHAIN, "site": "互贸区 18 号", "repairs": "MZL-2019-0001"},
    ],
)
def test_what_no_rule_speaks_against_is_registered(changes: dict[str, Any]) -> None:
    (answer,) = when(None, submitted(referral(**changes)))
    assert isinstance(answer, ReferralRegistered), answer


@pytest.mark.parametrize(
    ("time", "accepted"),
    [
        ("2024-03-18T23:59:59+08:00", False),
        ("2024-03-18T15:59:59+00:00", False),
        ("2024-03-18T16:00:00+00:00", True),
        ("2024-03-19T00:00:00+08:00", True),
    ],
)
def test_zone_counts_from_the_day_in_china_on_which_it_began(time: str, accepted: bool) -> None:
    (answer,) = when(None, submitted(referral(zone="erenhot_zamyn_uud")), time=time)
    assert isinstance(answer, ReferralRegistered) is accepted


def test_broken_body_is_answered_with_the_faults_of_schema_and_rules_together() -> None:
    body = json.loads(submitted().model_dump_json(exclude_none=True))
    body["referral"]["term_months"] = "twelve"
    body["referral"]["enterprise"]["credit_code"] = "?"
    body["referral"]["enterprise"]["size_class"] = "large"
    body["referral"]["zone"] = "nowhere"
    del body["referral"]["need"]
    outputs = when_broken(None, ReferralSubmitted, body)
    assert fault_places(outputs) == [
        ("credit_code_form", "/referral/enterprise/credit_code"),
        ("missing", "/referral/need"),
        ("wrong_type", "/referral/term_months"),
        ("zone_unknown", "/referral/zone"),
        ("size_class_contradicted", "/referral/enterprise/size_class"),
    ]
    assert isinstance(outputs[0], ReferralRejected)
    assert (outputs[0].side, outputs[0].source) == (Side.COMMERCE, COMMERCE)


def test_field_that_the_schema_complains_about_is_not_complained_about_twice() -> None:
    body = json.loads(submitted().model_dump_json(exclude_none=True))
    body["referral"]["enterprise"] = "木业公司"
    assert fault_places(when_broken(None, ReferralSubmitted, body)) == [("wrong_type", "/referral/enterprise")]


@pytest.mark.parametrize("body", [[], 7, "text", None, {}, {"referral": []}, {"referral": None}])
def test_body_of_any_shape_is_answered(body: Any) -> None:
    assert fault_places(when_broken(None, ReferralSubmitted, body))


def test_consent_of_a_later_day_is_a_fault_beside_the_others() -> None:
    later = consented().model_copy(update={"given_on": date(2020, 4, 2)})
    assert fault_places(when(None, submitted(referral(branch="exim-gx"), later))) == [
        ("branch_not_of_province", "/referral/branch"),
        ("consent_in_future", "/consent/given_on"),
    ]


@pytest.mark.parametrize(
    ("changes", "claimed_only"),
    [({}, False), ({"industry": "other"}, True), ({"employees": None}, True), ({"revenue_10k_cny": None}, True)],
)
def test_size_class_that_figures_cannot_tell_is_marked_and_not_guessed(
    changes: dict[str, Any], claimed_only: bool
) -> None:
    (answer,) = when(None, submitted(referral(enterprise=enterprise(**changes))))
    assert isinstance(answer, ReferralRegistered)
    assert answer.not_classifiable is claimed_only


def test_broken_body_is_still_asked_what_the_new_rules_ask() -> None:
    body = json.loads(submitted().model_dump_json(exclude_none=True))
    body["referral"] |= {"term_months": 48, "lane": "urgent", "documents": [document(media_type="application/zip")]}
    body["consent"] |= {"given_on": "2020-04-02", "given_by": "nobody"}
    assert fault_places(when_broken(None, ReferralSubmitted, body)) == [
        ("unknown_code", "/referral/lane"),
        ("unknown_code", "/consent/given_by"),
        ("term_implausible", "/referral/term_months"),
        ("document_type_unsupported", "/referral/documents/0/media_type"),
        ("consent_in_future", "/consent/given_on"),
    ]


def test_broken_submission_does_not_touch_a_registered_case() -> None:
    assert refusal_code(when_broken(registered(), ReferralSubmitted, {})) == "id_in_use"
    assert refusal_code(when_broken(registered(), ReferralSubmitted, {}, source=BANK)) == "wrong_party"


def test_rejected_referral_may_be_corrected_under_the_same_id() -> None:
    (answer,) = when(in_state(Status.REJECTED), submitted())
    assert isinstance(answer, ReferralRegistered)


def test_same_content_again_is_the_same_case_and_neither_a_duplicate_nor_refused() -> None:
    body = referral(amount=money("5000000.0"))
    own = dict.fromkeys(exact_claims(body), "MZL-2020-0001")
    assert when(registered(), submitted(body), holders=own) == [
        ReferralRepeated(status="registered", revision=1, repeated_at=moment(DAY))
    ]


def test_same_content_with_wider_consent_records_the_consent() -> None:
    (recorded,) = when(registered(), submitted(consent=consented("partner")))
    assert isinstance(recorded, ConsentRecorded)
    assert recorded.scopes == ("commerce", "bank", "partner")


def test_other_content_under_the_same_id_is_refused() -> None:
    body = referral(term_months=24)
    assert refusal_code(when(registered(), submitted(body))) == "id_in_use"


def test_a_refusal_says_whose_event_it_was() -> None:
    (refused,) = when(registered(), submitted(), source=BANK)
    assert isinstance(refused, ReferralRefused)
    assert refused.source == BANK
    assert refused.refused_id is not None


@pytest.mark.parametrize("status", list(Status))
def test_id_of_one_side_is_refused_to_the_other_in_every_state(status: Status) -> None:
    outputs = when(in_state(status), submitted(), source=BANK)
    assert refusal_code(outputs) == "wrong_party"


# --- amended ----------------------------------------------------------------------------------------------------------


def test_amendment_gives_a_new_version_and_says_what_changed() -> None:
    body = referral(term_months=9, amount=money("3500000.00"), goods="锯材")
    (answer,) = when(registered(), AmendmentSubmitted(referral=body, reason="货款收回。"))
    assert isinstance(answer, ReferralAmended)
    assert (answer.revision, answer.referral, answer.reason) == (2, body, "货款收回。")
    assert set(answer.changed) == {"/amount/amount", "/term_months", "/goods"}


def test_second_amendment_counts_on() -> None:
    case = folded(when(registered(), amendment()), registered())
    (answer,) = when(case, amendment(term_months=6))
    assert isinstance(answer, ReferralAmended)
    assert (answer.revision, answer.changed) == (3, ("/term_months",))


def test_amendment_to_another_matter_moves_the_claim() -> None:
    body = referral(need="equipment_purchase")
    case = folded(when(registered(), AmendmentSubmitted(referral=body, reason="用途调整。")), registered())
    assert case is not None
    assert claims_of(case) == (*exact_claims(body), near_claim("same_name", body))


def test_amendment_within_the_same_matter_keeps_the_claims_of_the_registration() -> None:
    case = registered()
    later = folded(when(case, amendment(), time="2020-06-20T09:30:00+08:00"), case)
    assert later is not None
    assert claims_of(later) == claims_of(case)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (AmendmentSubmitted(referral=referral(), reason="无。"), "nothing_changed"),
        (amendment(branch="exim-gx"), "faulty_amendment"),
        (amendment(enterprise=enterprise(credit_code="91110108551385082Q")), "other_subject"),
        (amendment(subject_kind="zone_plan", zone_plan="MZL-PLAN-2020"), "other_subject"),
    ],
)
def test_amendment_that_cannot_stand_is_refused(payload: AmendmentSubmitted, code: str) -> None:
    assert refusal_code(when(registered(), payload)) == code


def test_amendment_into_another_open_case_is_refused() -> None:
    payload = amendment(need="equipment_purchase")
    held = {exact_claims(payload.referral)[-1]: OTHER}
    assert refusal_code(when(registered(), payload, holders=held)) == "would_duplicate"


def test_claim_that_the_case_itself_holds_does_not_stop_its_amendment() -> None:
    own = dict.fromkeys(exact_claims(), "MZL-2020-0001")
    (answer,) = when(registered(), amendment(), holders=own)
    assert isinstance(answer, ReferralAmended)


def test_broken_amendment_is_refused_with_all_its_faults() -> None:
    body = json.loads(amendment(branch="exim-gx").model_dump_json(exclude_none=True))
    body["referral"]["term_months"] = 0
    outputs = when_broken(registered(), AmendmentSubmitted, body)
    assert refusal_code(outputs) == "faulty_amendment"
    assert fault_places(outputs) == [
        ("too_small", "/referral/term_months"),
        ("branch_not_of_province", "/referral/branch"),
    ]
    assert refusal_code(when_broken(None, AmendmentSubmitted, body)) == "unknown_case"
