"""Topics for tests: sound ones, from which each test departs in what it is about."""

from __future__ import annotations

from typing import Any

from topics.definition import Catalogue, Topic


def topic(name: str, kind: str, **given: Any) -> Topic:
    """A topic with plain titles and key; everything else as given."""
    fields: dict[str, Any] = {
        "name": name,
        "title": {"zh": "测试主题", "en": "A topic for tests"},
        "owner": "kouan",
        "kind": kind,
        "key": {
            "name": "referral_id",
            "example": "NMG-2020-000123",
            "why": {"zh": "同一案件保持先后", "en": "a case keeps its order"},
        },
    }
    return Topic.model_validate({**fields, **given})


def inputs(**given: Any) -> Topic:
    """What the bank's systems tell the service `desk`."""
    sound: dict[str, Any] = {
        "owner": "bank",
        "sources": ["//bank/"],
        "writers": ["bank"],
        "readers": ["desk"],
        "redistributed_by": "desk",
        "events": ["loan.application_reported.v1"],
    }
    return topic(given.pop("name", "bank.loans"), given.pop("kind", "input"), **{**sound, **given})


def records(**given: Any) -> Topic:
    """The record topic of the service `desk`."""
    sound: dict[str, Any] = {"sources": ["//kouan/desk"], "writers": ["desk"], "events": ["loan.applied.v1"]}
    return topic(given.pop("name", "loan.events"), given.pop("kind", "record"), **{**sound, **given})


def dead_letters(**given: Any) -> Topic:
    """The dead letters of the service `desk`."""
    return topic("desk.dead-letters", "dead_letters", **{"writers": ["desk"], **given})


def redrive(**given: Any) -> Topic:
    """What operators send round again to the service `desk`."""
    return topic("desk.redrive", "redrive", **{"writers": ["operators"], "readers": ["desk"], **given})


def desk(*more: Topic, **changed: Topic) -> list[Topic]:
    """All topics of the service `desk`, with some of them changed, and more."""
    sound = {"inputs": inputs(), "records": records(), "dead_letters": dead_letters(), "redrive": redrive()}
    return [*{**sound, **changed}.values(), *more]


def catalogue(*more: Topic, **changed: Topic) -> Catalogue:
    """The catalogue of the service `desk`."""
    return Catalogue.of(desk(*more, **changed))
