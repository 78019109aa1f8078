"""The directory as decisions see it: versions by date, whatever the order in which they were told."""

from __future__ import annotations

import random
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.codec import decode_structured
from schemas.directory import BranchEntered, Entry, PersonRole, ZoneEntered
from schemas.reference import Directory
from schemas.values import Side
from tests.unit.liaison.builders import branch, person, told, zone

SAMPLE = Path(__file__).parents[2] / "deploy" / "reference" / "directory.jsonl"
SPRING = date(2020, 4, 1)


def directory(*events: Any) -> Directory:
    made = Directory()
    for one in events:
        made.learn(one)
    return made


def of(*entries: Entry) -> Directory:
    return directory(*(told(entry) for entry in entries))


def test_an_entry_holds_from_its_first_day_until_its_next_version() -> None:
    known = of(zone(name_en="Old"), zone(name_en="New", valid_from=date(2021, 7, 1)))
    names = [found.name_en if (found := known.zone("manzhouli", on)) else None for on in
             (date(2019, 12, 31), date(2020, 1, 1), date(2021, 6, 30), date(2021, 7, 1))]  # fmt: skip
    assert names == [None, "Old", "Old", "New"]


def test_an_entry_ends_after_its_last_day_even_if_an_older_version_had_no_end() -> None:
    known = of(branch(), branch(valid_from=date(2020, 3, 1), valid_to=date(2020, 3, 31)))
    assert known.branch("exim-nmg", date(2020, 3, 31)) is not None
    assert known.branch("exim-nmg", date(2020, 4, 1)) is None


def test_a_zone_is_not_there_before_the_day_of_its_approval() -> None:
    known = of(zone(exists_from=date(2024, 3, 19)))
    assert known.zone("manzhouli", date(2024, 3, 18)) is None
    assert known.zones(date(2024, 3, 18)) == ()
    assert [one.code for one in known.zones(date(2024, 3, 19))] == ["manzhouli"]


def test_the_day_of_a_moment_is_the_day_in_china() -> None:
    known = of(zone(exists_from=date(2024, 3, 19)))
    assert known.zone("manzhouli", datetime.fromisoformat("2024-03-18T16:00:00+00:00")) is not None
    assert known.zone("manzhouli", datetime.fromisoformat("2024-03-18T15:59:59+00:00")) is None


def test_order_of_arrival_and_repeats_change_nothing() -> None:
    later = datetime.fromisoformat("2020-05-01T00:00:00+08:00")
    events = [
        told(zone(name_en="First")),
        told(zone(name_en="Corrected"), at=later, id="correction"),
        told(zone(name_en="Next", valid_from=date(2021, 1, 1))),
        told(zone("heihe", "23")),
        told(branch("exim-hlj", "23")),
        told(branch()),
        told(person("a", Side.COMMERCE, PersonRole.ZONE, "manzhouli")),
        told(person("a", Side.COMMERCE, PersonRole.ZONE, "heihe", valid_from=date(2021, 1, 1))),
    ]

    def picture(known: Directory) -> list[object]:
        days = (SPRING, date(2021, 4, 1))
        return [
            [known.zones(day), known.branches_of("23", day), known.persons(Side.COMMERCE, day, zone="heihe")]
            for day in days
        ]

    expected = picture(directory(*events))
    shuffler = random.Random(7)
    for _ in range(50):
        mixed = events * 2
        shuffler.shuffle(mixed)
        assert picture(directory(*mixed)) == expected
    found = directory(*events).zone("manzhouli", SPRING)
    assert found is not None
    assert found.name_en == "Corrected"


def test_of_two_corrections_told_at_the_same_moment_the_same_one_wins_in_any_order() -> None:
    one, other = told(zone(name_en="A"), id="a"), told(zone(name_en="B"), id="b")
    assert directory(one, other).zone("manzhouli", SPRING) == directory(other, one).zone("manzhouli", SPRING)


