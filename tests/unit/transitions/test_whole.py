"""Intake, screening and plans together, in whatever order things are said and read: no way past a sign-off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas.consent import CONSENT_EXAMPLE, ConsentGiven, ConsentRevoked
from schemas.deliberation import ScreeningConferenceOutcomeRecorded
from schemas.envelope import Event, Payload
from schemas.opinion import (
    ConferenceOutcome,
    ConferenceOutcomeGiven,
    OpinionConfirmed,
    OpinionExtensionAsked,
    OpinionGiven,
    OpinionReturned,
    Verdict,
)
from schemas.plan import (
    PlanPart,
    PlanPartRecorded,
    PlanPartReplaced,
    PlanPartSignedOff,
    PlanPartSubmitted,
    PlanSignedOff,
    PlanSignOffRecorded,
)
from schemas.referral import REFERRAL_EXAMPLE, AmendmentSubmitted, ReferralSubmitted, WithdrawalSubmitted
from schemas.risk import RiskHeld, RiskReleased
from schemas.screening import ScreeningOpinionRecorded, ScreeningShortlisted
from schemas.values import Side
from services.cli.transitions import tables_of
from services.screening.domain.case import CLOSED
from tests.unit.transitions.desks import Desk, Desks, aggregate_of
from tests.unit.transitions.exploring import BEGIN, event_of, inputs_of

CASES = ("NMG-2020-000123", "NMG-2020-000124")
PLAN = "PLAN-MZL-1"
SOURCES = {Side.COMMERCE: "//commerce/15", Side.BANK: "//bank/exim-nmg"}
HQS = {Side.COMMERCE: "//commerce/mofcom", Side.BANK: "//bank/exim"}
CHAIN = {"chain_id": "CHAIN-1", "role": "upstream", "key_link": True}
REASONS = {"support": (), "oppose": ({"code": "collateral_insufficient", "text": "抵押物评估值低于贷款金额。"},)}

cases, sides = st.sampled_from((CASES[0], *CASES)), st.sampled_from(Side)
clerks, picks = st.sampled_from(("clerk-1", "clerk-2")), st.integers(0, 999)
amounts = st.sampled_from(("4000000.00", "6000000.00"))
verdicts, mostly = st.sampled_from(Verdict), st.sampled_from((True, True, True, False))
versions, outcomes = st.sampled_from((1, 1, 1, 2)), st.sampled_from(ConferenceOutcome)
parts = st.just(set(PlanPart)) | st.sets(st.sampled_from(PlanPart), min_size=1)


def happening(name: str, **drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """One thing that may happen: a method of the machine with what it is called with.

    Not rules of their own: hypothesis leaves out half of a machine's rules in every run, and without all of these
    together no case gets far.
    """
    return st.tuples(st.just(name), st.fixed_dictionaries(drawn))


HAPPENINGS = (
    happening("submit", case=cases, side=sides, consent=mostly, repairs=st.booleans(), need=st.booleans()),
    happening("amend", case=cases, side=sides, amount=amounts, stop=st.booleans()),
    happening("withdraw", case=cases, side=sides),
    happening("consent", case=cases, side=sides, given=st.booleans()),
    happening("both_give_checked_opinions", case=cases, verdict=verdicts, other=verdicts),
    happening("both_give_checked_opinions", case=cases, verdict=verdicts, other=verdicts),
    happening("give_opinion", case=cases, side=sides, verdict=verdicts, maker=clerks, checked=st.booleans()),
    happening("draft_and_check", case=cases, side=sides, verdict=verdicts, maker=clerks, checker=clerks),
    happening("check_opinion", case=cases, side=sides, checker=clerks, returns=st.booleans()),
    happening("ask_for_more_time", case=cases, side=sides),
    happening("both_answer_the_conference", case=cases, outcome=outcomes, other=outcomes),
    happening("answer_conference", case=cases, side=sides, outcome=outcomes, hq=st.booleans()),
    happening("hold", case=cases, hold=st.sampled_from(("zone:manzhouli", "case:1")), lifted=st.booleans()),
    happening("submit_part", part=st.sampled_from(PlanPart), version=versions),
    happening("sign_parts", parts=parts, side=sides, version=versions),
    happening("sign_parts", parts=parts, side=sides, version=versions),
    happening("read", picks=st.lists(picks, min_size=1, max_size=5)),
    happening("read_all"),
    happening("say_again", pick=picks),
    happening("pass_time", days=st.sampled_from((0.01, 0.5, 3))),
    happening("pass_time", days=st.sampled_from((0.01, 0.5, 9))),
)
"""Whatever can happen, what is to happen more often more than once."""


class Whole(RuleBasedStateMachine):
    """Two referrals and one plan, both sides, both headquarters, the risk monitor, and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.desks = Desks()
        self.now: datetime = BEGIN
        self.said: list[tuple[str, Event[Any]]] = []
        self.opinions: dict[tuple[str, Side], list[str]] = {}

    def tell(self, topic: str, source: str, key: str, kind: type[Payload], **changes: Any) -> str:
        """Somebody says something, as the first example of its type has it but for `changes`; the event's id."""
        body = inputs_of(kind)[0].model_dump() | changes
        if "referral_id" in body:
            body["referral_id"] = key
        event = event_of(kind.model_validate(body), source, self.now)
        event.id, event.subject = f"{len(self.said)}", key
        self.now += timedelta(minutes=1)
        self.said.append((topic, event))
        self.desks.publish(topic, event)
        return event.id

    @rule(happening=st.one_of(*HAPPENINGS))
    def happens(self, happening: tuple[str, dict[str, Any]]) -> None:
        name, arguments = happening
        getattr(self, name)(**arguments)

    @initialize(side=sides, read=st.booleans())
    def begin(self, side: Side, read: bool) -> None:
        """Most stories begin with a sound referral and a plan; without, little of what follows would find its case."""
        self.submit(CASES[0], side, True, False, True)
        for part in PlanPart:
            self.submit_part(part, 1)
        if read:
            self.desks.read_all()

    def submit(self, case: str, side: Side, consent: bool, repairs: bool, need: bool) -> None:
        referral = {
            **REFERRAL_EXAMPLE,
            "lane": "resumption",
            "need": "working_capital" if need else "equipment_purchase",
            "chain": CHAIN if consent else None,
            "repairs": CASES[0] if repairs and case != CASES[0] else None,
        }
        given = CONSENT_EXAMPLE if consent else None
        self.tell(f"{side}.referrals", SOURCES[side], case, ReferralSubmitted, referral=referral, consent=given)

    def amend(self, case: str, side: Side, amount: str, stop: bool) -> None:
        changes = {"term_months": 72} if stop else {}
        referral = {**REFERRAL_EXAMPLE, "amount": {"amount": amount, "currency": "CNY"}, **changes}
        self.tell(f"{side}.referrals", SOURCES[side], case, AmendmentSubmitted, referral=referral)

    def withdraw(self, case: str, side: Side) -> None:
        self.tell(f"{side}.referrals", SOURCES[side], case, WithdrawalSubmitted)

    def consent(self, case: str, side: Side, given: bool) -> None:
        kind = ConsentGiven if given else ConsentRevoked
        self.tell(f"{side}.referrals", SOURCES[side], case, kind, scopes=("commerce", "bank"))

    def both_give_checked_opinions(self, case: str, verdict: Verdict, other: Verdict) -> None:
        for side, said in zip(Side, (verdict, other), strict=True):
            self.give_opinion(case, side, said, "clerk-1", True)

    def give_opinion(self, case: str, side: Side, verdict: Verdict, maker: str, checked: bool) -> None:
        checker = "clerk-3" if checked else None
        persons = {"given_by": maker, "checked_by": checker, "on_behalf_of": None}
        said = {"verdict": verdict, "reasons": REASONS[verdict], **persons}
        id = self.tell(f"{side}.opinions", SOURCES[side], case, OpinionGiven, **said)
        self.opinions.setdefault((case, side), []).append(id)

    def draft_and_check(self, case: str, side: Side, verdict: Verdict, maker: str, checker: str) -> None:
        self.give_opinion(case, side, verdict, maker, False)
        self.check_opinion(case, side, checker, False)

    def check_opinion(self, case: str, side: Side, checker: str, returns: bool) -> None:
        ids = self.opinions.get((case, side), ["none"])
        kind, by = (OpinionReturned, "returned_by") if returns else (OpinionConfirmed, "confirmed_by")
        changes = {"opinion_id": ids[-1], by: checker, "on_behalf_of": None}
        self.tell(f"{side}.opinions", SOURCES[side], case, kind, **changes)

    def ask_for_more_time(self, case: str, side: Side) -> None:
        changes = {"asked_by": "clerk-1", "on_behalf_of": None}
        self.tell(f"{side}.opinions", SOURCES[side], case, OpinionExtensionAsked, **changes)

    def both_answer_the_conference(self, case: str, outcome: ConferenceOutcome, other: ConferenceOutcome) -> None:
        for side, said in zip(Side, (outcome, other), strict=True):
            self.answer_conference(case, side, said, True)

    def answer_conference(self, case: str, side: Side, outcome: ConferenceOutcome, hq: bool) -> None:
        changes = {"outcome": outcome, "given_by": "clerk-9", "on_behalf_of": None}
        self.tell(f"{side}.opinions", (HQS if hq else SOURCES)[side], case, ConferenceOutcomeGiven, **changes)

    def hold(self, case: str, hold: str, lifted: bool) -> None:
        kind = RiskReleased if lifted else RiskHeld
        self.tell("risk.holds", "//kouan/risk_monitor", case, kind, hold_id=hold)

    # The plan

    def submit_part(self, part: PlanPart, version: int) -> None:
        changes = {"part": part, "version": version, "submitted_by": "clerk-1"}
        self.tell("commerce.plans", SOURCES[Side.COMMERCE], PLAN, PlanPartSubmitted, **changes)

    def sign_parts(self, parts: set[PlanPart], side: Side, version: int) -> None:
        for part in sorted(parts):
            changes = {"part": part, "version": version, "signed_by": "clerk-1"}
            self.tell(f"{side}.plans", SOURCES[side], PLAN, PlanPartSignedOff, **changes)

    # What the topics and the clock do

    def read(self, picks: list[int]) -> None:
        for pick in picks:
            if unread := self.desks.unread():
                self.desks.read(unread[pick % len(unread)])

    def read_all(self) -> None:
        self.desks.read_all()

    def say_again(self, pick: int) -> None:
        """What was said comes a second time, to readers that have read it: nothing happens."""
        self.desks.read_all()
        before = dict(self.desks.states), len(self.desks.taken)
        self.desks.publish(*self.said[pick % len(self.said)])
        self.desks.read_all()
        assert (self.desks.states, len(self.desks.taken)) == before

    def pass_time(self, days: float) -> None:
        self.now += timedelta(days=days)
        self.desks.pass_time(self.now)

    # What holds at every moment

    @invariant()
    def the_record_alone_gives_every_state(self) -> None:
        for desk, records in self.desks.records.items():
            state, aggregate = None, aggregate_of(desk)
            for record in records:
                state = aggregate.evolve(state, record)
            assert state == self.desks.states[desk]

    @invariant()
    def every_opinion_on_record_has_two_persons_behind_it(self) -> None:
        for case in CASES:
            for opinion in self.records("screening", "case", case):
                if isinstance(opinion, ScreeningOpinionRecorded):
                    assert opinion.checked_by not in (None, opinion.given_by)

    @invariant()
    def a_case_is_shortlisted_by_both_sides_or_both_headquarters(self) -> None:
        for case in CASES:
            for before, _ in upto(self.records("screening", "case", case), ScreeningShortlisted):
                opinions = {one.side: one for one in before if isinstance(one, ScreeningOpinionRecorded)}
                assert set(opinions) == set(Side)
                answers = {
                    one.side: one.outcome for one in before if isinstance(one, ScreeningConferenceOutcomeRecorded)
                }
                agreed = set(answers.items()) == {(side, ConferenceOutcome.SHORTLIST) for side in Side}
                assert agreed or {one.verdict for one in opinions.values()} == {Verdict.SUPPORT}

    @invariant()
    def a_plan_is_signed_off_by_six_signatures_under_what_stands(self) -> None:
        for before, signed_off in upto(self.records("cooperation", "plan", PLAN), PlanSignedOff):
            versions: dict[PlanPart, int] = {}
            signed: set[tuple[PlanPart, int, Side]] = set()
            for one in before:
                if isinstance(one, PlanPartRecorded | PlanPartReplaced):
                    versions[one.part] = one.version
                elif isinstance(one, PlanSignOffRecorded):
                    signed.add((one.part, one.version, one.side))
            assert {one.part: one.version for one in signed_off.versions} == versions
            assert {(part, version, side) for part, version in versions.items() for side in Side} <= signed
            assert set(versions) == set(PlanPart)

    @invariant()
    def each_change_of_a_status_has_one_event_of_its_own_and_none_follows_a_closed_state(self) -> None:
        table = next(one for one in tables_of("screening") if one.name == "case")
        makers = {kind for row in table.rows for kind, leads in row.emits.items() if leads is not None}
        for case in CASES:
            state, status = None, None
            for record in self.records("screening", "case", case):
                state = table.evolve(state, record)
                before, status = status, table.status(state)
                assert before not in CLOSED or status == before
                assert status == before or type(record) in makers

    def teardown(self) -> None:
        """In the end everything is read, and no case is left undecided but one that a hold stops."""
        for _ in range(6):
            self.now += timedelta(days=20)
            self.desks.pass_time(self.now)
        for case in CASES:
            screened = self.desks.states.get(Desk("screening", "case", case))
            if screened is not None:
                assert screened.held or screened.status not in ("open", "conference")

    def records(self, *desk: str) -> list[Payload]:
        return self.desks.records.get(Desk(*desk), [])


def upto(records: list[Payload], kind: type[Any]) -> Iterator[tuple[list[Payload], Any]]:
    """Each record of a type, with those before it."""
    return ((records[:position], one) for position, one in enumerate(records) if isinstance(one, kind))


Whole.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWhole = Whole.TestCase
