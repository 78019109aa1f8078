"""What the publishers of both sides say about one referral of the scenario, path by path, and what is to come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.support.scenario import Writer

CONSENT: Mapping[str, Any] = {
    "scopes": ["commerce", "bank"],
    "given_by": "legal_representative",
    "given_on": "2020-03-20",
    "evidence": "SQ-0",
}


class Place(NamedTuple):
    """A zone with its province and a branch that serves it."""

    zone: str
    province: str
    branch: str


class Case:
    """What its publishers say about one referral."""

    def __init__(
        self, writer: Writer, number: int, id: str, place: Place, topic: str, source: str, body: dict[str, Any]
    ) -> None:
        self.writer = writer
        self.expected = writer.expected
        self.number = number
        self.id = id
        self.place = place
        self.topic = topic
        self.source = source
        self.body = body
        self.loan_id = f"LOAN-{id}"
        self._loan_rank = number + writer.jitter(-50, 300)
        self._loan_minute = 10.0

    def at(self, minutes: float) -> datetime:
        """So long after the referral was submitted; no time of day is a whole second."""
        return self.base_time + timedelta(minutes=minutes)

    @property
    def base_time(self) -> datetime:
        return self.writer.base + timedelta(milliseconds=400 * self.number + 137)

    def submit(self, status: str, *, consents: bool = True) -> None:
        """The referral with the enterprise's consent; every tenth enterprise agreed before that partners are told."""
        rank = float(self.number)
        if consents and self.number % 10 == 0:
            self.give_consent(["partner"], minutes=-0.5, rank=rank - 20)
        body: dict[str, Any] = {"referral": self.body}
        if consents:
            body["consent"] = {**CONSENT, "evidence": f"SQ-{self.number}"}
        self.writer.send(self.topic, self.source, "referral.submitted.v1", self.id, body, self.at(0), rank)
        self.expected.intake[self.id] = status

    def give_consent(self, scopes: Sequence[str], minutes: float, rank: float) -> None:
        body = {"scopes": scopes, "given_on": "2020-03-20", "evidence": f"SQ-{self.number}-{'-'.join(scopes)}"}
        self.writer.send(self.topic, self.source, "referral.consent_given.v1", self.id, body, self.at(minutes), rank)

    def give_opinion(
        self, side: str, verdict: str = "support", minutes: float = 2.0, rank: float | None = None
    ) -> None:
        """An opinion that the side's own system had checked; every sixth is a draft until another person confirms."""
        source, topic, checker = self._speaker(side), f"{side}.opinions", f"checker-{side}"
        draft = rank is None and self.number % 6 == 0
        body: dict[str, Any] = {"referral_id": self.id, "verdict": verdict, "given_by": f"screener-{side}"}
        if not draft:
            body["checked_by"] = checker
        if verdict == "oppose":
            body["reasons"] = [{"code": "collateral_insufficient", "text": "抵押不足。"}]
        misplaced = rank is None and side == "bank" and self.number % 100 == 7
        rank = self.number + self.writer.jitter(-150, 200) if rank is None else rank
        id = self.writer.send(
            topic, source, "opinion.given.v1", self.id, body, self.at(minutes), rank, misplaced=misplaced
        )
        if draft:
            body = {"referral_id": self.id, "opinion_id": id, "confirmed_by": checker}
            self.writer.send(topic, source, "opinion.confirmed.v1", self.id, body, self.at(minutes + 0.5), rank + 10)

    def send_back(self, side: str, rank: float) -> None:
        """A draft that its checker sends back, whereupon another one is given and confirmed."""
        source, topic, checker = self._speaker(side), f"{side}.opinions", f"checker-{side}"
        given = {"referral_id": self.id, "verdict": "support", "given_by": f"screener-{side}"}
        for minutes, kind, name, more in (
            (2.0, "opinion.returned.v1", "returned_by", {"text": "请补充说明。"}),
            (4.0, "opinion.confirmed.v1", "confirmed_by", {}),
        ):
            id = self.writer.send(topic, source, "opinion.given.v1", self.id, given, self.at(minutes), rank)
            body = {"referral_id": self.id, "opinion_id": id, name: checker, **more}
            self.writer.send(topic, source, kind, self.id, body, self.at(minutes + 1), rank)

    def confer(self, **outcomes: str) -> None:
        """What the headquarters of each side wants to become of the case."""
        for side, outcome in outcomes.items():
            body = {"referral_id": self.id, "outcome": outcome, "text": "双方会商意见。", "given_by": f"hq-{side}"}
            source = {"bank": "//bank/exim", "commerce": "//commerce/mofcom"}[side]
            rank = self.number + self.writer.jitter(-100, 250)
            self.writer.send(f"{side}.opinions", source, "conference.outcome_given.v1", self.id, body, self.at(8), rank)

    def _speaker(self, side: str) -> str:
        return f"//bank/{self.place.branch}" if side == "bank" else f"//commerce/{self.place.province}"

    def shortlist(self) -> None:
        self.submit("registered")
        self.give_opinion("commerce", minutes=2.0)
        self.give_opinion("bank", minutes=3.0)
        self.expected.screening[self.id] = "shortlisted"

    def report(self, kind: str, **body: Any) -> None:
        self._loan_rank += self.writer.jitter(1, 60)
        self._loan_minute += 5
        self.writer.send(
            "bank.loans", f"//bank/{self.place.branch}", f"loan.{kind}_reported.v1", self.id,
            {"loan_id": self.loan_id, **body}, self.at(self._loan_minute), self._loan_rank,
        )  # fmt: skip

    def contract(self) -> None:
        """Apply, approve, contract."""
        money, term = self.body["amount"], self.body["term_months"]
        self.report("application", amount=money, term_months=term, mode="direct_loan")
        self.report("approval", amount=money, term_months=term)
        self.report(
            "contract", amount=money, term_months=term, contract_number=f"HT-{self.number}", matures_on="2099-12-31"
        )

    def disburse(self, share: str) -> None:
        self.report("disbursement", amount={**self.body["amount"], "amount": self.part(share)})

    def repay(self, share: str) -> None:
        self.report("repayment", currency=self.currency, principal=self.part(share), interest="120.00")

    def part(self, share: str) -> str:
        """A share of the loan as decimal text."""
        return f"{Decimal(self.body['amount']['amount']) * Decimal(share):.2f}"

    @property
    def currency(self) -> str:
        return str(self.body["amount"]["currency"])

    def owe(self, share: str, status: str) -> None:
        """What is left of the loan in the end."""
        self.expected.loans[self.id] = status
        place = (self.place.zone, self.currency)
        self.expected.exposure[place] = self.expected.exposure.get(place, Decimal(0)) + Decimal(self.part(share))


