"""Where a case stands, told from the events of it that somebody may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.gateway.access import name_of

_STAGES: Final[Mapping[str, tuple[str, str]]] = {
    "rejected": ("已退回", "Rejected"),
    "duplicate": ("重复推荐", "Duplicate"),
    "awaiting_consent": ("待补充企业授权", "Awaits the enterprise's consent"),
    "invited": ("受邀参与", "Invited to take part"),
    "registered": ("已登记", "Registered"),
    "screening": ("共同筛选中", "In joint screening"),
    "conference": ("双方总部会商中", "Headquarters confer"),
    "shortlisted": ("已列入拟支持名单", "Shortlisted"),
    "matched": ("合作份额已落实", "Matched with partners"),
    "declined": ("未通过筛选", "Declined"),
    "expired": ("筛选逾期", "Expired"),
    "withdrawn": ("已撤回", "Withdrawn"),
    "not_financed": ("未获贷款", "Not financed"),
    "financed": ("已放款", "Financed"),
    "written_off": ("已核销", "Written off"),
    "closed": ("已结清", "Closed"),
    "unknown": ("情况不明", "Not known"),
}
"""Stages of a case, and what they are called."""

_STAGE_AFTER: Final[Mapping[str, str]] = {
    "referral.rejected": "rejected",
    "referral.duplicate_found": "duplicate",
    "referral.consent_awaited": "awaiting_consent",
    "referral.registered": "registered",
    "referral.withdrawn": "withdrawn",
    "screening.opened": "screening",
    "screening.conference_called": "conference",
    "screening.shortlisted": "shortlisted",
    "screening.declined": "declined",
    "screening.expired": "expired",
    "screening.withdrawn": "withdrawn",
    "cooperation.partner_invited": "invited",
    "consortium.complete": "matched",
    "consortium.short": "shortlisted",
    "loan.declined": "not_financed",
    "loan.disbursed": "financed",
    "loan.written_off": "written_off",
    "loan.settled": "closed",
}
_BEFORE_A_CASE: Final = frozenset({"unknown", "rejected", "duplicate", "awaiting_consent", "invited"})
_BEFORE_THE_LOAN: Final = frozenset({"shortlisted", "matched"})
_ONLY_FROM: Final[Mapping[str, frozenset[str]]] = {
    # Once there is a case, another referral that bears its id, and is turned back, says nothing about it.
    **dict.fromkeys(
        ("referral.rejected", "referral.duplicate_found", "referral.consent_awaited", "cooperation.partner_invited"),
        _BEFORE_A_CASE,
    ),
    # A partner may leave when the loan has long been paid out.
    **dict.fromkeys(("consortium.complete", "consortium.short"), _BEFORE_THE_LOAN),
}
_WARNINGS: Final = frozenset({"risk.warning_raised", "risk.warning_raised_further"})
_DEADLINES: Final[Mapping[str, str]] = {
    "referral.consent_awaited": "until",
    "screening.opened": "deadline",
    "screening.extended": "deadline",
    "screening.escalated": "grace_until",
    "screening.conference_called": "deadline",
    "screening.released": "deadline",
}
_NO_MORE_DEADLINE: Final = frozenset(
    f"screening.{what}" for what in ("held", "shortlisted", "declined", "expired", "withdrawn")
) | {"referral.registered", "referral.rejected"}
_OF_PARTNERS: Final[Mapping[str, str]] = {
    "cooperation.partner_invited": "invited",
    "cooperation.partner_joined": "takes_part",
    "cooperation.partner_declined": "declined",
    "cooperation.partner_silent": "silent",
    "cooperation.partner_departed": "left",
    "cooperation.invitation_ended": "ended",
}
_OF_CONSORTIA: Final = frozenset({"cooperation.mode_proposed", "consortium.complete", "consortium.short"})


def status_of(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where a case stands after these events, in order: stage, what it is about and by when, holds, warning, what
    blocks its supply chain, cooperation, loans, and how it ended.
    """
    stage, since, referral, level, deadline, closed = "unknown", None, None, None, None, None
    blocked_by: list[str] = []
    holds: dict[str, None] = {}
    loans: dict[str, Any] = {}
    for event in events:
        name, data = name_of(event["type"]), event["data"]
        after = _STAGE_AFTER.get(name, stage)
        if after != stage and stage in _ONLY_FROM.get(name, (stage,)):
            since, stage = event["time"], after
        referral = data.get("referral", referral) if name in ("referral.registered", "referral.amended") else referral
        deadline = None if name in _NO_MORE_DEADLINE else data.get(_DEADLINES.get(name), deadline)
        if name == "risk.held":
            holds[data["hold_id"]] = None
        elif name == "risk.released":
            holds.pop(data["hold_id"], None)
        elif name in _WARNINGS:
            level = data["level"]
        elif name == "risk.warning_cleared":
            level = None
        elif name == "screening.chain_raised":
            blocked_by = [link["referral_id"] for link in data["blocked_by"]]
        elif name == "screening.chain_eased":
            blocked_by = []
        elif name == "referral.closed":
            closed = {key: data[key] for key in ("code", "zh", "en", "repairable", "closed_at")}
        elif name.startswith("loan.") and isinstance(data.get("loan"), dict):
            loans[data["loan"]["loan_id"]] = data["loan"]
    zh, en = _STAGES[stage]
    return {
        "stage": stage,
        "zh": zh,
        "en": en,
        "since": since,
        "name": (referral or {}).get("name"),
        "deadline": deadline,
        "held_by": list(holds),
        "warning": level,
        "blocked_by": blocked_by,
        "cooperation": _cooperation(events),
        "loans": list(loans.values()),
        "closed": closed,
    }


def _cooperation(events: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The mode, what is missing, and how each partner stands; None where nothing is said of it."""
    mode, missing = None, None
    partners: dict[str, dict[str, Any]] = {}
    for event in events:
        name, data = name_of(event["type"]), event["data"]
        if name not in _OF_PARTNERS and name not in _OF_CONSORTIA:
            continue
        mode = data.get("mode", mode)
        missing = None if name == "consortium.complete" else data.get("missing", data.get("wanted", missing))
        if name in _OF_PARTNERS:
            share = data.get("share", {})
            partner = data.get("partner") or share["partner"]
            partners[partner] = {"partner": partner, "standing": _OF_PARTNERS[name]} | (
                {"share": share["amount"]} if share else {}
            )
    if mode is None and not partners:
        return None
    return {"mode": mode, "missing": missing, "partners": list(partners.values())}
