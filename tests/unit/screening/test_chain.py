"""Supply chains: several cases and their chain telling each other, as the kit lets them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter

from schemas.chain import LinkStanding, ScreeningChainRaised, ScreeningChainStateTold, chain_key
from schemas.envelope import Event, Payload
from schemas.referral import REFERRAL_EXAMPLE, Referral, ReferralAmended, ReferralRegistered
from services.kit.door import Early, To
from services.screening.domain.chain import Chain
from services.screening.service import ScreeningContext, build
from tests.unit.screening import builders as told
from tests.unit.screening.builders import OPENED, after, kinds

CHAIN = "MZL-TIMBER-1"
KEY, SAWMILL, EXPORTER = "MZL-1", "MZL-2", "MZL-3"
LATE = datetime(2020, 4, 9, 23, 59, 59, tzinfo=OPENED.tzinfo)
"""The end of the fifth working day after the opening: half of what an ordinary case has."""

_AGGREGATES = {one.name: one for one in build().aggregates}
_STATES = {name: TypeAdapter(one.state) for name, one in _AGGREGATES.items()}


@dataclass
class World:
    """Cases and chains, by key; what goes out to other keys is delivered at once, in order."""

    context: ScreeningContext = field(default_factory=lambda: told.Desk().context)
    states: dict[tuple[str, str], Any] = field(default_factory=dict)
    said: list[tuple[str, Payload]] = field(default_factory=list)
    waiting: deque[tuple[str, Event[Any]]] = field(default_factory=deque)

    def tell(self, key: str, *events: Event[Any]) -> None:
        for event in events:
            self._take("case", key, _AGGREGATES["case"].routes[type(event.data)], _under(key, event))
            self.deliver()

    def deliver(self) -> None:
        while self.waiting:
            key, event = self.waiting.popleft()
            name = "chain" if key.startswith("chain:") else "case"
            self._take(name, key, _AGGREGATES[name].routes[type(event.data)], event)

    def pass_time(self, until: datetime) -> None:
        while due := sorted(self._due(until), key=lambda one: one[0]):
            moment, name, key, deadline = due[0]
            event = Event(
                f"{key}/{deadline.name}", "//kouan/screening/deadlines", "deadline", moment, key, deadline, key
            )
            self._take(name, key, _AGGREGATES[name].due, event)
            self.deliver()

    def _due(self, until: datetime) -> Iterator[tuple[datetime, str, str, Any]]:
        for (name, key), state in self.states.items():
            deadlines = _AGGREGATES[name].deadlines
            assert deadlines is not None
            yield from ((one.due, name, key, one) for one in deadlines(state) if one.due <= until)

    def _take(self, name: str, key: str, decide: Any, event: Event[Any]) -> None:
        for output in list(decide(self.states.get((name, key)), event, self.context)):
            payload = output.payload if isinstance(output, To) else output
            if isinstance(output, To):
                id = f"{event.id}>{output.key}/{payload.TYPE}"
                self.waiting.append(
                    (output.key, Event(id, "//kouan/screening", payload.TYPE, event.time, output.key, payload, key))
                )
                continue
            self.said.append((key, payload))
            if type(payload) in _AGGREGATES[name].records:
                state = _AGGREGATES[name].evolve(self.states.get((name, key)), payload)
                self.states[name, key] = _STATES[name].validate_python(orjson.loads(orjson.dumps(state)))

    def chain(self, chain_id: str = CHAIN) -> Chain:
        state = self.states["chain", chain_key(chain_id)]
        assert isinstance(state, Chain)
        return state

    def standings(self) -> dict[str, LinkStanding]:
        return {link.referral_id: link.standing for link in self.chain().links}

    def raised(self) -> set[str]:
        return {key for (name, key), state in self.states.items() if name == "case" and state.raised}

    def told_cases(self) -> list[tuple[str, str]]:
        """Who was raised or eased, in order."""
        pairs = [(key, kinds([payload])[0]) for key, payload in self.said]
        return [pair for pair in pairs if pair[1] in ("chain_raised", "chain_eased")]


def _under(key: str, event: Event[Any]) -> Event[Any]:
    data = event.data
    if getattr(data, "referral_id", None) is not None:
        data = data.model_copy(update={"referral_id": key})
    return Event(f"{key}/{event.id}", event.source, event.type, event.time, key, data, key)


def member(role: str = "upstream", key_link: bool = False, chain_id: str = CHAIN, **changes: Any) -> Referral:
    chain = {"chain_id": chain_id, "role": role, "key_link": key_link}
    return Referral.model_validate({**REFERRAL_EXAMPLE, "chain": chain, **changes})


def joined(body: Referral, at: datetime = OPENED) -> Event[ReferralRegistered]:
    return told.registered(body, at)


@pytest.fixture
def world() -> World:
    """A chain of three: one without which the others stand still, and two more."""
    made = World()
    made.tell(KEY, joined(member(key_link=True)))
    made.tell(SAWMILL, joined(member("core")))
    made.tell(EXPORTER, joined(member("downstream")))
    return made


def test_a_chain_knows_its_members_and_how_each_stands(world: World) -> None:
    assert world.standings() == dict.fromkeys((KEY, SAWMILL, EXPORTER), LinkStanding.WAITING)
    assert world.raised() == set()


def test_a_case_without_a_chain_tells_nobody() -> None:
    alone = World()
    alone.tell(KEY, told.registered(), told.held())
    assert {name for name, _ in alone.states} == {"case"}


def test_a_held_key_link_raises_every_open_case_of_its_chain_itself_included(world: World) -> None:
    world.tell(KEY, told.held())
    assert world.raised() == {KEY, SAWMILL, EXPORTER}
    payload = next(one for _, one in world.said if isinstance(one, ScreeningChainRaised))
    assert [(one.referral_id, one.standing) for one in payload.blocked_by] == [(KEY, "held")]


def test_a_released_key_link_eases_them_again(world: World) -> None:
    world.tell(KEY, told.held(), told.released())
    assert world.raised() == set()
    assert world.told_cases() == [
        (key, what) for what in ("chain_raised", "chain_eased") for key in (KEY, SAWMILL, EXPORTER)
    ]


def test_another_member_that_is_held_raises_nobody(world: World) -> None:
    world.tell(SAWMILL, told.held())
    assert world.standings()[SAWMILL] is LinkStanding.HELD
    assert world.told_cases() == []


def test_a_key_link_without_opinions_for_half_of_its_time_is_late_and_raises_its_chain(world: World) -> None:
    world.pass_time(LATE - timedelta(seconds=1))
    assert world.raised() == set()
    world.pass_time(LATE)
    assert world.standings()[KEY] is LinkStanding.LATE
    assert world.raised() == {KEY, SAWMILL, EXPORTER}


def test_a_key_link_that_is_shortlisted_after_having_been_late_frees_its_chain(world: World) -> None:
    world.pass_time(LATE)
    world.tell(KEY, told.supports(told.COMMERCE, after(9)), told.supports(told.BANK, after(9)))
    world.pass_time(after(9))
    assert world.standings()[KEY] is LinkStanding.SHORTLISTED
    assert world.raised() & {SAWMILL, EXPORTER} == set()


def test_a_key_link_that_the_policy_stops_blocks_its_chain_and_who_joins_later_is_raised_at_once(world: World) -> None:
    stopped = member(key_link=True, need="outbound_investment", key_area="two_way_investment", country="VA")
    world.tell("MZL-4", joined(stopped))
    assert world.standings()["MZL-4"] is LinkStanding.DECLINED
    assert world.raised() == {KEY, SAWMILL, EXPORTER}
    world.tell("MZL-5", joined(member(), after(1)))
    assert world.raised() == {KEY, SAWMILL, EXPORTER, "MZL-5"}


def test_a_repaired_referral_takes_the_place_of_the_case_that_it_repairs(world: World) -> None:
    stopped = member(key_link=True, need="outbound_investment", key_area="two_way_investment", country="VA")
    world.tell("MZL-4", joined(stopped))
    world.tell("MZL-6", joined(member(key_link=True, repairs="MZL-4"), after(3)))
    assert "MZL-4" not in world.standings()
    assert world.raised() == set()


def test_a_key_link_that_is_withdrawn_leaves_its_chain_and_frees_it(world: World) -> None:
    world.tell(KEY, told.held(), told.withdrawn())
    assert set(world.standings()) == {SAWMILL, EXPORTER}
    assert world.raised() & {SAWMILL, EXPORTER} == set()


def test_an_amendment_that_takes_a_case_to_another_chain_takes_it_out_of_the_first(world: World) -> None:
    world.tell(KEY, told.held())
    world.tell(EXPORTER, told.amended(member(chain_id="OTHER"), after(6)))
    assert set(world.standings()) == {KEY, SAWMILL}
    assert [link.referral_id for link in world.chain("OTHER").links] == [EXPORTER]
    assert world.raised() == {KEY, SAWMILL}


def test_an_amendment_that_makes_a_waiting_member_a_key_link_counts_its_time_from_when_it_began_to_wait(
    world: World,
) -> None:
    change: Event[ReferralAmended] = told.amended(member("core", key_link=True), after(2))
    world.tell(SAWMILL, change)
    assert world.chain().link(SAWMILL).late_from == LATE  # type: ignore[union-attr]


def test_word_that_comes_twice_raises_once(world: World) -> None:
    world.tell(KEY, told.held())
    world.tell(KEY, told.held(hold_id=told.CASE_HOLD, at=after(6)))
    assert world.told_cases() == [(key, "chain_raised") for key in (KEY, SAWMILL, EXPORTER)]


def test_word_of_a_chain_waits_for_the_case_to_be_registered(world: World) -> None:
    world.tell(KEY, told.held())
    payload = next(one for _, one in world.said if isinstance(one, ScreeningChainRaised))
    state = told.event(_state_told(payload), after(5), "//kouan/screening")
    with pytest.raises(Early):
        World().tell(KEY, state)


def _state_told(raised: ScreeningChainRaised) -> Payload:
    return ScreeningChainStateTold(
        chain_id=raised.chain_id, referral_id=raised.referral_id, blocked_by=raised.blocked_by
    )


def test_replaying_what_chain_and_cases_put_on_record_gives_the_same_states(world: World) -> None:
    world.tell(KEY, told.held(), told.released())
    world.pass_time(after(40))
    folded: dict[tuple[str, str], Any] = {}
    for key, payload in world.said:
        for name, aggregate in _AGGREGATES.items():
            if type(payload) in aggregate.records:
                folded[name, key] = aggregate.evolve(folded.get((name, key)), payload)
    assert {
        place: _STATES[place[0]].validate_python(orjson.loads(orjson.dumps(state))) for place, state in folded.items()
    } == (world.states)
