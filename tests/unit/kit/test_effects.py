"""Effects in one worker: none is made twice while the first one's result is on its way into the database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from services.kit.batch import TaskId
from services.kit.clock import Clock
from services.kit.door import Done, EffectResult, Refused, Retry
from services.kit.effects import Attempt, Performer
from services.kit.wiring import Wiring, wire
from tests.support.ledger import build, catalogue

IDENT = ("account", "letter", "a1-1")
ATTEMPT = Attempt(
    TaskId("account", 0), "letter", "a1-1", "a1", "event", '{"letter_id": "a1-1", "text": "x"}', "a1", "00-", 0, 1
)


class Post:
    """A letter box that answers as told, and what the kit was told of it."""

    def __init__(self, *answers: Done | Refused | Exception, attempts: int = 12) -> None:
        self.answers = list(answers)
        self.results: list[EffectResult] = []
        self.postponed: list[tuple[Attempt, int]] = []
        self.performer = Performer(self._wiring(attempts), Clock(), 2, self._result, self._postpone)

    def _wiring(self, attempts: int) -> Wiring:
        service = build()
        first, *others = service.aggregates
        effect = replace(first.effects[0], perform=self._perform, attempts=attempts)
        return wire(replace(service, aggregates=(replace(first, effects=(effect,)), *others)), catalogue())

    async def _perform(self, payload: object, attempt: int) -> Done | Refused:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _result(self, task: TaskId, name: str, result: EffectResult, event: Any) -> None:
        self.results.append(result)

    async def _postpone(self, attempt: Attempt, next_ms: int) -> None:
        self.postponed.append((attempt, next_ms))

    def handle(self, attempt: Attempt = ATTEMPT) -> None:
        async def scene() -> None:
            self.performer.perform([attempt])
            await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=10)  # type: ignore[arg-type]
            # The performer is told of the end one turn of the loop later.
            await asyncio.sleep(0)

        asyncio.run(scene())


def test_an_effect_is_held_until_its_result_is_in_the_database() -> None:
    post = Post(Done("written"))
    post.handle()

    assert post.performer.holds(IDENT)
    post.performer.settled(IDENT)
    assert not post.performer.holds(IDENT)


def test_an_effect_that_is_postponed_is_let_go_to_be_found_again_when_its_time_comes() -> None:
    post = Post(Retry("shut"))
    post.handle()

    assert [(attempt.attempts, next_ms > 0) for attempt, next_ms in post.postponed] == [(1, True)]
    assert not post.performer.holds(IDENT)


def test_whatever_a_transport_raises_is_tried_again() -> None:
    post = Post(OSError("no route"))
    post.handle()

    assert (post.results, len(post.postponed)) == ([], 1)


def test_when_the_attempts_ran_out_the_effect_counts_as_refused() -> None:
    post = Post(Retry("shut"), attempts=3)
    post.handle(replace(ATTEMPT, attempts=3))

    assert post.results == [EffectResult("a1-1", Refused("attempts-exhausted", "shut"), 3)]
