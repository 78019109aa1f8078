"""A case: its grade, its warning, its hold, and what its zone counts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from schemas import risk
from services.kit.door import Early, Invalid
from tests.unit.risk_monitor import builders as given
from tests.unit.risk_monitor.builders import Monitor


def types(answers: list[object]) -> list[str]:
    return [type(answer).TYPE for answer in answers]


def lent(monitor: Monitor, case: str = "C-1", outstanding: str = "1000000.00") -> None:
    monitor.tell(case, given.registered(), given.shortlisted(case), given.disbursed(outstanding))


def test_a_registered_case_is_undecided_and_counts_nothing_yet() -> None:
    monitor = Monitor()
    answers = monitor.tell("C-1", given.registered())
    assert types(answers) == ["risk.assessed.v1", "risk.exposure_changed.v1", "risk.exposure_counted.v1"]
    assert answers[0].case.undecided
    assert monitor.subjects["jeminay"].undecided == ("C-1",)


@pytest.mark.parametrize("payload", [given.shortlisted(), given.expired(), given.disbursed(), given.amended("helong")])
def test_whatever_comes_before_the_registration_is_early(payload: object) -> None:
    with pytest.raises(Early):
        Monitor().tell("C-1", payload)


def test_a_loan_before_its_case_is_known_to_be_shortlisted_is_early() -> None:
    monitor = Monitor()
    monitor.tell("C-1", given.registered())
    with pytest.raises(Early):
        monitor.tell("C-1", given.disbursed())


def test_a_case_that_ended_is_not_undecided_any_more() -> None:
    monitor = Monitor()
    monitor.tell("C-1", given.registered(), given.expired())
    assert not monitor.cases["C-1"].undecided
    assert monitor.subjects["jeminay"].undecided == ()


@pytest.mark.parametrize(
    ("days", "grade", "level"),
    [
        (1, "normal", "blue"),
        (7, "normal", "blue"),
        (8, "special_mention", "yellow"),
        (90, "special_mention", "yellow"),
        (91, "substandard", "orange"),
        (270, "substandard", "orange"),
        (271, "doubtful", "red"),
        (360, "doubtful", "red"),
        (361, "loss", "red"),
    ],
)
def test_overdue_days_make_the_grade_and_the_warning(days: int, grade: str, level: str) -> None:
    monitor = Monitor()
    lent(monitor)
    assessed, raised, *_ = monitor.tell("C-1", given.overdue(days))
    assert assessed.case.grade == grade
    assert isinstance(raised, risk.RiskWarningRaised)
    assert raised.level == level
    assert str(days) in raised.causes[0].zh
    assert str(days) in raised.causes[0].en
    assert (raised.zone, raised.credit_code) == ("jeminay", given.ENTERPRISE)


def test_a_warning_is_raised_raised_further_and_cleared_and_never_lowered_between() -> None:
    monitor = Monitor()
    lent(monitor)
    monitor.tell("C-1", given.overdue(20), given.overdue(95), given.overdue(10), given.repaid())
    moves = [
        payload
        for key, payload in monitor.said
        if key == "C-1" and isinstance(payload, risk.RiskWarningRaised | risk.RiskWarningCleared)
    ]
    assert types(moves) == ["risk.warning_raised.v1", "risk.warning_raised_further.v1", "risk.warning_cleared.v1"]
    assert (moves[0].level, moves[1].level_before, moves[1].level) == ("yellow", "yellow", "orange")
    assert moves[2].level_before == "orange"


def test_red_holds_the_case_and_clearing_releases_it() -> None:
    monitor = Monitor()
    lent(monitor)
    held = monitor.tell("C-1", given.overdue(300))[-1]
    assert isinstance(held, risk.RiskHeld)
    assert (held.referral_id, held.hold_id, held.cause, held.level) == ("C-1", "case:C-1", "case", "red")
    released = monitor.of(risk.RiskReleased)
    assert released == []
    monitor.tell("C-1", given.repaid())
    (released,) = monitor.of(risk.RiskReleased, "C-1")
    assert (released.hold_id, released.code) == ("case:C-1", "warning_cleared")


def test_one_side_alone_does_not_lift_a_hold_and_both_do() -> None:
    monitor = Monitor()
    lent(monitor)
    monitor.tell("C-1", given.overdue(300))
    (recorded,) = monitor.tell("C-1", given.release(), source="//bank/exim")
    assert not recorded.lifted
    (refused,) = monitor.tell("C-1", given.release(), source="//bank/exim-xj")
    assert (refused.code, refused.side) == ("side_already_agreed", "bank")
    recorded, released = monitor.tell("C-1", given.release(), source="//commerce/mofcom")
    assert recorded.lifted
    assert released.code == "both_sides_agreed"


def test_a_hold_lifted_by_both_sides_stays_lifted_until_the_warning_was_cleared_and_turns_red_again() -> None:
    monitor = Monitor()
    lent(monitor)
    monitor.tell("C-1", given.overdue(300))
    monitor.tell("C-1", given.release(), source="//bank/exim")
    monitor.tell("C-1", given.release(), source="//commerce/mofcom")
    monitor.tell("C-1", given.overdue(400))
    assert len(monitor.of(risk.RiskHeld)) == 1
    monitor.tell("C-1", given.repaid(), given.overdue(300))
    assert len(monitor.of(risk.RiskHeld)) == 2
    assert len(monitor.of(risk.RiskReleased)) == 1


@pytest.mark.parametrize("known", [True, False])
def test_a_release_where_nothing_is_held_is_refused(known: bool) -> None:
    monitor = Monitor()
    if known:
        lent(monitor)
    (refused,) = monitor.tell("C-1", given.release(), source="//bank/exim")
    assert isinstance(refused, risk.RiskRefused)
    assert refused.code == "not_held"


def test_a_release_under_another_key_than_it_names_is_invalid() -> None:
    with pytest.raises(Invalid):
        Monitor().tell("C-2", given.release("C-1"), source="//bank/exim")


def test_a_written_off_loan_is_a_loss_and_counts_nothing_in_its_zone() -> None:
    monitor = Monitor()
    lent(monitor, outstanding="1000000.00")
    monitor.tell("C-1", given.overdue(400), given.written_off())
    assert monitor.cases["C-1"].grade == "loss"
    assert monitor.subjects["jeminay"].cny == 0


def test_a_case_that_moves_to_another_zone_is_counted_there_and_no_longer_here() -> None:
    monitor = Monitor()
    monitor.tell("C-1", given.registered("jeminay"), given.amended("helong"))
    assert monitor.subjects["jeminay"].undecided == ()
    assert monitor.subjects["helong"].undecided == ("C-1",)


def test_what_changes_no_figure_says_nothing() -> None:
    monitor = Monitor()
    lent(monitor)
    assert monitor.tell("C-1", given.disbursed("1000000.00")) == []
    assert monitor.tell("C-1", given.registered()) == []


def test_the_rules_of_the_business_date_are_applied_and_named() -> None:
    monitor = Monitor()
    before = datetime(2023, 6, 30, 15, 59, tzinfo=UTC)
    after = datetime(2023, 6, 30, 16, 0, tzinfo=UTC)
    (old, *_) = monitor.tell("C-1", given.registered(), at=before)
    (new, *_) = monitor.tell("C-2", given.registered(), at=after)
    assert (old.rules, new.rules) == ("2020-03-23", "2023-07-01")


def test_a_dollar_loan_counts_at_the_accounting_rate() -> None:
    monitor = Monitor()
    monitor.tell("C-1", given.registered(), given.shortlisted(), given.disbursed("30000000.00", "USD"))
    assert monitor.subjects["jeminay"].usd == Decimal("30000000.00")
    (raised,) = monitor.of(risk.RiskWarningRaised, "jeminay")
    assert raised.exposure.total_cny == Decimal("210000000.00")
    assert raised.level == "blue"
