"""`python -m tests.faults.soak`: all services under steady load, and every 20 seconds something goes wrong at random.

Broker (a container of its own) behind a network that fails, a mail server, six services: three with databases on a
PostgreSQL server of the run's own, three on SQLite. What is published follows the lag, so that the services are kept
busy and not drowned. In the end all must have been dealt with, and a judge that shares no code with the services
says of each invariant whether it held. The command writes `soak-report.md`, `soak.json` and `soak.svg`.
"""

from __future__ import annotations

import argparse
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from services.embedded.processes import Process
from tests.faults.soak_book import open_book
from tests.faults.soak_judge import Verdict, judge, write_down
from tests.faults.soak_limits import watched
from tests.faults.soak_load import Load
from tests.faults.soak_report import Report, Strike, write_report
from tests.faults.soak_watch import Watch
from tests.support.mischief import SESSION_MS, Scene, draw, lasting, struck
from tests.support.network import broker_behind_a_network
from tests.support.postgres import fresh_database, running_postgres
from tests.support.scenario import build_scenario
from tests.support.system import System, create_catalogue

ON_POSTGRES = ("referral_intake", "loan_desk", "liaison")
CACHE_ENTRIES = 100
PAGE_CACHE_MB = 4
"""States that a worker keeps in memory for each task, and pages of its SQLite file: few, so that memory is flat after
minutes, not after hours."""
LINE = 300
"""Characters of a log's line that a report shows."""
MOST_LAG = 6000
"""Records that all services together may be behind, and mails to be sent, before nothing more is published."""
RECORDS_OF_AN_INPUT = 8
"""How many records an input leads to, on all topics that are read, roughly."""
BLIND = 100
"""Inputs that are published between two looks while nobody answers, so that outages strike what is under way."""
READY_SECONDS = 300.0
LONGER = 1.5
"""The load goes on for so many times the asked time at the most, until there were as many events as asked for."""
FINISH_SECONDS = 600.0
STILL_SECONDS = 240.0
TOLD_SECONDS = 30.0


@dataclass(slots=True)
class Soak:
    """A run: what was asked for, what is running, and what happened so far."""

    minutes: float
    every: float
    events: int
    seed: int
    console: Console
    strikes: list[Strike] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.console.print(f"{time.strftime('%H:%M:%S')} {text}", highlight=False, markup=False)


@contextmanager
def running(folder: Path, dice: random.Random) -> Iterator[Scene]:
    """Everything at work, with the directory known."""
    with (
        running_postgres() as server,
        fresh_database(server) as url,
        broker_behind_a_network() as (container, network),
    ):
        create_catalogue(network.address)
        with System(
            network.address, folder, database_url=url, on_postgres=ON_POSTGRES,
            session_timeout_ms=SESSION_MS, cache_entries=CACHE_ENTRIES, page_cache_mb=PAGE_CACHE_MB,
        ) as system:  # fmt: skip
            system.publisher.publish(build_scenario(100).directory)
            system.workers.wait_ready(READY_SECONDS)
            yield Scene(system, dice, container, network)


def load_and_strike(soak: Soak, scene: Scene, load: Load, watch: Watch) -> None:
    """Faults at their times, until time and events are enough."""
    told = 0.0
    strike_at = soak.every / 2
    while not _enough(soak, watch) and not load.failures:
        if watch.now - told >= TOLD_SECONDS:
            told = watch.now
            soak.say(
                f"{watch.now / 60:.1f} min: {watch.seen.events:,} events, lag {watch.seen.lag:,}, "
                f"{load.cases:,} cases, {len(soak.strikes)} faults"
            )
        _mend(soak, scene, watch)
        if watch.now >= strike_at:
            _strike(soak, scene, watch)
            strike_at = max(strike_at + soak.every, watch.now + 1)
        time.sleep(0.2)


def _enough(soak: Soak, watch: Watch) -> bool:
    over = watch.now >= soak.minutes * 60
    return over and (watch.seen.events >= soak.events or watch.now >= soak.minutes * 60 * LONGER)


def _mend(soak: Soak, scene: Scene, watch: Watch) -> None:
    """A worker that ended by itself is a failure of the run; it is started again so that the run can go on."""
    for worker in scene.system.workers:
        if not worker.alive:
            soak.ended.append(
                f"{worker.name} at {watch.now:.0f} s: exit code {worker.exit_code}\n{_last_words(worker)}"
            )
            soak.say(soak.ended[-1])
            worker.start()


def _last_words(worker: Process) -> str:
    """The end of a worker's log as a report may show it: no tracebacks, and nothing of where it ran."""
    lines = [line[:LINE] for line in worker.tail(12).splitlines()[1:]]
    return "\n".join(lines).replace(str(Path.cwd()), ".").replace(tempfile.gettempdir(), "")


