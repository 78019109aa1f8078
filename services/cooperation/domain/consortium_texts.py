"""What consortia say to people: refusals, why invitations end, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from schemas.cooperation import CooperationRefused
from schemas.envelope import Event
from services.cooperation.domain.consortium import Consortium, Status
from services.kit.transitions import Wrong


class Code(StrEnum):
    """Why an input about a consortium is refused."""

    WRONG_PARTY = "wrong_party"
    NOT_INVITED = "not_invited"
    ALREADY_ANSWERED = "already_answered"
    AFTER_DEADLINE = "after_deadline"
    INVITATION_ENDED = "invitation_ended"
    CONSENT_MISSING = "consent_missing"
    SHARES_TAKEN = "shares_taken"
    CASE_CLOSED = "case_closed"
    OTHER_CURRENCY = "other_currency"
    SHARE_TOO_LARGE = "share_too_large"
    SHARE_TOO_SMALL = "share_too_small"
    NOT_TAKING_PART = "not_taking_part"


_TEXTS: Final[Mapping[Code, tuple[str, str]]] = {
    Code.WRONG_PARTY: (
        "只有合作机构可以就自身的邀请作答。",
        "Only a partner may answer, and only an invitation of its own.",
    ),
    Code.NOT_INVITED: (
        "本案没有向贵机构发出邀请，请核对案件编号。",
        "Your institution was not invited to this case; check the case's id.",
    ),
    Code.ALREADY_ANSWERED: (
        "贵机构已就本案作答，不能再次作答；已参与的可申请退出。",
        "Your institution has answered already and cannot answer again; if it takes part, it may leave.",
    ),
    Code.AFTER_DEADLINE: (
        "答复时限已过，已另邀其他机构；如份额仍未落实，将可再次答复。",
        "The time to answer is over and others were asked; while the consortium is short an answer is welcome again.",
    ),
    Code.INVITATION_ENDED: (
        "邀请已终止，无须答复。",
        "The invitation has ended; no answer is needed.",
    ),
    Code.CONSENT_MISSING: (
        "企业的授权目前不涵盖合作机构，暂不受理答复。",
        "The enterprise's consent does not cover partners at present; no answers are taken.",
    ),
    Code.SHARES_TAKEN: (
        "本案所需份额已全部落实，无须答复。",
        "All that this case needs has been taken up; no answer is needed.",
    ),
    Code.CASE_CLOSED: (
        "本案已结束，不再受理。",
        "The case is over; nothing more is taken.",
    ),
    Code.OTHER_CURRENCY: (
        "份额须以本案币种 {currency} 填写。",
        "The share has to be in the currency of the case, {currency}.",
    ),
    Code.SHARE_TOO_LARGE: (
        "份额超过尚缺的 {missing} {currency}（{percent}%），请减少后重新答复。",
        "The share is more than the {missing} {currency} ({percent} %) that are missing; answer with less.",
    ),
    Code.SHARE_TOO_SMALL: (
        "份额低于最低的 {least} {currency}，请增加后重新答复，或不参与。",
        "The share is less than the least of {least} {currency}; answer with more, or decline.",
    ),
    Code.NOT_TAKING_PART: (
        "贵机构未参与本案，无从退出；如不参与请答复邀请。",
        "Your institution takes no part in this case and so cannot leave; to decline, answer the invitation.",
    ),
}

ENDED: Final[Mapping[str, tuple[str, str]]] = {
    "complete": (
        "所需份额已全部落实，邀请终止。",
        "All that was needed has been taken up; the invitation ends.",
    ),
    "consent_revoked": (
        "企业已撤回对合作机构的授权，邀请或参与随之终止，请停止使用其资料。",
        "The enterprise took back its consent for partners; invitation or part end, and its data are no longer to be "
        "used.",
    ),
    "case_amended": (
        "案件已修改，原邀请或参与终止；如仍需贵机构将另行邀请。",
        "The case was amended; invitation or part end, and a new invitation follows if one is needed.",
    ),
    "case_closed": (
        "案件已结束，邀请或参与终止。",
        "The case is over; invitation or part end.",
    ),
}

DIFFERENCES: Final[Mapping[str, tuple[str, str]]] = {
    "mode_differs": (
        "约定的合作方式为 {agreed}，贷款采用 {told}：请双方核对，确需变更的先修改推荐。",
        "The mode agreed on is {agreed}, the loan is made as {told}: both sides should look at it, and amend the "
        "referral first where a change is meant.",
    ),
    "currency_differs": (
        "约定币种为 {agreed}，贷款币种为 {told}：请核对合同或修改推荐。",
        "The currency agreed on is {agreed}, that of the loan is {told}: check the contract, or amend the referral.",
    ),
    "sum_differs": (
        "约定由银行发放 {agreed} {currency}，合同金额为 {told} {currency}：请核对份额，确需变更的先修改推荐。",
        "The bank was to lend {agreed} {currency}, the contract is over {told} {currency}: check the parts, and amend "
        "the referral first where a change is meant.",
    ),
    "parts_missing": (
        "合作份额尚缺 {missing} {currency} 即已签约或放款：请落实合作机构，或修改合作方式。",
        "{missing} {currency} were still missing when the loan was signed or paid out: find partners for it, or "
        "change the mode.",
    ),
}

PAUSED: Final = (
    "案件暂停办理，答复期限停止计算；恢复办理后另行通知新的期限。暂停期间仍可答复。",
    "The case is on hold and the time for an answer stands still; its new end is told when the case goes on. An answer "
    "is taken meanwhile, too.",
)

CONSENT_MISSING: Final = (
    "所提合作方式需要合作机构参与，但企业的授权不涵盖合作机构：请推荐方补充授权，或修改推荐以采用其他合作方式。",
    "The mode needs partners, but the enterprise's consent does not cover them: the referrer is asked to add it, or to "
    "amend the referral towards another mode.",
)

_SHORT: Final[Mapping[str, tuple[str, str]]] = {
    "no_partner": (
        "尚缺 {missing} {currency}（{percent}%）：名录中没有在本省办理该方式的机构，请补充名录（每周再查）或修改推荐。",
        "{missing} {currency} ({percent} %) are missing: the directory names nobody for this mode in the province. "
        "Enter a partner (the directory is searched again every week), or amend the referral towards another mode.",
    ),
    "nobody_left": (
        "尚缺 {missing} {currency}（{percent}%）：机构均已邀请，逾期未答者仍可答复，也可修改推荐。",
        "{missing} {currency} ({percent} %) are missing: everybody was asked. Those that stayed silent may still "
        "answer; sum or mode may be amended.",
    ),
    "partner_left": (
        "有机构退出，尚缺 {missing} {currency}（{percent}%）；可邀请的其他机构将获邀请。",
        "A partner left, and {missing} {currency} ({percent} %) are missing; others are invited if there are any.",
    ),
}

_OF_STATUS: Final[Mapping[Status, Code]] = {
    Status.AWAITING_CONSENT: Code.CONSENT_MISSING,
    Status.COMPLETE: Code.SHARES_TAKEN,
    Status.CLOSED: Code.CASE_CLOSED,
}


def refuse(event: Event[Any], state: Consortium | None, code: Code, **told: object) -> CooperationRefused:
    """The answer to an input that the consortium, or the party, does not allow. `told` fills in the texts."""
    zh, en = _TEXTS[code]
    facts = None if state is None else state.facts
    return CooperationRefused(
        zone=None if facts is None else facts.zone,
        refused_type=event.type,
        refused_id=event.id,
        source=event.source,
        code=code,
        zh=zh.format(**told),
        en=en.format(**told),
        refused_at=event.time,
    )


def refuse_by_table(event: Event[Any], state: Consortium | None, why: Wrong) -> CooperationRefused:
    """The answer where the table of transitions has no such row."""
    if why is Wrong.PARTY:
        return refuse(event, state, Code.WRONG_PARTY)
    return refuse(event, state, Code.NOT_INVITED if state is None else _OF_STATUS.get(state.status, Code.NOT_INVITED))


def short(code: str, missing: Decimal, currency: str, percent: Decimal) -> tuple[str, str]:
    """What is missing and what to do, in Chinese and in English."""
    zh, en = (text.format(missing=missing, currency=currency, percent=percent) for text in _SHORT[code])
    return zh, en
