"""Zones, enterprises and projects: limits, figures, and the holds of a red zone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given as sampled
from hypothesis import settings
from hypothesis import strategies as st

from schemas import risk
from schemas.envelope import Payload
from services.kit.door import Invalid
from services.risk_monitor.domain.state import RiskSubjectState, evolve_case, evolve_subject, last_day
from services.risk_monitor.service import is_of_case, is_of_subject
from tests.unit.risk_monitor import builders as given
from tests.unit.risk_monitor.builders import LIMIT, Monitor

ZONE = "jeminay"


def lend(monitor: Monitor, case: str, amount: str) -> list[object]:
    monitor.tell(case, given.registered(), given.shortlisted(case))
    return monitor.tell(case, given.disbursed(amount))


def red_zone(monitor: Monitor) -> None:
    lend(monitor, "BIG", str(LIMIT + Decimal("0.01")))


@pytest.mark.parametrize(
    ("amount", "level"),
    [
        ("209000000.00", None),
        ("210000000.00", "blue"),
        ("240000000.00", "yellow"),
        ("270000000.00", "orange"),
        ("300000000.00", "red"),
    ],
)
def test_the_share_of_the_limit_makes_the_level(amount: str, level: str | None) -> None:
    monitor = Monitor()
    lend(monitor, "C-1", amount)
    assert monitor.subjects[ZONE].level == level


def test_a_zone_adds_up_what_its_cases_owe_and_its_warning_rises_with_it() -> None:
    monitor = Monitor()
    lend(monitor, "C-1", "220000000.00")
    lend(monitor, "C-2", "60000000.00")
    (further,) = monitor.of(risk.RiskWarningRaisedFurther, ZONE)
    assert (further.level_before, further.level) == ("blue", "orange")
    assert further.exposure.total_cny == Decimal("280000000.00")
    assert further.exposure.limit_cny == LIMIT


def test_a_warning_is_cleared_only_well_below_its_first_threshold() -> None:
    monitor = Monitor()
    lend(monitor, "C-1", "210000000.00")
    monitor.tell("C-1", given.repaid("200000000.00"))
    assert monitor.subjects[ZONE].level == "blue"
    monitor.tell("C-1", given.repaid("190000000.00"))
    assert monitor.subjects[ZONE].level is None
    assert len(monitor.of(risk.RiskWarningCleared, ZONE)) == 1


def test_a_breached_limit_is_said_once_for_as_long_as_the_warning_lasts() -> None:
    monitor = Monitor()
    red_zone(monitor)
    lend(monitor, "C-2", "1.00")
    (breach,) = monitor.of(risk.RiskLimitBreached)
    assert breach.exposure.total_cny == LIMIT + Decimal("0.01")
    monitor.tell("BIG", given.repaid("1.00"))
    lend(monitor, "C-3", str(LIMIT))
    assert len(monitor.of(risk.RiskLimitBreached)) == 2


def test_a_red_zone_holds_each_of_its_undecided_cases_and_no_other() -> None:
    monitor = Monitor()
    monitor.tell("A", given.registered(), given.expired("A"))
    monitor.tell("B", given.registered())
    monitor.tell("C", given.registered())
    monitor.tell("D", given.registered("helong"))
    red_zone(monitor)
    assert [held.referral_id for held in monitor.of(risk.RiskHeld)] == ["B", "C"]
    assert {held.hold_id for held in monitor.of(risk.RiskHeld)} == {"zone:jeminay"}
    assert [key for key, said in monitor.said if isinstance(said, risk.RiskHeld)] == ["B", "C"]


def test_a_case_that_opens_in_a_red_zone_is_held_too() -> None:
    monitor = Monitor()
    red_zone(monitor)
    monitor.tell("NEW", given.registered())
    assert [held.referral_id for held in monitor.of(risk.RiskHeld)] == ["NEW"]


def test_a_case_that_ends_in_a_red_zone_is_let_go() -> None:
    monitor = Monitor()
    monitor.tell("B", given.registered())
    red_zone(monitor)
    monitor.tell("B", given.expired("B"))
    (released,) = monitor.of(risk.RiskReleased, "B")
    assert released.code == "no_longer_undecided_in_zone"
    monitor.tell("BIG", given.repaid("1.00"))
    assert len(monitor.of(risk.RiskReleased)) == 1


def test_when_the_warning_of_a_red_zone_is_cleared_its_cases_are_released() -> None:
    monitor = Monitor()
    monitor.tell("B", given.registered())
    red_zone(monitor)
    monitor.tell("NEW", given.registered())
    monitor.tell("BIG", given.repaid("1.00"))
    assert [(one.referral_id, one.code) for one in monitor.of(risk.RiskReleased)] == [
        ("B", "warning_cleared"),
        ("NEW", "warning_cleared"),
    ]


def test_both_sides_lift_the_hold_of_a_zone_for_all_its_cases_and_newcomers() -> None:
    monitor = Monitor()
    monitor.tell("B", given.registered())
    red_zone(monitor)
    monitor.tell(ZONE, given.release(ZONE, "zone"), source="//bank/exim")
    assert monitor.of(risk.RiskReleased) == []
    monitor.tell(ZONE, given.release(ZONE, "zone"), source="//commerce/mofcom")
    assert [one.referral_id for one in monitor.of(risk.RiskReleased)] == ["B"]
    monitor.tell("NEW", given.registered())
    assert [one.referral_id for one in monitor.of(risk.RiskHeld)] == ["B"]


def test_a_release_of_a_zone_that_holds_nothing_is_refused_with_the_id_of_what_was_submitted() -> None:
    monitor = Monitor()
    monitor.tell(ZONE, given.release(ZONE, "zone"), source="//bank/exim")
    (refused,) = monitor.of(risk.RiskRefused, ZONE)
    assert (refused.code, refused.refused_type, refused.refused_id) == ("not_held", "hold.release_submitted.v1", "e-0")


def test_bad_figures_raise_a_warning_and_better_ones_clear_it() -> None:
    monitor = Monitor()
    assessed, raised = monitor.tell(ZONE, given.figures(ZONE, debt_ratio="0.72"), source="//commerce/65")
    assert assessed.indicators.findings[0].level == "yellow"
    assert (raised.level, raised.causes[0].code) == ("yellow", "indicator_beyond_threshold")
    monitor.tell(ZONE, given.figures(ZONE, period="2020-Q2", debt_ratio="0.50"), source="//commerce/65")
    assert monitor.subjects[ZONE].level is None


def test_lower_is_worse_where_the_rule_says_so() -> None:
    monitor = Monitor()
    monitor.tell(ZONE, given.figures(ZONE, output_growth="-15"), source="//commerce/65")
    assert monitor.subjects[ZONE].level == "yellow"


def test_figures_of_an_older_period_do_not_count_against_newer_ones() -> None:
    monitor = Monitor()
    monitor.tell(ZONE, given.figures(ZONE, period="2020", debt_ratio="0.50"), source="//commerce/65")
    monitor.tell(ZONE, given.figures(ZONE, period="2020-11", debt_ratio="0.85"), source="//commerce/65")
    assert monitor.subjects[ZONE].level is None


def test_a_figure_restated_for_its_period_replaces_the_first() -> None:
    monitor = Monitor()
    monitor.tell(ZONE, given.figures(ZONE, debt_ratio="0.85"), source="//commerce/65")
    monitor.tell(ZONE, given.figures(ZONE, debt_ratio="0.50"), source="//commerce/65")
    assert monitor.subjects[ZONE].level is None


def test_each_sides_figure_counts_for_itself() -> None:
    monitor = Monitor()
    monitor.tell(ZONE, given.figures(ZONE, debt_ratio="0.85"), source="//commerce/65")
    monitor.tell(ZONE, given.figures(ZONE, debt_ratio="0.50"), source="//bank/exim-xj")
    assert monitor.subjects[ZONE].level == "orange"


def test_a_figure_without_a_rule_or_in_another_unit_is_recorded_but_not_judged_nor_kept() -> None:
    monitor = Monitor()
    answers = monitor.tell(
        given.ENTERPRISE,
        given.figures(given.ENTERPRISE, "enterprise", patents="3", capacity_utilisation="10"),
        source="//bank/exim-xj",
    )
    assert [(one.judged, one.level) for one in answers[0].indicators.findings] == [(False, None), (False, None)]
    assert monitor.subjects[given.ENTERPRISE].figures == {}


def test_a_red_enterprise_is_warned_of_and_holds_nothing_by_itself() -> None:
    monitor = Monitor()
    answers = monitor.tell(
        given.ENTERPRISE, given.figures(given.ENTERPRISE, "enterprise", debt_ratio="1.10"), source="//bank/exim-xj"
    )
    assert [type(one).TYPE for one in answers] == ["risk.assessed.v1", "risk.warning_raised.v1"]
    assert (answers[1].level, answers[1].credit_code, answers[1].zone) == ("red", given.ENTERPRISE, None)


def test_one_key_does_not_stand_for_two_kinds_of_subject() -> None:
    monitor = Monitor()
    monitor.tell("X-1", given.figures("X-1", "project", delay="1"), source="//bank/exim-xj")
    with pytest.raises(Invalid):
        monitor.tell("X-1", given.figures("X-1", "enterprise", debt_ratio="0.1"), source="//bank/exim-xj")


def test_figures_under_another_key_than_they_name_are_invalid() -> None:
    with pytest.raises(Invalid):
        Monitor().tell("helong", given.figures(ZONE, debt_ratio="0.1"), source="//bank/exim-xj")


@pytest.mark.parametrize(
    ("period", "day"),
    [
        ("2020", "2020-12-31"),
        ("2020-H1", "2020-06-30"),
        ("2020-Q4", "2020-12-31"),
        ("2020-02", "2020-02-29"),
        ("2019-12", "2019-12-31"),
    ],
)
def test_periods_end_on_their_last_day(period: str, day: str) -> None:
    assert last_day(period).isoformat() == day


def three_cases() -> Monitor:
    """Three cases of one zone whose messages to the zone wait to be delivered."""
    monitor = Monitor(hold_back=True)
    for case, amount in (("A", "150000000.00"), ("B", "160000000.00"), ("C", "20000000.00")):
        lend(monitor, case, amount)
    monitor.tell("A", given.repaid("10000000.00"))
    return monitor


@settings(max_examples=100, deadline=None)
@sampled(st.randoms(use_true_random=False))
def test_totals_and_counts_are_the_same_however_the_cases_of_a_zone_interleave(random: object) -> None:
    straight = three_cases()
    while straight.waiting:
        straight.deliver(0)
    mixed = three_cases()
    while mixed.waiting:
        senders = [payload.referral_id for _, payload in mixed.waiting]
        # Order holds per case only, as on the topic.
        mixed.deliver(senders.index(random.choice(sorted(set(senders)))))
    one, other = straight.subjects[ZONE], mixed.subjects[ZONE]
    assert (one.cny, one.usd, sorted(one.undecided)) == (other.cny, other.usd, sorted(other.undecided))
    assert one.cny == Decimal("190000000.00")
    counted = [sorted(map(repr, monitor.of(risk.RiskExposureCounted))) for monitor in (straight, mixed)]
    assert counted[0] == counted[1]


moves = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C"]),
        st.one_of(
            st.builds(given.disbursed, st.sampled_from(["1.00", "150000000.00", "290000000.00"])),
            st.builds(given.overdue, st.sampled_from([5, 50, 100, 280, 400])),
            st.just(given.repaid("0.00")),
            st.just(given.written_off()),
        ),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@sampled(moves, st.integers(0, 3))
def test_holds_and_releases_alternate_and_the_records_alone_give_the_states_back(
    steps: list[tuple[str, Payload]], decided: int
) -> None:
    monitor = Monitor()
    for index, case in enumerate(("A", "B", "C", "D", "E")):
        monitor.tell(case, given.registered())
        if index < 3:
            monitor.tell(case, given.shortlisted(case))
    for case, step in steps:
        monitor.tell(case, step)
    if decided:
        monitor.tell("D", given.expired("D"))
    check_holds(monitor)
    check_fold(monitor)


def check_holds(monitor: Monitor) -> None:
    """Of each hold: held first, then released and held by turns; in force exactly where the state says so."""
    in_force: dict[tuple[str, str], bool] = {}
    for key, said in monitor.said:
        if isinstance(said, risk.HoldNotice):
            assert key == said.referral_id
            place = (key, said.hold_id)
            assert in_force.get(place, False) is isinstance(said, risk.RiskReleased)
            in_force[place] = isinstance(said, risk.RiskHeld)
    expected = {(key, f"case:{key}") for key, case in monitor.cases.items() if case.held}
    zone: RiskSubjectState = monitor.subjects[ZONE]
    expected |= {(key, f"zone:{ZONE}") for key in zone.undecided if zone.held}
    assert {place for place, held in in_force.items() if held} == expected


def check_fold(monitor: Monitor) -> None:
    """Folding what stands on the record topic, as it travels, gives the states."""
    cases: dict[str, object] = {}
    subjects: dict[str, object] = {}
    for key, said in monitor.said:
        if not isinstance(said, risk.RiskFact) or isinstance(said, risk.RiskRefused):
            continue
        assert is_of_case(said) is not is_of_subject(said)
        travelled = type(said).model_validate_json(said.model_dump_json())
        if is_of_case(said):
            cases[key] = evolve_case(cases.get(key), travelled)
        else:
            subjects[key] = evolve_subject(subjects.get(key), travelled)
    assert cases == monitor.cases
    assert subjects == monitor.subjects