def _shortlisted(case: Case) -> None:
    case.shortlist()
    case.writer.original(case, float(case.number))


def _second_opinion(case: Case) -> None:
    case.submit("registered")
    case.give_opinion("commerce", minutes=2.0, rank=case.number + 5.0)
    case.give_opinion("commerce", "oppose", minutes=4.0, rank=case.number + 6.0)
    case.give_opinion("bank", minutes=3.0)
    case.expected.screening[case.id] = "shortlisted"
    case.expected.refusals["second_opinion"] += 1


def _sent_back(case: Case) -> None:
    case.submit("registered")
    case.send_back("commerce", case.number + 5.0)
    case.give_opinion("bank", minutes=3.0)
    case.expected.screening[case.id] = "shortlisted"


def _declined(case: Case) -> None:
    case.submit("closed")
    case.give_opinion("commerce", "oppose", minutes=2.0)
    case.give_opinion("bank", "oppose", minutes=3.0)
    case.expected.screening[case.id] = "declined"


def _disagreed(case: Case) -> None:
    """One side opposes. The opinions keep their place: a headquarters' answer before its side's opinion is refused."""
    side, other = ("commerce", "bank") if case.number % 2 else ("bank", "commerce")
    case.give_opinion(side, minutes=2.0, rank=case.number + case.writer.jitter(-150, 200))
    case.give_opinion(other, "oppose", minutes=3.0, rank=case.number + case.writer.jitter(-150, 200))


def _conference_agreed(case: Case) -> None:
    case.submit("registered")
    _disagreed(case)
    case.confer(commerce="shortlist", bank="shortlist")
    case.expected.screening[case.id] = "shortlisted"


def _conference_differed(case: Case) -> None:
    case.submit("closed")
    _disagreed(case)
    case.confer(commerce="shortlist", bank="decline")
    case.expected.screening[case.id] = "declined"


def _consent_later(case: Case) -> None:
    case.submit("registered", consents=False)
    case.give_consent(["commerce", "bank"], minutes=1.0, rank=case.number + 30.0)
    case.give_opinion("commerce", minutes=2.0)
    case.give_opinion("bank", minutes=3.0)
    case.expected.screening[case.id] = "shortlisted"


def _consent_missing(case: Case) -> None:
    case.submit("awaiting_consent", consents=False)
    case.give_consent(["commerce"], minutes=1.0, rank=case.number + 30.0)


