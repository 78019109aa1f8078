"""Builders: events as other services would send them, a small directory, and a file that is told and heard."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, TypeVar

from schemas.directory import BranchEntered, Entry, PartnerEntered, PersonEntered, PersonRole, ZoneEntered
from schemas.envelope import Event, Payload
from schemas.liaison import (
    NoticeAcknowledgementSubmitted,
    NoticeEscalated,
    NoticeFailed,
    NoticeQueued,
    PartnerNoticeQueued,
)
from schemas.referral import ReferralRegistered
from schemas.values import Side
from services.kit.door import Deadline, Done, EffectResult, Refused
from services.kit.working_days import WorkingDays
from services.liaison.domain.state import File, deadlines, evolve
from services.liaison.mail import Notice
from services.liaison.service import Context, build
from services.liaison.texts import Renderer

CASE = "NMG-2020-000123"
MORNING = datetime.fromisoformat("2020-04-01T09:30:00+08:00")
START = date(2020, 1, 1)

ROUTES = build().aggregates[0].routes
WORKING_DAYS = WorkingDays()
RENDERER = Renderer()

P = TypeVar("P", bound=Payload)


def payload(kind: type[P], **changes: Any) -> P:
    """A payload made of its fields' own examples, with changes."""
    fields = {name: field.examples[0] for name, field in kind.model_fields.items() if field.examples}
    return kind.model_validate({**fields, **changes})


def event(data: Any, *, id: str = "e-1", source: str = "//kouan/test", at: datetime = MORNING, key: str = CASE) -> Any:
    """An event around a payload."""
    return Event(id, source, getattr(data, "TYPE", "none"), at, key, data)


def registered(**changes: Any) -> Any:
    """A registration; changes are of the referral (zone, lane …)."""
    body = payload(ReferralRegistered)
    referral = body.referral.model_copy(update=changes)
    return event(body.model_copy(update={"referral": referral}), id="registration", source="//kouan/referral_intake")


def zone(code: str = "manzhouli", province: str = "15", **changes: Any) -> ZoneEntered:
    names = {"name_zh": f"{code}合作区", "name_en": f"{code} zone", "valid_from": START}
    given = {**names, "code": code, "province": province, "kind": "border", "neighbours": ["RU"], **changes}
    return ZoneEntered.model_validate(given)


def branch(code: str = "exim-nmg", *provinces: str, **changes: Any) -> BranchEntered:
    names = {"name_zh": f"{code}分行", "name_en": f"{code} branch", "valid_from": START}
    return BranchEntered.model_validate({**names, "code": code, "provinces": provinces or ("15",), **changes})


def person(code: str, side: Side, role: PersonRole, unit: str | None = None, **changes: Any) -> PersonEntered:
    names = {"name_zh": f"{code}先生", "name_en": f"Mr {code}", "valid_from": START}
    field = {"zone": "zone", "department": "province", "branch": "branch"}.get(role)
    units = {field: unit} if field is not None else {}
    given = {"code": code, "side": side, "role": role, "email": f"{code}@liaison.example", **units, **changes}
    return PersonEntered.model_validate({**names, **given})


ZONE_PERSON = person("zone-person", Side.COMMERCE, PersonRole.ZONE, "manzhouli")
DEPARTMENT_PERSON = person("department-person", Side.COMMERCE, PersonRole.DEPARTMENT, "15")
BRANCH_PERSON = person("branch-person", Side.BANK, PersonRole.BRANCH, "exim-nmg")
COMMERCE_HQ = person("hq-commerce", Side.COMMERCE, PersonRole.HEADQUARTERS)
BANK_HQ = person("hq-bank", Side.BANK, PersonRole.HEADQUARTERS)
PARTNER = PartnerEntered.model_validate(
    {
        "code": "frontier-guarantee",
        "kind": "guarantee_fund",
        "name_zh": "边疆融资担保基金",
        "name_en": "Frontier Guarantee Fund",
        "valid_from": START,
        "modes": ["bank_guarantee"],
        "email": "desk@guarantee.example",
    }
)
EVERYBODY: tuple[Entry, ...] = (
    zone(),
    branch(),
    ZONE_PERSON,
    DEPARTMENT_PERSON,
    BRANCH_PERSON,
    COMMERCE_HQ,
    BANK_HQ,
    PARTNER,
)


