"""How much a party may ask for."""

from __future__ import annotations

import pytest

from services.gateway.limits import Limits
from services.gateway.parties import Party
from services.gateway.problems import Problem
from services.gateway.settings import GatewaySettings
from tests.support.system import wait_until

ONE, OTHER = Party("//commerce/manzhouli", "a"), Party("//bank/exim-nmg", "b")


def limits(**settings: float) -> Limits:
    return Limits(GatewaySettings(**{f"gateway_{name}": value for name, value in settings.items()}))


def passes(bounded: Limits, party: Party) -> bool:
    try:
        bounded.count(party)
    except Problem:
        return False
    return True


def test_a_party_that_asks_too_often_is_told_when_to_come_back() -> None:
    bounded = limits(requests_per_second=5, burst=3)
    for _ in range(3):
        bounded.count(ONE)
    with pytest.raises(Problem) as problem:
        bounded.count(ONE)
    assert problem.value.status == 429
    assert problem.value.headers == {"Retry-After": "1"}
    # Another key of the same party shares its bucket, another party has its own.
    with pytest.raises(Problem):
        bounded.count(Party(ONE.source, "another"))
    bounded.count(OTHER)
    wait_until(lambda: passes(bounded, ONE), 2, "the bucket fills again")


def test_no_more_requests_are_under_way_than_may_be() -> None:
    bounded = limits(in_flight=1)
    with bounded.under_way():
        with pytest.raises(Problem) as problem, bounded.under_way():
            pass
        assert problem.value.status == 503
        assert problem.value.headers["Retry-After"] == "1"
    with bounded.under_way():
        pass


def test_a_party_has_a_side_a_code_and_perhaps_the_whole_view() -> None:
    assert (ONE.side, ONE.code, ONE.may_see_all) == ("commerce", "manzhouli", False)
    assert (OTHER.side, OTHER.code, OTHER.may_see_all) == ("bank", "exim-nmg", False)
    assert Party("//commerce/mofcom", "c").may_see_all
    assert Party("//bank/exim", "c").may_see_all
