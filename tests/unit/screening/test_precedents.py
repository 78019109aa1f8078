"""A repaired referral: what the forerunner's sides agreed to is not asked again."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.deliberation import ScreeningPrecedentWeighed
from schemas.precedent import PrecedentAnswered, PrecedentAsked
from schemas.screening import ScreeningOpened, ScreeningOpinionRecorded, ScreeningShortlisted
from tests.unit.screening import builders as told
from tests.unit.screening.builders import BANK, CASE, COMMERCE, EXIM, MOFCOM, Desk, after, given, kinds, refusal

NEW = "NMG-2020-000777"
OLD = "NMG-2020-000045"
END = after(30)


def declined(*codes: str) -> Desk:
    return given(told.registered(), told.supports(COMMERCE, after(1)), told.opposes(BANK, after(2), *codes), until=END)


def answer_of(desk: Desk, **changes: Any) -> PrecedentAnswered:
    desk.tell(told.asked_by(NEW, told.referral(**changes)))
    (to,) = desk.sent
    assert to.key == NEW
    assert isinstance(to.payload, PrecedentAnswered)
    return to.payload


def money(amount: str, currency: str = "CNY") -> dict[str, str]:
    return {"amount": amount, "currency": currency}


def test_a_referral_that_repairs_another_asks_that_case() -> None:
    desk = Desk()
    opened = desk.tell(told.registered(told.referral(repairs=OLD)))[0]
    assert isinstance(opened, ScreeningOpened)
    assert opened.repairs == OLD
    (to,) = desk.sent
    assert to.key == OLD
    assert isinstance(to.payload, PrecedentAsked)
    assert (to.payload.referral_id, to.payload.asked_by) == (OLD, CASE)


def test_a_declined_case_answers_with_the_opinion_that_supported_it() -> None:
    answer = answer_of(declined())
    assert (answer.referral_id, answer.forerunner, answer.code) == (NEW, CASE, None)
    (opinion,) = answer.opinions
    assert (opinion.side, opinion.given_at, opinion.checked_by) == ("commerce", after(1), "clerk-2")


def test_an_expired_case_answers_with_the_side_that_was_not_silent() -> None:
    answer = answer_of(given(told.registered(), told.supports(BANK, after(1)), until=END))
    assert [opinion.side for opinion in answer.opinions] == ["bank"]


def test_a_shortlisted_case_that_was_not_financed_answers_with_both() -> None:
    desk = given(told.registered(), told.supports(COMMERCE, after(1)), told.supports(BANK, after(2)), until=END)
    assert len(answer_of(desk).opinions) == 2


@pytest.mark.parametrize(
    ("desk", "code"),
    [
        (Desk(), "forerunner_unknown"),
        (given(told.registered(), told.supports(COMMERCE, after(1))), "forerunner_undecided"),
        (given(told.registered(), told.withdrawn()), "forerunner_withdrawn"),
        (declined("not_viable"), "declined_for_good"),
        (given(told.registered(told.outbound("PY"))), "declined_for_good"),
        (given(told.registered(), told.opposes(BANK, after(1)), until=END), "nobody_supported"),
    ],
)
def test_nothing_stands_of_a_case_that_was_not_tried_to_its_end_or_was_declined_for_good(desk: Desk, code: str) -> None:
    answer = answer_of(desk)
    assert (answer.opinions, answer.code) == ((), code)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": money("4999999.99"), "term_months": 6}, None),
        ({"amount": money("5000000.01")}, "terms_grown"),
        ({"amount": money("1.00", "USD")}, "terms_grown"),
        ({"term_months": 13}, "terms_grown"),
        ({"need": "equipment_purchase"}, "other_matter"),
        ({"zone": "erenhot"}, "other_matter"),
    ],
)
def test_opinions_stand_only_for_the_same_matter_on_terms_that_did_not_grow(
    changes: dict[str, Any], code: str | None
) -> None:
    assert answer_of(declined(), **changes).code == code


def test_the_terms_that_count_are_those_of_the_forerunners_last_version() -> None:
    larger = told.amended(told.referral(amount=money("9000000.00")), after(0.5))
    desk = given(told.registered(), larger, told.supports(COMMERCE, after(1)), told.opposes(BANK, after(2)), until=END)
    assert answer_of(desk, amount=money("8000000.00")).code is None


def repaired(*events: Any) -> Desk:
    return given(told.registered(told.referral(repairs=OLD), after(40)), *events)


def precedent(*sides: str, code: str | None = None) -> Any:
    opinions = [{"side": side, "reasons": [], "given_by": "clerk-1", "given_at": after(1)} for side in sides]
    payload = PrecedentAnswered.model_validate(
        {"referral_id": CASE, "forerunner": OLD, "opinions": opinions, "code": code, "asked_at": after(40)}
    )
    return told.answered(payload, after(40))


def test_what_stands_is_on_record_as_carried_over_and_only_the_other_side_is_asked() -> None:
    desk = repaired()
    recorded, weighed = desk.tell(precedent("commerce"))
    assert isinstance(recorded, ScreeningOpinionRecorded)
    assert (recorded.side, recorded.verdict, recorded.carried_from) == ("commerce", "support", OLD)
    assert isinstance(weighed, ScreeningPrecedentWeighed)
    assert (weighed.carried, weighed.code) == (("commerce",), None)
    desk.tell(told.supports(BANK, after(41)))
    (shortlisted,) = desk.pass_time(after(41))
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert shortlisted.decided_at == after(41)


def test_where_nothing_stands_the_record_says_why() -> None:
    (weighed,) = repaired().tell(precedent(code="terms_grown"))
    assert isinstance(weighed, ScreeningPrecedentWeighed)
    assert (weighed.carried, weighed.code) == ((), "terms_grown")


def test_a_case_that_both_sides_agreed_to_before_is_shortlisted_at_its_opening() -> None:
    desk = repaired(precedent("commerce", "bank"))
    (shortlisted,) = desk.pass_time(after(40))
    assert isinstance(shortlisted, ScreeningShortlisted)
    assert shortlisted.decided_at == after(40)


@pytest.mark.parametrize("own_first", [True, False])
def test_a_sides_own_opinion_goes_before_the_one_carried_over(own_first: bool) -> None:
    own, carried = told.opposes(COMMERCE, after(41)), precedent("commerce")
    desk = repaired(*([own, carried] if own_first else [carried, own]))
    assert desk.case is not None
    assert desk.case.commerce is not None
    assert (desk.case.commerce.verdict, desk.case.commerce.carried_from) == ("oppose", None)
    assert refusal(desk.tell(told.supports(COMMERCE, after(42)))) == "second_opinion"


def test_a_draft_that_waits_keeps_the_place_of_its_side() -> None:
    desk = repaired(told.drafted(COMMERCE, after(41)))
    (weighed,) = desk.tell(precedent("commerce"))
    assert isinstance(weighed, ScreeningPrecedentWeighed)
    assert weighed.code == "sides_spoke"


def test_word_from_the_forerunner_means_nothing_to_a_case_that_is_over() -> None:
    desk = repaired(told.withdrawn(after(41)))
    assert desk.tell(precedent("commerce")) == []


def test_a_carried_opinion_that_the_other_side_opposes_calls_a_conference() -> None:
    desk = repaired(precedent("commerce"), told.opposes(BANK, after(41)))
    assert kinds(desk.pass_time(after(41))) == ["conference_called"]
    desk.tell(told.outcome(MOFCOM, after(42)), told.outcome(EXIM, after(42)))
    assert kinds(desk.pass_time(after(43))) == ["shortlisted"]