def told(entry: Entry, *, at: datetime = MORNING, source: str | None = None, id: str | None = None) -> Any:
    """A directory event, from the headquarters that may enter it unless said otherwise."""
    commerce = (
        isinstance(entry, ZoneEntered) or getattr(entry, "side", None) is Side.COMMERCE or entry.KIND == "department"
    )
    by = source or ("//commerce/mofcom" if commerce else "//bank/exim")
    return event(entry, id=id or entry.entry_key, source=by, at=at, key=entry.entry_key)


def context(entries: Iterable[Entry] = EVERYBODY) -> Context:
    """What decisions look up, with this directory."""
    made = Context(WORKING_DAYS, RENDERER)
    for entry in entries:
        made.learn(told(entry))
    return made


def without(*persons: Entry) -> list[Entry]:
    """The directory without some of its entries."""
    return [entry for entry in EVERYBODY if entry not in persons]


class Desk:
    """A file and the service around it: tell it events, see what it says, as the kit would do it."""

    def __init__(self, entries: Iterable[Entry] = EVERYBODY) -> None:
        self.context = context(entries)
        self.state: File | None = None
        self.said: list[Payload] = []

    def hear(self, event: Event[Any]) -> list[Any]:
        """What the service says to an input."""
        return self._take(ROUTES[type(event.data)](self.state, event, self.context))  # type: ignore[operator]

    def mail(self, notice: Notice, outcome: Done | Refused = Done("250 OK"), attempts: int = 1) -> list[Any]:  # noqa: B008
        """What the service says to a mail's fate."""
        effect = build().aggregates[0].effects[0 if isinstance(notice, NoticeQueued) else 1]
        result = EffectResult(notice.notice_id, outcome, attempts)
        return self._take(effect.result(self.state, event(result, id=f"mail/{notice.notice_id}"), self.context))

    def deadlines(self) -> list[Deadline]:
        """What the file waits for."""
        return list(deadlines(self.state)) if self.state is not None else []

    def fall_due(self, deadline: Deadline) -> list[Any]:
        """What the service says when time runs out."""
        due = build().aggregates[0].due
        assert due is not None
        fired = event(deadline, id=f"{CASE}/{deadline.name}", at=deadline.due)
        return self._take(due(self.state, fired, self.context))

    def acknowledge(
        self, notice: NoticeQueued, *, by: str | None = None, source: str | None = None, at: datetime = MORNING
    ) -> list[Any]:
        """What the service says to an acknowledgement; by default the recipient's own."""
        submitted = NoticeAcknowledgementSubmitted(notice_id=notice.notice_id, person_id=by or notice.person_id)
        sender = source or ("//commerce/15" if notice.side is Side.COMMERCE else "//bank/exim-nmg")
        return self.hear(event(submitted, id=f"ack-{notice.notice_id}-{by}", source=sender, at=at))

    def _take(self, outputs: Iterable[Any]) -> list[Any]:
        # The kit collects all outputs before the first one changes the state.
        made = list(outputs)
        for output in made:
            self.state = evolve(self.state, output)
        self.said += made
        return made


def notices(outputs: Iterable[Any]) -> list[NoticeQueued]:
    """The notices among outputs."""
    return [one for one in outputs if isinstance(one, NoticeQueued)]


def partner_notices(outputs: Iterable[Any]) -> list[PartnerNoticeQueued]:
    """The notices to partners among outputs."""
    return [one for one in outputs if isinstance(one, PartnerNoticeQueued)]


def recipients(outputs: Iterable[Any]) -> list[str]:
    """Who got a notice, in order of person ids."""
    return sorted(one.person_id for one in notices(outputs))


def failures(outputs: Iterable[Any]) -> list[NoticeFailed]:
    """The failed ones among outputs."""
    return [one for one in outputs if isinstance(one, NoticeFailed)]


def escalations(outputs: Iterable[Any]) -> list[NoticeEscalated]:
    """The escalated ones among outputs."""
    return [one for one in outputs if isinstance(one, NoticeEscalated)]
