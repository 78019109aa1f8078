"""Who is told what: given a directory and a registered case, when something happens, then these persons hear of it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from schemas.advice import AdviceAnswered, AdviceEscalated, AdviceFurtherRouted, AdviceReminded, AdviceRouted
from schemas.bulletin import BulletinMatched
from schemas.chain import ScreeningChainRaised
from schemas.consortium import ConsortiumComplete, ConsortiumShort, CooperationConsentMissing, CooperationModeProposed
from schemas.deliberation import (
    ScreeningConferenceCalled,
    ScreeningEscalated,
    ScreeningExtended,
    ScreeningOpinionDrafted,
    ScreeningOpinionReturned,
    ScreeningPrecedentWeighed,
    ScreeningReminded,
)
from schemas.directory import AbsenceEntered, PersonRole
from schemas.envelope import Payload
from schemas.liaison import FailureCode, NoticeAcknowledged, NoticeFileOpened, NoticeQueued
from schemas.loan import LoanOverdue, LoanRefused, LoanWrittenOff
from schemas.matchmaking import MatchTakenUp, MatchTurnedDown, WishClosed, WishMatched, WishUnmatched
from schemas.plan import PlanLateMarked, PlanPartRecorded, PlanPartReplaced, PlanSignedOff
from schemas.referral import DuplicateFound, ReferralRefused, ReferralRejected, ReferralWithdrawn
from schemas.referral_course import ConsentAwaited, ReferralClosed
from schemas.resemblance import ResemblanceFlagged
from schemas.risk import RiskLimitBreached, RiskRefused, RiskWarningCleared, RiskWarningRaised
from schemas.screening import ScreeningExpired, ScreeningOpened, ScreeningRefused, ScreeningShortlisted
from schemas.values import Lane, Side
from schemas.work_plan import WorkPlanActionLate, WorkPlanOpened
from services.kit.door import Early
from services.liaison.domain.routing import RULES
from tests.unit.liaison.builders import (
    BANK_HQ,
    BRANCH_PERSON,
    CASE,
    COMMERCE_HQ,
    EVERYBODY,
    ROUTES,
    ZONE_PERSON,
    Desk,
    branch,
    event,
    failures,
    notices,
    payload,
    person,
    recipients,
    registered,
    without,
)

GROUND = ["branch-person", "zone-person"]
HEADQUARTERS = ["hq-bank", "hq-commerce"]


def desk_with_case(**changes: Any) -> Desk:
    desk = Desk()
    desk.hear(registered(**changes))
    return desk


def test_registration_opens_the_file_and_tells_zone_and_branch() -> None:
    desk = Desk()
    said = desk.hear(registered())
    assert isinstance(said[0], NoticeFileOpened)
    assert recipients(said) == GROUND
    assert desk.state is not None
    assert desk.state.facts is not None
    assert (desk.state.facts.zone, desk.state.facts.branch) == ("manzhouli", "exim-nmg")


def test_a_notice_names_the_case_the_zone_in_both_languages_and_the_amount_with_currency() -> None:
    notice = notices(Desk().hear(registered()))[0]
    lines = {fact.label_en: (fact.value_zh, fact.value_en) for fact in notice.facts}
    assert notice.subject_zh == "案件登记：满洲里示例木业有限公司"
    assert notice.subject_en == "Case registered: 满洲里示例木业有限公司"
    assert lines["Zone"] == ("manzhouli合作区", "manzhouli zone")
    assert lines["Amount"] == ("人民币 5,000,000.00 元", "CNY 5,000,000.00")
    assert lines["Case"] == (CASE, CASE)


def test_a_notice_cites_the_directory_version_that_named_its_recipient() -> None:
    moved = person(
        "zone-person", Side.COMMERCE, PersonRole.ZONE, "manzhouli", valid_from=date(2020, 4, 1), email="new@x.cn"
    )
    desk = Desk([*EVERYBODY, moved])
    notice = next(one for one in notices(desk.hear(registered())) if one.person_id == "zone-person")
    assert (notice.email, notice.person_entry) == ("new@x.cn", "person/zone-person@2020-04-01")


def test_the_same_event_gives_the_same_notice_ids_again_and_another_event_others() -> None:
    first, again = notices(Desk().hear(registered())), notices(Desk().hear(registered()))
    assert [one.notice_id for one in first] == [one.notice_id for one in again]
    desk = desk_with_case()
    other = notices(desk.hear(event(payload(ReferralWithdrawn))))
    assert not {one.notice_id for one in first} & {one.notice_id for one in other}


@pytest.mark.parametrize(
    ("lane", "day"), [(Lane.ORDINARY, "2020-04-03T23:59:59+08:00"), (Lane.RESUMPTION, "2020-04-02T23:59:59+08:00")]
)
def test_the_time_for_acknowledging_depends_on_the_lane(lane: Lane, day: str) -> None:
    said = notices(Desk().hear(registered(lane=lane)))
    assert {one.acknowledge_by for one in said} == {datetime.fromisoformat(day)}
    assert not any(one.provisional for one in said)


def test_a_resumption_case_says_so_in_its_subject() -> None:
    notice = notices(Desk().hear(registered(lane=Lane.RESUMPTION)))[0]
    assert notice.subject_zh.startswith("【复工复产】")
    assert notice.subject_en.startswith("[resumption] ")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (payload(ScreeningOpened), ["branch-person", "department-person"]),
        (payload(ScreeningShortlisted), GROUND),
        (payload(ScreeningExpired), ["branch-person", "department-person", *HEADQUARTERS]),
        (payload(ScreeningOpinionDrafted, side="commerce"), ["department-person"]),
        (payload(ScreeningOpinionReturned, side="bank"), ["branch-person"]),
        (payload(ScreeningReminded, missing=["bank"]), ["branch-person"]),
        (payload(ScreeningReminded, missing=["commerce", "bank"]), ["branch-person", "department-person"]),
        (payload(ScreeningExtended), ["branch-person", "department-person"]),
        (payload(ScreeningEscalated, missing=["commerce"]), ["department-person", *HEADQUARTERS]),
        (payload(ScreeningConferenceCalled), ["branch-person", "department-person", *HEADQUARTERS]),
        (payload(ScreeningPrecedentWeighed, carried=["commerce"]), ["department-person"]),
        (payload(ScreeningPrecedentWeighed, carried=[], code="terms_grown"), []),
        (payload(ScreeningChainRaised), ["branch-person", "department-person"]),
        (payload(ResemblanceFlagged), GROUND),
        (payload(ReferralClosed), ["department-person"]),
        (payload(CooperationModeProposed), ["branch-person"]),
        (payload(CooperationConsentMissing), ["department-person"]),
        (payload(ConsortiumComplete), GROUND),
        (payload(ConsortiumShort), ["branch-person", "hq-bank"]),
        (payload(LoanOverdue), ["zone-person"]),
        (payload(LoanWrittenOff), [*HEADQUARTERS, "zone-person"]),
        (payload(LoanRefused), ["branch-person"]),
        (payload(ScreeningRefused, side="commerce"), ["department-person"]),
        (payload(ScreeningRefused, side="bank"), ["branch-person"]),
        (payload(ScreeningRefused, side=None), []),
        (payload(RiskWarningRaised, level="blue"), GROUND),
        (payload(RiskWarningRaised, level="orange"), ["branch-person", "department-person", "zone-person"]),
        (payload(RiskWarningRaised, level="red"), ["branch-person", "department-person", *HEADQUARTERS, "zone-person"]),
        (payload(RiskWarningCleared, level_before="yellow"), GROUND),
        (payload(RiskRefused, side="bank"), ["hq-bank"]),
    ],
)
def test_what_happens_in_a_case_is_told_to_those_whom_the_table_names(data: Payload, expected: list[str]) -> None:
    said = desk_with_case().hear(event(data))
    assert recipients(said) == expected
    assert failures(said) == []


def test_the_headquarters_are_told_but_never_asked_to_acknowledge() -> None:
    said = notices(desk_with_case().hear(event(payload(RiskWarningRaised, level="red"))))
    asked = {one.person_id for one in said if one.acknowledge_by is not None}
    assert asked == {"zone-person", "department-person", "branch-person"}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("//commerce/15", "department-person"),
        ("//commerce/manzhouli", "zone-person"),
        ("//commerce/mofcom", "hq-commerce"),
        ("//bank/exim-nmg", "branch-person"),
        ("//bank/exim", "hq-bank"),
    ],
)
@pytest.mark.parametrize("kind", [ReferralRejected, DuplicateFound, ConsentAwaited, ReferralRefused])
def test_what_was_not_registered_is_told_to_the_party_that_referred_and_to_nobody_else(
    kind: type[Payload], source: str, told: str
) -> None:
    desk = Desk()
    said = desk.hear(event(payload(kind, source=source)))
    assert recipients(said) == [told]
    assert desk.state is not None
    assert desk.state.facts is None


@pytest.mark.parametrize("kind", [ResemblanceFlagged, ReferralClosed])
def test_before_a_referral_is_registered_its_referrer_alone_is_told_and_nothing_waits(kind: type[Payload]) -> None:
    assert recipients(Desk().hear(event(payload(kind, source="//commerce/manzhouli")))) == ["zone-person"]
    assert Desk().hear(event(payload(kind, source=None))) == []


def test_a_refusal_of_a_former_release_which_names_no_sender_is_told_to_nobody() -> None:
    assert Desk().hear(event(payload(ReferralRefused, source=None))) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (payload(PlanPartRecorded), ["branch-person", "department-person"]),
        (payload(PlanPartReplaced), ["branch-person", "department-person"]),
        (payload(PlanSignedOff), ["branch-person", "department-person", "zone-person"]),
        (payload(PlanLateMarked), ["department-person", "zone-person"]),
        (payload(AdviceRouted), ["branch-person"]),
        (payload(AdviceFurtherRouted, routed_to="exim"), ["hq-bank"]),
        (payload(AdviceReminded), ["branch-person"]),
        (payload(AdviceEscalated), ["branch-person", "hq-bank"]),
        (payload(AdviceAnswered), ["zone-person"]),
        (payload(WishMatched), ["zone-person"]),
        (payload(MatchTakenUp), ["branch-person", "department-person"]),
        (payload(MatchTakenUp, submitted_from="//bank/exim"), ["branch-person", "department-person", "hq-bank"]),
        (payload(MatchTurnedDown, submitted_from="//commerce/15"), ["department-person"]),
        (payload(WishUnmatched, submitted_from="//commerce/15"), ["department-person"]),
        (payload(WishClosed, submitted_from="//commerce/15"), ["department-person"]),
        (payload(WishClosed, submitted_from=None), []),
        (payload(BulletinMatched), ["zone-person"]),
        (payload(WorkPlanActionLate, owner="zone-person", owner_side="commerce"), ["zone-person"]),
        (payload(WorkPlanActionLate, owner="somebody-else", owner_side="bank"), ["branch-person"]),
        (payload(WorkPlanActionLate, owner="somebody-else", owner_side="commerce"), ["zone-person"]),
    ],
)
def test_what_concerns_a_zone_needs_no_case(data: Payload, expected: list[str]) -> None:
    said = Desk().hear(event(data, key="MZL-2020-0007"))
    assert recipients(said) == expected
    assert failures(said) == []


def test_a_work_plan_is_told_to_those_whom_its_actions_name_each_once() -> None:
    body = payload(WorkPlanOpened).model_dump(mode="json")
    (action,) = body["plan"]["actions"]
    owners = ("branch-person", "zone-person", "branch-person", "nobody-known")
    body["plan"]["actions"] = [action | {"action_id": f"A{n}", "owner": owner} for n, owner in enumerate(owners)]
    said = Desk().hear(event(WorkPlanOpened.model_validate(body), key="MZL-WORK-2020-01"))
    assert recipients(said) == ["branch-person", "zone-person"]


def test_a_rejection_lists_its_faults_in_both_languages() -> None:
    faults = [{"code": "missing", "pointer": f"/referral/f{i}", "zh": "缺少。", "en": "Missing."} for i in range(12)]
    (notice,) = notices(Desk().hear(event(payload(ReferralRejected, faults=faults))))
    shown = [fact.value_zh for fact in notice.facts if fact.label_en == "Fault"]
    assert shown == [f"/referral/f{i}：缺少。" for i in range(10)]
    assert [fact.value_en for fact in notice.facts if fact.label_en == "Faults in all"] == ["12"]


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.event.TYPE.startswith(("screening.", "loan."))], ids=str
)
def test_what_comes_before_the_registration_waits_for_it(rule: Any) -> None:
    with pytest.raises(Early):
        Desk().hear(event(payload(rule.event)))


def test_a_warning_about_a_case_waits_for_its_registration() -> None:
    with pytest.raises(Early):
        Desk().hear(event(payload(RiskWarningRaised, subject_kind="case")))


def test_a_warning_about_a_zone_needs_no_case_and_reaches_every_branch_of_its_province() -> None:
    second = branch("exim-two")
    colleague = person("second-branch-person", Side.BANK, PersonRole.BRANCH, "exim-two")
    desk = Desk([*EVERYBODY, second, colleague])
    data = payload(RiskWarningRaised, subject_kind="zone", subject="manzhouli", zone="manzhouli", level="yellow")
    said = desk.hear(event(data, key="manzhouli"))
    assert recipients(said) == ["branch-person", "second-branch-person", "zone-person"]
    assert notices(said)[0].subject_en == "[yellow] Risk warning: manzhouli zone"


def test_a_breached_limit_is_told_to_the_branch_and_both_headquarters() -> None:
    data = payload(RiskLimitBreached, subject_kind="zone", subject="manzhouli")
    assert recipients(Desk().hear(event(data, key="manzhouli"))) == ["branch-person", *HEADQUARTERS]


@pytest.mark.parametrize(("last_day", "told"), [(date(2020, 4, 1), "deputy"), (date(2020, 3, 31), "branch-person")])
def test_who_is_away_is_told_by_way_of_the_deputy_who_acknowledges(last_day: date, told: str) -> None:
    away = AbsenceEntered.model_validate(
        {
            "code": "branch-person",
            "side": "bank",
            "deputy": "deputy",
            "valid_from": date(2020, 3, 1),
            "name_zh": "出差",
            "name_en": "Away",
            "valid_to": last_day,
        }
    )
    desk = Desk([*EVERYBODY, person("deputy", Side.BANK, PersonRole.BRANCH, "exim-other"), away])
    said = desk.hear(registered())
    assert recipients(said) == sorted([told, "zone-person"])
    (notice,) = [one for one in notices(said) if one.person_id == told]
    assert isinstance(desk.acknowledge(notice)[0], NoticeAcknowledged)


def test_who_is_away_and_has_a_deputy_that_the_directory_does_not_know_is_told_all_the_same() -> None:
    away = payload(
        AbsenceEntered, code="branch-person", deputy="nobody", valid_from="2020-03-01", valid_to="2020-05-01"
    )
    assert recipients(Desk([*EVERYBODY, away]).hear(registered())) == GROUND


def test_where_the_zone_has_named_nobody_the_department_of_its_province_is_told() -> None:
    said = Desk(without(ZONE_PERSON)).hear(registered())
    assert recipients(said) == ["branch-person", "department-person"]
    assert failures(said) == []


def test_where_nobody_is_named_it_is_recorded_and_the_headquarters_of_that_side_get_the_notice() -> None:
    desk = Desk(without(BRANCH_PERSON))
    said = desk.hear(registered())
    (failed,) = failures(said)
    assert (failed.code, failed.side, failed.role, failed.unit_code) == (
        FailureCode.NO_LIAISON_PERSON,
        Side.BANK,
        PersonRole.BRANCH,
        "exim-nmg",
    )
    (up,) = [one for one in notices(said) if one.level == 1]
    assert (up.person_id, up.template, up.acknowledge_by) == ("hq-bank", "no_liaison_person", None)
    assert "exim-nmg" in up.text_zh
    assert "Amount" in {fact.label_en for fact in up.facts}


def test_where_not_even_the_headquarters_name_anybody_both_are_recorded_and_nothing_is_sent() -> None:
    said = Desk(without(BRANCH_PERSON, BANK_HQ)).hear(registered())
    assert {(failed.role, failed.side) for failed in failures(said)} == {
        (PersonRole.BRANCH, Side.BANK),
        (PersonRole.HEADQUARTERS, Side.BANK),
    }
    assert recipients(said) == ["zone-person"]


def test_an_unknown_zone_is_recorded_and_its_warning_reaches_the_headquarters() -> None:
    desk = Desk([COMMERCE_HQ, BANK_HQ])
    data = payload(RiskWarningRaised, subject_kind="zone", subject="atlantis", zone="atlantis", level="yellow")
    said = desk.hear(event(data, key="atlantis"))
    assert [(failed.role, failed.unit_code) for failed in failures(said)] == [(PersonRole.ZONE, "atlantis")]
    assert recipients(said) == HEADQUARTERS


def test_one_who_stands_for_two_addressed_units_gets_one_notice() -> None:
    desk = Desk(without(ZONE_PERSON))
    desk.hear(registered())
    assert recipients(desk.hear(event(payload(RiskWarningRaised, level="orange")))) == [
        "branch-person",
        "department-person",
    ]


def test_what_people_receive_does_not_depend_on_the_order_in_which_topics_were_read() -> None:
    events = [
        event(payload(ScreeningOpened), id="opened"),
        event(payload(LoanOverdue), id="overdue"),
        event(payload(RiskWarningRaised, level="red"), id="warning"),
    ]
    forward, backward = desk_with_case(), desk_with_case()
    for one in events:
        forward.hear(one)
    for one in reversed(events):
        backward.hear(one)
    assert {one.notice_id for one in notices(forward.said)} == {one.notice_id for one in notices(backward.said)}


def test_very_long_texts_still_make_a_notice() -> None:
    long = "长" * 200
    said = notices(Desk().hear(registered(name=long)))
    assert all(isinstance(one, NoticeQueued) and len(one.subject_zh) <= 200 for one in said)


def test_every_rule_has_a_route_and_every_route_but_acknowledgement_a_rule() -> None:
    assert {rule.event.TYPE for rule in RULES} | {"notice.acknowledgement_submitted.v1"} == {
        kind.TYPE for kind in ROUTES
    }
