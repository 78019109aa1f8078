"""From items to a batch: the one door. Each item's state is loaded already; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.envelope import Event, Payload
from services.kit import asides
from services.kit.answering import Answer, View, Ways, answer, due_times
from services.kit.asides import Limits
from services.kit.batch import Batch, Entry, TaskId
from services.kit.door import Aggregate, Context, Early, Invalid
from services.kit.ids import Stems, in_ms
from services.kit.reading import DEAD_LETTER_SOURCE, Item
from services.kit.tables import APPLIED, DEAD
from services.kit.task import Task
from services.kit.wiring import Wiring

Seen = Mapping[tuple[str, str], tuple[int, int]]
"""What the inbox knows of inputs: digest and outcome by source and id."""

Holders = Mapping[str, Mapping[str, str]]
"""Who holds claims: the holder's key by aggregate and claim."""

_ABSENT = Entry(0, None)


class Doubtful(Exception):
    """A decision failed before the inbox was asked whether its input is a repeat, on which anything may fail."""

    def __init__(self, batch: Batch) -> None:
        super().__init__("a decision failed on what may be a repeat")
        self.batch = batch


class Decider:
    """Applies items to the states of the tasks that this worker owns."""

    def __init__(self, wiring: Wiring, tasks: Mapping[TaskId, Task], context: Context, limits: Limits) -> None:
        self.wiring = wiring
        self.tasks = tasks
        self.context = context
        self.limits = limits
        self.stems = Stems(wiring.service.name)
        self._ways: dict[TaskId, Ways] = {}

    def view(self, id: TaskId) -> View:
        """A task as a round of decisions needs it."""
        ways = self._ways.get(id)
        if ways is None:
            ways = self._ways[id] = Ways(id, self.wiring)
        return View(id, self.tasks[id], self.wiring.aggregates[id.aggregate], ways)

    def decide(
        self, items: Sequence[Item], holders: Holders, seen: Seen, now_ms: int, *, certain: bool = True
    ) -> Batch:
        """Decide items in order; the states in memory move on with them. `certain`: `seen` tells of all of them.

        Raises:
            Doubtful: an unexpected failure, and not certain.
            TooManyUnexpected: more failures than a minute may have; nothing of the batch may be committed.
        """
        return _Round(self, holders, seen, now_ms, certain).run(items)

    def fail(self, item: Item, failure: Exception, seen: Seen) -> Batch:
        """The batch of a single item that the database would not take."""
        round = _Round(self, {}, seen, 0)
        task = self.tasks[item.task]
        round.batch.epochs[item.task] = task.epoch
        round.move(item)
        round.fail(item, task, failure)
        return round.batch


