"""What a ledger's topics, database and letters have to say to each other, line by line: the judge of the kit.

It shares no code with the kit or with the contracts, and knows the test ledger's rules by itself. It looks at evidence
that was gathered before, so that tests of the judge can doctor it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from tests.support.records import Place, Sent, Stored
from tests.support.rules import body_of, called, fits, kind_of, says

MOST_TOLD = 12
"""No more violations of one kind than these are told: the first ones say what happened."""

_WITHOUT_INPUT = ("letter_sent", "account_closed")
"""What comes of an effect's result or a deadline, and not of a record on a topic."""


@dataclass(slots=True)
class Evidence:
    """What is left of one run: `read` holds the records of every topic by the topic's name without the ledger's.

    `accounts` are rows of (key, name, balance, entries, letters, closed), `clerks` of (key, names), `parked` the places
    of what still waits, `written` the ids of letters, once for each time that one was written. At `quiet_at` all was
    applied and published.
    """

    name: str
    sent: Sequence[Sent]
    read: Mapping[str, list[Stored]]
    accounts: Sequence[tuple[Any, ...]]
    clerks: Sequence[tuple[str, list[str]]]
    parked: Sequence[Place] = ()
    written: Sequence[str] = ()
    letters_once: bool = False
    quiet_at: datetime | None = None


