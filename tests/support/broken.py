"""Ledgers on kits that are broken on purpose.

`LEDGER_KIT` names what is broken (`sound`: nothing), `LEDGER_FAULT` what strikes and where (see `points`). Tests run
the sound kit and a broken one through the very same fault: the first has to pass, the second has to be caught.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from services.kit import deciding, relay, runner
from services.kit.batch import Batch, Pack
from services.kit.failures import Transient
from services.kit.store import Store, dumps
from tests.support.points import lay


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
    """Of a batch that the database could not take for the moment only the positions are stored, and it goes on."""
    whole = Store.store

    def refused(self: Store, batch: Batch, confirmed: list[int]) -> list[tuple[int, Pack]]:
        try:
            return whole(self, batch, confirmed)
        except Transient as failure:
            failure.left = batch, confirmed  # type: ignore[attr-defined]
            raise

    def leaving_behind(storing: Callable[..., Any]) -> Callable[..., Any]:
        async def broken(self: runner.Runner, *arguments: Any) -> None:
            try:
                await storing(self, *arguments)
            except Transient as failure:
                batch, confirmed = failure.left  # type: ignore[attr-defined]
                self._forget_states(batch)
                # Not only in memory: with no batch behind it, it would be at work upon this one for ever.
                left = Batch(epochs=batch.epochs, positions=batch.positions)
                self._committed([], left, await self._database.run(whole, self._store, left, confirmed))

        return broken

    Store.store = refused  # type: ignore[assignment,method-assign]
    # What was decided in doubt is stored by the second way, once it was decided again.
    for name in ("_stored", "_again"):
        setattr(runner.Runner, name, leaving_behind(getattr(runner.Runner, name)))


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


def result_first() -> None:
    """An effect is closed in a transaction of its own, before what its result leads to is stored."""
    whole = Store.store

    def broken(self: Store, batch: Batch, confirmed: list[int]) -> list[tuple[int, Pack]]:
        if batch.effects_closed:
            with self.database.transaction():
                self.database.execute(self._close_effects, (dumps(batch.effects_closed),))
            batch.effects_closed = []
        return whole(self, batch, confirmed)

    Store.store = broken  # type: ignore[assignment,method-assign]


def redrive_unasked() -> None:
    """Whatever is sent round again is applied, without a look at the inbox."""
    deciding._Round._may_redrive = lambda self, letter, before: True  # type: ignore[method-assign]
    whole = Store.store

    def broken(self: Store, batch: Batch, confirmed: list[int]) -> list[tuple[int, Pack]]:
        batch.redriven = []
        return whole(self, batch, confirmed)

    Store.store = broken  # type: ignore[assignment,method-assign]


def newest_first() -> None:
    """A new owner publishes what the former one left, but not in its order."""
    whole = Store.unsent
    Store.unsent = lambda self, tasks: whole(self, tasks)[::-1]  # type: ignore[method-assign]


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
    "result-first": result_first,
    "redrive-unasked": redrive_unasked,
    "newest-first": newest_first,
}


def break_and_lay() -> None:
    """Break this process's kit and lay its fault, as the environment says."""
    KITS[os.environ.get("LEDGER_KIT", "sound")]()
    # The fault lies around what is broken: it strikes the sound kit and the broken one at the same place.
    lay(os.environ.get("LEDGER_FAULT", "none"))


def main() -> None:
    """Break the kit, lay the fault, and run the ledger, or (`rebuild`) rebuild its database."""
    break_and_lay()
    from services.kit.rebuild import rebuild
    from services.kit.settings import Settings
    from services.kit.worker import run
    from tests.support.ledger import build, catalogue

    name = os.environ["LEDGER_NAME"]
    if sys.argv[1:] == ["rebuild"]:
        report = asyncio.run(rebuild(build(name), Settings(), catalogue(name)))
        sys.exit(f"differences: {report.differences}" if report.differences.total else 0)
    run(build(name), catalogue=catalogue(name))


if __name__ == "__main__":
    main()