class _Round:
    """The decisions of one batch."""

    __slots__ = (
        "batch",
        "certain",
        "claims",
        "context",
        "limits",
        "now_ms",
        "seen",
        "stems",
        "taken",
        "view",
        "wiring",
    )

    def __init__(self, decider: Decider, holders: Holders, seen: Seen, now_ms: int, certain: bool = True) -> None:
        self.certain = certain
        self.batch = Batch(now_ms=now_ms)
        self.wiring = decider.wiring
        self.stems = decider.stems
        self.view = decider.view
        self.context = decider.context
        self.limits = decider.limits
        self.claims = {name: dict(known) for name, known in holders.items()}
        self.seen = seen
        self.taken: set[tuple[str, str]] = set()
        self.now_ms = now_ms

    def run(self, items: Sequence[Item]) -> Batch:
        batch, taken, seen = self.batch, self.taken, self.seen
        view: View | None = None
        last: Item | None = None
        for item in items:
            if view is None or item.task is not view.id:
                view = self.view(item.task)
                batch.epochs[view.id] = view.task.epoch
            if last is not None and item.origin is not last.origin:
                self.move(last)
            last, event = item, item.event
            if item.special or event is None or view.task.parked:
                self._special(view, item)
                continue
            ident = (event.source, event.id)
            if ident in taken or ident in seen:
                self._known(view, item)
                continue
            self._apply(view, item, event)
        if last is not None:
            self.move(last)
        self._settle()
        return batch

    def move(self, item: Item) -> None:
        """The position moves with every record, whatever comes of it; the runner adds where it stood."""
        if item.origin is not None:
            self.batch.positions[item.origin] = (-1, item.offset + 1)

    # The usual way

    def _apply(self, view: View, item: Item, event: Event[Any]) -> None:
        entry = view.cache.get(event.subject, _ABSENT)
        if view.aggregate.claims_wanted is not None:
            held = self.claims.get(view.name, {})
            event.holders = {text: held[text] for text in claims_wanted(view.aggregate, event) if text in held}
        try:
            answered = answer(self.stems, view, item, event, entry.state, self.context)
        except Exception as failure:
            self._not_applied(view, item, failure)
        else:
            self._accept(view, item, event, entry, answered)

    def _accept(self, view: View, item: Item, event: Event[Any], entry: Entry, answered: Answer) -> None:
        batch, key = self.batch, event.subject
        state, evolved, outputs, opened, closed = answered
        if evolved:
            changed = batch.states.get(view.name)
            if changed is None:
                changed = batch.states[view.name] = {}
            now = changed.get(key)
            if now is None:
                changed[key] = view.cache[key] = Entry(entry.version + 1, state)
                if view.watched:
                    batch.before.setdefault(view.name, {})[key] = (entry.state, view.id.partition)
            else:
                now.state = state
            if view.aggregate.claims is not None:
                self._overlay_claims(view, key, entry.state if now is None else None, state)
        for target, body in outputs:
            if target is not view.target or not view.records_out.append(body):
                batch.send(view.id, target, body)
                view.target, view.records_out = target, batch.packs[view.id, target][-1]
        if opened:
            batch.effects_opened += opened
        if closed:
            batch.effects_closed += closed
        if item.special:
            self._accept_special(view, item, key)
        else:
            ident = (event.source, event.id)
            self.taken.add(ident)
            batch.inbox.append((*ident, item.digest, APPLIED))
            batch.applied += 1

    def _overlay_claims(self, view: View, key: str, before: Any, after: Any) -> None:
        """Later items of the batch see what earlier ones claimed or freed."""
        aggregate = view.aggregate
        assert aggregate.claims is not None
        held = self.claims.setdefault(view.name, {})
        now = set(aggregate.claims(after))
        for text in [text for text, holder in held.items() if holder == key and text not in now]:
            del held[text]
        if before is not None:
            for text in set(aggregate.claims(before)) - now:
                held.pop(text, None)
        for text in now:
            held.setdefault(text, key)

    def _settle(self) -> None:
        """Deadlines and claims of changed states: rows follow what the state asks for."""
        batch = self.batch
        for name, befores in batch.before.items():
            aggregate = self.wiring.aggregates[name]
            for key, (before, partition) in befores.items():
                after = batch.states[name][key].state
                old, new = due_times(aggregate, before), due_times(aggregate, after)
                for due_name in old.keys() - new.keys():
                    batch.deadlines_gone.append((name, key, due_name))
                for due_name, due in new.items():
                    if old.get(due_name) != due:
                        batch.deadlines_set.append((name, key, due_name, partition, due))
                if aggregate.claims is not None:
                    had = set(aggregate.claims(before)) if before is not None else set()
                    has = set(aggregate.claims(after))
                    batch.claims_freed += [(name, text) for text in sorted(had - has)]
                    batch.claims_made += [(name, text, key) for text in sorted(has - had)]

    # Special ways

    def _special(self, view: View, item: Item) -> None:
        """Everything that is not a fresh, well-formed record of a task without parked inputs."""
        batch, task = self.batch, view.task
        if item.is_record:
            if item.misplaced:
                asides.send_on(batch, item)
                return
            if item.decide is None and item.error is None:
                batch.count("ignored")
                return
            if item.known and not self._is_new(view, item):
                return
        if item.error is not None:
            self._take_in(item, DEAD)
            asides.bury(batch, self.wiring, item, task, *item.error)
            return
        event = item.event
        assert event is not None
        if asides.waits(batch, item, task):
            self._defer(view, item, "an earlier input of this key on this topic waits")
            return
        if item.fired is not None and not self._still_due(view, item, event):
            return
        item.special = True
        self._apply(view, item, event)

    def _accept_special(self, view: View, item: Item, key: str) -> None:
        batch, task = self.batch, view.task
        if item.is_record:
            self._take_in(item, APPLIED)
            if item.parked:
                asides.unpark(batch, item, task)
            batch.applied += 1
        elif item.closes is not None:
            batch.effects_closed.append(item.closes)
            batch.count("effect")
        elif item.fired is not None:
            batch.deadlines_fired.append((view.name, key, item.fired.name, in_ms(item.fired.due)))
            batch.count("deadline")
        if key in task.parked:
            batch.awaited.add((view.id, key))

    def _known(self, view: View, item: Item) -> None:
        """A usual record whose source and id were met before."""
        item.special = True
        if self._is_new(view, item):
            raise AssertionError("an id that was taken in can't be new")

    def _is_new(self, view: View, item: Item) -> bool:
        """Whether an input was not taken in before; a reused id is a dead letter, a repeat is left out."""
        event = item.event
        assert event is not None
        ident = (event.source, event.id)
        before = self.seen.get(ident)
        if ident in self.taken:
            before = next((row[2], row[3]) for row in self.batch.inbox if row[:2] == ident)
        if item.redrives is not None:
            return self._may_redrive(item.redrives, before)
        if before is None:
            return True
        if before[0] == item.digest:
            self.batch.count("repeat")
            if item.parked:
                asides.unpark(self.batch, item, view.task)
        else:
            text = f"id {event.id!r} of {event.source} was used before with other content"
            asides.bury(self.batch, self.wiring, item, view.task, "id-reused", text)
        return False

    def _may_redrive(self, letter: str, before: tuple[int, int] | None) -> bool:
        ident = (DEAD_LETTER_SOURCE, letter)
        known = self.seen.get(ident)
        if known is None or known[1] != DEAD or ident in self.taken or (before is not None and before[1] == APPLIED):
            self.batch.count("redrive-refused")
            reason = "not among the dead letters, or applied"
            self.batch.notes.append(("redrive refused", {"dead_letter_id": letter, "reason": reason}))
            return False
        return True

    def _still_due(self, view: View, item: Item, event: Event[Any]) -> bool:
        """A deadline read from the database may have been moved or ended by what was decided since."""
        assert item.fired is not None
        asked = due_times(view.aggregate, view.cache.get(event.subject, _ABSENT).state)
        if asked.get(item.fired.name) == in_ms(item.fired.due):
            return True
        if item.fired.name not in asked:
            self.batch.deadlines_gone.append((view.name, event.subject, item.fired.name))
        return False

    def _not_applied(self, view: View, item: Item, failure: Exception) -> None:
        if not item.is_record:
            # A deadline or an effect's result can be neither parked nor a dead letter.
            self.fail(item, view.task, failure)
        elif isinstance(failure, Early):
            self._defer(view, item, failure.text, failure.otherwise)
        elif isinstance(failure, Invalid):
            self._take_in(item, DEAD)
            asides.bury(self.batch, self.wiring, item, view.task, failure.code, failure.text)
        else:
            self.fail(item, view.task, failure)

    def fail(self, item: Item, task: Task, failure: Exception) -> None:
        """An exception that nobody foresaw: a dead letter of its own, unless there are too many of them."""
        if not self.certain:
            raise Doubtful(self.batch)
        text = asides.note_failure(self.batch, item, failure, self.limits)
        self._take_in(item, DEAD)
        asides.bury(self.batch, self.wiring, item, task, "unexpected", text)

    def _defer(self, view: View, item: Item, reason: str, otherwise: tuple[Payload, ...] | None = None) -> None:
        """Park an early input, or give it up when it waited long enough or too many wait: answered, or dead."""
        batch, event, record = self.batch, item.event, item.record
        assert event is not None
        assert record is not None
        if item.parked and not item.expired:
            batch.still_early.add((view.id, event.subject, record.topic))
            return
        waiting = sum(view.task.parked.get(event.subject, {}).values())
        given_up = item.expired or waiting >= self.limits.park_limit
        if given_up and otherwise is not None:
            item.decide, item.special = lambda state, event, context: otherwise, True
            self._apply(view, item, event)
        elif given_up:
            self._take_in(item, DEAD)
            text = f"what it needs did not come in time: {reason}"
            asides.bury(batch, self.wiring, item, view.task, "early", text)
        else:
            asides.park(batch, item, view.task, reason, self.now_ms)

    def _take_in(self, item: Item, outcome: int) -> None:
        """The inbox row of an input, and of the dead letter that it was."""
        batch = self.batch
        if not item.is_record or item.event is None or not item.known:
            return
        ident = (item.event.source, item.event.id)
        if item.redrives is not None:
            batch.redriven.append((DEAD_LETTER_SOURCE, item.redrives, item.digest))
            self.taken.add((DEAD_LETTER_SOURCE, item.redrives))
            if ident in self.seen:
                if outcome == APPLIED:
                    batch.redriven.append((*ident, item.digest))
                return
        batch.inbox.append((*ident, item.digest, outcome))
        self.taken.add(ident)


def claims_wanted(aggregate: Aggregate, event: Event[Any]) -> tuple[str, ...]:
    """The claims that an input asks about; deadlines, effects and malformed bodies ask about none."""
    if aggregate.claims_wanted is None or not isinstance(event.data, Payload):
        return ()
    return tuple(aggregate.claims_wanted(event))
