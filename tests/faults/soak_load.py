"""The soak's load: waves of cases with new ids, published as fast as the services keep up, each with what it asks for.

Nothing but the wave that is being published is kept in memory.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import Message, Producer

from tests.faults.soak_book import open_book
from tests.support.scenario import Expected, Input, Writer

MIX: Mapping[str, int] = {
    "loan_instalments": 60,
    "shortlisted": 8,
    "second_opinion": 2,
    "sent_back": 1,
    "declined": 6,
    "conference_agreed": 2,
    "conference_differed": 1,
    "consent_later": 2,
    "consent_missing": 1,
    "consent_revoked": 2,
    "stopped": 3,
    "one_opinion": 1,
    "amended": 1,
    "withdrawn": 4,
    "faulty": 5,
    "malformed": 4,
    "duplicate": 6,
    "loan_rejected": 3,
    "loan_running": 4,
    "loan_refused": 2,
    "loan_overdue": 1,
    "loan_held": 1,
}
"""What becomes of a case, and with what weight. Many are reported on at length: a mail costs more than all else, and
other mixes measure little but mails. Few stay open for ever, so that a zone has few open cases to keep."""

WAVE = 150
"""Cases that are shuffled among each other."""
AGO = timedelta(hours=4)
PORTION = 50
REMEMBERED = 2000
AGAIN = 200
STUCK_SECONDS = 90.0
"""No fault lasts so long. A producer that confirms nothing for this time, though something is open, is given up."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Inputs in the order of publication, those among them that are to become dead letters, and what is to come."""

    inputs: Sequence[Input]
    poison: frozenset[Input]
    expected: Expected


def waves(seed: int) -> Iterator[Wave]:
    """Waves without end; no id of one comes again in another."""
    paths = [name for name, share in MIX.items() for _ in range(share)]
    dice = random.Random(seed)
    for count in itertools.count():
        first = count * WAVE
        # The microseconds tell waves apart that would otherwise begin at the same moment.
        base = datetime.now(UTC).replace(microsecond=count) - AGO - timedelta(milliseconds=400 * first)
        writer = Writer(base, seed=dice.getrandbits(32))
        for number in range(first, first + WAVE):
            writer.write(number, dice.choice(paths))
        if count == 0:
            writer.write_figures()
        sound = len(writer.inputs)
        writer.write_nonsense()
        # A second copy of poison would be one more dead letter, or none, depending on the poison.
        poison = {(one.topic, one.key, one.value, one.headers): one for one in writer.inputs[sound:]}
        expected = writer.expected
        inputs = sorted([*writer.inputs[:sound], *poison.values()], key=lambda one: one.rank)
        yield Wave(inputs, frozenset(poison.values()), expected)


