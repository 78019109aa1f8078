"""The hop through the kit and through what a user would pick instead: same events, same broker, in interleaved rounds.

Each run reads the whole input topic into topics and state of its own. Its first records warm it up, and a quarter of
these come twice; the clock starts after them. What each writes in the first round is verified event by event.
Those that are far slower read fewer events in fewer rounds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from kafka import KafkaAdminClient, TopicPartition
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.benchmarks.figures import Found
from tests.benchmarks.hop import PARTITIONS, catalogue
from tests.benchmarks.load import load
from tests.benchmarks.peers.contestants import CONTESTANTS, FAST, Contestant, Run
from tests.benchmarks.peers.verify import Given, WrongOutput, ends, inputs, verify
from tests.support.brokers import create_topics, unique
from tests.support.postgres import fresh_database, running_postgres
from topics.plan import apply, plan, read_cluster

ROOT = Path(__file__).parents[2]
SLOW_EVENTS, SLOW_WARM, SLOW_ROUNDS = 20_000, 2_000, 3
RUN_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Course:
    """An input topic: `total` records, of which the first `warm` are not timed; `repeats` of those are repeats."""

    source: str
    events: int
    warm: int
    given: dict[str, Given] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.events + self.warm

    @property
    def repeats(self) -> int:
        return self.warm // 4

    def fill(self, servers: str) -> None:
        """Load the events; the first ones are loaded once more, as they start from the same seed."""
        load(servers, self.source, self.repeats)
        load(servers, self.source, self.total - self.repeats)
        self.given.update(inputs(servers, self.source))


def choose(names: str) -> list[Contestant]:
    """The contestants named in a list with commas, all, or all but the slow ones; the kit is always among them."""
    groups = {"all": list(CONTESTANTS), "fast": FAST}
    wanted = groups.get(names) or ["kit", *(name for name in names.split(",") if name != "kit")]
    unknown = [name for name in wanted if name not in CONTESTANTS]
    if unknown:
        sys.exit(f"--peers: {', '.join(unknown)} 未知 · unknown; all, fast, or of: {', '.join(CONTESTANTS)}")
    chosen = [CONTESTANTS[name] for name in wanted]
    missing = [text for each in chosen if (text := each.missing())]
    if missing:
        sys.exit(f"请先安装 · install first: {'; '.join(missing)}")
    return chosen


def race(servers: str, chosen: Sequence[Contestant], events: int, warm: int, rounds: int, console: Console) -> Found:
    """Events/s of each contestant, round after round."""
    long = Course("commerce.hops", events, warm)
    short = Course(unique("bench.short"), min(events, SLOW_EVENTS), min(warm, SLOW_WARM))
    console.print(f"写入 {long.total:,} 条记录 · loading {long.total:,} records")
    _prepare(servers, short.source)
    long.fill(servers)
    if any(each.slow for each in chosen):
        short.fill(servers)
    found: Found = {each.name: [] for each in chosen}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        postgres = stack.enter_context(running_postgres()) if any(each.postgres for each in chosen) else ""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        progress = stack.enter_context(Progress(*columns, console=console, transient=True))
        step = progress.add_task("", total=None)
        for number in range(rounds):
            # Another one begins each round, so that none always follows the same.
            begin = number % len(chosen)
            for each in (*chosen[begin:], *chosen[:begin]):
                if each.slow and number >= SLOW_ROUNDS:
                    continue
                progress.update(step, description=f"{number + 1}/{rounds} {each.title}")
                course = short if each.slow else long
                with ExitStack() as database:
                    url = database.enter_context(fresh_database(postgres)) if each.postgres else ""
                    home = folder / f"{each.name}-{number}"
                    rate = _run(each, course, servers, home, url, check=number == 0)
                found[each.name].append(rate)
    return found


def _prepare(servers: str, *topics: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=servers.split(","))
    try:
        apply(plan(catalogue(), read_cluster(admin)), admin)
    finally:
        admin.close()
    create_topics(servers, {name: PARTITIONS for name in topics})


def _run(each: Contestant, course: Course, servers: str, home: Path, database: str, *, check: bool) -> float:
    """Events/s of one run; what it left on the broker is removed."""
    target = each.target or unique(f"bench.{each.name}")
    since = ends(servers, target) if each.target else {}
    if not each.target:
        create_topics(servers, {target: PARTITIONS})
    run = Run(servers, course.source, target, course.total, course.warm, course.repeats, home, database)
    rate = _measured(each.name, each.command(run))
    if check:
        try:
            verify(servers, target, course.given, since, drops_repeats=each.drops_repeats)
        except WrongOutput as error:
            sys.exit(f"{each.name}: {error}")
    _clear(servers, target, own=not each.target)
    return rate


def _measured(name: str, command: list[str]) -> float:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    if done.returncode or not done.stdout.strip():
        sys.exit(f"{name} failed with {done.returncode}:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    return float(done.stdout.split()[-1])


def _clear(servers: str, target: str, *, own: bool) -> None:
    admin = KafkaAdminClient(bootstrap_servers=servers.split(","))
    try:
        if own:
            # State that is kept on topics bears the name of the group, which is the target's.
            admin.delete_topics([name for name in admin.list_topics() if target in name])
        else:
            places = ends(servers, target)
            admin.delete_records({TopicPartition(target, each): end for each, end in places.items()})
    finally:
        admin.close()
