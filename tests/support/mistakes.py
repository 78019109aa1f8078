"""In what a run's outcome is not what its scenario asks for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tests.support.judging import Said, said, skipped
from tests.support.outcome import DEAD_LETTERS, Outcome
from tests.support.scenario import PLACES, Scenario


def mistakes(scenario: Scenario, outcome: Outcome) -> list[str]:
    """In what an outcome is not what the scenario asks for; nothing but the scenario is needed to tell."""
    expected = scenario.expected
    found = [*outcome.faults, *skipped(inputs_of(scenario), outputs_of(outcome))]
    screening = outcome.states["screening_case"]
    loans = {key: row["status"] for key, row in outcome.states["loan_desk_case"].items() if row["status"]}
    letters = [letter for topic in DEAD_LETTERS for letter in outcome.events.get(topic, {}).values()]
    refusals = [
        json.loads(one.value or b"")["code"]
        for topic in ("screening.events", "loan.events")
        for one in outcome.events.get(topic, {}).values()
        if one.kind.partition(".refused.")[1]
    ]
    for what, came, asked in (
        ("intake", statuses(outcome.states["referral_intake_case"]), expected.intake),
        ("screening", statuses(screening), expected.screening),
        ("held", {key: "held" for key, row in screening.items() if row["holds"]}, dict.fromkeys(expected.held, "held")),
        ("loans", loans, expected.loans),
        ("exposure", exposures(outcome), {place: sum_ for place, sum_ in expected.exposure.items() if sum_}),
        ("dead letters", Counter(one.header("kouan_reason") for one in letters), expected.dead),
        ("refusals", Counter(refusals), expected.refusals),
    ):
        found += [
            f"{what} of {key}: {came.get(key)}, asked for was {asked.get(key)}"
            for key in {*came, *asked}
            if came.get(key) != asked.get(key)
        ]
    return found


def inputs_of(scenario: Scenario) -> Iterator[Said]:
    """What was said of the cases, as far as anybody can read it."""
    for one in scenario.inputs:
        kind = dict(one.headers).get("ce_type", b"").decode()
        if kind.startswith("referral."):
            yield said(one.key, kind, one.value)


def outputs_of(outcome: Outcome) -> Iterator[Said]:
    """What the services made of the cases."""
    for topic in ("referral.events", "screening.events", "loan.events", "cooperation.events"):
        for one in outcome.events.get(topic, {}).values():
            yield said(one.key, one.kind, one.value)


def statuses(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {key: row["status"] for key, row in rows.items()}


def exposures(outcome: Outcome) -> dict[tuple[str, str], Decimal]:
    """What is outstanding by zone and currency, where anything is."""
    zones = outcome.states["risk_monitor_subject"]
    sums = {
        (place.zone, currency): Decimal(zones[place.zone][currency.lower()])
        for place in PLACES
        if place.zone in zones
        for currency in ("CNY", "USD")
    }
    return {place: sum_ for place, sum_ in sums.items() if sum_}
