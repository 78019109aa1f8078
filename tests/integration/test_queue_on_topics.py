"""`kouan queue` and `kouan chain` tell from a real broker's topics what is to be done first, and who unblocks whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from schemas.codec import to_binary
from schemas.envelope import Event
from schemas.screening import ScreeningOpened
from services.cli import app
from services.cli.terminal import Exit
from tests.support.brokers import unique
from tests.unit.screening import builders as told
from tests.unit.screening.builders import after
from tests.unit.screening.test_chain import World, member

pytestmark = pytest.mark.broker

ZONE = unique("zone").lower().replace("-", "_")
CHAIN = unique("CHAIN")
KEY, SAWMILL, BEST, URGENT, LOST = (unique(name) for name in ("KEY", "SAWMILL", "BEST", "URGENT", "LOST"))
ELSEWHERE = f"{ZONE}_elsewhere"


@pytest.fixture(scope="module")
def servers(own_cluster: str) -> str:
    """The broker with four cases on record: two of a chain whose key link is held, a high score, an urgent one."""
    world = World()
    registered = {
        KEY: told.registered(member(key_link=True, chain_id=CHAIN, zone=ZONE, term_months=6)),
        SAWMILL: told.registered(member("core", chain_id=CHAIN, zone=ZONE, term_months=6)),
        BEST: told.registered(told.referral(zone=ZONE)),
        URGENT: told.registered(told.referral(zone=ZONE, lane="resumption")),
    }
    for key, event in registered.items():
        world.tell(key, event)
    world.tell(KEY, told.held())
    world.tell(URGENT, told.supports(told.BANK, after(1)))
    put(own_cluster, "referral.events", (_of(key, event) for key, event in registered.items()))
    put(own_cluster, "screening.events", recorded(world))
    # Of one case, in another zone, the topic no longer holds the opening.
    lost = told.registered(told.referral(zone=ELSEWHERE))
    put(own_cluster, "referral.events", iter((_of(LOST, lost),)))
    put(own_cluster, "screening.events", (_of(LOST, event) for event in without_opening()))
    return own_cluster


def _of(key: str, event: Event[Any]) -> Event[Any]:
    return Event(f"{key}/{event.type}", event.source, event.type, event.time, key, event.data, key)


def without_opening() -> Iterator[Event[Any]]:
    """A case's record but for its beginning."""
    said = told.Desk().tell(told.registered(), told.supports(told.BANK, after(1)))
    for payload in said:
        if not isinstance(payload, ScreeningOpened):
            yield told.event(payload, told.OPENED, "//kouan/screening")


def recorded(world: World) -> Iterator[Event[Any]]:
    """What the cases and their chain put on record, the last of it twice."""
    said = [*enumerate(world.said), (len(world.said) - 1, world.said[-1])]
    for number, (key, payload) in said:
        yield Event(f"{key}/{number}", "//kouan/screening", payload.TYPE, told.OPENED, key, payload, key)


def put(servers: str, topic: str, events: Iterator[Event[Any]]) -> None:
    with closing(KafkaProducer(bootstrap_servers=servers.split(","))) as producer:
        for event in events:
            key, value, headers = to_binary(event)
            producer.send(topic, key=key, value=value, headers=headers).get(timeout=60)


def run(servers: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "-b", servers], env={"COLUMNS": "200"})


def queue(servers: str, *arguments: str) -> list[dict[str, Any]]:
    result = run(servers, "queue", "--zone", ZONE, "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, list)
    return found


def test_the_queue_goes_by_lane_chain_score_and_age(servers: str) -> None:
    found = queue(servers)
    assert [one["referral_id"] for one in found] == [URGENT, *sorted((KEY, SAWMILL)), BEST]
    assert [one["chain_blocked"] for one in found] == [False, True, True, False]
    assert found[0]["awaited"] == {"commerce": "opinion"}


def test_the_queue_of_a_side_leaves_out_what_that_side_has_done(servers: str) -> None:
    assert URGENT not in {one["referral_id"] for one in queue(servers, "--side", "bank")}
    assert URGENT in {one["referral_id"] for one in queue(servers, "--side", "commerce")}


def test_the_queue_is_shown_as_a_table_in_both_languages(servers: str) -> None:
    result = run(servers, "queue", "--zone", ZONE)
    assert result.exit_code == 0, result.stderr
    for text in (KEY, "链受阻 chain blocked", "复工复产 resumption", "冻结中 held", "4 件 cases"):
        assert text in result.stdout


def test_a_case_whose_opening_the_topic_no_longer_holds_is_marked_and_not_an_error(servers: str) -> None:
    result = run(servers, "queue", "--zone", ELSEWHERE, "--json")
    assert result.exit_code == 0, result.stderr
    (one,) = json.loads(result.stdout)
    assert (one["referral_id"], one["incomplete"], one["place"]) == (LOST, True, None)


def test_a_chain_tells_who_blocks_it_and_whom_that_keeps_waiting(servers: str) -> None:
    result = run(servers, "chain", CHAIN, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    first, second = found["links"]
    assert (found["blocked"], first["referral_id"], first["standing"]) == (True, KEY, "held")
    assert (first["unblocks"], first["holds"]) == ([SAWMILL], [told.ZONE_HOLD])
    assert (second["referral_id"], second["unblocks"]) == (SAWMILL, [])
    shown = run(servers, "chain", CHAIN)
    assert "受阻 blocked by" in shown.stdout


def test_a_chain_of_which_nothing_is_on_record_is_named(servers: str) -> None:
    assert run(servers, "chain", "NO-SUCH-CHAIN").exit_code == Exit.UNKNOWN_CASE