def _consent_revoked(case: Case) -> None:
    case.submit("withdrawn")
    body = {"scopes": ["bank"], "revoked_on": "2020-03-22", "evidence": f"CX-{case.number}"}
    rank = case.number + 40.0
    case.writer.send(case.topic, case.source, "referral.consent_revoked.v1", case.id, body, case.at(5), rank)
    case.expected.screening[case.id] = "withdrawn"


def _stopped(case: Case) -> None:
    case.submit("closed")
    case.expected.screening[case.id] = "declined"


def _one_opinion(case: Case) -> None:
    case.submit("registered")
    case.give_opinion("commerce")
    case.expected.screening[case.id] = "open"


def _amended(case: Case) -> None:
    _one_opinion(case)
    changed = {**case.body, "purpose": "用途已更改。", "term_months": 36}
    body = {"referral": changed, "reason": "企业调整了期限。"}
    case.writer.send(
        case.topic, case.source, "referral.amendment_submitted.v1", case.id, body, case.at(5), case.number + 40.0
    )


def _withdrawn(case: Case) -> None:
    case.submit("withdrawn")
    body = {"code": "financed_elsewhere", "reason": "企业已从其他银行获得贷款。"}
    case.writer.send(
        case.topic, case.source, "referral.withdrawal_submitted.v1", case.id, body, case.at(5), case.number + 40.0
    )
    case.expected.screening[case.id] = "withdrawn"


def _rejected(case: Case) -> None:
    case.submit("rejected")


def _loan_rejected(case: Case) -> None:
    case.shortlist()
    money, term = case.body["amount"], case.body["term_months"]
    case.report("application", amount=money, term_months=term, mode="direct_loan")
    case.report("rejection", code="collateral_insufficient", text="抵押物不足。")
    case.expected.loans[case.id] = "declined"
    case.expected.intake[case.id] = "closed"


def _loan_settled(case: Case) -> None:
    case.shortlist()
    case.contract()
    case.disburse("0.5")
    case.disburse("0.5")
    case.repay("1")
    case.report("settlement")
    case.owe("0", "settled")
    case.expected.intake[case.id] = "closed"


def _loan_instalments(case: Case) -> None:
    """Paid out in two parts and paid back in forty: much is reported of one case."""
    case.shortlist()
    case.contract()
    case.disburse("0.5")
    case.disburse("0.5")
    for _ in range(40):
        case.repay("0.025")
    case.report("settlement")
    case.owe("0", "settled")
    case.expected.intake[case.id] = "closed"


def _loan_running(case: Case) -> None:
    case.shortlist()
    case.contract()
    case.disburse("0.5")
    case.repay("0.25")
    case.owe("0.25", "repaying")


def _loan_refused(case: Case) -> None:
    """More is paid out than was contracted, and the loan is settled before it is paid back."""
    case.shortlist()
    case.contract()
    case.disburse("0.5")
    case.disburse("0.75")
    case.repay("0.25")
    case.report("settlement")
    case.owe("0.25", "repaying")
    case.expected.refusals["over_contracted"] += 1
    case.expected.refusals["outstanding_left"] += 1


def _loan_overdue(case: Case) -> None:
    case.shortlist()
    case.contract()
    case.disburse("1")
    case.report("overdue", days=35, currency=case.currency, principal=case.part("0.25"), interest="0.00")
    case.owe("1", "overdue")


def _loan_held(case: Case) -> None:
    """Overdue for so long that the case is held; half of them pay and are released."""
    case.shortlist()
    case.contract()
    case.disburse("1")
    case.report("overdue", days=300, currency=case.currency, principal=case.part("0.5"), interest="0.00")
    if case.number % 2:
        case.repay("0.5")
        case.owe("0.5", "repaying")
    else:
        case.owe("1", "overdue")
        case.expected.held.add(case.id)


WRITERS: Mapping[str, Callable[[Case], None]] = {
    "shortlisted": _shortlisted,
    "second_opinion": _second_opinion,
    "sent_back": _sent_back,
    "declined": _declined,
    "conference_agreed": _conference_agreed,
    "conference_differed": _conference_differed,
    "consent_later": _consent_later,
    "consent_missing": _consent_missing,
    "consent_revoked": _consent_revoked,
    "stopped": _stopped,
    "one_opinion": _one_opinion,
    "amended": _amended,
    "withdrawn": _withdrawn,
    "faulty": _rejected,
    "malformed": _rejected,
    "loan_rejected": _loan_rejected,
    "loan_settled": _loan_settled,
    "loan_instalments": _loan_instalments,
    "loan_running": _loan_running,
    "loan_refused": _loan_refused,
    "loan_overdue": _loan_overdue,
    "loan_held": _loan_held,
}