class Load:
    """Publishes waves beside the soak's other work, as many inputs as it is granted; whole waves only."""

    def __init__(self, bootstrap_servers: str, book: Path, seed: int) -> None:
        self.cases = 0
        self.confirmed = 0
        self.failures: list[str] = []
        self.begun_anew = 0
        self._settings = {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 20,
            "message.timeout.ms": 0,
            "log_level": 0,
            "queue.buffering.max.messages": 1_000_000,
        }
        self._producer = Producer(self._settings)
        self._open: dict[int, tuple[Input, bool]] = {}
        self._moved = time.monotonic()
        self._book = book
        self._seed = seed
        self._room = 0
        self._produced = 0
        self._ending = threading.Event()
        self._unplaced = 0
        self._noted: list[tuple[Any, ...]] = []
        self._recent: deque[Input] = deque(maxlen=REMEMBERED)
        self._again: deque[Input] = deque()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        """Begin; nothing is published before something is granted."""
        self._thread.start()

    def grant(self, inputs: int) -> None:
        """From now on so many inputs more may be published."""
        self._room = inputs

    def again(self, dice: random.Random) -> int:
        """Have some of what was confirmed published once more, in any order; returns how many."""
        chosen = dice.sample(list(self._recent), min(AGAIN, len(self._recent)))
        self._again.extend(chosen)
        return len(chosen)

    def finish(self, seconds: float) -> None:
        """End with the wave that is under way, and wait until all is confirmed and noted."""
        self._ending.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self.failures.append("publishing did not end")

    def _run(self) -> None:
        try:
            book = open_book(self._book)
            for wave in waves(self._seed):
                self._publish(wave, book)
                _note_expected(book, wave.expected)
                self.cases += WAVE
                if self._ending.is_set():
                    break
            while self._open and not self.failures:
                self._poll(0.5)
            self._note(book)
            book.close()
        except Exception as failure:
            self.failures.append(repr(failure))

    def _publish(self, wave: Wave, book: sqlite3.Connection) -> None:
        for place in range(0, len(wave.inputs), PORTION):
            while self._room <= 0:
                self._poll(0.05)
            portion = wave.inputs[place : place + PORTION]
            self._room -= len(portion)
            for one in portion:
                self._send(one, one in wave.poison)
            while self._again:
                self._send(self._again.popleft(), False)
            self._poll(0)
            self._note(book)

    def _poll(self, seconds: float) -> None:
        """Hear of confirmations. Whoever hears of none for too long does as publishers have to: he sends it again."""
        self._producer.poll(seconds)
        if not self._open:
            self._moved = time.monotonic()
        elif time.monotonic() - self._moved > STUCK_SECONDS:
            unknown, self._open = list(self._open.values()), {}
            self.begun_anew += 1
            self._moved = time.monotonic()
            self._producer.purge()
            self._producer = Producer(self._settings)
            for one, poison in unknown:
                self._send(one, poison)

    def _send(self, one: Input, poison: bool) -> None:
        self._produced += 1
        self._open[self._produced] = (one, poison)
        while True:
            try:
                self._producer.produce(
                    one.topic,
                    key=one.key,
                    value=one.value,
                    headers=list(one.headers),
                    partition=one.partition,
                    timestamp=one.timestamp_ms,
                    on_delivery=partial(self._delivered, self._produced),
                )
            except BufferError:
                self._producer.poll(0.5)
            else:
                return

    def _delivered(self, number: int, error: object, message: Message) -> None:
        self._moved = time.monotonic()
        one, poison = self._open.pop(number, (None, False))
        if one is None:
            # Of a producer that was given up: it was sent again, and counts when that is confirmed.
            return
        if error is not None:
            self.failures.append(str(error))
            return
        headers = dict(one.headers)
        crc = zlib.crc32((one.key or b"") + b"\0" + (one.value or b""))
        source, id, kind = (headers.get(name, b"").decode() for name in ("ce_source", "ce_id", "ce_type"))
        place = message.offset()
        if place is None:
            # A batch that came to the broker twice, because its first answer was lost, is acknowledged without a place.
            self._unplaced += 1
            place = -self._unplaced
        self._noted.append((one.topic, message.partition(), place, source, id, kind, int(poison), crc))
        self.confirmed += 1
        if not poison:
            self._recent.append(one)

    def _note(self, book: sqlite3.Connection) -> None:
        with book:
            book.executemany("INSERT INTO sent VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._noted)
        self._noted.clear()


def _note_expected(book: sqlite3.Connection, expected: Expected) -> None:
    states = {"intake": expected.intake, "screening": expected.screening, "loans": expected.loans}
    states["held"] = dict.fromkeys(expected.held, "held")
    sums: dict[str, Mapping[str, int]] = {"dead letters": expected.dead, "refusals": expected.refusals}
    sums["exposure"] = Counter(
        {f"{zone} {currency}": int(sum_ * 100) for (zone, currency), sum_ in expected.exposure.items()}
    )
    with book:
        for what, of in states.items():
            book.executemany("INSERT INTO asked VALUES (?, ?, ?)", [(what, key, value) for key, value in of.items()])
        for what, numbers in sums.items():
            book.executemany(
                "INSERT INTO tallied VALUES (?, ?, ?) "
                "ON CONFLICT (what, key) DO UPDATE SET number = number + excluded.number",
                [(what, key, number) for key, number in numbers.items()],
            )
