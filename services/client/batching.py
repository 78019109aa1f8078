"""What waits to be sent → one batch a partition, and what came of each → what came of every record."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from services.client.delivery import Unconfirmed, reason_of
from services.client.preparing import Prepared
from topics.partitioning import partitions_of


@dataclass(slots=True, eq=False)
class Call:
    """One call of `send_all`: its records, what came of each so far, and the end of waiting."""

    prepared: Sequence[Prepared]
    outcomes: list[Unconfirmed | None]
    done: Future[None]


@dataclass(slots=True)
class Batch:
    """What goes to one partition in one batch: the calls whose records are in it, with their places in the call."""

    topic: str
    partition: int
    builder: Any
    members: list[tuple[Call, int]] = field(default_factory=list)
    future: Future[Any] | None = None

    def settle(self, stopped: str) -> None:
        """Tell the calls what came of their records."""
        future = self.future
        if future is None:
            reason = f"not sent: {stopped}"
        # Nobody waits for it any more, so that what may still come of it would be logged as an oversight.
        elif future.cancel() or future.cancelled():
            reason = stopped or "the connection was given up"
        elif (error := future.exception()) is not None:
            reason = reason_of(error)
        else:
            return
        for call, place in self.members:
            call.outcomes[place] = Unconfirmed(call.prepared[place], reason)


async def batched(producer: Any, calls: Sequence[Call]) -> list[Batch]:
    """All records of these calls, in batches; those of one partition in their order, all first ones in front."""
    records = [(call, place, one) for call in calls for place, one in enumerate(call.prepared)]
    partitions: dict[str, Iterator[int]] = {}
    for topic in {one.topic for _, _, one in records}:
        known = sorted(await producer.partitions_for(topic))
        found = partitions_of([one.key for _, _, one in records if one.topic == topic], len(known))
        partitions[topic] = (known[index] for index in found)
    batches: dict[tuple[str, int], list[Batch]] = {}
    for call, place, one in records:
        target = (one.topic, next(partitions[one.topic]))
        queue = batches.setdefault(target, [])
        if not queue or not _appended(queue[-1].builder, one):
            queue.append(Batch(*target, producer.create_batch()))
            _appended(queue[-1].builder, one)
        queue[-1].members.append((call, place))
    return [batch for layer in zip_longest(*batches.values()) for batch in layer if batch is not None]


def _appended(builder: Any, one: Prepared) -> bool:
    """Whether the record found room; the first of a batch always does."""
    return builder.append(timestamp=None, key=one.key, value=one.value, headers=one.headers) is not None