class Judge:
    """Compares what stands on the topics with what the ledger's rules ask for."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        read = evidence.read
        self._sent = placed(evidence.sent, read)
        self._inputs = _firsts(one for topic in ("accounts", "entries", "clerks") for one in read[topic])
        self._by_id = {id: record for (_, id), record in self._inputs.items()}
        self._outputs = _firsts(read["events"])
        self._in_order = sorted(self._outputs.values(), key=lambda one: one.place)
        self._caused: dict[str, list[Stored]] = defaultdict(list)
        for output in self._outputs.values():
            self._caused[output.text("ce_causationid")].append(output)
        self._letters: dict[str, Stored] = {}
        for letter in read["dead-letters"]:
            self._letters.setdefault(letter.text("kouan_dead_letter_id"), letter)
        self._letters_by_place: dict[Place, list[Stored]] = defaultdict(list)
        for letter in self._letters.values():
            self._letters_by_place[_first_place(letter)].append(letter)
        opened = {one.key for one in self._in_order if kind_of(one) == "account_opened"}
        keys = {record.place: record.key for topic in ("accounts", "entries", "clerks") for record in read[topic]}
        # What waits for an account that nobody was told is there has come to nothing yet, and rightly so.
        self._waiting = {place for place in evidence.parked if place in keys and keys[place] not in opened}
        self._redriven: dict[str, list[Stored]] = defaultdict(list)
        for record in read["redrive"]:
            self._redriven[record.text("kouan_dead_letter_id")].append(record)

    def found(self) -> list[str]:
        """Every violation of the promise; none when all is as it should be."""
        return [
            *self.acknowledged(), *self.effects(), *self.repeats(), *self.decided(), *self.order(), *self.balances(),
            *self.dead_letters(), *self.letters(), *self.deadlines(), *self.state(), *self.names(), *self.waiting(),
        ]  # fmt: skip

    # Inputs and what came of them

    def acknowledged(self) -> list[str]:
        """What the broker acknowledged stands where it said."""
        places = {record.place: record for records in self._evidence.read.values() for record in records}
        return _most(
            f"acknowledged at {one.place}, but another record stands there"
            for one in self._sent
            if one.fate == "acknowledged"
            and (
                one.place not in places
                or (places[one.place].key, places[one.place].value or b"") != (one.key, one.value or b"")
            )
        )

    def effects(self) -> list[str]:
        """Every input that was to be applied has exactly its outputs, once, and no output comes from nothing."""
        found = []
        poison = {one.place for one in self._sent if one.poison is not None}
        for ident, record in self._inputs.items():
            outputs = Counter(kind_of(one) for one in self._caused.get(ident[1], ()))
            if record.place in self._letters_by_place:
                redriven = self._redriven_of(record)
                if not redriven and outputs:
                    found.append(f"input {ident} is a dead letter and has outputs as well: {dict(outputs)}")
                if redriven and not any(fits(one, outputs) for one in redriven):
                    found.append(f"input {ident} was sent round again and has the outputs {dict(outputs)}")
            elif record.place in self._waiting and not outputs:
                continue
            elif record.place not in poison and not fits(record, outputs):
                found.append(f"input {ident} ({record.kind}) at {record.place} has the outputs {dict(outputs)}")
        found += [
            f"output {one.ident} of {one.kind} names {cause} as its cause, which is no input"
            for cause, outputs_of in self._caused.items()
            for one in outputs_of
            if cause not in self._by_id and kind_of(one) not in _WITHOUT_INPUT
        ]
        return _most(found)

    def repeats(self) -> list[str]:
        """A repeat of an output is the same in every byte, and stands under the same key."""
        found = []
        for record in self._evidence.read["events"]:
            first = self._outputs[record.ident]
            if (record.key, record.value, record.headers) != (first.key, first.value, first.headers):
                found.append(f"output {record.ident} stands at {first.place} and, differently, at {record.place}")
        return _most(found)

    def decided(self) -> list[str]:
        """Every output says what follows from its input, under its input's key; refusals have their reason."""
        found = []
        opened = [one for one in self._in_order if kind_of(one) == "account_opened"]
        keys, named = {one.key for one in opened}, {one.body["name"] for one in opened}
        for cause, outputs in self._caused.items():
            record = self._by_id.get(cause)
            if record is None:
                continue
            asked = [body_of(one) for one in self._redriven_of(record) or [record]]
            for one in outputs:
                if one.key != record.key:
                    found.append(f"output {one.ident} stands under {one.key!r}, its input under {record.key!r}")
                if not any(says(one, body) for body in asked):
                    found.append(f"output {one.ident} of {one.kind} says {one.body}, asked for was {asked[0]}")
                name = asked[0].get("name")
                if kind_of(one) == "account_refused" and name and one.key not in keys and name not in named:
                    found.append(f"account {one.key!r} was refused, and neither it nor its name was there before")
        return _most(found)

    def _redriven_of(self, record: Stored) -> list[Stored]:
        """What was sent round again of the dead letter that an input became."""
        return [
            one
            for letter in self._letters_by_place.get(record.place, ())
            for one in self._redriven.get(letter.text("kouan_dead_letter_id"), ())
        ]

    # Per key

    def order(self) -> list[str]:
        """Per key, bookings and names are numbered 1, 2, 3 … and come in the order in which their inputs stand."""
        found = []
        for kind, what in (("entry_booked", "account"), ("clerk_recorded", "clerk")):
            by_key: dict[bytes | None, list[Stored]] = defaultdict(list)
            for output in self._in_order:
                if kind_of(output) == kind:
                    by_key[output.key].append(output)
            for key, outputs in by_key.items():
                numbers = [one.body["number"] for one in outputs]
                if numbers != list(range(1, len(outputs) + 1)):
                    found.append(f"{what} {key!r} has outputs numbered {numbers}")
                causes = [one.text("ce_causationid") for one in outputs]
                came = [place for cause in causes if (place := self._place_in_order(cause)) is not None]
                if came != sorted(came):
                    found.append(f"{what} {key!r} has its inputs applied out of order")
                partitions = {one.place[1] for one in outputs}
                if len(partitions) != 1:
                    found.append(f"{what} {key!r} has outputs on partitions {partitions}")
        return _most(found)

    def _place_in_order(self, cause: str) -> Place | None:
        """Where an input stands; nowhere if it was sent round again, for which order is waived."""
        record = self._by_id.get(cause)
        return None if record is None or record.place in self._letters_by_place else record.place

    def balances(self) -> list[str]:
        """Each booking continues the balance of the one before, and what was paid in is what is there in the end."""
        found = []
        balances: dict[bytes | None, int] = defaultdict(int)
        for one in self._in_order:
            if kind_of(one) == "entry_booked":
                balances[one.key] += one.body["amount"]
                if one.body["balance"] != balances[one.key]:
                    number, says = one.body["number"], one.body["balance"]
                    found.append(f"account {one.key!r}: booking {number} says {says}, is {balances[one.key]}")
                    balances[one.key] = says
            elif kind_of(one) == "account_closed" and one.body["balance"] != balances[one.key]:
                found.append(f"account {one.key!r} was closed with {one.body['balance']}, had {balances[one.key]}")
        paid = sum(self._amounts_to_apply())
        stored = sum(row[2] for row in self._evidence.accounts)
        if paid != stored:
            found.append(f"entries of {paid} in all were to be applied, the accounts hold {stored} in all")
        return _most(found)

    def _amounts_to_apply(self) -> Iterable[int]:
        poison = {one.place for one in self._sent if one.poison is not None}
        for record in self._inputs.values():
            if kind_of(record) != "entry_made":
                continue
            if redriven := self._redriven_of(record):
                yield redriven[0].body["amount"]
            elif record.place not in poison | self._letters_by_place.keys() | self._waiting:
                yield record.body["amount"]

    # What is not applied, what is done, what falls due

    def dead_letters(self) -> list[str]:
        """One dead letter for each poison, with original bytes, coordinates and reason; none for anything else."""
        found = []
        poisons = {
            one.place: one
            for one in self._sent
            if one.poison is not None and one.fate == "acknowledged" and one.place not in self._waiting
        }
        for place, one in poisons.items():
            letters = self._letters_by_place.get(place, []) if place else []
            if len(letters) != 1:
                found.append(f"poison at {place} ({one.poison}) has {len(letters)} dead letters")
                continue
            letter = letters[0]
            if letter.text("kouan_reason") != one.poison:
                found.append(f"dead letter of {place} gives {letter.text('kouan_reason')} as reason, not {one.poison}")
            kept = {name: value for name, value in letter.headers.items() if not name.startswith("kouan_")}
            if (letter.value or b"", letter.key, kept) != (one.value or b"", one.key, dict(one.headers)):
                found.append(f"dead letter of {place} does not hold the original bytes")
        inputs = {f"{self._evidence.name}.{topic}" for topic in ("accounts", "entries", "clerks")}
        unknown = {(one.topic, one.value) for one in self._sent if one.poison and one.fate != "acknowledged"}
        found += [
            f"{place} is a dead letter ({letters[0].text('kouan_reason')}), and nothing was wrong with it"
            for place, letters in self._letters_by_place.items()
            if place not in poisons and place[0] in inputs and (place[0], letters[0].value) not in unknown
        ]
        return _most(found)

    def letters(self) -> list[str]:
        """Every letter asked for was written, and told of exactly once; written once where nothing crashed."""
        queued = Counter(one.body["letter_id"] for one in self._in_order if kind_of(one) == "letter_queued")
        told = Counter(one.body["letter_id"] for one in self._in_order if kind_of(one) == "letter_sent")
        written = Counter(self._evidence.written)
        found = [f"letter {id} was queued {number} times" for id, number in queued.items() if number != 1]
        found += [f"letter {id} was told of {told[id]} times" for id in queued if told[id] != 1]
        found += [f"letter {id} was written {written[id]} times" for id in queued if written[id] < 1]
        found += [f"letter {id} was never asked for" for id in (written.keys() | told.keys()) - queued.keys()]
        if self._evidence.letters_once:
            found += [f"letter {id} was written {number} times" for id, number in written.items() if number > 1]
        return _most(found)

    def deadlines(self) -> list[str]:
        """Every account that was to be closed until all was quiet was closed, once, and no other one."""
        closed = Counter(one.key for one in self._in_order if kind_of(one) == "account_closed")
        quiet_at = self._evidence.quiet_at
        due: set[bytes | None] = set()
        later: set[bytes | None] = set()
        for one in self._in_order:
            if kind_of(one) == "account_opened" and (at := one.body.get("close_at")):
                due_by_then = quiet_at is not None and datetime.fromisoformat(at) < quiet_at
                (due if due_by_then else later).add(one.key)
        found = [f"account {key!r} was not closed when its time came" for key in due - closed.keys()]
        found += [f"account {key!r} was closed {number} times" for key, number in closed.items() if number > 1]
        found += [f"account {key!r} was closed, which nobody asked for" for key in closed.keys() - due - later]
        return _most(sorted(found))

    # The database

    def state(self) -> list[str]:
        """The database equals what the ledger's own topic tells."""
        stored = {row[0]: [*row[1:5], bool(row[5])] for row in self._evidence.accounts}
        folded, names = self._folded
        clerks = dict(self._evidence.clerks)
        found = [
            f"{what} {key}: the database has {there.get(key)}, the topic tells {told.get(key)}"
            for what, there, told in (("account", stored, folded), ("clerk", clerks, names))
            for key in sorted(there.keys() | told.keys())
            if there.get(key) != told.get(key)
        ]
        return _most(found)

    @cached_property
    def _folded(self) -> tuple[dict[str, list[Any]], dict[str, list[str]]]:
        """Accounts and clerks as the outputs tell them; what comes before its account was opened is left out."""
        accounts: dict[str, list[Any]] = {}
        clerks: dict[str, list[str]] = {}
        for output in self._in_order:
            key, body, kind = (output.key or b"").decode(), output.body, kind_of(output)
            if kind == "account_opened":
                accounts[key] = [body["name"], 0, 0, 0, False]
            elif kind == "clerk_recorded":
                clerks.setdefault(key, []).append(called(body))
            elif key in accounts:
                account = accounts[key]
                if kind == "entry_booked":
                    account[1:3] = account[1] + body["amount"], account[2] + 1
                elif kind == "letter_sent":
                    account[3] += 1
                elif kind == "account_closed":
                    account[4] = True
        return accounts, clerks

    def names(self) -> list[str]:
        """No account was opened twice, and no two under one name, unless the first was closed."""
        opened = [one for one in self._in_order if kind_of(one) == "account_opened"]
        closed = {one.key for one in self._in_order if kind_of(one) == "account_closed"}
        keys = Counter(one.key for one in opened)
        called = Counter(one.body["name"] for one in opened if one.key not in closed)
        found = [f"account {key!r} was opened {number} times" for key, number in keys.items() if number > 1]
        return _most(
            [*found, *(f"{number} accounts are called {name}" for name, number in called.items() if number > 1)]
        )

    def waiting(self) -> list[str]:
        """Nothing still waits whose account is open, and nothing of which there is no record."""
        return _most(
            f"{place} is parked, and its account is open or it does not stand there"
            for place in self._evidence.parked
            if place not in self._waiting
        )


