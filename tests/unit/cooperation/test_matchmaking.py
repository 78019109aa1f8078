"""Enterprises that move are matched with zones, best first with the reasons; later rounds tell only what is new."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.directory import ZoneEntered
from schemas.envelope import Event, Payload
from schemas.matchmaking import (
    ROUNDS,
    MatchAnswered,
    MatchTakenUp,
    MatchTurnedDown,
    WishClosed,
    WishMatched,
    WishOpened,
    WishSubmitted,
    WishUnmatched,
    WishWithdrawn,
)
from schemas.reference import CHINA_TIME
from schemas.zone_profile import ZoneProfileEntered
from services.cooperation.domain.wish import ROUND, Status, Wish
from services.cooperation.domain.wish_decisions import WISHES
from services.cooperation.rulebook import load_rules
from services.cooperation.service import CooperationContext
from services.kit.door import Deadline, Invalid
from services.kit.working_days import Overrides, WorkingDays
from tests.unit.cooperation.partners import kinds, refusal

WISH = "WISH-2020-0007"
SUBMITTED = datetime(2020, 5, 6, 10, 0, tzinfo=CHINA_TIME)
_CALENDAR = WorkingDays(Overrides())
_RULES = load_rules()


def after(days: float) -> datetime:
    return SUBMITTED + timedelta(days=days)


def entered(entry: Any, source: str = "//commerce/mofcom") -> Event[Any]:
    return Event(f"entry-{entry.entry_key}", source, entry.TYPE, SUBMITTED, entry.entry_key, entry)


def zone(code: str, province: str) -> Event[Any]:
    body = {"code": code, "kind": "border", "province": province, "neighbours": ["RU"], "valid_from": "2020-01-01"}
    return entered(ZoneEntered.model_validate({**body, "name_zh": "示例合作区", "name_en": "Example"}))


def profile(code: str, since: str = "2020-01-01", **changes: Any) -> Event[Any]:
    body = {
        "code": code,
        "valid_from": since,
        "industries": ["manufacturing"],
        "needs": ["plant_construction", "working_capital"],
    }
    return entered(ZoneProfileEntered.model_validate({**body, **changes}))


ZONES = (zone("manzhouli", "15"), zone("heihe", "23"), zone("hunchun", "22"), zone("tacheng", "65"))
PROFILES = (
    profile("manzhouli", needs=["plant_construction", "equipment_purchase"], key_areas=["industrial_transfer"]),
    profile("heihe"),
    profile("hunchun", industries=["farming"]),
)


def submitted(at: datetime = SUBMITTED, source: str = "//commerce/33", **changes: Any) -> Event[Any]:
    body: dict[str, Any] = {
        "wish_id": WISH,
        "credit_code": "91330100799655058B",
        "enterprise": "杭州示例家具有限公司",
        "industry": "manufacturing",
        "from_province": "33",
        "needs": ["plant_construction", "equipment_purchase"],
        "key_area": "industrial_transfer",
        "provinces": ["15", "23"],
    }
    return said(WishSubmitted.model_validate({**body, **changes}), at, source)


def answered(zone: str, answer: str = "taken_up", source: str = "", at: datetime | None = None) -> Event[Any]:
    code = "no_land_or_premises" if answer == "turned_down" else None
    payload = MatchAnswered.model_validate({"wish_id": WISH, "zone": zone, "answer": answer, "code": code})
    return said(payload, at or after(1), source or f"//commerce/{zone}")


def withdrawn(source: str = "//commerce/33") -> Event[Any]:
    return said(WishWithdrawn.model_validate({"wish_id": WISH, "code": "settled_elsewhere"}), after(2), source)


def said(payload: Payload, at: datetime, source: str) -> Event[Any]:
    return Event(f"{payload.TYPE}/{source}/{at.isoformat()}", source, payload.TYPE, at, WISH, payload)


class Desk:
    """One wish: tell it events, let time pass."""

    def __init__(self, entries: Iterable[Event[Any]] = (*ZONES, *PROFILES)) -> None:
        self.context = CooperationContext(_CALENDAR, _RULES)
        self.wish: Wish | None = None
        self.learn(*entries)

    def learn(self, *entries: Event[Any]) -> None:
        for entry in entries:
            self.context.learn(entry)

    def tell(self, *events: Event[Any]) -> list[Payload]:
        outputs: list[Payload] = []
        for one in events:
            route: Any = WISHES.routes[type(one.data)]
            outputs += self._fold(route(self.wish, one, self.context))
        return outputs

    def next_round(self) -> list[Payload]:
        (due,) = self.deadlines()
        event: Event[Any] = Event("due", "//kouan/cooperation/deadlines", "deadline", due.due, WISH, due)
        return self._fold(WISHES.due(self.wish, event, self.context))

    def deadlines(self) -> list[Deadline]:
        return [] if self.wish is None else list(WISHES.deadlines(self.wish))

    def _fold(self, outputs: Iterable[Any]) -> list[Payload]:
        found = list(outputs)
        for one in found:
            if type(one) in WISHES.records:
                self.wish = WISHES.evolve(self.wish, one)
        return found


def matches(outputs: list[Payload]) -> WishMatched:
    (found,) = [one for one in outputs if isinstance(one, WishMatched)]
    return found


def test_all_that_comes_of_a_wish_says_who_submitted_it() -> None:
    submitter = "//commerce/33"
    wishes = Desk(), Desk(), Desk(ZONES)
    said = [*wishes[0].tell(submitted(), answered("manzhouli")), *wishes[1].tell(submitted())]
    said += [*wishes[1].tell(answered("manzhouli", "turned_down"), withdrawn()), *wishes[2].tell(submitted())]
    kinds = {type(one) for one in said}
    assert kinds == {WishOpened, WishMatched, WishUnmatched, MatchTakenUp, MatchTurnedDown, WishClosed}
    assert {getattr(one, "submitted_from", None) for one in said} == {submitter}


def test_zones_are_told_best_first_with_the_reasons() -> None:
    found = matches(Desk().tell(submitted()))
    assert [(one.zone, one.points) for one in found.matches] == [("manzhouli", 95), ("heihe", 65)]
    best = found.matches[0]
    assert [(reason.code, reason.points) for reason in best.reasons] == [
        ("industry_sought", 40),
        ("need_served", 10),
        ("need_served", 10),
        ("key_area", 15),
        ("province_wished", 15),
        ("first_choice", 5),
    ]
    assert best.profile == "zone_profile/manzhouli@2020-01-01"
    assert all(one.points == sum(reason.points for reason in one.reasons) for one in found.matches)


def test_where_no_zone_fits_each_reason_names_its_zones() -> None:
    desk = Desk((*ZONES, *PROFILES, profile("tacheng", smallest_investment_10k_cny=5000)))
    said = desk.tell(submitted(industry="mining", investment_10k_cny=100))
    (unmatched,) = [one for one in said if isinstance(one, WishUnmatched)]
    assert [(why.code, why.zones) for why in unmatched.why] == [
        ("industry_not_sought", ("heihe", "hunchun", "manzhouli", "tacheng"))
    ]
    desk = Desk((zone("tacheng", "65"), zone("bole", "65"), profile("tacheng", smallest_investment_10k_cny=5000)))
    (unmatched,) = [one for one in desk.tell(submitted(investment_10k_cny=100)) if isinstance(one, WishUnmatched)]
    assert [(why.code, why.zones) for why in unmatched.why] == [
        ("no_profile", ("bole",)),
        ("investment_too_small", ("tacheng",)),
    ]


def test_too_few_points_are_no_match() -> None:
    desk = Desk((zone("heihe", "23"), profile("heihe", needs=["zone_infrastructure"])))
    (unmatched,) = [one for one in desk.tell(submitted(provinces=["15"])) if isinstance(one, WishUnmatched)]
    assert [why.code for why in unmatched.why] == ["too_few_points"]


def test_an_enterprise_that_does_not_know_its_investment_is_not_ruled_out_by_it() -> None:
    desk = Desk((zone("heihe", "23"), profile("heihe", smallest_investment_10k_cny=5000)))
    assert [one.zone for one in matches(desk.tell(submitted())).matches] == ["heihe"]


def test_a_later_round_tells_only_what_is_new() -> None:
    desk = Desk()
    desk.tell(submitted())
    assert kinds(desk.next_round()) == ["round_held"]
    desk.learn(profile("tacheng", since="2020-05-15"))
    found = matches(desk.next_round())
    assert (found.round, [one.zone for one in found.matches]) == (3, ["tacheng"])
    assert kinds(desk.next_round()) == ["round_held"]


def test_rounds_are_held_every_week_and_after_the_last_one_the_wish_is_closed() -> None:
    desk = Desk()
    desk.tell(submitted())
    assert desk.deadlines() == [Deadline(ROUND, after(7))]
    told = [kind for _ in range(ROUNDS) for kind in kinds(desk.next_round())]
    assert told == [*["round_held"] * (ROUNDS - 1), "wish_closed"]
    assert desk.deadlines() == []


def test_a_zone_that_takes_the_enterprise_up_ends_the_rounds() -> None:
    desk = Desk()
    desk.tell(submitted())
    assert kinds(desk.tell(answered("manzhouli", "turned_down"), answered("heihe"))) == ["turned_down", "taken_up"]
    assert desk.wish is not None
    assert desk.wish.status is Status.TAKEN_UP
    assert desk.deadlines() == []
    assert refusal(desk.tell(answered("manzhouli", at=after(3)))) == "wrong_state"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (answered("hunchun"), "not_matched"),
        (answered("manzhouli", source="//commerce/heihe"), "not_concerned"),
        (answered("manzhouli", source="//bank/exim"), "wrong_party"),
    ],
)
def test_only_a_matched_zone_may_answer_and_only_for_itself(answer: Event[Any], code: str) -> None:
    desk = Desk()
    desk.tell(submitted())
    assert refusal(desk.tell(answer)) == code


def test_a_zone_answers_once() -> None:
    desk = Desk()
    desk.tell(submitted(), answered("manzhouli", "turned_down"))
    assert refusal(desk.tell(answered("manzhouli", at=after(2)))) == "zone_answered"


def test_the_side_that_submitted_a_wish_takes_it_back_and_the_other_can_not() -> None:
    desk = Desk()
    desk.tell(submitted())
    assert refusal(desk.tell(withdrawn("//bank/exim"))) == "wrong_party"
    assert kinds(desk.tell(withdrawn())) == ["wish_closed"]
    assert refusal(desk.tell(withdrawn())) == "wrong_state"
    assert desk.deadlines() == []


def test_the_same_id_can_not_be_used_twice() -> None:
    desk = Desk()
    desk.tell(submitted())
    assert refusal(desk.tell(submitted(after(1)))) == "wrong_state"


def test_a_wish_about_another_id_than_its_key_can_never_be_right() -> None:
    with pytest.raises(Invalid):
        Desk().tell(submitted(wish_id="WISH-1"))
