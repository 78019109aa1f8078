"""Why intake refuses: each reason has a stable code and a text in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from schemas.envelope import Event
from schemas.faults import Fault
from schemas.referral import ReferralRefused


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason to refuse, for programs and for people."""

    code: str
    zh: str
    en: str

    def of(self, event: Event[Any], faults: tuple[Fault, ...] = ()) -> ReferralRefused:
        """The event that says that an input was refused, and whose it was."""
        return ReferralRefused(
            code=self.code,
            zh=self.zh,
            en=self.en,
            refused_type=event.type,
            refused_id=event.id,
            source=event.source,
            faults=faults,
            refused_at=event.time,
        )


WRONG_PARTY: Final = Refusal(
    "wrong_party",
    "该编号属于另一方；只有推荐方可以再次提交、修改、撤回或登记授权。新推荐请使用新编号。",
    "This id is the other side's; only the side that referred may submit it again, amend or withdraw it, or report "
    "consent. Use a new id for a new referral.",
)
UNKNOWN_CASE: Final = Refusal(
    "unknown_case",
    "没有该编号的推荐；请先提交推荐，或核对编号。",
    "There is no referral with this id; submit it first, or check the id.",
)
ID_IN_USE: Final = Refusal(
    "id_in_use",
    "该编号已登记了内容不同的推荐；新推荐请使用新编号，改动请提交修改。",
    "Another referral is registered under this id; use a new id for a new referral, or submit an amendment.",
)
WITHDRAWN_BEFORE: Final = Refusal(
    "withdrawn_before",
    "该推荐已撤回，编号不再使用；请以新编号重新推荐。",
    "This referral was withdrawn and its id is not used again; refer anew under a new id.",
)
NOT_REGISTERED: Final = Refusal(
    "not_registered",
    "该编号的推荐未登记（被退回或重复）；请更正后重新提交。",
    "The referral with this id is not registered (it was rejected or is a duplicate); correct it and submit it again.",
)
AWAITING_CONSENT: Final = Refusal(
    "awaiting_consent",
    "该推荐尚在等待企业授权，还未登记；改动请以同一编号重新提交整份推荐，核实请待登记后。",
    "The referral awaits the enterprise's consent and is not registered yet; to change it, submit the whole of it "
    "again under the same id, and judge it once it is registered.",
)
CLOSED_BEFORE: Final = Refusal(
    "closed_before",
    "该推荐已办结，编号不再使用；可修复的请以新编号重新推荐，并在“所修复的推荐”中填写本编号。",
    "This referral is over and its id is not used again; where it can be repaired, refer anew under a new id and name "
    "this one as the one repaired.",
)
NOTHING_CHANGED: Final = Refusal(
    "nothing_changed",
    "修改内容与现有推荐相同，未作改动。",
    "The amendment equals the referral as it stands; nothing was changed.",
)
OTHER_SUBJECT: Final = Refusal(
    "other_subject",
    "修改不得更换推荐对象（类型或企业）；请撤回后另行推荐。",
    "An amendment cannot change whom the referral is about (kind or enterprise); withdraw it and refer anew.",
)
FAULTY_AMENDMENT: Final = Refusal(
    "faulty_amendment",
    "修改后的推荐有错误，已全部列出；请更正后重新提交修改。",
    "The amended referral has faults, all of which are listed; correct them and submit the amendment again.",
)
WOULD_DUPLICATE: Final = Refusal(
    "would_duplicate",
    "修改后将与另一在办推荐重复；请核对企业、融资需求和合作区。",
    "Amended like this it would duplicate another open case; check enterprise, need and zone.",
)
CONSENT_UNCHANGED: Final = Refusal(
    "consent_unchanged",
    "授权范围没有变化，无需登记。",
    "What the consent covers does not change; there is nothing to record.",
)
CONSENT_IN_FUTURE: Final = Refusal(
    "consent_in_future",
    "授权日期晚于报送日期；请核对后重新报送。",
    "The consent is dated after the day on which it is reported; check the date and report it again.",
)
CONSENT_LATE: Final = Refusal(
    "consent_late",
    "授权期限已过；请连同授权以同一编号重新提交推荐。",
    "The time for consent is over; submit the referral again under the same id, together with the consent.",
)
NOT_FLAGGED: Final = Refusal(
    "not_flagged",
    "该推荐没有与所填案件疑似重复的待核实事项；请核对两个编号。",
    "No resemblance of this referral with that case waits for an answer; check both ids.",
)
