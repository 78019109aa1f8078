"""How parts are gathered: a mode is proposed, partners are invited one after the other, and in the end the parts add
up or the case says what is missing.

Every function yields what follows from a state at the time of an event; nothing here looks at the event itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from schemas.consortium import (
    BankExposure,
    ConsortiumComplete,
    ConsortiumSearched,
    ConsortiumShort,
    CooperationConsentMissing,
    CooperationModeProposed,
    DebtorKind,
    FinalBorrower,
)
from schemas.directory import PartnerEntered
from schemas.envelope import Payload
from schemas.partner import (
    CooperationInvitationEnded,
    CooperationInvitationPaused,
    CooperationInvitationResumed,
    CooperationPartnerInvited,
    InvitationReason,
)
from schemas.sharing import PartnerShare, ShareOf
from schemas.values import Balance, CooperationMode, Money
from services.cooperation.domain import consortium_texts as texts
from services.cooperation.domain.consortium import IN_FORCE, Consortium, Facts, Invitation, Standing, Status, evolve
from services.cooperation.domain.modes import ModeRules, points_of
from services.cooperation.domain.outlook import Outlook
from services.cooperation.domain.shares import divide, part, percent_of


class PartnerOutlook(Outlook, Protocol):
    """The context of decisions about consortia."""

    @property
    def modes(self) -> ModeRules:
        """The rules of modes."""


def propose(state: Consortium, case: str, at: datetime, outlook: PartnerOutlook) -> Iterator[Payload]:
    """The mode that the rules find, then whatever it needs."""
    facts = facts_of(state)
    standings = outlook.modes.judge(facts)
    mode = outlook.modes.of(standings[0].mode)
    own, wanted = divide(facts.amount, mode.own_percent)
    proposed = CooperationModeProposed(
        referral_id=case,
        mode=mode.mode,
        wished=facts.wished,
        wish_granted=facts.wished is mode.mode,
        rules_version=outlook.modes.version,
        share_of=mode.share_of,
        own_percent=mode.own_percent,
        own=balance(own, facts),
        wanted=balance(wanted, facts),
        smallest=balance(min(wanted, part(facts.amount, mode.smallest_percent)), facts),
        modes=standings,
        proposed_at=at,
    )
    yield proposed
    yield from gather(evolve(state, proposed), case, at, outlook)


def gather(state: Consortium, case: str, at: datetime, outlook: PartnerOutlook) -> Iterator[Payload]:
    """The next step of a consortium whose mode is known: complete, consent missing, invitations, or short.

    While the case is on hold, nobody is invited; what partners say in the meantime counts.
    """
    if not state.missing:
        yield from end(state, case, "complete", at, frozenset({Standing.OPEN}))
        yield _complete(state, case, at)
        return
    if not state.covers_partners:
        zh, en = texts.CONSENT_MISSING
        yield CooperationConsentMissing(referral_id=case, mode=mode_of(state), zh=zh, en=en, missed_at=at)
        return
    if state.held:
        return
    invited = tuple(_invitations(state, case, at, outlook))
    yield from invited
    if not invited and not state.standing(Standing.OPEN) and state.status is not Status.SHORT:
        yield say_short(state, case, "nobody_left" if state.invitations else "no_partner", at)


def search(state: Consortium, case: str, at: datetime, outlook: PartnerOutlook) -> Iterator[Payload]:
    """The directory is searched again, since it may name partners by now that it did not before."""
    invited = tuple(_invitations(state, case, at, outlook))
    yield ConsortiumSearched(referral_id=case, round=state.searches + 1, found=len(invited), searched_at=at)
    yield from invited


def end(
    state: Consortium, case: str, code: str, at: datetime, standings: frozenset[Standing] = IN_FORCE
) -> Iterator[Payload]:
    """Invitations end, and what was taken up with them, for a reason that does not lie with the partner."""
    zh, en = texts.ENDED[code]
    for one in state.standing(*standings):
        yield CooperationInvitationEnded(referral_id=case, partner=one.partner, code=code, zh=zh, en=en, ended_at=at)


def pause(state: Consortium, case: str, at: datetime, outlook: PartnerOutlook) -> Iterator[Payload]:
    """The time of open invitations stands still."""
    zh, en = texts.PAUSED
    for one in state.standing(Standing.OPEN):
        left = outlook.working_days.between(at, one.deadline)
        yield CooperationInvitationPaused(
            referral_id=case, partner=one.partner, working_days_left=left, zh=zh, en=en, paused_at=at
        )


def resume(state: Consortium, case: str, at: datetime, outlook: PartnerOutlook) -> Iterator[Payload]:
    """The time of open invitations goes on; where somebody is still missing, the next are asked."""
    now = state
    for one in state.standing(Standing.OPEN):
        deadline, provisional = outlook.working_days.after(at, max(1, one.days_left or 0))
        resumed = CooperationInvitationResumed(
            referral_id=case,
            partner=one.partner,
            deadline=deadline,
            deadline_provisional=provisional,
            resumed_at=at,
        )
        yield resumed
        now = evolve(now, resumed)
    if now.status in (Status.GATHERING, Status.SHORT):
        yield from gather(now, case, at, outlook)


def say_short(state: Consortium, case: str, code: str, at: datetime) -> ConsortiumShort:
    """What is missing, in figures and in words."""
    facts = facts_of(state)
    percent = percent_of(facts.amount, state.missing)
    zh, en = texts.short(code, state.missing, facts.currency, percent)
    return ConsortiumShort(
        referral_id=case,
        mode=mode_of(state),
        share_of=share_of(state),
        code=code,
        zh=zh,
        en=en,
        own=balance(state.own, facts),
        shares=tuple(share(one, facts) for one in state.standing(Standing.JOINED)),
        missing=balance(state.missing, facts),
        missing_percent=percent,
        short_at=at,
    )


def facts_of(state: Consortium) -> Facts:
    """The facts of a case that is known."""
    if state.facts is None:
        raise ValueError("nothing is known of the case but a consent")
    return state.facts


def mode_of(state: Consortium) -> CooperationMode:
    """The mode of a case that has one."""
    if state.mode is None:
        raise ValueError("no mode was proposed")
    return state.mode


def share_of(state: Consortium) -> ShareOf:
    """The whole that the mode of a case divides."""
    if state.share_of is None:
        raise ValueError("no mode was proposed")
    return state.share_of


def share(invitation: Invitation, facts: Facts) -> PartnerShare:
    """What a partner has taken up."""
    money = Money(amount=invitation.taken, currency=facts.currency)
    return PartnerShare(partner=invitation.partner, percent=percent_of(facts.amount, invitation.taken), amount=money)


def balance(amount: Decimal, facts: Facts) -> Balance:
    """A sum in the currency of the case."""
    return Balance(amount=amount, currency=facts.currency)


def _invitations(
    state: Consortium, case: str, at: datetime, outlook: PartnerOutlook
) -> Iterator[CooperationPartnerInvited]:
    """As many as may be open at once. Who was asked before is not asked again, unless the invitation was ended."""
    facts, mode = facts_of(state), mode_of(state)
    asked = {one.partner for one in state.invitations if one.standing is not Standing.ENDED}
    ranked = outlook.modes.ranked(outlook.directory.partners(at), mode, facts.province)
    free = outlook.modes.of(mode).at_once - len(state.standing(Standing.OPEN))
    left = [pair for pair in ranked if pair[0].code not in asked]
    for place, (partner, reasons) in enumerate(left[: max(0, free)], start=len(asked) + 1):
        yield _invitation(state, case, at, outlook, partner, reasons, place)


def _invitation(
    state: Consortium,
    case: str,
    at: datetime,
    outlook: PartnerOutlook,
    partner: PartnerEntered,
    reasons: tuple[InvitationReason, ...],
    place: int,
) -> CooperationPartnerInvited:
    facts = facts_of(state)
    deadline, provisional = outlook.working_days.after(at, outlook.modes.answer_working_days[facts.lane])
    return CooperationPartnerInvited(
        referral_id=case,
        partner=partner.code,
        kind=partner.kind,
        name_zh=partner.name_zh,
        name_en=partner.name_en,
        directory_version=partner.entry_key,
        place=place,
        points=points_of(reasons),
        reasons=reasons,
        mode=mode_of(state),
        share_of=share_of(state),
        name=facts.name,
        zone=facts.zone,
        need=facts.need,
        amount=Money(amount=facts.amount, currency=facts.currency),
        term_months=facts.term_months,
        missing=balance(state.missing, facts),
        missing_percent=percent_of(facts.amount, state.missing),
        smallest=balance(state.smallest, facts),
        deadline=deadline,
        deadline_provisional=provisional,
        invited_at=at,
    )


def _complete(state: Consortium, case: str, at: datetime) -> ConsortiumComplete:
    facts = facts_of(state)
    return ConsortiumComplete(
        referral_id=case,
        mode=mode_of(state),
        share_of=share_of(state),
        amount=Money(amount=facts.amount, currency=facts.currency),
        own=balance(state.own, facts),
        shares=tuple(share(one, facts) for one in state.standing(Standing.JOINED)),
        exposures=tuple(exposures(state, facts)),
        final_borrowers=tuple(_final_borrowers(facts)),
        completed_at=at,
    )


def exposures(state: Consortium, facts: Facts) -> Iterator[BankExposure]:
    """Whom the bank's money is lent to. On-lending lends it to the partner banks, whoever uses it in the end."""
    if state.mode is CooperationMode.SME_ON_LENDING:
        for one in state.standing(Standing.JOINED):
            lent = balance(one.taken, facts)
            yield BankExposure(debtor_kind=DebtorKind.PARTNER, debtor=one.partner, amount=lent, at_risk=lent)
        return
    lent = balance(facts.amount if state.share_of is ShareOf.RISK else state.own, facts)
    if facts.credit_code is None:
        kind, debtor = DebtorKind.ZONE, facts.zone
    else:
        kind, debtor = DebtorKind.ENTERPRISE, facts.credit_code
    yield BankExposure(debtor_kind=kind, debtor=debtor, amount=lent, at_risk=balance(state.own, facts))


def _final_borrowers(facts: Facts) -> Iterator[FinalBorrower]:
    if facts.credit_code is not None and facts.size_class is not None:
        name = facts.enterprise or facts.name
        yield FinalBorrower(credit_code=facts.credit_code, name=name, size_class=facts.size_class)
