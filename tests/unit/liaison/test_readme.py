"""The README shows the routing table that the service runs from."""

from __future__ import annotations

from pathlib import Path

import services.liaison
from services.liaison.domain.routing import RULES, Rule

README = Path(services.liaison.__file__).with_name("README.md")


def row(rule: Rule) -> str:
    event = f"`{rule.event.TYPE}`" + (f" ({', '.join(rule.levels)})" if rule.levels else "")
    units = ", ".join(unit.value for unit in rule.to)
    return f"| {event} | {units} | {'yes' if rule.acknowledge else 'no'} | `{rule.template}` |"


def test_the_readme_shows_every_rule_in_the_order_of_the_table() -> None:
    table = README.read_text("utf-8").partition("## Who is told what")[2].partition("\n## ")[0]
    shown = [line for line in table.splitlines() if line.startswith("| `")]
    assert shown == [row(rule) for rule in RULES]
