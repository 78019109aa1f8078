"""A declaration that does not fit the catalogue never runs; all that is wrong with it is told at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.kit.door import Service
from services.kit.wiring import wire
from tests.support.ledger import (
    AccountOpened,
    AccountRequested,
    ClerkNamed,
    ClerkNamedV1,
    EntryMade,
    build,
    catalogue,
    topic,
)
from topics.definition import Catalogue, Key, Kind, Text


def changed(**topics: dict[str, object]) -> Catalogue:
    """The ledger's catalogue with some fields of some topics changed, unchecked."""
    known = {
        name: one.model_copy(update=topics.get(name.partition(".")[2].replace("-", "_"), {}))
        for name, one in catalogue().topics.items()
    }
    return Catalogue(known)


def ledger(**aggregate: object) -> Service:
    service = build()
    return replace(service, aggregates=(replace(service.aggregates[0], **aggregate), *service.aggregates[1:]))  # type: ignore[arg-type]


def test_each_input_topic_feeds_the_aggregate_that_is_keyed_like_it() -> None:
    wiring = wire(build(), catalogue())

    assert set(wiring.topics_of("account")) >= {"ledger.accounts", "ledger.entries"}
    assert wiring.topics_of("clerk") == ("ledger.clerks",)
    assert wiring.partitions == {"account": 4, "clerk": 4}


def test_a_topic_keyed_by_what_no_aggregate_is_keyed_by_is_refused() -> None:
    weather = Key(name="weather", example="rain", why=Text(zh="没有理由", en="no reason"))
    with pytest.raises(TypeError, match=r"ledger\.entries is keyed by weather, which no aggregate of ledger is"):
        wire(build(), changed(entries={"key": weather}))


def test_topics_of_one_aggregate_need_equal_partitions() -> None:
    with pytest.raises(TypeError, match=r"ledger\.entries has 8 partitions; the other topics of account have 4"):
        wire(build(), changed(entries={"partitions": 8}))


def test_an_event_type_without_a_payload_class_is_refused() -> None:
    with pytest.raises(TypeError, match=r"ledger\.entries carries ledger\.miracle_made\.v1, which no payload class"):
        wire(build(), changed(entries={"events": frozenset({"ledger.miracle_made.v1"})}))


def test_an_output_without_a_payload_class_is_refused() -> None:
    with pytest.raises(TypeError, match=r"ledger\.events carries ledger\.miracle_told\.v1, which no payload class"):
        wire(build(), changed(events={"events": frozenset({AccountOpened.TYPE, "ledger.miracle_told.v1"})}))


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = changed(entries={"partitions": 8}, events={"events": frozenset({"ledger.miracle_told.v1"})})

    with pytest.raises(TypeError, match=r"8 partitions.*miracle_told"):
        wire(build(), wrong)


def test_types_of_a_topic_that_the_service_does_not_decide_about_are_known_but_not_routed() -> None:
    wiring = wire(ledger(routes={AccountRequested: lambda state, event, context: ()}), catalogue())

    assert wiring.inlets["ledger.entries"].known == {EntryMade.TYPE: EntryMade}
    assert wiring.inlets["ledger.entries"].routes == {}


def test_an_older_version_takes_the_route_of_the_newest() -> None:
    clerks = wire(build(), catalogue()).inlets["ledger.clerks"]

    assert clerks.routes[ClerkNamedV1.TYPE].decide is clerks.routes[ClerkNamed.TYPE].decide


def test_a_route_for_an_older_version_is_refused_because_nothing_would_ever_take_it() -> None:
    service = build()
    account, clerk = service.aggregates
    old = replace(clerk, routes={ClerkNamedV1: clerk.routes[ClerkNamed]})

    with pytest.raises(TypeError, match=r"clerk of ledger routes ledger\.clerk_named\.v1, .* ledger\.clerk_named\.v2"):
        wire(replace(service, aggregates=(account, old)), catalogue())


def test_only_the_reader_that_the_catalogue_names_sends_misplaced_records_on() -> None:
    wiring = wire(build(), changed(entries={"redistributed_by": "somebody_else"}))

    assert wiring.inlets["ledger.accounts"].sends_on
    assert not wiring.inlets["ledger.entries"].sends_on


def test_reference_topics_are_read_apart_from_inputs() -> None:
    reference = topic("ledger.rates", Kind.REFERENCE, readers=("ledger",))
    wiring = wire(build(), Catalogue(catalogue().topics | {reference.name: reference}))

    assert [one.name for one in wiring.references] == ["ledger.rates"]
    assert "ledger.rates" not in wiring.inlets
