"""Ledgers on kits that are broken on purpose, and faults that strike at a named point.

`LEDGER_KIT` names what is broken (`sound`: nothing), `LEDGER_FAULT` what strikes, at which occurrence. Tests run the
sound kit and a broken one through the very same fault: the first has to pass, the second has to be caught.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer

from services.kit import relay, runner
from services.kit.batch import Batch, Pack
from services.kit.database import PostgresDatabase, SqliteDatabase
from services.kit.failures import Transient
from services.kit.store import Store, dumps

LINGER_SECONDS = 1.5
"""How long a fault between decision and sending waits, so that whatever is done too early is done before it strikes."""


# What is broken


def offset_first() -> None:
    """Positions are committed in a transaction of their own, before the state."""
    whole = Store.store

    def broken(self: Store, batch: Batch, confirmed: list[int]) -> list[tuple[int, Pack]]:
        if batch.positions:
            moves = [(topic, part, *move) for (topic, part), move in sorted(batch.positions.items())]
            with self.database.transaction():
                self._assert_epochs(batch.epochs)
                self.database.execute(self._advance, (dumps(moves),))
            batch.positions = {place: (after, after) for place, (_, after) in batch.positions.items()}
        return whole(self, batch, confirmed)

    Store.store = broken  # type: ignore[assignment,method-assign]


def no_epoch() -> None:
    """No transaction asks whether its tasks are still this worker's."""
    Store._assert_epochs = lambda self, epochs: None  # type: ignore[method-assign]


def no_fence() -> None:
    """Neither epoch nor stored position nor version of a state is looked at before writing."""
    no_epoch()
    made = Store.__init__

    def broken(self: Store, *arguments: Any) -> None:
        made(self, *arguments)
        self._advance = self._advance.replace(" AND kit_position.next_offset = r.c2", "")
        for table in self.states.values():
            table.upsert = table.upsert.partition(" WHERE ledger_")[0]

    Store.__init__ = broken  # type: ignore[method-assign]


def inbox_forgotten() -> None:
    """What was taken in is not written down."""
    whole = Store.store

    def broken(self: Store, batch: Batch, confirmed: list[int]) -> list[tuple[int, Pack]]:
        batch.inbox = []
        return whole(self, batch, confirmed)

    Store.store = broken  # type: ignore[assignment,method-assign]


def deletes_before_confirmation() -> None:
    """Rows leave the outbox when their messages are handed over, not when the broker has them."""
    whole = relay.Relay.publish

    def broken(self: relay.Relay, packs: Any) -> None:
        rows = list(packs)
        whole(self, rows)
        self.confirmed += [seq for seq, _ in rows]

    relay.Relay.publish = broken  # type: ignore[method-assign]


def dead_letter_outside() -> None:
    """Dead letters are sent from memory: the transaction knows nothing of them."""
    whole = Store._pack

    def broken(self: Store, pack: Pack) -> tuple[int, Pack]:
        return (-1, pack) if pack.target.topic.endswith("dead-letters") else whole(self, pack)

    Store._pack = broken  # type: ignore[method-assign]


def silent_owner() -> None:
    """A new owner does not publish what the former one left."""
    Store.unsent = lambda self, tasks: []  # type: ignore[method-assign]


def retry_that_skips() -> None:
    """A batch that the database could not take for the moment is left behind."""
    whole = runner.Runner._stored

    async def broken(self: runner.Runner, items: Any, batch: Batch, *arguments: Any) -> None:
        try:
            await whole(self, items, batch, *arguments)
        except Transient:
            self._forget_states(batch)

    runner.Runner._stored = broken  # type: ignore[method-assign]


def deadline_first() -> None:
    """A deadline that fell due is deleted in a transaction of its own, before what it leads to is stored."""
    whole = Store.store

    def broken(self: Store, batch: Batch, confirmed: list[int]) -> list[tuple[int, Pack]]:
        if batch.deadlines_fired:
            with self.database.transaction():
                self.database.execute(self._fire_deadlines, (dumps(batch.deadlines_fired),))
            batch.deadlines_fired = []
        return whole(self, batch, confirmed)

    Store.store = broken  # type: ignore[assignment,method-assign]


KITS: Mapping[str, Callable[[], None]] = {
    "sound": lambda: None,
    "offset-first": offset_first,
    "no-epoch": no_epoch,
    "no-fence": no_fence,
    "inbox-forgotten": inbox_forgotten,
    "deletes-before-confirmation": deletes_before_confirmation,
    "dead-letter-outside": dead_letter_outside,
    "silent-owner": silent_owner,
    "retry-that-skips": retry_that_skips,
    "deadline-first": deadline_first,
}


