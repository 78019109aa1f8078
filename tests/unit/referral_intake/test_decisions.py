"""Given what was recorded, when an input arrives, then intake answers so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.consent import ConsentGiven, ConsentRecorded, ConsentRevoked
from schemas.envelope import Payload
from schemas.faults import faults_of
from schemas.referral import (
    AmendmentSubmitted,
    DuplicateFound,
    DuplicateRule,
    Referral,
    ReferralAmended,
    ReferralRefused,
    ReferralRegistered,
    ReferralRejected,
    ReferralSubmitted,
    ReferralWithdrawn,
    WithdrawalCode,
    WithdrawalSubmitted,
)
from schemas.values import Side
from services.kit.door import Invalid, Malformed, Route, Service
from services.referral_intake.domain.case import Case, Status, claims_of, evolve
from services.referral_intake.domain.claims import claims_by, claims_wanted
from services.referral_intake.domain.decisions import TRANSITIONS
from services.referral_intake.service import build
from tests.unit.referral_intake.builders import (
    BANK,
    COMMERCE,
    DAY,
    directory,
    enterprise,
    folded,
    moment,
    money,
    project,
    referral,
    said,
)

SERVICE: Service = build()
ROUTES = SERVICE.aggregates[0].routes
RECORDS = SERVICE.aggregates[0].records
KNOWN = directory()


def when(case: Case | None, payload: Any, **said_how: Any) -> list[Payload]:
    route = ROUTES[type(payload)]
    decide = route.decide if isinstance(route, Route) else route
    return list(decide(case, said(payload, **said_how), KNOWN))  # type: ignore[arg-type]


def when_broken(case: Case | None, kind: type[Payload], body: Any, **said_how: Any) -> list[Payload]:
    route = ROUTES[kind]
    assert isinstance(route, Route)
    assert route.malformed is not None
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(body)
    event = said(Malformed(body, faults_of(caught.value)), **said_how)
    return list(route.malformed(case, event, KNOWN))  # type: ignore[arg-type]


def registered(body: Referral | None = None, source: str = COMMERCE) -> Case:
    case = folded(when(None, ReferralSubmitted(referral=body or referral()), source=source))
    assert case is not None
    assert case.status is Status.REGISTERED
    return case


def in_state(status: Status | None) -> Case | None:
    if status is None:
        return None
    if status is Status.REJECTED:
        return folded(when(None, ReferralSubmitted(referral=referral(zone="nowhere"))))
    if status is Status.DUPLICATE:
        claim = claims_by(referral())[0]
        return folded(when(None, ReferralSubmitted(referral=referral()), holders={claim: "MZL-2019-0009"}))
    if status is Status.WITHDRAWN:
        return folded(when(registered(), withdrawal()), registered())
    return registered()


def withdrawal() -> WithdrawalSubmitted:
    return WithdrawalSubmitted(code=WithdrawalCode.FINANCED_ELSEWHERE, reason="已获其他贷款。")


def amendment(**changes: Any) -> AmendmentSubmitted:
    return AmendmentSubmitted(referral=referral(**{"term_months": 9, **changes}), reason="期限调整。")


def consent(*scopes: str) -> ConsentGiven:
    return ConsentGiven.model_validate({"scopes": scopes, "given_on": "2020-04-01", "evidence": "SQ-1"})


def revocation(*scopes: str) -> ConsentRevoked:
    return ConsentRevoked.model_validate({"scopes": scopes, "revoked_on": "2020-05-06", "evidence": "CX-1"})


def refusal_code(outputs: list[Payload]) -> str:
    (refused,) = outputs
    assert isinstance(refused, ReferralRefused)
    return refused.code


def fault_places(outputs: list[Payload]) -> list[tuple[str, str]]:
    (rejected,) = outputs
    assert isinstance(rejected, ReferralRejected | ReferralRefused)
    return [(fault.code, fault.pointer) for fault in rejected.faults]


# --- submitted --------------------------------------------------------------------------------------------------------


def test_sound_referral_is_registered_with_all_that_later_services_need() -> None:
    body = referral()
    assert when(None, ReferralSubmitted(referral=body)) == [
        ReferralRegistered(
            referral=body,
            side=Side.COMMERCE,
            source=COMMERCE,
            registered_at=moment(DAY),
            directory_versions=("zone/manzhouli@2020-01-01", "branch/exim-nmg@2020-01-01"),
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
    (answer,) = when(None, ReferralSubmitted(referral=referral()), source=source)
    assert isinstance(answer, ReferralRegistered)
    assert (answer.side, answer.source) == (side, source)


def test_source_that_is_neither_side_is_a_dead_letter() -> None:
    with pytest.raises(Invalid):
        when(None, ReferralSubmitted(referral=referral()), source="//partner/frontier-guarantee")


def test_faults_of_all_rules_come_in_one_answer() -> None:
    body = referral(
        subject_kind="project",
        enterprise=enterprise(size_class="medium"),
        project=project(total_investment=money("1000000.00")),
        zone="dongxing",
        key_area="market_diversification",
        cooperation_mode="sme_on_lending",
    )
    outputs = when(None, ReferralSubmitted(referral=body), source="//commerce/21", subject="no such id")
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
    ],
)
def test_each_rule_names_its_fault_and_place(changes: dict[str, Any], fault: tuple[str, str]) -> None:
    assert fault in fault_places(
        when(None, ReferralSubmitted(referral=referral(**changes)), source="//commerce/mofcom")
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_kind": "zone_plan", "enterprise": None},
        {"subject_kind": "project", "project": project()},
        {"subject_kind": "project", "project": project(total_investment=money("10.00", "USD"))},
        {"need": "inbound_investment", "country": "RU"},
        {"key_area": "market_diversification", "need": "outbound_investment", "country": "RU"},
        {"enterprise": enterprise(employees=None)},
        {"enterprise": enterprise(industry="other", size_class="large")},
        {"cooperation_mode": "sme_on_lending"},
    ],
)
def test_what_no_rule_speaks_against_is_registered(changes: dict[str, Any]) -> None:
    (answer,) = when(None, ReferralSubmitted(referral=referral(**changes)))
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
    (answer,) = when(None, ReferralSubmitted(referral=referral(zone="erenhot_zamyn_uud")), time=time)
    assert isinstance(answer, ReferralRegistered) is accepted


def test_broken_body_is_answered_with_the_faults_of_schema_and_rules_together() -> None:
    body = json.loads(ReferralSubmitted(referral=referral()).model_dump_json(exclude_none=True))
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
    body = json.loads(ReferralSubmitted(referral=referral()).model_dump_json(exclude_none=True))
    body["referral"]["enterprise"] = "木业公司"
    assert fault_places(when_broken(None, ReferralSubmitted, body)) == [("wrong_type", "/referral/enterprise")]


@pytest.mark.parametrize("body", [[], 7, "text", None, {}, {"referral": []}, {"referral": None}])
def test_body_of_any_shape_is_answered(body: Any) -> None:
    assert fault_places(when_broken(None, ReferralSubmitted, body))


def test_broken_submission_does_not_touch_a_registered_case() -> None:
    assert refusal_code(when_broken(registered(), ReferralSubmitted, {})) == "id_in_use"
    assert refusal_code(when_broken(registered(), ReferralSubmitted, {}, source=BANK)) == "wrong_party"


def test_rejected_referral_may_be_corrected_under_the_same_id() -> None:
    (answer,) = when(in_state(Status.REJECTED), ReferralSubmitted(referral=referral()))
    assert isinstance(answer, ReferralRegistered)


def test_same_content_again_is_the_same_case_and_not_a_duplicate() -> None:
    body = referral(amount=money("5000000.0"))
    assert refusal_code(when(registered(), ReferralSubmitted(referral=body))) == "already_registered"


def test_other_content_under_the_same_id_is_refused() -> None:
    body = referral(term_months=24)
    assert refusal_code(when(registered(), ReferralSubmitted(referral=body))) == "id_in_use"


@pytest.mark.parametrize("status", list(Status))
def test_id_of_one_side_is_refused_to_the_other_in_every_state(status: Status) -> None:
    outputs = when(in_state(status), ReferralSubmitted(referral=referral()), source=BANK)
    assert refusal_code(outputs) == "wrong_party"


# --- duplicates -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (referral(), DuplicateRule.ENTERPRISE_NEED_ZONE),
        (referral(subject_kind="project", project=project()), DuplicateRule.SAME_PROJECT),
        (referral(subject_kind="zone_plan", enterprise=None), DuplicateRule.SAME_ZONE_PLAN),
    ],
)
def test_matter_that_an_open_case_holds_is_a_duplicate_of_it_by_a_named_rule(
    body: Referral, rule: DuplicateRule
) -> None:
    (claim,) = claims_wanted(said(ReferralSubmitted(referral=body)))
    outputs = when(None, ReferralSubmitted(referral=body), source=BANK, holders={claim: "MZL-2020-0042"})
    assert outputs == [
        DuplicateFound(duplicate_of="MZL-2020-0042", rule=rule, side=Side.BANK, source=BANK, found_at=moment(DAY))
    ]


def test_faults_are_told_before_a_duplicate_is_looked_for() -> None:
    body = referral(branch="exim-gx")
    outputs = when(None, ReferralSubmitted(referral=body), holders={claims_by(body)[0]: "MZL-2020-0042"})
    assert fault_places(outputs) == [("branch_not_of_province", "/referral/branch")]


def test_duplicate_may_be_submitted_again_once_the_matter_is_free() -> None:
    (answer,) = when(in_state(Status.DUPLICATE), ReferralSubmitted(referral=referral()))
    assert isinstance(answer, ReferralRegistered)


@pytest.mark.parametrize(
    "changes",
    [
        {"need": "equipment_purchase"},
        {"zone": "dongxing"},
        {"enterprise": enterprise(credit_code="91110108551385082Q")},
    ],
)
def test_other_need_zone_or_enterprise_is_another_matter(changes: dict[str, Any]) -> None:
    assert claims_by(referral(**changes)) != claims_by(referral())


def test_project_is_the_same_however_its_name_is_written() -> None:
    one = referral(subject_kind="project", project=project(name="Cold Store（二期）"))
    two = referral(subject_kind="project", project=project(name="ｃｏｌｄ store (二期)"))
    assert claims_by(one) == claims_by(two)


@pytest.mark.parametrize("status", [Status.REJECTED, Status.DUPLICATE, Status.WITHDRAWN])
def test_case_that_is_not_open_holds_no_claim(status: Status) -> None:
    case = in_state(status)
    assert case is not None
    assert claims_of(case) == ()


def test_open_case_holds_the_claims_that_its_submission_wanted() -> None:
    assert claims_of(registered()) == claims_wanted(said(ReferralSubmitted(referral=referral())))


def test_claims_stay_as_they_were_made_because_they_are_stored() -> None:
    assert claims_by(referral()) == ("enterprise_need_zone:385f18d2ca1c5e0aa9eab04524a7045f",)


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
    assert claims_of(case) == claims_by(body)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (AmendmentSubmitted(referral=referral(), reason="无。"), "nothing_changed"),
        (amendment(branch="exim-gx"), "faulty_amendment"),
        (amendment(enterprise=enterprise(credit_code="91110108551385082Q")), "other_subject"),
        (amendment(subject_kind="zone_plan"), "other_subject"),
    ],
)
def test_amendment_that_cannot_stand_is_refused(payload: AmendmentSubmitted, code: str) -> None:
    assert refusal_code(when(registered(), payload)) == code


def test_amendment_into_another_open_case_is_refused() -> None:
    payload = amendment(need="equipment_purchase")
    (claim,) = claims_wanted(said(payload))
    assert refusal_code(when(registered(), payload, holders={claim: "MZL-2020-0042"})) == "would_duplicate"


def test_claim_that_the_case_itself_holds_does_not_stop_its_amendment() -> None:
    (claim,) = claims_wanted(said(amendment()))
    (answer,) = when(registered(), amendment(), holders={claim: "MZL-2020-0001"})
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


# --- withdrawn, consent -----------------------------------------------------------------------------------------------


def test_referring_side_takes_its_referral_back() -> None:
    assert when(registered(), withdrawal()) == [
        ReferralWithdrawn(code=WithdrawalCode.FINANCED_ELSEWHERE, reason="已获其他贷款。", withdrawn_at=moment(DAY))
    ]


def test_consent_adds_up_and_goes_back() -> None:
    case: Case | None = registered()
    for payload in (consent("bank"), consent("partner", "commerce"), revocation("partner")):
        case = folded(when(case, payload), case)
    assert case is not None
    assert case.consent == ("commerce", "bank")


def test_consent_that_changes_nothing_is_refused() -> None:
    case = folded(when(registered(), consent("bank")), registered())
    assert refusal_code(when(case, consent("bank"))) == "consent_unchanged"
    assert refusal_code(when(case, revocation("partner"))) == "consent_unchanged"


# --- the table --------------------------------------------------------------------------------------------------------

INPUTS: dict[type[Payload], Payload] = {
    ReferralSubmitted: ReferralSubmitted(referral=referral(term_months=9)),
    AmendmentSubmitted: amendment(),
    WithdrawalSubmitted: withdrawal(),
    ConsentGiven: consent("bank"),
    ConsentRevoked: revocation("bank"),
}
EXPECTED: dict[tuple[type[Payload], Status | None], type[Payload] | str] = {
    (ReferralSubmitted, None): ReferralRegistered,
    (ReferralSubmitted, Status.REJECTED): ReferralRegistered,
    (ReferralSubmitted, Status.DUPLICATE): ReferralRegistered,
    (ReferralSubmitted, Status.REGISTERED): "id_in_use",
    (ReferralSubmitted, Status.WITHDRAWN): "withdrawn_before",
    (AmendmentSubmitted, None): "unknown_case",
    (AmendmentSubmitted, Status.REJECTED): "not_registered",
    (AmendmentSubmitted, Status.DUPLICATE): "not_registered",
    (AmendmentSubmitted, Status.REGISTERED): ReferralAmended,
    (AmendmentSubmitted, Status.WITHDRAWN): "withdrawn_before",
    (WithdrawalSubmitted, None): "unknown_case",
    (WithdrawalSubmitted, Status.REJECTED): "not_registered",
    (WithdrawalSubmitted, Status.DUPLICATE): "not_registered",
    (WithdrawalSubmitted, Status.REGISTERED): ReferralWithdrawn,
    (WithdrawalSubmitted, Status.WITHDRAWN): "withdrawn_before",
    (ConsentGiven, None): "unknown_case",
    (ConsentGiven, Status.REJECTED): "not_registered",
    (ConsentGiven, Status.DUPLICATE): "not_registered",
    (ConsentGiven, Status.REGISTERED): ConsentRecorded,
    (ConsentGiven, Status.WITHDRAWN): "withdrawn_before",
    (ConsentRevoked, None): "unknown_case",
    (ConsentRevoked, Status.REJECTED): "not_registered",
    (ConsentRevoked, Status.DUPLICATE): "not_registered",
    (ConsentRevoked, Status.REGISTERED): "consent_unchanged",
    (ConsentRevoked, Status.WITHDRAWN): "withdrawn_before",
}


def test_every_routed_input_has_a_line_in_the_table_for_every_state() -> None:
    assert set(TRANSITIONS) == set(ROUTES)
    assert all(set(states) == {None, *Status} for states in TRANSITIONS.values())


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize("kind", list(INPUTS))
def test_referring_side_is_answered_by_the_table(kind: type[Payload], status: Status | None) -> None:
    outputs = when(in_state(status), INPUTS[kind])
    expected = EXPECTED[kind, status]
    if isinstance(expected, str):
        assert refusal_code(outputs) == expected
        assert isinstance(outputs[0], ReferralRefused)
        assert outputs[0].refused_type == kind.TYPE
    else:
        assert [type(output) for output in outputs] == [expected]


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("kind", list(INPUTS))
def test_other_side_is_refused_whatever_the_state(kind: type[Payload], status: Status) -> None:
    assert refusal_code(when(in_state(status), INPUTS[kind], source=BANK)) == "wrong_party"


@pytest.mark.parametrize("status", list(Status))
def test_state_survives_being_stored_and_read_back(status: Status) -> None:
    case = in_state(status)
    assert TypeAdapter(Case).validate_json(orjson.dumps(case)) == case


def test_state_table_has_a_column_for_every_field_of_the_state() -> None:
    columns = set(SERVICE.aggregates[0].table.__table__.columns.keys())
    assert columns == {"key", "version", *Case.__dataclass_fields__}


@pytest.mark.parametrize("payload", [withdrawal(), amendment()])
def test_event_that_is_no_record_does_not_evolve(payload: Payload) -> None:
    with pytest.raises(TypeError):
        evolve(registered(), payload)


def test_case_cannot_begin_with_its_withdrawal() -> None:
    (withdrawn,) = when(registered(), withdrawal())
    with pytest.raises(TypeError):
        evolve(None, withdrawn)


def test_record_of_the_case_is_all_but_refusals() -> None:
    assert ReferralRefused not in RECORDS


def test_readme_shows_the_table_that_the_code_runs_from() -> None:
    lines = (Path(build.__code__.co_filename).parent / "README.md").read_text().splitlines()
    shown = {
        cells[0].strip("` "): tuple(cell.strip("` ") for cell in cells[1:])
        for cells in (line.strip("|").split("|") for line in lines if line.startswith("| `referral."))
    }
    states = (None, Status.REJECTED, Status.DUPLICATE, Status.REGISTERED, Status.WITHDRAWN)
    assert shown == {
        kind.TYPE: tuple(refusal.code if (refusal := row[state]) else "decided" for state in states)
        for kind, row in TRANSITIONS.items()
    }
