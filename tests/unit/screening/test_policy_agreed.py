"""Policy versions agreed on over topics: which text applies from which day, whatever order the events are read in."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import permutations
from typing import Any

import yaml

from schemas.envelope import Event
from schemas.policy import PolicyConfirmed, PolicyProposed, digest_of
from schemas.reference import CHINA_TIME
from services.kit import metrics
from services.screening.policy import POLICIES, load_policies
from services.screening.policy_agreed import PolicyBook, Standing, TextStanding
from tests.unit.screening import builders as told
from tests.unit.screening.builders import Desk, kinds

VERSION = "2031-01-01"
MOFCOM, EXIM = "//commerce/mofcom", "//bank/exim"
NOON = datetime(2030, 11, 4, 12, tzinfo=CHINA_TIME)
RELEASED = load_policies()


def text_of(points: int = 60, version: str = VERSION, day: date = date(2031, 1, 1), **changes: Any) -> str:
    """The shipped version under another name, with other points for private enterprises."""
    text = yaml.safe_load((POLICIES / "2024-07-01.yaml").read_bytes())
    for rule in text["tilt"]:
        if rule["code"] == "private_enterprise":
            rule["points"] = points
    return yaml.safe_dump({**text, "version": version, "effective_from": day, **changes}, allow_unicode=True)


def proposed(text: str, source: str = MOFCOM, at: datetime = NOON, version: str = VERSION) -> Event[Any]:
    payload = PolicyProposed(
        policy_version=version,
        effective_from=yaml.safe_load(text)["effective_from"],
        text=text,
        digest=digest_of(text),
        proposed_by="person-1",
    )
    return Event(f"{source}/{at.isoformat()}", source, payload.TYPE, at, version, payload)


def confirmed(text: str, source: str = EXIM, at: datetime = NOON + timedelta(days=1)) -> Event[Any]:
    payload = PolicyConfirmed(policy_version=VERSION, digest=digest_of(text), confirmed_by="person-2")
    return Event(f"{source}/{at.isoformat()}", source, payload.TYPE, at, VERSION, payload)


def book(*events: Event[Any]) -> PolicyBook:
    made = PolicyBook(RELEASED)
    for event in events:
        made.learn(event)
    return made


def standing(*events: Event[Any]) -> TextStanding:
    (only,) = book(*events).standings()
    return only


def applies(made: PolicyBook, day: date) -> str:
    return made.policies.in_force(day).version


# --- agreement --------------------------------------------------------------------------------------------------------


def test_a_version_that_one_side_proposes_and_the_other_confirms_applies_from_its_day() -> None:
    text = text_of()
    made = book(proposed(text), confirmed(text))
    assert applies(made, date(2030, 12, 31)) == "2024-07-01"
    assert applies(made, date(2031, 1, 1)) == VERSION


def test_either_headquarters_may_propose() -> None:
    text = text_of()
    assert applies(book(proposed(text, EXIM), confirmed(text, MOFCOM)), date(2031, 1, 1)) == VERSION


def test_a_version_confirmed_after_its_day_applies_from_the_day_after_the_confirmation_in_china() -> None:
    text = text_of()
    late = datetime(2031, 3, 9, 23, 59, 59, tzinfo=CHINA_TIME)
    made = book(proposed(text), confirmed(text, at=late))
    assert applies(made, date(2031, 3, 9)) == "2024-07-01"
    assert applies(made, date(2031, 3, 10)) == VERSION


def test_what_one_side_alone_proposes_and_confirms_never_applies() -> None:
    text = text_of()
    made = book(proposed(text), confirmed(text, MOFCOM))
    assert applies(made, date(2040, 1, 1)) == "2024-07-01"
    assert made.standings()[0].standing is Standing.PROPOSED


def test_a_confirmation_of_another_text_than_was_proposed_agrees_to_nothing() -> None:
    made = book(proposed(text_of()), confirmed(text_of(points=61)))
    assert applies(made, date(2040, 1, 1)) == "2024-07-01"
    assert {one.standing for one in made.standings()} == {Standing.PROPOSED, Standing.OUTDONE}


def test_a_confirmation_whose_proposal_has_not_been_read_waits_for_it() -> None:
    text = text_of()
    assert standing(confirmed(text)).standing is Standing.UNKNOWN
    assert applies(book(confirmed(text), proposed(text)), date(2031, 1, 1)) == VERSION


def test_the_order_and_the_number_of_readings_do_not_matter() -> None:
    one, other = text_of(), text_of(points=61)
    events = [
        proposed(one),
        proposed(other, EXIM, NOON + timedelta(hours=1)),
        confirmed(other, MOFCOM, NOON + timedelta(days=2)),
        confirmed(one, EXIM, NOON + timedelta(days=3)),
    ]
    wanted = book(*events)
    for order in permutations(events):
        found = book(*order, *order[:2])
        assert found.standings() == wanted.standings()
        assert found.policies.in_force(date(2031, 1, 1)).digest == wanted.policies.in_force(date(2031, 1, 1)).digest


# --- one name, one text -----------------------------------------------------------------------------------------------


def test_of_two_proposals_of_one_version_the_first_has_the_name_and_the_other_is_named() -> None:
    first, second = text_of(), text_of(points=61)
    made = book(proposed(second, EXIM, NOON + timedelta(hours=1)), proposed(first))
    found = {one.digest: one for one in made.standings()}
    assert found[digest_of(first)].standing is Standing.PROPOSED
    assert found[digest_of(second)].standing is Standing.OUTDONE
    assert found[digest_of(second)].outdone_by == digest_of(first)


def test_what_was_agreed_on_first_is_not_undone_by_a_proposal_dated_before_it() -> None:
    agreed, backdated = text_of(), text_of(points=61)
    made = book(proposed(agreed), confirmed(agreed), proposed(backdated, EXIM, NOON - timedelta(days=30)))
    assert made.policies.in_force(date(2031, 1, 1)).digest == digest_of(agreed)


def test_a_released_version_is_not_replaced_over_topics() -> None:
    text = text_of(version="2024-07-01", day=date(2024, 7, 1))
    made = PolicyBook(RELEASED)
    made.learn(proposed(text, version="2024-07-01"))
    (only,) = made.standings()
    assert (only.standing, only.outdone_by) == (Standing.OUTDONE, RELEASED.version("2024-07-01").digest)


def test_a_version_that_was_agreed_on_and_is_released_later_counts_as_released() -> None:
    text = (POLICIES / "2024-07-01.yaml").read_text("utf-8")
    made = PolicyBook(RELEASED)
    made.learn(proposed(text, version="2024-07-01"))
    assert made.standings()[0].standing is Standing.RELEASED


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_proposal_with_faults_never_applies_and_tells_them_all() -> None:
    text = text_of(version="2031-02-02", tilt=[{"code": "x"}])
    found = standing(proposed(text), confirmed(text))
    assert found.standing is Standing.FAULTY
    assert len(found.faults) > 1
    assert applies(book(proposed(text), confirmed(text)), date(2040, 1, 1)) == "2024-07-01"


def test_a_proposal_named_otherwise_than_its_text_is_at_fault() -> None:
    found = standing(proposed(text_of(version="2031-02-02")))
    assert [one.fault.code for one in found.faults] == ["wrong_file_name"]


def test_a_text_that_would_unfold_into_more_than_memory_holds_is_at_fault() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    payload = PolicyProposed(
        policy_version=VERSION, effective_from="2031-01-01", text=bomb, digest=digest_of(bomb), proposed_by="person-1"
    )
    found = standing(Event("bomb", MOFCOM, payload.TYPE, NOON, VERSION, payload))
    assert [one.fault.code for one in found.faults] == ["alias_used"]


# --- in the service ---------------------------------------------------------------------------------------------------


def test_a_version_that_becomes_effective_in_the_middle_of_a_batch_scores_by_each_referrals_own_day() -> None:
    text = text_of()
    evening = datetime(2030, 12, 31, 23, 59, 59, tzinfo=CHINA_TIME)
    batch = [told.registered(at=evening), told.registered(at=evening + timedelta(seconds=1))]
    for order in (batch, batch[::-1]):
        found = {}
        for event in order:
            desk = Desk()
            desk.context.learn(proposed(text))
            desk.context.learn(confirmed(text))
            scored = next(one for one in desk.tell(event) if kinds([one]) == ["scored"])
            found[event.time] = scored.policy_version  # type: ignore[attr-defined]
        assert found == {evening: "2024-07-01", evening + timedelta(seconds=1): VERSION}


def test_a_confirmation_read_in_the_middle_of_a_batch_changes_no_score_of_its_own_day() -> None:
    text = text_of(day=date(2030, 1, 1))
    at = datetime(2030, 11, 5, 12, tzinfo=CHINA_TIME)
    desk = Desk()
    desk.context.learn(proposed(text))
    before = desk.context.score(told.referral(), at.date())
    desk.context.learn(confirmed(text, at=at))
    assert desk.context.score(told.referral(), at.date()).version == before.version == "2024-07-01"
    assert desk.context.score(told.referral(), at.date() + timedelta(days=1)).version == VERSION


def test_a_text_that_can_never_apply_is_counted_and_leaves_the_policy_as_it_was() -> None:
    counted = metrics.REFERENCE_INVALID.labels("commerce.policies")
    before = counted._value.get()
    desk = Desk()
    desk.context.learn(proposed(text_of(tilt=[{"code": "x"}])))
    assert counted._value.get() == before + 1
    assert desk.context.score(told.referral(), date(2031, 6, 1)).version == "2024-07-01"