# What strikes, and where


def strike(how: signal.Signals = signal.SIGKILL) -> None:
    """End or stop this process on the spot, as if from outside."""
    os.kill(os.getpid(), how)
    # Which thread takes the signal is the kernel's choice: this one goes no further before it took effect.
    time.sleep(0.2)


def after_statement(start: str, nth: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Die or stop at the first statement that follows the nth one that begins like this."""
    seen = 0

    def counting(whole: Callable[..., Any]) -> Callable[..., Any]:
        def struck(self: Any, sql: str, parameters: Any = ()) -> Any:
            nonlocal seen
            if seen == nth:
                seen += 1
                strike(how)
            answer = whole(self, sql, parameters)
            seen += sql.startswith(start)
            return answer

        return struck

    for cls in (SqliteDatabase, PostgresDatabase):
        cls.execute = counting(cls.execute)  # type: ignore[method-assign]
        cls.query = counting(cls.query)  # type: ignore[method-assign]


def kill_before_send(topic: str, nth: int) -> None:
    """Die some time after the nth batch for a topic was committed and before it is sent."""
    whole = AIOKafkaProducer.send_batch
    sent = 0

    async def struck(self: AIOKafkaProducer, batch: Any, to: str, *, partition: int) -> Any:
        nonlocal sent
        sent += to.endswith(topic)
        if sent >= nth:
            await asyncio.sleep(LINGER_SECONDS)
            strike()
        return await whole(self, batch, to, partition=partition)

    AIOKafkaProducer.send_batch = struck


def around_store(
    concerns: Callable[[Batch], bool], nth: int, before: Callable[[], None], after: Callable[[], None]
) -> None:
    """Do something right before and right after the nth transaction of a kind of batch."""
    whole = Store.store
    begun = committed = 0

    def struck(self: Store, batch: Batch, confirmed: list[int]) -> list[tuple[int, Pack]]:
        nonlocal begun, committed
        counted = concerns(batch)
        begun += counted
        if counted and begun == nth:
            before()
        answer = whole(self, batch, confirmed)
        committed += counted
        if counted and committed == nth:
            after()
        return answer

    Store.store = struck  # type: ignore[assignment,method-assign]


def stop_before_attempt(nth: int) -> None:
    """Stop (SIGSTOP) before the nth time that attempts of effects are recorded."""
    whole = Store.attempt
    seen = 0

    def struck(self: Store, *arguments: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == nth:
            strike(signal.SIGSTOP)
        whole(self, *arguments)

    Store.attempt = struck  # type: ignore[method-assign]


def refuse() -> None:
    raise Transient("the database is gone for a moment")


def nothing() -> None:
    """Nothing is done at this side of the point."""


FAULTS: Mapping[str, Callable[[int], None]] = {
    "none": lambda nth: None,
    "kill-after-positions": lambda nth: after_statement("UPDATE kit_position", nth),
    "stop-after-positions": lambda nth: after_statement("UPDATE kit_position", nth, signal.SIGSTOP),
    "kill-after-deadline": lambda nth: after_statement(
        "DELETE FROM kit_deadline WHERE (aggregate, key, name, due_ms)", nth
    ),
    "kill-before-send": lambda nth: kill_before_send("events", nth),
    "kill-after-dead-letter": lambda nth: around_store(_has_dead_letter, nth, nothing, strike),
    "kill-after-commit": lambda nth: around_store(_has_inputs, nth, nothing, strike),
    "kill-before-commit": lambda nth: around_store(_has_inputs, nth, strike, nothing),
    "stop-before-commit": lambda nth: around_store(_has_inputs, nth, lambda: strike(signal.SIGSTOP), nothing),
    "refuse-commit": lambda nth: around_store(_has_inputs, nth, refuse, nothing),
    "stop-before-attempt": stop_before_attempt,
}


def _has_inputs(batch: Batch) -> bool:
    return bool(batch.positions)


def _has_dead_letter(batch: Batch) -> bool:
    return any(target.topic.endswith("dead-letters") for _, target in batch.packs)


def main() -> None:
    """Break the kit, lay the fault, and run the ledger."""
    KITS[os.environ.get("LEDGER_KIT", "sound")]()
    fault, _, nth = os.environ.get("LEDGER_FAULT", "none").partition(":")
    # The fault lies around what is broken: it strikes the sound kit and the broken one at the same place.
    FAULTS[fault](int(nth or 1))
    from services.kit.worker import run
    from tests.support.ledger import build, catalogue

    run(build(os.environ["LEDGER_NAME"]), catalogue=catalogue(os.environ["LEDGER_NAME"]))


if __name__ == "__main__":
    main()