def test_persons_are_found_by_what_they_stand_for_on_the_day() -> None:
    known = of(
        person("zone-person", Side.COMMERCE, PersonRole.ZONE, "manzhouli"),
        person("department-person", Side.COMMERCE, PersonRole.DEPARTMENT, "15"),
        person("mover", Side.BANK, PersonRole.BRANCH, "exim-nmg"),
        person("mover", Side.BANK, PersonRole.HEADQUARTERS, valid_from=date(2021, 1, 1)),
    )
    both = known.persons(Side.COMMERCE, SPRING, zone="manzhouli", province="15")
    assert [one.code for one in both] == ["department-person", "zone-person"]
    assert [one.code for one in known.persons(Side.BANK, SPRING, branch="exim-nmg")] == ["mover"]
    assert known.persons(Side.BANK, date(2021, 1, 1), branch="exim-nmg") == ()
    assert [one.code for one in known.headquarters(Side.BANK, date(2021, 1, 1))] == ["mover"]
    assert known.persons(Side.BANK, SPRING, zone="manzhouli") == ()


def test_a_province_may_have_several_branches() -> None:
    known = of(branch("exim-ln", "21"), branch("exim-dl", "21"), branch("exim-nmg", "15"))
    assert [one.code for one in known.branches_of("21", SPRING)] == ["exim-dl", "exim-ln"]


@pytest.mark.parametrize(
    ("entry", "source"),
    [
        (zone(), "//bank/exim"),
        (branch(), "//commerce/mofcom"),
        (person("p", Side.BANK, PersonRole.HEADQUARTERS), "//commerce/mofcom"),
        (person("p", Side.COMMERCE, PersonRole.HEADQUARTERS), "//bank/exim"),
        (zone(), "//partner/frontier-bank"),
    ],
)
def test_nobody_enters_what_is_not_theirs(entry: Entry, source: str) -> None:
    event = told(entry, source=source)
    known = directory(event)
    assert known.foreign == {event.id}
    assert known.zones(SPRING) == ()
    assert known.branch("exim-nmg", SPRING) is None
    assert known.headquarters(Side.BANK, SPRING) == known.headquarters(Side.COMMERCE, SPRING) == ()


@pytest.mark.parametrize("email", ["a@b.cn\r\nBcc: x@y.cn", "Gao <a@b.cn>", "a b@c.cn", "@b.cn", "a@", "a@b.cn,c@d.cn"])
def test_an_address_that_is_more_than_an_address_is_refused(email: str) -> None:
    with pytest.raises(ValidationError):
        person("p", Side.BANK, PersonRole.HEADQUARTERS, email=email)


def test_the_sample_data_are_sound_keyed_and_marked_as_sample() -> None:
    known = Directory()
    for line in SAMPLE.read_bytes().splitlines():
        event = decode_structured(line, closed=True)
        assert event.subject == event.data.entry_key
        assert event.data.sample
        known.learn(event)
    assert known.foreign == set()
    assert len(known.zones(SPRING)) == 19
    assert len(known.zones(date(2024, 3, 19))) == 20
    assert {one.province for one in known.zones(SPRING)} == {"15", "21", "22", "23", "45", "53", "65"}
    assert [one.exists_from for one in known.zones(date(2024, 3, 19)) if one.exists_from] == [date(2024, 3, 19)]


def test_the_sample_data_name_somebody_for_every_zone_department_branch_and_headquarters() -> None:
    known = directory(*(decode_structured(line) for line in SAMPLE.read_bytes().splitlines()))
    day = date(2024, 3, 19)
    for one in known.zones(day):
        assert isinstance(one, ZoneEntered)
        assert known.department(one.province, day), one.code
        assert known.persons(Side.COMMERCE, day, zone=one.code), one.code
        assert known.persons(Side.COMMERCE, day, province=one.province), one.code
        serving = known.branches_of(one.province, day)
        assert serving, one.code
        for served in serving:
            assert isinstance(served, BranchEntered)
            assert known.persons(Side.BANK, day, branch=served.code), served.code
    for side in Side:
        assert known.headquarters(side, day)