def placed(sent: Iterable[Sent], read: Mapping[str, list[Stored]]) -> list[Sent]:
    """What was sent, each record that the broker acknowledged without an offset with the place at which it stands.

    A broker that gets a batch again whose answer was lost says only that it has it: librdkafka then reports no offset.
    """
    sent = list(sent)
    taken = {one.place for one in sent}
    free: dict[Any, list[Place]] = defaultdict(list)
    if any(_without_offset(one) for one in sent):
        for records in read.values():
            for record in records:
                if record.place not in taken:
                    free[record.place[:2], record.key, record.value or b"", _sorted(record.headers)].append(
                        record.place
                    )
    found = []
    for one in sent:
        if _without_offset(one):
            assert one.place is not None
            places = free[one.place[:2], one.key, one.value or b"", _sorted(dict(one.headers))]
            found.append(replace(one, place=places.pop(0)) if places else one)
        else:
            found.append(one)
    return found


def _without_offset(one: Sent) -> bool:
    return one.place is not None and one.place[2] is None


def _sorted(headers: Mapping[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    return tuple(sorted(headers.items()))


def _firsts(records: Iterable[Stored]) -> dict[tuple[str, str], Stored]:
    """Records by source and id, repeats dropped."""
    found: dict[tuple[str, str], Stored] = {}
    for record in records:
        found.setdefault(record.ident, record)
    return found


def _first_place(letter: Stored) -> Place:
    return letter.text("kouan_topic"), int(letter.text("kouan_partition")), int(letter.text("kouan_offset"))


def _most(found: Iterable[str]) -> list[str]:
    all_of_them = list(found)
    told = all_of_them[:MOST_TOLD]
    return [*told, f"… and {len(all_of_them) - MOST_TOLD} more"] if len(all_of_them) > MOST_TOLD else told