def _strike(soak: Soak, scene: Scene, watch: Watch) -> None:
    chosen = draw(scene)
    seconds = lasting(chosen, scene.dice)
    began = watch.now
    strike = Strike(began, began, [one.zh for one in chosen], [one.en for one in chosen], [])
    soak.strikes.append(strike)
    try:
        with struck(scene, chosen) as what:
            strike.struck.extend(what)
            time.sleep(seconds)
    except Exception as error:
        # The tool may fail, too: the run goes on, and the report tells.
        soak.failures.append(f"{' + '.join(strike.en)} at {began:.0f} s: {error!r}")
        soak.say(soak.failures[-1])
    strike.ended = watch.now
    soak.say(f"  {' + '.join(strike.en)} ({', '.join(strike.struck)}), {strike.ended - began:.1f} s")


def settle(soak: Soak, scene: Scene, watch: Watch) -> Verdict:
    """Wait until nothing is under way any more, or what is has stood still for long."""
    began = since = told = watch.now
    last: list[str] = []
    scene.system.databases.close()
    while reasons := scene.system.unsettled():
        _mend(soak, scene, watch)
        if watch.now - told >= TOLD_SECONDS:
            told = watch.now
            soak.say(f"  {'; '.join(reasons)}")
        if reasons != last:
            last, since = reasons, watch.now
        elif watch.now - since > STILL_SECONDS:
            break
        time.sleep(1)
    took = f"{watch.now - began:.0f} s"
    return Verdict(
        "settled", "积压归零，发件箱、待发邮件与等待的输入均清空",
        "lag returns to zero; outboxes, open effects and parked inputs are empty", took, reasons,
    )  # fmt: skip


def soak_once(soak: Soak, folder: Path) -> Report:
    """One run from start to judgement; the report has every verdict, also where the run failed half-way."""
    dice = random.Random(soak.seed)
    book_file = folder / "book.db"
    verdicts: list[Verdict] = []
    with ExitStack() as stack:
        scene = stack.enter_context(running(folder, dice))
        load = Load(scene.system.bootstrap_servers, book_file, soak.seed)
        scene.again = load.again
        watch = Watch(scene.system, lambda lag: load.grant(_room(lag)))
        watch.start()
        load.start()
        soak.say("all services are at work")
        try:
            load_and_strike(soak, scene, load, watch)
        except Exception as error:
            soak.failures.append(f"the run broke off: {error!r}")
            soak.say(soak.failures[-1])
        loaded = watch.now
        load.finish(FINISH_SECONDS)
        if load.begun_anew:
            soak.say(f"publishing was begun anew {load.begun_anew} times, because nothing was confirmed any more")
        soak.say("waiting until all is dealt with")
        verdicts.append(settle(soak, scene, watch))
        watch.stop()
        verdicts += watched(watch.seen, loaded, soak.events, soak.ended, [*soak.failures, *load.failures])
        soak.say("judging")
        with closing(open_book(book_file)) as book:
            scene.system.databases.close()
            try:
                write_down(book, scene.system.bootstrap_servers, scene.system.databases, scene.system.mails)
            except Exception as error:
                verdicts.append(Verdict("read", "读取结果", "what it came to was read", "", [repr(error)]))
            verdicts += judge(book)
    return Report(
        seed=soak.seed, minutes=soak.minutes, every=soak.every, on_postgres=ON_POSTGRES, cases=load.cases,
        inputs=load.confirmed, loaded=loaded, strikes=soak.strikes, seen=watch.seen, verdicts=verdicts,
    )  # fmt: skip


def _room(lag: int | None) -> int:
    return BLIND if lag is None else max(0, MOST_LAG - lag) // RECORDS_OF_AN_INPUT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long load and faults take")
    parser.add_argument("--every", type=float, default=20, help="seconds from fault to fault")
    parser.add_argument("--events", type=int, default=1_000_000, help="events on all topics at the least")
    parser.add_argument("--seed", type=int, default=None, help="draws the same faults and cases again")
    parser.add_argument("--report", type=Path, default=Path(__file__).parent, help="folder of the report")
    parser.add_argument("--folder", type=Path, default=None, help="keeps databases, logs and the book there")
    chosen = parser.parse_args()
    seed = secrets.randbelow(2**31) if chosen.seed is None else chosen.seed
    soak = Soak(chosen.minutes, chosen.every, chosen.events, seed, Console(soft_wrap=True))
    # Ended from outside, it still takes its broker, database server and workers with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    soak.say(f"--seed {seed}")
    with ExitStack() as stack:
        folder = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kouan-soak-")))
        folder.mkdir(parents=True, exist_ok=True)
        report = soak_once(soak, folder)
    chosen.report.mkdir(parents=True, exist_ok=True)
    write_report(report, chosen.report)
    for one in report.verdicts:
        soak.say(f"{'✓' if one.kept else '✗'} {one.zh} · {one.en}: {one.figure}")
        for fault in one.faults:
            soak.say(f"    {fault}")
    soak.say(f"{chosen.report / 'soak-report.md'}")
    sys.exit(0 if all(one.kept for one in report.verdicts) else 1)


if __name__ == "__main__":
    main()
