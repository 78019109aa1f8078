"""Two workers on one database, each with a referral of the same matter that neither has seen of the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode, to_binary
from schemas.envelope import Event, Payload
from schemas.loading import load_contracts
from schemas.referral import DuplicateFound, ReferralRegistered
from services.kit.asides import Limits
from services.kit.batch import Batch, TaskId
from services.kit.database import open_database
from services.kit.deciding import Decider, claims_wanted
from services.kit.failures import Overtaken
from services.kit.migrate import migrate
from services.kit.reading import Item, Reader
from services.kit.record_batch import records_in
from services.kit.store import Store
from services.kit.task import Task
from services.kit.wiring import wire
from services.referral_intake.service import build
from tests.unit.kit.builders import Record
from tests.unit.referral_intake.builders import COMMERCE, DAY, moment, submitted
from tests.unit.referral_intake.desk import AGGREGATE, KNOWN
from topics.definition import load_catalogue
from topics.partitioning import partition_of

TOPIC, PARTITIONS = "commerce.referrals", 4


class Worker:
    """One worker that owns the partition of one referral id."""

    def __init__(self, url: str, referral_id: str) -> None:
        self.id, self.wiring = referral_id, wire(build(), load_catalogue())
        self.task = TaskId("case", partition_of(referral_id.encode(), PARTITIONS))
        self.database = open_database(url, "referral_intake")
        self.store = Store(self.database, [AGGREGATE])
        epoch = self.store.claim([self.task], {(TOPIC, self.task.partition): "topic"}).epochs[self.task]
        self.tasks = {self.task: Task(epoch, 100)}
        said: Event[Any] = Event(f"e-{referral_id}", COMMERCE, submitted().TYPE, moment(DAY), referral_id, submitted())
        key, value, headers = to_binary(said)
        self.record = Record(TOPIC, self.task.partition, 0, 0, key, value, tuple(headers))

    def decide(self) -> Batch:
        """What the worker would store, by what the database says now."""
        self.tasks[self.task].cache.clear()
        decider = Decider(self.wiring, self.tasks, KNOWN, Limits())
        record: Any = self.record
        items: list[Item] = Reader(self.wiring, self.tasks).read(TOPIC, self.task.partition, [record], {})
        wanted = {"case": list(claims_wanted(AGGREGATE, items[0].event))} if items[0].event is not None else {}
        holders = self.store.load({"case": [self.id]}, wanted, [])[1]
        batch = decider.decide(items, holders, {}, 0)
        batch.positions = {place: (0, end) for place, (_, end) in batch.positions.items()}
        return batch


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[tuple[Worker, Worker]]:
    load_contracts()
    url = f"sqlite:///{tmp_path / 'intake.db'}"
    migrate(url, "referral_intake", "services.referral_intake.migrations")
    both = Worker(url, "MZL-2020-0001"), Worker(url, "MZL-2020-0003")
    assert both[0].task != both[1].task
    yield both
    for worker in both:
        worker.database.close()


def said(batch: Batch) -> list[Payload]:
    return [
        decode(key, value, headers).data
        for packs in batch.packs.values()
        for pack in packs
        for key, value, headers in records_in(pack.build(0))
    ]


def test_only_one_of_two_workers_can_accept_the_same_matter(workers: tuple[Worker, Worker]) -> None:
    first, second = workers
    mine, theirs = first.decide(), second.decide()
    assert [type(one) for one in (*said(mine), *said(theirs))] == [ReferralRegistered, ReferralRegistered]

    first.store.store(mine, [])
    with pytest.raises(Overtaken):
        second.store.store(theirs, [])

    again = second.decide()
    (answer,) = said(again)
    assert isinstance(answer, DuplicateFound)
    assert (answer.duplicate_of, answer.scope) == ("MZL-2020-0001", "enterprise_need_zone")
    second.store.store(again, [])
