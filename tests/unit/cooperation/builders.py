"""Builders of what reaches cooperation, and its desk as given–when–then sees it: one thing of one aggregate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter

from schemas.cooperation import CooperationRefused
from schemas.directory import BranchEntered, DepartmentEntered, PersonEntered, ZoneEntered
from schemas.envelope import Event, Payload, payload_class
from schemas.loading import load_contracts
from schemas.reference import CHINA_TIME
from services.cli.transitions import tables_of
from services.cooperation.rulebook import load_rules
from services.cooperation.service import CooperationContext, build
from services.kit.door import Aggregate, Deadline, Early, Output, To
from services.kit.working_days import Overrides, WorkingDays

load_contracts()

START = datetime(2020, 5, 6, 10, 0, tzinfo=CHINA_TIME)
ZONE = "//commerce/manzhouli"
PROVINCE = "//commerce/15"
MINISTRY = "//commerce/mofcom"
BRANCH = "//bank/exim-nmg"
BANK_HQ = "//bank/exim"
OTHER_BRANCH = "//bank/exim-hlj"
OTHER_ZONE = "//commerce/heihe"
KOUAN = "//kouan/cooperation"

_SERVICE = build()
_RULES = load_rules()
_CALENDAR = WorkingDays(Overrides())
_ENTRY = {"name_zh": "示例", "name_en": "Example", "valid_from": "2020-01-01"}


def after(days: float) -> datetime:
    """A moment so many calendar days after the start."""
    return START + timedelta(days=days)


def aggregate(name: str) -> Aggregate:
    """An aggregate of the service."""
    return next(one for one in _SERVICE.aggregates if one.name == name)


def said(kind: str, source: str, at: datetime = START, *, key: str = "X-1", id: str = "", **body: Any) -> Event[Any]:
    """An input as it was read from its topic."""
    cls = payload_class(kind)
    assert cls is not None, kind
    payload = cls.model_validate_json(orjson.dumps(body, default=str))
    return Event(id or f"{kind}/{source}/{at.isoformat()}", source, kind, at, key, payload, key)


def _entered(cls: type[Payload], source: str, **body: Any) -> Event[Any]:
    payload = cls.model_validate({**_ENTRY, **body})
    return Event(f"{cls.TYPE}/{body.get('code')}", source, cls.TYPE, START, "entry", payload)


def directory_events() -> Iterable[Event[Any]]:
    """Two provinces with a zone and a branch each, and a person of either side."""
    for province, zone, branch in (("15", "manzhouli", "exim-nmg"), ("23", "heihe", "exim-hlj")):
        yield _entered(DepartmentEntered, MINISTRY, province=province)
        yield _entered(ZoneEntered, MINISTRY, code=zone, kind="border", province=province, neighbours=["RU"])
        yield _entered(BranchEntered, BANK_HQ, code=branch, provinces=[province])
    for code, side, source, unit in (
        ("zone-1", "commerce", MINISTRY, {"role": "zone", "zone": "manzhouli"}),
        ("bank-1", "bank", BANK_HQ, {"role": "branch", "branch": "exim-nmg"}),
    ):
        yield _entered(PersonEntered, source, code=code, side=side, email="one@liaison.example", **unit)


def context() -> CooperationContext:
    """What decisions look up, with the directory above."""
    made = CooperationContext(_CALENDAR, _RULES)
    for one in directory_events():
        made.learn(one)
    return made


@dataclass
class Desk:
    """One key of one aggregate: tell it events, let time pass, look at what it says."""

    name: str
    state: Any = None
    context: CooperationContext = field(default_factory=context)

    def tell(self, *events: Event[Any]) -> list[Output]:
        """Decide events in order, as the kit does; what they lead to."""
        return [output for one in events for output in self._take(self._decision(one), one)]

    def pass_time(self, until: datetime) -> list[Output]:
        """Let every deadline up to a moment fall due, the earliest first."""
        one = aggregate(self.name)
        assert one.deadlines is not None
        outputs: list[Output] = []
        while due := sorted((d for d in one.deadlines(self.state) if d.due <= until), key=lambda d: (d.due, d.name)):
            outputs += self._take(one.due, _fired(due[0]))
        return outputs

    def _decision(self, event: Event[Any]) -> Any:
        route = aggregate(self.name).routes[type(event.data)]
        return getattr(route, "decide", route)

    def _take(self, decide: Any, event: Event[Any]) -> list[Output]:
        outputs: list[Output] = list(decide(self.state, event, self.context))
        one = aggregate(self.name)
        for output in outputs:
            if not isinstance(output, To) and type(output) in one.records:
                self.state = stored_and_loaded(one, one.evolve(self.state, output))
        return outputs


def _fired(deadline: Deadline) -> Event[Any]:
    return Event(
        f"{deadline.name}/{deadline.due.isoformat()}", f"{KOUAN}/deadlines", "deadline", deadline.due, "X-1", deadline
    )


def stored_and_loaded(one: Aggregate, state: Any) -> Any:
    """The state as it comes back from the database: its fields one by one, as JSON or as text."""
    fields = orjson.loads(orjson.dumps(state, option=orjson.OPT_NON_STR_KEYS))
    return _adapter_of(one.name).validate_python(fields)


@cache
def _adapter_of(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(aggregate(name).state)


def kinds(outputs: Iterable[Output]) -> list[str]:
    """The types of outputs without version."""
    return [(one.payload if isinstance(one, To) else one).TYPE.rpartition(".v")[0] for one in outputs]


def given_up(desk: Desk, event: Event[Any]) -> CooperationRefused:
    """An event that waits: what it is answered with should what it waits for never come."""
    with pytest.raises(Early) as waits:
        desk.tell(event)
    assert waits.value.otherwise is not None
    (answer,) = waits.value.otherwise
    assert isinstance(answer, CooperationRefused)
    row = next(row for table in tables_of("cooperation") for row in table.rows if answer.code in row.refuses)
    assert row is not None
    return answer


def refusal(outputs: list[Output]) -> str:
    """The code of the one refusal that outputs are."""
    (payload,) = outputs
    assert isinstance(payload, CooperationRefused)
    assert payload.zh
    assert payload.en
    return payload.code
