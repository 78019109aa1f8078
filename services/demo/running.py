"""One run of the demo: publish step by step, let the services settle, let people answer, then reckon up."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import orjson

from schemas.codec import decode
from schemas.liaison import NoticeQueued
from services.demo.account import Account, Problem, Routes, account
from services.demo.coverage import without_case
from services.demo.log import TopicsLog
from services.demo.persons import LiaisonPersons, mailed_notices
from services.demo.publishing import Publisher
from services.demo.scenario import Publication, Scenario, Title
from services.demo.settling import NotSettled, Settling, Standing
from services.demo.stack import Stack
from services.registry import SERVICES, build

KEPT_RUNS = 3
PERSONS = Title(zh="联系人阅读邮件并确认通知", en="Liaison persons read their mails and acknowledge")


class Watcher(Protocol):
    """Told how a run goes, to show it."""

    def publishing(self, title: Title, total: int) -> Callable[[], object]:
        """A step begins to be published; the function returned is called at every record confirmed."""

    def waiting(self, open_work: str) -> None:
        """What the services still have to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run ended with."""

    account: Account
    standings: list[Standing]
    seconds: float
    memory: dict[str, int]

    def as_json(self) -> bytes:
        """Everything as JSON, for programs."""
        body = {
            "balanced": self.account.balanced,
            "account": asdict(self.account),
            "standings": [asdict(one) for one in self.standings],
            "seconds": round(self.seconds, 1),
            "memory_bytes": self.memory,
        }
        return orjson.dumps(body, option=orjson.OPT_INDENT_2)


def new_run_folder(runs: Path, now: datetime) -> Path:
    """A fresh folder for a run; of those there are already, only the latest few stay."""
    runs.mkdir(parents=True, exist_ok=True)
    old = sorted(folder for folder in runs.iterdir() if folder.is_dir())
    for folder in old[: max(0, len(old) - KEPT_RUNS + 1)]:
        shutil.rmtree(folder, ignore_errors=True)
    folder = runs / now.strftime("%Y%m%d-%H%M%S-%f")
    folder.mkdir()
    return folder


def routes_of_services() -> Routes:
    """Which event types each service decides about, by the services' own declarations."""
    return {
        name: frozenset(kind.TYPE for aggregate in build(name).aggregates for kind in aggregate.routes)
        for name in SERVICES
    }


class Run:
    """The scenario on a stack that is up."""

    def __init__(self, stack: Stack, scenario: Scenario, watcher: Watcher) -> None:
        self._stack = stack
        self._scenario = scenario
        self._watcher = watcher

    def play(self) -> Outcome:
        """Publish everything and reckon up.

        Raises:
            ProcessFailed: a service has ended.
            NotConfirmed, TopicsStalled: the broker does not answer any more.
        """
        began = datetime.now(UTC)
        stack = self._stack
        with (
            TopicsLog(stack.broker.bootstrap_servers, stack.catalogue) as log,
            Publisher(stack.broker.bootstrap_servers) as publisher,
        ):
            settling = Settling(stack.workers, log, stack.catalogue)
            late = self._play_steps(publisher, settling, log)
            log.catch_up()
            mailed = mailed_notices(stack.mail_file)
            result = account(log.records, stack.catalogue, routes_of_services(), mailed)
            standings = settling.standings()
        result.problems += [*late, *_standing_problems(standings)]
        if self._scenario.plan.complete:
            result.problems += [
                Problem(f"没有任何案件属于 {code}", f"no case of the run bears {code}")
                for code in without_case(result.coverage)
            ]
        memory = {process.name: process.memory for process in stack.workers}
        outcome = Outcome(result, standings, (datetime.now(UTC) - began).total_seconds(), memory)
        (stack.data_dir / "reconciliation.json").write_bytes(outcome.as_json())
        return outcome

    def _play_steps(self, publisher: Publisher, settling: Settling, log: TopicsLog) -> list[Problem]:
        """All steps; where one does not settle in time the rest is left out, and what waits is the problem."""
        try:
            for step, records in zip(self._scenario.plan.steps, self._scenario.records, strict=True):
                publisher.publish(records, self._watcher.publishing(step.title, len(records)))
                if step.until == "read":
                    settling.until_read(self._watcher.waiting)
                else:
                    settling.until_settled(self._watcher.waiting)
            answers = self._answers(log)
            publisher.publish(answers, self._watcher.publishing(PERSONS, len(answers)))
            settling.until_settled(self._watcher.waiting)
        except NotSettled as error:
            return [Problem(f"未能处理完毕：{error}", f"not settled {error}")]
        return []

    def _answers(self, log: TopicsLog) -> list[Publication]:
        catalogue = self._stack.catalogue
        persons = LiaisonPersons(self._scenario.plan.persons, catalogue)
        queued = [
            decode(record.key, record.value, record.headers).data
            for record in log.records[catalogue.record_topic_of("liaison").name]
            if (("ce_type", NoticeQueued.TYPE.encode()) in record.headers)
        ]
        return persons.answer(self._stack.mail_file, queued, datetime.now(UTC))


def _standing_problems(standings: list[Standing]) -> list[Problem]:
    return [
        Problem(
            f"{one.service} 未读 {one.unread}，暂存 {one.parked}，未发 {one.unsent}",
            f"{one.service} has {one.unread} records unread, {one.parked} keys parked, {one.unsent} messages unsent",
        )
        for one in standings
        if one.unread or one.parked or one.unsent
    ]
