"""Bulletins reach the enterprises that they fit: once each, also when they come after the enterprise is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.bulletin import (
    CASE_EXAMPLE,
    BulletinMatched,
    BulletinPublished,
    BulletinRoundHeld,
    EnterpriseCaseEnded,
    EnterpriseSeen,
)
from schemas.envelope import Event, Payload
from schemas.reference import CHINA_TIME
from services.cooperation.domain.bulletins import Bulletins
from services.cooperation.domain.enterprise import DUE, RECORDS, ROUTES, Enterprise, Status, deadlines, evolve
from services.kit.door import Deadline
from tests.unit.cooperation.partners import kinds

CODE = "91330100799655058B"
SEEN = datetime(2020, 5, 6, 10, 0, tzinfo=CHINA_TIME)
CASE, OTHER_CASE = "NMG-2020-000123", "NMG-2020-000200"
_STATE: TypeAdapter[Enterprise] = TypeAdapter(Enterprise)


def after(days: float) -> datetime:
    return SEEN + timedelta(days=days)


PUBLISHED = after(-5)


def bulletin(name: str = "B-1", at: datetime = PUBLISHED, id: str = "", **changes: Any) -> Event[Any]:
    body: dict[str, Any] = {
        "bulletin_id": name,
        "title_zh": "贴息办法",
        "title_en": "Interest subsidy",
        "text_zh": "给予贴息。",
        "text_en": "Interest is subsidised.",
        "valid_from": "2020-05-01",
        "fits": {},
    }
    payload = BulletinPublished.model_validate({**body, **changes})
    return Event(id or f"{name}/{at.isoformat()}", "//commerce/mofcom", payload.TYPE, at, name, payload)


def seen(at: datetime = SEEN, referral_id: str = CASE, **changes: Any) -> Event[Any]:
    case = {**CASE_EXAMPLE, "referral_id": referral_id, **changes}
    return told(EnterpriseSeen.model_validate({"credit_code": CODE, "case": case}), at)


def ended(at: datetime, referral_id: str = CASE) -> Event[Any]:
    return told(EnterpriseCaseEnded(credit_code=CODE, referral_id=referral_id), at)


def told(payload: Payload, at: datetime) -> Event[Any]:
    return Event(f"{payload.TYPE}/{at.isoformat()}", "//kouan/cooperation", payload.TYPE, at, CODE, payload)


class Desk:
    """One enterprise: tell it events, publish bulletins, let time pass."""

    def __init__(self, *published: Event[Any]) -> None:
        self.bulletins = Bulletins()
        self.enterprise: Enterprise | None = None
        self.publish(*published)

    def publish(self, *published: Event[Any]) -> None:
        for one in published:
            self.bulletins.learn(one)

    def tell(self, *events: Event[Any]) -> list[Payload]:
        outputs: list[Payload] = []
        for one in events:
            route: Any = ROUTES[type(one.data)]
            outputs += self._fold(route(self.enterprise, one, self))
        return outputs

    def next_round(self) -> list[Payload]:
        (due,) = deadlines(self.enterprise)
        event: Event[Any] = Event("due", "//kouan/cooperation/deadlines", "deadline", due.due, CODE, due)
        return self._fold(DUE(self.enterprise, event, self))

    def _fold(self, outputs: Iterable[Any]) -> list[Payload]:
        found = list(outputs)
        for one in found:
            if type(one) in RECORDS:
                written = orjson.dumps(evolve(self.enterprise, one))
                self.enterprise = _STATE.validate_python(orjson.loads(written))
        return found


def names(outputs: list[Payload]) -> list[str]:
    return [one.bulletin_id for one in outputs if isinstance(one, BulletinMatched)]


def test_a_bulletin_that_fits_is_told_with_the_reasons() -> None:
    desk = Desk(bulletin(fits={"size_classes": ["micro", "small"], "zones": ["manzhouli"]}))
    said = desk.tell(seen())
    assert kinds(said) == ["noted", "matched"]
    match = said[1]
    assert isinstance(match, BulletinMatched)
    assert [(one.code, one.value) for one in match.reasons] == [("size_class", "small"), ("zone", "manzhouli")]
    assert (match.referral_id, match.side, match.province) == (CASE, "commerce", "15")


def test_a_bulletin_for_everybody_says_so() -> None:
    (_, match) = Desk(bulletin()).tell(seen())
    assert isinstance(match, BulletinMatched)
    assert [one.code for one in match.reasons] == ["for_all"]


@pytest.mark.parametrize(
    "fits",
    [
        {"industries": ["farming"]},
        {"size_classes": ["large"]},
        {"ownership": ["state"]},
        {"provinces": ["23"]},
        {"zones": ["heihe"]},
        {"needs": ["plant_construction"]},
        {"key_areas": ["industrial_transfer"]},
        {"size_classes": ["small"], "zones": ["heihe"]},
    ],
)
def test_a_bulletin_of_which_one_list_does_not_hold_is_not_told(fits: dict[str, list[str]]) -> None:
    assert names(Desk(bulletin(fits=fits)).tell(seen())) == []


@pytest.mark.parametrize(
    ("published", "day"),
    [
        (bulletin(valid_from="2020-05-07"), "before it holds"),
        (bulletin(valid_to="2020-05-05"), "after it held"),
        (bulletin(at=SEEN - timedelta(hours=2)), "on the day on which it was published"),
    ],
)
def test_a_bulletin_is_not_told(published: Event[Any], day: str) -> None:
    assert names(Desk(published).tell(seen())) == [], day


def test_a_bulletin_is_told_once_whatever_cases_follow() -> None:
    desk = Desk(bulletin())
    assert names(desk.tell(seen())) == ["B-1"]
    assert names(desk.tell(seen(after(1)), seen(after(2), OTHER_CASE))) == []
    assert names(desk.tell(ended(after(3)), ended(after(3), OTHER_CASE), seen(after(4)))) == []


def test_a_bulletin_that_comes_later_is_told_with_the_next_weekly_round() -> None:
    desk = Desk()
    desk.tell(seen())
    desk.publish(bulletin("B-2", after(3)))
    said = desk.next_round()
    assert kinds(said) == ["matched", "round_held"]
    assert isinstance(said[-1], BulletinRoundHeld)
    assert said[-1].new == 1
    assert list(deadlines(desk.enterprise)) == [Deadline("round", after(14))]
    assert kinds(desk.next_round()) == ["round_held"]


def test_an_enterprise_without_an_open_case_is_followed_no_longer() -> None:
    desk = Desk()
    desk.tell(seen(), seen(after(1), OTHER_CASE), ended(after(2)))
    assert [one.due for one in deadlines(desk.enterprise)] == [after(7)]
    assert kinds(desk.tell(ended(after(3), OTHER_CASE))) == ["case_closed"]
    assert list(deadlines(desk.enterprise)) == []
    assert desk.tell(ended(after(4), OTHER_CASE)) == []


def test_a_new_case_takes_the_rounds_up_again_from_its_own_day() -> None:
    desk = Desk()
    desk.tell(seen(), ended(after(1)), seen(after(30)))
    assert desk.enterprise is not None
    assert desk.enterprise.status is Status.FOLLOWED
    assert [one.due for one in deadlines(desk.enterprise)] == [after(37)]


def test_after_twelve_rounds_only_a_case_that_is_heard_of_again_brings_more() -> None:
    desk = Desk()
    desk.tell(seen())
    for _ in range(12):
        assert kinds(desk.next_round()) == ["round_held"]
    assert list(deadlines(desk.enterprise)) == []
    desk.publish(bulletin("B-2", after(100)))
    assert names(desk.tell(seen(after(110)))) == ["B-2"]
    assert [one.due for one in deadlines(desk.enterprise)] == [after(117)]


def test_no_round_is_held_twice_on_one_day_however_old_the_case_that_is_noted() -> None:
    desk = Desk()
    desk.tell(seen())
    desk.next_round()
    desk.tell(ended(after(8)), seen(after(1), OTHER_CASE))
    assert [one.due for one in deadlines(desk.enterprise)] == [after(14)]
    for _ in range(12):
        desk.next_round()
    desk.tell(seen(after(2)))
    assert [one.due for one in deadlines(desk.enterprise)] == [after(98)]


def test_what_an_amendment_changed_counts_for_what_is_told_from_then_on() -> None:
    desk = Desk(bulletin(fits={"needs": ["plant_construction"]}))
    assert names(desk.tell(seen())) == []
    assert names(desk.tell(seen(after(1), need="plant_construction"))) == ["B-1"]


def test_a_corrected_bulletin_counts_from_the_day_after_the_correction() -> None:
    known = Bulletins()
    known.learn(bulletin(fits={"zones": ["heihe"]}))
    known.learn(bulletin(at=after(0), fits={"zones": ["manzhouli"]}))
    assert [one.fits.zones for one in known.in_force(after(0.2))] == [("heihe",)]
    assert [one.fits.zones for one in known.in_force(after(1))] == [("manzhouli",)]


@settings(max_examples=40, deadline=None)
@for_all(st.permutations(range(4)), st.lists(st.sampled_from(["seen", "other", "ended", "round"]), max_size=10))
def test_no_bulletin_is_ever_told_twice_and_the_order_of_publication_is_of_no_account(
    order: list[int], steps: list[str]
) -> None:
    published = [bulletin(f"B-{number % 3}", after(-5 + number / 10)) for number in range(4)]
    desks = (Desk(*published), Desk(*(published[number] for number in order), *published))
    heard: list[list[str]] = []
    for desk in desks:
        said: list[str] = []
        for step, action in enumerate(steps):
            at = after(step)
            if action == "round" and list(deadlines(desk.enterprise)):
                said += names(desk.next_round())
            elif action == "ended":
                said += names(desk.tell(ended(at)))
            elif action in ("seen", "other"):
                said += names(desk.tell(seen(at, CASE if action == "seen" else OTHER_CASE)))
        heard.append(said)
    assert heard[0] == heard[1]
    assert len(heard[0]) == len(set(heard[0]))
