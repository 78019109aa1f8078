"""Who may see which outcome: the one place where that is decided.

Each event has an *audience*: the units that may see it, written as the sources under which they publish. It is decided
once, when the event enters the feed, and everything that gives outcomes away (feed, streams, webhooks, cases) asks the
same rows. Both headquarters answer for the whole, so they see all that is in the feed, but for what is *withheld* from
one of them.

- What is said of a case is for whoever referred it, its zone, the commerce department of its province, and the branch
  named in the referral. Other branches that serve the province have no part in the case.
- A partner sees of a case its own invitation, what came of that, and nothing else: not the referral, not the opinions,
  not the loan, and not what other partners answered.
- A side's draft of an opinion, and its return, are for that side's units of the case alone.
- What is said of a zone is for the zone, its province's department, and the branches that serve the province that day.
- What is said of an enterprise or a project on its own is for the zone that the event names, and its province.
- Plans, questions, wishes and bulletins: see `beside_cases.py`.
- A rejected or duplicate referral is for its referrer alone. It may bear the id of another party's case, so it neither
  shows that case to its sender nor makes anybody a party to it.
- A referral that waits for the enterprise's consent is for its referrer alone, and withheld from the headquarters of a
  side that the consent does not cover yet.
- What befalls a referral before it is registered is for its referrer alone.
- A refusal is for whoever sent what was refused, and for the units of the case, if there is one.
- A case that moves (an amendment names another zone, province or branch) shows its past to the new units. The old ones
  keep what they were told, are told of the move, and nothing after it.
- An event whose case is not known yet waits for it; what waited too long goes to the headquarters alone.

Left out of the gateway's database altogether: what is not an outcome but bookkeeping between services or within one,
and notices with names, mail addresses, or answers of mail servers, which may repeat addresses. That a notice reached
nobody is told by `notice.escalated`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from schemas.envelope import Event
from schemas.reference import CHINA_TIME
from schemas.values import BANK_HQ, COMMERCE_HQ, Side
from services.client.receiving import Unknown
from services.gateway.beside_cases import BESIDE_CASES, units_beside_cases
from services.gateway.places import Directory, Unit, unit_of, withheld

LEFT_OUT: Final = frozenset(
    {
        "risk.exposure_counted",
        "screening.chain_link_recorded",
        "cooperation.case_noted",
        "cooperation.consent_noted",
        "cooperation.hold_noted",
        "cooperation.loan_noted",
        "enterprise.noted",
        "enterprise.case_closed",
        "bulletin.round_held",
        "consortium.searched",
        "matchmaking.round_held",
        "notice.file_opened",
        "notice.queued",
        "notice.delivered",
        "notice.failed",
        "notice.partner_queued",
        "notice.partner_failed",
    }
)
"""Types, without their version, that nobody is shown."""

_TO_REFERRER_ALONE: Final = frozenset({"referral.rejected", "referral.duplicate_found", "referral.consent_awaited"})
_OF_REFERRER_AT_FIRST: Final = frozenset(
    {"referral.consent_recorded", "referral.resemblance_flagged", "referral.closed"}
)
_OF_PARTNER: Final = frozenset(
    f"cooperation.{what}"
    for what in (
        *("partner_invited", "partner_joined", "partner_declined", "partner_silent", "partner_departed"),
        *("invitation_ended", "invitation_paused", "invitation_resumed"),
    )
)
_OF_ONE_SIDE: Final = frozenset({"screening.opinion_drafted", "screening.opinion_returned"})
_HEADQUARTERS: Final = {Side.COMMERCE: f"//commerce/{COMMERCE_HQ}", Side.BANK: f"//bank/{BANK_HQ}"}


@dataclass(frozen=True, slots=True)
class Case:
    """What decides who may see a case."""

    referrer: str
    zone: str
    province: str
    branch: str

    @property
    def units(self) -> frozenset[str]:
        """The units that take part in it."""
        return frozenset({unit_of(self.referrer), *self.places})

    @property
    def places(self) -> tuple[str, str, str]:
        """The units that an amendment may change: zone, department, branch."""
        return f"//commerce/{self.zone}", f"//commerce/{self.province}", f"//bank/{self.branch}"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may see an event, the case whose time line it belongs to (None: none's), and from which headquarters it is
    withheld.
    """

    units: frozenset[str]
    case_id: str | None
    withheld_from: frozenset[str] = frozenset()

    @property
    def rows(self) -> frozenset[str]:
        """The audience as it is kept: units, and marks of those who would see all but for this."""
        return self.units | {withheld(hq) for hq in self.withheld_from}


