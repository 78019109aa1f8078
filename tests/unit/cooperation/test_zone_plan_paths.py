"""No path to a plan that holds leaves a signature out: random histories against a count kept beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.plan import PlanFact, PlanPart, PlanPartReplaced, PlanSignedOff, PlanSignOffRecorded
from services.cooperation.domain.zone_plan import evolve
from services.kit.door import Early
from tests.unit.cooperation.builders import BRANCH, START, ZONE, Desk, said

SIDES = {ZONE: "commerce", BRANCH: "bank"}

submissions = st.tuples(st.just("submit"), st.sampled_from(PlanPart), st.integers(1, 3), st.just(ZONE))
signatures = st.tuples(st.just("sign"), st.sampled_from(PlanPart), st.integers(1, 2), st.sampled_from(sorted(SIDES)))
steps = st.lists(st.one_of(submissions, signatures, signatures, signatures), max_size=40)


@dataclass
class Count:
    """What a person with paper and pencil would know: the version of each part, and who signed that one."""

    version: dict[str, int] = field(default_factory=dict)
    signed: set[tuple[str, str]] = field(default_factory=set)

    def holds(self) -> bool:
        return len(self.signed) == len(PlanPart) * len(SIDES)

    def take(self, what: str, part: str, version: int, side: str) -> None:
        if what == "submit" and version == self.version.get(part, 0) + 1:
            self.version[part] = version
            self.signed -= {(part, other) for other in SIDES.values()}
        elif what == "sign" and version == self.version.get(part):
            self.signed.add((part, side))


def event(number: int, what: str, part: PlanPart, version: int, source: str) -> tuple[Any, datetime]:
    at = START + timedelta(minutes=number)
    if what == "sign":
        return said("plan.part_signed_off.v1", source, at, part=part, version=version, signed_by="clerk-1"), at
    body: dict[str, Any] = {"zone": "manzhouli", "title": "规划", "summary": "概要。", "submitted_by": "clerk-1"}
    return said("plan.part_submitted.v1", source, at, part=part, version=version, **body), at


ALL_SIGNED = [
    *[("submit", part, 1, ZONE) for part in PlanPart],
    *[("sign", part, 1, source) for part in PlanPart for source in SIDES],
]


@settings(max_examples=60, deadline=None)
@given(steps, st.booleans())
def test_a_plan_is_signed_off_exactly_when_both_sides_have_signed_every_part_as_it_is(
    history: list[tuple[str, PlanPart, int, str]], from_a_plan_that_holds: bool
) -> None:
    desk, count, outputs, held = Desk("plan"), Count(), [], False
    for number, (what, part, version, source) in enumerate(ALL_SIGNED + history if from_a_plan_that_holds else history):
        told, at = event(number, what, part, version, source)
        try:
            outputs += desk.tell(told)
        except Early:
            assert version > count.version.get(part, 0)
            continue
        count.take(what, part, version, SIDES[source])
        due = desk.pass_time(at)
        outputs += due
        assert bool(due) == (count.holds() and not held)
        held = count.holds()
    for index, output in enumerate(outputs):
        if isinstance(output, PlanSignedOff):
            assert_every_version_was_signed(output, outputs[:index])
    plan = None
    for output in outputs:
        if isinstance(output, PlanFact):
            plan = evolve(plan, output)
    assert plan == (desk.state.zone_plan if desk.state else None)


def assert_every_version_was_signed(held: PlanSignedOff, before: list[Any]) -> None:
    for one in held.versions:
        signed = {
            output.side.value
            for output in before
            if isinstance(output, PlanSignOffRecorded) and (output.part, output.version) == (one.part, one.version)
        }
        later = [
            o for o in before if isinstance(o, PlanPartReplaced) and o.part is one.part and o.version > one.version
        ]
        assert signed == set(SIDES.values())
        assert not later
