"""Acting on the outside world because of committed events: attempts recorded before, results through the one door."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from schemas.envelope import Event
from services.kit import metrics
from services.kit.batch import TaskId
from services.kit.clock import Clock
from services.kit.door import Done, Effect, EffectResult, Refused, Retry
from services.kit.ids import moment_in
from services.kit.wiring import Wiring

log = structlog.get_logger()

LEASE_MS = 120_000
"""How long an attempt may take before it counts as lost and is made again."""

MOST_WAITING = 1000
_LONGEST_PAUSE_MS = 15 * 60_000
FURTHEST_MS = 20 * 60_000
"""Nothing is put off for longer: what seems to be was put off by a clock that was wrong, and is due."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One open effect whose attempt is recorded: `attempts` counts it."""

    task: TaskId
    name: str
    id: str
    key: str
    event_id: str
    payload: str
    correlation: str
    traceparent: str
    time_ms: int
    attempts: int

    @property
    def ident(self) -> tuple[str, str, str]:
        return (self.task.aggregate, self.name, self.id)


class Performer:
    """Performs open effects of the tasks that this worker owns, several at once."""

    def __init__(
        self,
        wiring: Wiring,
        clock: Clock,
        concurrency: int,
        on_result: Callable[[TaskId, str, EffectResult, Event[Any]], None],
        postpone: Callable[[Attempt, int], Awaitable[None]],
    ) -> None:
        self._wiring = wiring
        self._clock = clock
        self._on_result = on_result
        self._postpone = postpone
        self._concurrency = concurrency
        self._effects: Mapping[tuple[str, str], Effect] = {
            (name, effect.name): effect for name, one in wiring.aggregates.items() for effect in one.effects
        }
        self._waiting: deque[Attempt] = deque()
        self._running: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        self._held: set[tuple[str, str, str]] = set()
        self._answered: set[tuple[str, str, str]] = set()

    @property
    def any(self) -> bool:
        """Whether the service has effects at all."""
        return bool(self._effects)

    @property
    def room(self) -> int:
        """How many more may be handed over."""
        return MOST_WAITING - len(self._waiting)

    def holds(self, ident: tuple[str, str, str]) -> bool:
        """Whether an effect waits or runs here already, or its result is not in the database yet."""
        return ident in self._held

    def settled(self, ident: tuple[str, str, str]) -> None:
        """The effect is closed in the database. Until then nobody may find its row and make it once more."""
        self._answered.discard(ident)
        if ident not in self._running:
            self._held.discard(ident)

    def perform(self, attempts: Iterable[Attempt]) -> None:
        """Take recorded attempts over, as far as there is room; the rest stays in the database until its lease ends."""
        for attempt in attempts:
            if self.room > 0 and attempt.ident not in self._held:
                self._held.add(attempt.ident)
                self._waiting.append(attempt)
        self._start()

    async def forget(self) -> None:
        """Stop what runs and drop what waits: the rows are there, and whoever owns the task next repeats them."""
        self._waiting.clear()
        running = list(self._running.values())
        for one in running:
            one.cancel()
        if running:
            await asyncio.wait(running, timeout=5)
        self._running.clear()
        self._held.clear()
        self._answered.clear()

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._concurrency:
            attempt = self._waiting.popleft()
            one = asyncio.create_task(self._attempt(attempt), name=f"effect {attempt.name} {attempt.id}")
            self._running[attempt.ident] = one
            one.add_done_callback(partial(self._ended, attempt.ident))

    def _ended(self, ident: tuple[str, str, str], task: asyncio.Task[None]) -> None:
        if self._running.pop(ident, None) is not None:
            if ident not in self._answered:
                self._held.discard(ident)
            self._start()

    async def _attempt(self, attempt: Attempt) -> None:
        effect = self._effects[attempt.task.aggregate, attempt.name]
        outcome: Done | Refused
        try:
            payload = effect.opened_by.model_validate_json(attempt.payload)
            async with asyncio.timeout(LEASE_MS / 2000):
                outcome = await effect.perform(payload, attempt.attempts)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # Whatever a transport raises may pass; what is sure never to pass is returned as Refused.
            reason = str(error) if isinstance(error, Retry) else repr(error)
            if attempt.attempts < effect.attempts:
                await self._again(attempt, reason)
                return
            outcome = Refused("attempts-exhausted", reason)
        metrics.EFFECTS.labels(self._wiring.service.name, attempt.name, type(outcome).__name__.lower()).inc()
        # The id does not count attempts, so that the outputs have the same ids however often it was tried.
        event = Event(
            f"{attempt.name}/{attempt.id}/result",
            f"{self._wiring.source}/effects",
            "effect",
            moment_in(attempt.time_ms),
            attempt.key,
            None,
            attempt.correlation,
            attempt.event_id,
            attempt.traceparent,
        )
        self._answered.add(attempt.ident)
        self._on_result(attempt.task, attempt.name, EffectResult(attempt.id, outcome, attempt.attempts), event)

    async def _again(self, attempt: Attempt, reason: str) -> None:
        pause_ms = min(1000 * 2 ** (attempt.attempts - 1), _LONGEST_PAUSE_MS)
        pause_ms = int(pause_ms * random.uniform(0.8, 1.2))
        metrics.EFFECTS.labels(self._wiring.service.name, attempt.name, "retry").inc()
        log.warning(
            "effect postponed", effect=attempt.name, effect_id=attempt.id, case=attempt.key,
            attempts=attempt.attempts, reason=reason[:500], pause_ms=pause_ms,
        )  # fmt: skip
        await self._postpone(attempt, self._clock.now_ms() + pause_ms)