def name_of(event_type: str) -> str:
    """An event type without its version."""
    return event_type.rpartition(".v")[0]


def case_from(event: Event[Any], known: Case | None) -> Case | None:
    """The case as it stands after this event; None where the event changes nothing about who takes part."""
    name, data = name_of(event.type), event.data
    if isinstance(data, Unknown):
        return None
    if name == "referral.registered":
        return Case(data.source, data.referral.zone, data.referral.province, data.referral.branch)
    if name == "referral.amended" and known is not None:
        return Case(known.referrer, data.referral.zone, data.referral.province, data.referral.branch)
    return None


def unit_from(event: Event[Any]) -> Unit | None:
    """The zone or branch that a directory event enters; None for all other events."""
    name, data = name_of(event.type), event.data
    if isinstance(data, Unknown) or name not in ("directory.zone_entered", "directory.branch_entered"):
        return None
    kind = "zone" if name == "directory.zone_entered" else "branch"
    provinces = (data.province,) if kind == "zone" else tuple(data.provinces)
    return Unit(kind, data.code, data.valid_from.isoformat(), data.valid_to and data.valid_to.isoformat(), provinces)


def audience_of(event: Event[Any], case: Case | None, directory: Directory, *, of_case: bool) -> Audience | None:
    """Who may see an event; None as long as that is not known.

    `case` is the case under the event's subject, where there is one; `of_case` says that the subject is always a case.
    """
    name, data, day = name_of(event.type), event.data, event.time.astimezone(CHINA_TIME).date().isoformat()
    if isinstance(data, Unknown):
        return _of_what_is_unknown(name, event.subject, case, of_case=of_case)
    if name in _TO_REFERRER_ALONE:
        return Audience(frozenset({unit_of(data.source)}), event.subject, _without_consent(data))
    if name in ("referral.refused", "cooperation.refused") and data.source is not None:
        sender = frozenset({unit_of(data.source)})
        return Audience(sender | (case.units if case is not None else frozenset()), event.subject)
    if case is None and name in _OF_REFERRER_AT_FIRST and data.source is not None:
        return Audience(frozenset({unit_of(data.source)}), event.subject)
    if name.partition(".")[0] in BESIDE_CASES:
        return Audience(units_beside_cases(data, directory, day), None)
    if name in _OF_PARTNER:
        return None if case is None else Audience(case.units | {_partner(data)}, event.subject)
    if name in _OF_ONE_SIDE:
        return None if case is None else _of_one_side(data.side, case, event.subject)
    if name.startswith(("cooperation.", "consortium.")):
        return None if case is None else Audience(case.units, event.subject)
    subject_kind = None if of_case else getattr(data, "subject_kind", None)
    if subject_kind in ("enterprise", "project"):
        zone = getattr(data, "zone", None)
        return Audience(directory.commerce_of_zone(zone, day) if zone is not None else frozenset(), None)
    # A referral may bear a zone's code as its id: on topics that know both, the code means the zone.
    if subject_kind == "zone" or (not of_case and subject_kind is None and directory.knows_zone(event.subject)):
        return Audience(directory.units_of_zone(event.subject, day), None)
    return None if case is None else Audience(case.units, event.subject)


def _of_what_is_unknown(name: str, subject: str, case: Case | None, *, of_case: bool) -> Audience | None:
    """A type of a newer release: where the subject may be something else than a case, only the headquarters see it."""
    if not of_case or name in _TO_REFERRER_ALONE or name in _OF_ONE_SIDE:
        return Audience(frozenset(), None)
    return None if case is None else Audience(case.units, subject)


def _without_consent(data: Any) -> frozenset[str]:
    """The headquarters of the side that the enterprise's consent does not cover, unless that side itself refers."""
    missing = getattr(data, "missing", ())
    return frozenset(hq for side, hq in _HEADQUARTERS.items() if side.value in missing and side is not data.side)


def _partner(data: Any) -> str:
    share = getattr(data, "share", None)
    return f"//partner/{data.partner if share is None else share.partner}"


def _of_one_side(side: Side, case: Case, subject: str) -> Audience:
    own = frozenset(unit for unit in case.units if unit.startswith(f"//{side.value}/"))
    return Audience(own, subject, frozenset(hq for one, hq in _HEADQUARTERS.items() if one is not side))
