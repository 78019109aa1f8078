"""What becomes of an input: given a desk with a history, when records come in, then this is what a batch writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from schemas.envelope import Event, Payload
from services.kit.batch import TaskId
from services.kit.door import Deadline, Done, Early, EffectResult, Invalid
from services.kit.failures import TooManyUnexpected
from services.kit.ids import in_ms
from services.kit.reading import Item
from services.kit.tables import APPLIED, DEAD
from tests.support.ledger import PARTITIONS, AccountRefused, AccountRequested, ClerkNamed, EntryMade
from tests.unit.kit.builders import NOON, Desk, Record, dead, kinds, opened, reasons, sent
from topics.partitioning import partition_of

ENTRY = EntryMade.TYPE.encode()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def open_desk(desk: Desk) -> Desk:
    """A desk at which account a1 is open."""
    desk.take(desk.record(opened()))
    return desk


# The usual way


def test_an_input_gives_its_outputs_moves_the_state_and_is_taken_in(desk: Desk) -> None:
    batch = desk.take(desk.record(opened(), id="first"), desk.record(EntryMade(amount=5), id="second"))

    assert kinds(batch) == ["account_opened", "entry_booked"]
    assert (desk.state().name, desk.state().balance) == ("name of a1", 5)
    assert [(row[1], row[3]) for row in batch.inbox] == [("first", APPLIED), ("second", APPLIED)]
    assert batch.positions[("ledger.entries", desk.task("a1").partition)] == (-1, 1)


def test_a_state_is_written_once_a_batch_with_the_version_after_the_one_before(open_desk: Desk) -> None:
    batch = open_desk.take(*(open_desk.record(EntryMade(amount=one)) for one in (1, 2, 3)))

    entry = batch.states["account"]["a1"]
    assert (entry.version, entry.state.balance, entry.state.entries) == (2, 6, 3)


def test_outputs_keep_the_key_and_partition_of_their_input(open_desk: Desk) -> None:
    (out,) = sent(open_desk.take(open_desk.record(EntryMade(amount=5))))

    assert (out.topic, out.key, out.text("ce_subject")) == ("ledger.events", b"a1", "a1")
    assert out.partition == partition_of(b"a1", PARTITIONS)
    assert out.text("ce_source") == "//kouan/ledger"


def test_correlation_causation_and_trace_are_carried_on(open_desk: Desk) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    (out,) = sent(
        open_desk.take(open_desk.record(EntryMade(amount=5), id="entry", correlation_id="case-7", traceparent=trace))
    )

    assert (out.text("ce_correlationid"), out.text("ce_causationid")) == ("case-7", "entry")
    version, trace_id, span, flags = out.text("traceparent").split("-")
    assert (version, trace_id, flags) == ("00", "0af7651916cd43dd8448eb211c80319c", "01")
    assert len(span) == 16
    assert span != "b7ad6b7169203331"


def test_an_input_without_correlation_and_trace_begins_them(open_desk: Desk) -> None:
    (out,) = sent(open_desk.take(open_desk.record(EntryMade(amount=5))))

    assert out.text("ce_correlationid") == "a1"
    assert [len(part) for part in out.text("traceparent").split("-")] == [2, 32, 16, 2]


def test_another_worker_gives_the_same_outputs_the_same_ids(desk: Desk) -> None:
    other = Desk()
    ours, theirs = (
        sent(each.take(each.record(opened()), each.record(EntryMade(amount=5, letter=True)))) for each in (desk, other)
    )

    assert [(one.id, one.value, one.headers) for one in ours] == [(one.id, one.value, one.headers) for one in theirs]
    assert len({one.id for one in ours}) == 3


def test_a_type_that_nothing_asks_for_only_moves_the_position(desk: Desk) -> None:
    inlet = desk.wiring.inlets["ledger.entries"]
    inlet.decides.clear()  # type: ignore[attr-defined]
    inlet.routes.clear()  # type: ignore[attr-defined]
    record = desk.record(EntryMade(amount=5))
    batch = desk.take(record)

    assert (sent(batch), batch.inbox, batch.counts) == ([], [], {"ignored": 1})
    assert batch.positions == {("ledger.entries", record.partition): (-1, 1)}


# Repeats and reused ids


def test_a_repeat_in_the_same_batch_is_left_out(open_desk: Desk) -> None:
    record = open_desk.record(EntryMade(amount=5), id="entry")
    again = open_desk.record(EntryMade(amount=5), id="entry")
    batch = open_desk.take(record, again)

    assert kinds(batch) == ["entry_booked"]
    assert batch.counts["repeat"] == 1
    assert batch.positions[again.topic, again.partition] == (-1, again.offset + 1)


def test_a_repeat_of_what_the_inbox_knows_is_left_out(open_desk: Desk) -> None:
    open_desk.take(open_desk.record(EntryMade(amount=5), id="entry"))
    batch = open_desk.take(open_desk.record(EntryMade(amount=5), id="entry"))

    assert (sent(batch), batch.inbox, batch.states) == ([], [], {})
    assert open_desk.state().balance == 5


@pytest.mark.parametrize("known", ["in the same batch", "in the inbox"])
def test_a_reused_id_with_other_content_is_a_dead_letter(open_desk: Desk, known: str) -> None:
    records = [
        open_desk.record(EntryMade(amount=5), id="entry"),
        open_desk.record(EntryMade(amount=6), id="entry"),
    ]
    batches = [open_desk.take(*records)] if known == "in the same batch" else [open_desk.take(one) for one in records]

    assert reasons(batches[-1]) == ["id-reused"]
    assert open_desk.state().balance == 5


def test_a_repeat_of_a_dead_input_does_not_become_a_second_dead_letter(open_desk: Desk) -> None:
    first = open_desk.take(open_desk.raw("ledger.entries", b"a1", b"{", _headers("a1", "broken")))
    second = open_desk.take(open_desk.raw("ledger.entries", b"a1", b"{", _headers("a1", "broken")))

    assert (len(dead(first)), len(dead(second))) == (1, 0)


def test_ids_of_different_sources_do_not_meet(open_desk: Desk) -> None:
    batch = open_desk.take(
        open_desk.record(EntryMade(amount=5), id="same", source="//bank/a"),
        open_desk.record(EntryMade(amount=6), id="same", source="//bank/b"),
    )

    assert kinds(batch) == ["entry_booked", "entry_booked"]


# Invalid inputs


def test_the_wrong_side_is_a_dead_letter_and_does_not_use_up_the_id(open_desk: Desk) -> None:
    stranger = open_desk.take(open_desk.record(EntryMade(amount=5), id="entry", source="//commerce/mofcom"))
    pretender = open_desk.take(open_desk.record(EntryMade(amount=6), id="entry", source="//bankrobber/x"))
    rightful = open_desk.take(open_desk.record(EntryMade(amount=7), id="entry"))

    assert reasons(stranger) == reasons(pretender) == ["wrong-source"]
    assert [row[0] for row in stranger.inbox] == ["dead-letter"]
    assert kinds(rightful) == ["entry_booked"]


def test_a_source_that_hides_in_an_undecodable_record_can_not_use_up_an_id_of_another_side(open_desk: Desk) -> None:
    headers = [*_headers("a1", "entry", source=b"//commerce/mofcom")]
    open_desk.take(open_desk.raw("ledger.entries", b"a1", b"{", headers))

    assert ("//commerce/mofcom", "entry") not in open_desk.seen


def test_a_dead_letter_holds_the_original_bytes_and_headers_and_says_where_it_stood_and_why(desk: Desk) -> None:
    headers = (*_headers("a1", "entry"), ("x-own", b"\xff\x00"), ("kouan_reason", b"forged"))
    record = desk.raw("ledger.entries", b"a1", b"\xffno json", headers)
    (letter,) = dead(desk.take(record))

    assert (letter.key, letter.value, letter.headers["x-own"]) == (b"a1", b"\xffno json", b"\xff\x00")
    assert letter.text("kouan_reason") == "undecodable"
    assert letter.text("kouan_topic") == "ledger.entries"
    assert (letter.text("kouan_partition"), letter.text("kouan_offset")) == (str(record.partition), "0")
    assert letter.partition == record.partition
    assert letter.text("kouan_service") == "ledger"


def test_a_dead_letter_has_the_same_id_whoever_writes_it(desk: Desk) -> None:
    ids = set()
    for each in (desk, Desk()):
        (letter,) = dead(each.take(each.raw("ledger.entries", b"a1", b"no event")))
        ids.add(letter.text("kouan_dead_letter_id"))

    assert len(ids) == 1


def test_a_body_that_breaks_its_schema_goes_to_the_route_that_takes_malformed_ones(desk: Desk) -> None:
    batch = desk.take(desk.raw("ledger.accounts", b"a1", b"{}", _headers("a1", "x", AccountRequested.TYPE)))

    assert kinds(batch) == ["account_refused"]
    assert b"/name" in (sent(batch)[0].value or b"")
    assert [row[3] for row in batch.inbox] == [APPLIED]


def test_a_body_that_breaks_its_schema_is_a_dead_letter_where_no_route_takes_it(open_desk: Desk) -> None:
    batch = open_desk.take(open_desk.raw("ledger.entries", b"a1", b"{}", _headers("a1", "x")))

    assert reasons(batch) == ["schema"]
    assert "amount" in dead(batch)[0].text("kouan_text")


def test_what_the_domain_calls_invalid_is_a_dead_letter_with_its_code_and_the_batch_goes_on(desk: Desk) -> None:
    close = NOON - timedelta(days=1)
    desk.take(desk.record(AccountRequested(name="old", close_at=close)))
    desk.decide([_due(desk, close)])
    batch = desk.take(desk.record(EntryMade(amount=5)), desk.record(opened("b1"), key="b1"))

    assert reasons(batch) == ["closed"]
    assert kinds(batch) == ["account_opened"]


def test_what_nobody_foresaw_is_a_dead_letter_too(open_desk: Desk) -> None:
    batch = open_desk.take(open_desk.record(EntryMade(amount=666)), open_desk.record(EntryMade(amount=5)))

    assert reasons(batch) == ["unexpected"]
    assert "ZeroDivisionError" in dead(batch)[0].text("kouan_text")
    assert open_desk.state().balance == 5


def test_more_unexpected_failures_than_a_minute_may_have_are_not_turned_into_dead_letters(open_desk: Desk) -> None:
    for _ in range(5):
        open_desk.take(open_desk.record(EntryMade(amount=666)))

    with pytest.raises(TooManyUnexpected, match="ZeroDivisionError"):
        open_desk.take(open_desk.record(EntryMade(amount=666)))


def test_an_output_that_is_too_large_is_refused_before_anything_is_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kit.answering.EVENT_LIMIT", 20)
    batch = desk.take(desk.record(opened()))

    assert reasons(batch) == ["unexpected"]
    assert desk.state() is None


# Early inputs


def test_an_early_input_is_parked_and_applied_when_what_it_needs_has_come(desk: Desk) -> None:
    early = desk.take(desk.record(EntryMade(amount=5)))
    assert (sent(early), early.inbox, len(desk.parked)) == ([], [], 1)

    batch = desk.take(desk.record(opened()))
    assert batch.awaited == {(desk.task("a1"), "a1")}

    assert kinds(desk.unpark()) == ["entry_booked"]
    assert (desk.parked, desk.tasks[desk.task("a1")].parked) == ({}, {})


def test_later_inputs_of_the_key_wait_behind_an_early_one_in_order(desk: Desk) -> None:
    desk.take(desk.record(EntryMade(amount=1), id="1"))
    batch = desk.take(desk.record(opened()), desk.record(EntryMade(amount=2), id="2"))
    assert kinds(batch) == ["account_opened"]

    out = [one for one in sent(desk.unpark()) if one.kind == "entry_booked"]
    assert [one.text("ce_causationid") for one in out] == ["1", "2"]


def test_other_keys_of_the_task_do_not_wait(desk: Desk) -> None:
    neighbour = next(f"b{number}" for number in range(100) if desk.task(f"b{number}") == desk.task("a1"))
    desk.take(desk.record(EntryMade(amount=1)))
    batch = desk.take(desk.record(opened(neighbour), key=neighbour))

    assert kinds(batch) == ["account_opened"]


def test_an_input_that_is_still_early_stays_parked_and_so_does_what_waits_behind_it(desk: Desk) -> None:
    desk.take(desk.record(EntryMade(amount=1)), desk.record(EntryMade(amount=2)))
    batch = desk.unpark()

    assert (sent(batch), batch.unparked, len(desk.parked)) == ([], [], 2)


def test_a_repeat_that_was_parked_as_well_is_left_out_when_its_turn_comes(desk: Desk) -> None:
    desk.take(desk.record(EntryMade(amount=1), id="same"), desk.record(EntryMade(amount=1), id="same"))
    desk.take(desk.record(opened()))
    batch = desk.unpark()

    assert kinds(batch) == ["entry_booked"]
    assert desk.parked == {}


def test_more_early_inputs_of_a_key_than_may_wait_become_dead_letters() -> None:
    desk = Desk(park_limit=2)
    first = desk.take(*(desk.record(EntryMade(amount=one)) for one in range(3)))
    second = desk.take(desk.record(EntryMade(amount=4)))

    assert len(desk.parked) == 2
    assert reasons(first) == reasons(second) == ["early"]


def test_an_input_that_waited_as_long_as_it_may_is_a_dead_letter(desk: Desk) -> None:
    desk.take(desk.record(EntryMade(amount=5), id="late"))
    batch = desk.unpark(expired=True)

    assert reasons(batch) == ["early"]
    assert desk.parked == {}
    assert desk.seen["//bank/exim-nmg", "late"][1] == DEAD


def waiting_desk(*otherwise: Payload) -> Desk:
    """A desk whose entries wait for their account, and are answered so where it never comes."""

    def book_or_answer(account: object, event: Event[EntryMade], context: object) -> Iterable[Payload]:
        if account is None:
            raise Early("the account is not open yet", otherwise)
        return ()

    (account, *_) = Desk().wiring.service.aggregates
    return Desk(routes={**account.routes, EntryMade: book_or_answer})


def test_an_input_that_waited_as_long_as_it_may_is_answered_where_there_is_an_answer() -> None:
    desk = waiting_desk(AccountRefused(reason="never opened"))
    desk.take(desk.record(EntryMade(amount=5), id="late"), desk.record(EntryMade(amount=6), id="later"))
    batch = desk.unpark(expired=True)

    assert kinds(batch) == ["account_refused", "account_refused"]
    assert (desk.parked, batch.notes) == ({}, [])
    assert {desk.seen["//bank/exim-nmg", id][1] for id in ("late", "later")} == {APPLIED}


def test_an_input_that_is_given_up_without_a_word_is_taken_in_and_no_dead_letter() -> None:
    desk = waiting_desk()
    desk.take(desk.record(EntryMade(amount=5), id="late"))
    batch = desk.unpark(expired=True)

    assert (sent(batch), desk.parked) == ([], {})
    assert desk.seen["//bank/exim-nmg", "late"][1] == APPLIED


# Records on a wrong partition


def test_a_misplaced_record_is_sent_on_to_its_partition_of_the_same_topic_and_not_decided(desk: Desk) -> None:
    wrong = (partition_of(b"a1", PARTITIONS) + 1) % PARTITIONS
    record = desk.record(opened(), id="kcat", partition=wrong)
    batch = desk.take(record)
    (out,) = sent(batch)

    assert (out.topic, out.partition) == ("ledger.accounts", partition_of(b"a1", PARTITIONS))
    assert (out.key, out.value, tuple(out.headers.items())) == (record.key, record.value, record.headers)
    assert (batch.inbox, batch.states) == ([], {})
    assert batch.positions == {("ledger.accounts", wrong): (-1, 1)}


def test_a_reader_that_is_not_named_for_it_leaves_misplaced_records_to_the_one_that_is(desk: Desk) -> None:
    inlets = {name: replace(inlet, sends_on=False) for name, inlet in desk.wiring.inlets.items()}
    desk.wiring.inlets.update(inlets)  # type: ignore[attr-defined]
    wrong = (partition_of(b"a1", PARTITIONS) + 1) % PARTITIONS
    batch = desk.take(desk.record(opened(), partition=wrong))

    assert sent(batch) == []
    assert batch.counts == {"misplaced": 1}


# Deadlines


def _due(desk: Desk, close: datetime, key: str = "a1") -> Item:
    deadline = Deadline("close", close)
    return desk.reader.deadline(desk.task(key), key, "close", deadline, in_ms(deadline.due))


def test_deadline_rows_follow_what_the_state_asks_for(desk: Desk) -> None:
    close = NOON + timedelta(days=1)
    batch = desk.take(desk.record(AccountRequested(name="x", close_at=close)))

    assert batch.deadlines_set == [("account", "a1", "close", desk.task("a1").partition, in_ms(close))]


def test_a_deadline_that_falls_due_is_decided_and_its_row_goes(desk: Desk) -> None:
    close = NOON + timedelta(days=1)
    desk.take(desk.record(AccountRequested(name="x", close_at=close)))
    batch = desk.decide([_due(desk, close)])

    assert kinds(batch) == ["account_closed"]
    assert batch.deadlines_fired == [("account", "a1", "close", in_ms(close))]
    assert sent(batch)[0].text("ce_time") == close.isoformat()
    assert batch.inbox == []


def test_a_deadline_that_was_moved_meanwhile_does_not_fire(desk: Desk) -> None:
    desk.take(desk.record(AccountRequested(name="x", close_at=NOON + timedelta(days=2))))
    batch = desk.decide([_due(desk, NOON + timedelta(days=1))])

    assert (sent(batch), batch.deadlines_fired, batch.deadlines_gone) == ([], [], [])
    assert not desk.state().closed


def test_a_deadline_that_the_state_no_longer_asks_for_is_taken_away_without_firing(desk: Desk) -> None:
    close = NOON + timedelta(days=1)
    desk.take(desk.record(AccountRequested(name="x", close_at=close)))
    batch = desk.decide([_due(desk, close), _due(desk, close)])

    assert kinds(batch) == ["account_closed"]
    assert ("account", "a1", "close") in batch.deadlines_gone


def test_a_deadline_that_nothing_comes_of_pauses_the_service_instead_of_being_lost() -> None:
    desk = Desk(due=lambda state, event, context: ())
    close = NOON + timedelta(days=1)
    desk.take(desk.record(AccountRequested(name="x", close_at=close)))

    with pytest.raises(TooManyUnexpected, match="still asks for it"):
        desk.decide([_due(desk, close)])


@pytest.mark.parametrize("outcome", [Early("not yet"), Invalid("never", "never")])
def test_a_deadline_can_be_neither_parked_nor_a_dead_letter(outcome: Exception) -> None:
    def refuse(state: object, event: object, context: object) -> Iterable[object]:
        raise outcome

    desk = Desk(due=refuse)
    close = NOON + timedelta(days=1)
    desk.take(desk.record(AccountRequested(name="x", close_at=close)))

    with pytest.raises(TooManyUnexpected, match=type(outcome).__name__):
        desk.decide([_due(desk, close)])


# Effects


def test_an_effect_is_opened_with_the_output_that_asks_for_it_and_its_result_closes_it(open_desk: Desk) -> None:
    batch = open_desk.take(open_desk.record(EntryMade(amount=5, letter=True)))
    (row,) = batch.effects_opened
    asked = next(one for one in sent(batch) if one.kind == "letter_queued")
    assert row[:5] == ("account", "letter", "a1-1", open_desk.task("a1").partition, "a1")
    assert row[5] == asked.id

    event: Event[None] = Event("letter/a1-1/result", "//kouan/ledger/effects", "effect", NOON, "a1", None)
    item = open_desk.reader.effect(open_desk.task("a1"), "letter", EffectResult("a1-1", Done(), 1), event)
    result = open_desk.decide([item])

    assert kinds(result) == ["letter_sent"]
    assert ("account", "letter", "a1-1") in result.effects_closed
    assert open_desk.state().letters == 1


# Claims


def test_two_inputs_of_one_batch_do_not_both_get_a_claim(desk: Desk) -> None:
    batch = desk.take(desk.record(opened("a1", "same"), key="a1"), desk.record(opened("a2", "same"), key="a2"))

    assert kinds(batch) == ["account_opened", "account_refused"]
    assert batch.claims_made == [("account", "same", "a1")]


def test_a_claim_that_the_database_says_is_held_is_told_to_the_decision(desk: Desk) -> None:
    desk.holders = {"account": {"same": "elsewhere"}}
    batch = desk.take(desk.record(opened("a1", "same")))

    assert kinds(batch) == ["account_refused"]
    assert batch.claims_made == []


def test_a_claim_is_freed_with_the_state_that_held_it(desk: Desk) -> None:
    close = NOON + timedelta(days=1)
    desk.take(desk.record(AccountRequested(name="x", close_at=close)))
    batch = desk.decide([_due(desk, close)])

    assert batch.claims_freed == [("account", "x")]


# Dead letters that are sent round again


def test_a_corrected_dead_letter_is_applied_once_and_refused_the_second_time(open_desk: Desk) -> None:
    (letter,) = dead(open_desk.take(open_desk.raw("ledger.entries", b"a1", b"{", _headers("a1", "entry"))))
    first = open_desk.take(_redriven(open_desk, letter.headers, b'{"amount": 7}'))
    second = open_desk.take(_redriven(open_desk, letter.headers, b'{"amount": 7}'))

    assert kinds(first) == ["entry_booked"]
    assert (sent(second), second.counts) == ([], {"redrive-refused": 1})
    assert open_desk.state().balance == 7


def test_both_redrives_in_one_batch_are_applied_once(open_desk: Desk) -> None:
    (letter,) = dead(open_desk.take(open_desk.raw("ledger.entries", b"a1", b"{", _headers("a1", "entry"))))
    batch = open_desk.take(*(_redriven(open_desk, letter.headers, b'{"amount": 7}') for _ in range(2)))

    assert kinds(batch) == ["entry_booked"]


def test_what_was_applied_can_not_be_sent_round_again(open_desk: Desk) -> None:
    open_desk.take(open_desk.record(EntryMade(amount=5), id="entry"))
    (letter,) = dead(open_desk.take(open_desk.record(EntryMade(amount=6), id="entry")))
    batch = open_desk.take(_redriven(open_desk, letter.headers, letter.value))

    assert (sent(batch), batch.counts) == ([], {"redrive-refused": 1})


def test_a_dead_letter_that_nobody_wrote_is_refused(open_desk: Desk) -> None:
    headers = dict(_headers("a1", "forged")) | {"kouan_topic": b"ledger.entries", "kouan_dead_letter_id": b"forged"}
    batch = open_desk.take(_redriven(open_desk, headers, b'{"amount": 1000}'))

    assert batch.counts == {"redrive-refused": 1}


def test_a_redrive_that_does_not_name_its_dead_letter_says_what_is_missing(open_desk: Desk) -> None:
    batch = open_desk.take(_redriven(open_desk, dict(_headers("a1", "x")), b'{"amount": 1}'))

    assert reasons(batch) == ["redrive-incomplete"]


def test_a_redrive_that_fails_again_is_a_new_dead_letter_with_the_first_place(open_desk: Desk) -> None:
    open_desk.take(open_desk.record(EntryMade(amount=1), id="moves the offset"))
    (letter,) = dead(open_desk.take(open_desk.raw("ledger.entries", b"a1", b"{", _headers("a1", "entry"))))
    (again,) = dead(open_desk.take(_redriven(open_desk, letter.headers, b"[")))

    assert again.text("kouan_dead_letter_id") != letter.text("kouan_dead_letter_id")
    assert (again.text("kouan_topic"), again.text("kouan_offset")) == ("ledger.entries", "1")


def test_a_dead_letter_of_the_second_aggregate_goes_round_to_it(desk: Desk) -> None:
    (letter,) = dead(desk.take(desk.record(ClerkNamed(called="nobody"), key="c1", id="clerk")))
    batch = desk.take(_redriven(desk, letter.headers, b'{"called": "Ana"}', key=b"c1"))

    assert kinds(batch) == ["clerk_recorded.v2"]
    assert desk.state("c1", "clerk").names == ("Ana",)
    assert TaskId("clerk", partition_of(b"c1", PARTITIONS)) in batch.epochs


def _headers(
    key: str, id: str, kind: str = EntryMade.TYPE, source: bytes = b"//bank/exim-nmg"
) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", id.encode()),
        ("ce_source", source),
        ("ce_type", kind.encode()),
        ("ce_time", NOON.isoformat().encode()),
        ("ce_subject", key.encode()),
        ("content-type", b"application/json"),
    ]


def _redriven(desk: Desk, headers: dict[str, bytes], value: bytes | None, key: bytes = b"a1") -> Record:
    return desk.raw("ledger.redrive", key, value, list(headers.items()))
