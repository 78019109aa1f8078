"""What can be done to a running system: each fault one small function with a name, and the way back.

A fault is a context: it is on while the block runs, and what it yields says what was struck. All are drawn from dice
that a printed seed sets. Who is struck is not struck by a second fault at the same time.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.embedded.container import KafkaContainer
from services.embedded.processes import Process
from tests.support.network import Network, Weather
from tests.support.postgres import end_connections
from tests.support.system import ALL_SERVICES, System, wait_until

SESSION_MS = 6000
"""The session timeout that the workers of a system that is to be struck are given."""
BROKER_SECONDS = 300.0
TOGETHER = 0.3
"""How often two faults are combined."""


@dataclass(slots=True)
class Scene:
    """A running system with its surroundings; what is not given is not struck.

    again: publishes some of what was confirmed once more, in any order, and says how many.
    busy: names of what a fault has hold of.
    """

    system: System
    dice: random.Random
    container: KafkaContainer | None = None
    network: Network | None = None
    again: Callable[[random.Random], int] | None = None
    busy: set[str] = field(default_factory=set)

    @contextmanager
    def worker(self, services: Collection[str] = ALL_SERVICES) -> Iterator[Process]:
        """A worker of one of the services that nothing else has hold of, held until the block ends."""
        free = [
            one for service in sorted(services) for one in self.system.workers_of(service) if one.name not in self.busy
        ]
        one = self.dice.choice(free)
        with self.held(one.name):
            yield one

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Keep others off something until the block ends."""
        self.busy.add(name)
        try:
            yield
        finally:
            self.busy.discard(name)


Deed = Callable[[Scene], AbstractContextManager[str]]


@dataclass(frozen=True, slots=True)
class Mischief:
    """One kind of fault: name, titles, how many seconds it lasts (least, most), what of the scene it needs."""

    name: str
    zh: str
    en: str
    lasts: tuple[float, float]
    needs: str
    does: Deed

    def possible(self, scene: Scene) -> bool:
        """Whether the scene has what this strikes."""
        return {
            "": True,
            "container": scene.container is not None,
            "network": scene.network is not None,
            "postgres": bool(scene.system.on_postgres),
            "sqlite": bool(_on_sqlite(scene)),
            "again": scene.again is not None,
        }[self.needs]


CATALOGUE: list[Mischief] = []


def _mischief(zh: str, en: str, lasts: tuple[float, float], needs: str = "") -> Callable[[Deed], Deed]:
    def enter(does: Deed) -> Deed:
        CATALOGUE.append(Mischief(getattr(does, "__name__", ""), zh, en, lasts, needs, does))
        return does

    return enter


def _on_sqlite(scene: Scene) -> list[str]:
    return [name for name in ALL_SERVICES if name not in scene.system.on_postgres]


# Workers


@_mischief("杀死一个工作进程", "a worker is killed", (0, 4))
@contextmanager
def worker_killed(scene: Scene) -> Iterator[str]:
    """kill -9; started again afterwards."""
    with scene.worker() as worker:
        worker.kill()
        try:
            yield worker.name
        finally:
            worker.start()


@_mischief("启动途中再次杀死", "a worker is killed, and again while it starts", (0, 1))
@contextmanager
def worker_killed_in_start_up(scene: Scene) -> Iterator[str]:
    """kill -9 twice: at work, and somewhere between its first instruction and its first batch."""
    with scene.worker() as worker:
        worker.kill()
        worker.start()
        time.sleep(scene.dice.uniform(0.3, 4))
        worker.kill()
        try:
            yield worker.name
        finally:
            worker.start()


@_mischief("暂停超过会话时限后继续", "a worker sleeps longer than its session, then goes on", (7, 10))
@contextmanager
def worker_paused(scene: Scene) -> Iterator[str]:
    """SIGSTOP, later SIGCONT: on PostgreSQL it wakes as one that others may have replaced."""
    with scene.worker() as worker:
        worker.pause()
        try:
            yield worker.name
        finally:
            worker.resume()


@_mischief("第二个工作进程加入后离开", "a second worker joins, and leaves", (5, 11), needs="postgres")
@contextmanager
def worker_joins_and_leaves(scene: Scene) -> Iterator[str]:
    """A rebalance when it comes and another when it goes, both in good order."""
    with _second_worker(scene) as second:
        yield second.name
        second.stop()


@_mischief("第二个工作进程加入后被杀死", "a second worker joins, and is killed", (5, 11), needs="postgres")
@contextmanager
def worker_joins_and_dies(scene: Scene) -> Iterator[str]:
    """What it had taken over has to be taken over from it."""
    with _second_worker(scene) as second:
        yield second.name


@_mischief(
    "接班：第二个加入，第一个重启", "a second worker joins, the first leaves and comes back", (6, 11), needs="postgres"
)
@contextmanager
def worker_replaced(scene: Scene) -> Iterator[str]:
    """All tasks go to the newcomer and come back."""
    with _second_worker(scene) as second, scene.worker([second.name.partition("+")[0]]) as first:
        with suppress(AssertionError):
            wait_until(lambda: second.ready, 10, f"{second.name} is ready")
        first.stop(10)
        try:
            yield f"{first.name}, {second.name}"
        finally:
            first.start()


@contextmanager
def _second_worker(scene: Scene) -> Iterator[Process]:
    service = scene.dice.choice(
        [name for name in sorted(scene.system.on_postgres) if f"{name}+" not in scene.busy and name not in scene.busy]
    )
    with scene.held(f"{service}+"):
        second = scene.system.worker(service, f"{service}+{scene.dice.randrange(1000)}")
        second.start()
        try:
            yield second
        finally:
            second.kill()


# Broker and network


@_mischief("杀死消息代理", "the broker is killed", (0, 4), needs="container")
@contextmanager
def broker_killed(scene: Scene) -> Iterator[str]:
    """kill -9 of the broker; started again with its data."""
    assert scene.container is not None
    with scene.held("broker"):
        container = scene.container.get_wrapped_container()
        container.kill()
        try:
            yield "broker"
        finally:
            container.start()
            admin = AdminClient({"bootstrap.servers": scene.system.bootstrap_servers, "log_level": 0})
            wait_until(lambda: _answers(admin), BROKER_SECONDS, "the broker answers again")


def _answers(admin: AdminClient) -> bool:
    with suppress(KafkaException):
        return bool(admin.list_topics(timeout=3).brokers)
    return False


@_mischief("消息代理停顿", "the broker stands still", (2, 7), needs="container")
@contextmanager
def broker_paused(scene: Scene) -> Iterator[str]:
    """SIGSTOP: connections stay open, and nobody answers. Not every machine can freeze a whole container."""
    assert scene.container is not None
    with scene.held("broker"):
        container = scene.container.get_wrapped_container()
        container.kill(signal="SIGSTOP")
        try:
            yield "broker"
        finally:
            container.kill(signal="SIGCONT")


@_mischief("到消息代理的线路中断", "the line to the broker goes dead", (2, 6), needs="network")
@contextmanager
def line_dead(scene: Scene) -> Iterator[str]:
    """One direction or both; what was on its way is lost."""
    assert scene.network is not None
    weather = scene.dice.choice([Weather.DEAF, Weather.MUTE, Weather.CUT])
    with scene.held("network"), scene.network.becomes(weather):
        yield weather.value


@_mischief("连接反复被重置", "connections are reset again and again", (0, 1), needs="network")
@contextmanager
def lines_reset(scene: Scene) -> Iterator[str]:
    """Every connection to the broker, several times."""
    assert scene.network is not None
    times = scene.dice.randint(2, 6)
    with scene.held("network"):
        for _ in range(times):
            scene.network.reset()
            time.sleep(scene.dice.uniform(0.1, 0.8))
        yield f"{times} ×"


@_mischief("线路变慢", "the line is slow", (3, 8), needs="network")
@contextmanager
def line_slow(scene: Scene) -> Iterator[str]:
    """Each piece of data takes 20 ms longer."""
    assert scene.network is not None
    with scene.held("network"):
        scene.network.delay(0.02)
        try:
            yield "20 ms"
        finally:
            scene.network.delay(0)


# Mail server


@_mischief("邮件服务器拒绝连接", "the mail server refuses connections", (3, 9))
@contextmanager
def mail_refused(scene: Scene) -> Iterator[str]:
    """The server is killed, possibly between a mail and its answer; started again on its port."""
    with scene.held("smtp"):
        scene.system.smtp.kill()
        try:
            yield "smtp"
        finally:
            scene.system.smtp.start()


@_mischief("邮件服务器不应答", "the mail server does not answer", (3, 9))
@contextmanager
def mail_silent(scene: Scene) -> Iterator[str]:
    """The server stands still with its connections open."""
    with scene.held("smtp"):
        pid = scene.system.smtp.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield "smtp"
        finally:
            os.kill(pid, signal.SIGCONT)


# Databases


@_mischief("PostgreSQL 断开所有连接", "PostgreSQL ends all connections", (0, 1), needs="postgres")
@contextmanager
def backends_ended(scene: Scene) -> Iterator[str]:
    """Several times, in whatever statement or commit they are."""
    assert scene.system.database_url is not None
    ended = 0
    with scene.held("postgres"):
        for _ in range(scene.dice.randint(2, 6)):
            ended += end_connections(scene.system.database_url)
            time.sleep(scene.dice.uniform(0.05, 0.6))
        yield f"{ended} ×"


@_mischief("SQLite 数据库被锁住", "a SQLite database is locked", (2, 7), needs="sqlite")
@contextmanager
def sqlite_locked(scene: Scene) -> Iterator[str]:
    """Somebody else holds the write lock."""
    with scene.worker(_on_sqlite(scene)) as worker:
        path = scene.system.folder / "data" / f"{worker.name.rpartition('-')[0]}.db"
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            try:
                yield path.name
            finally:
                other.execute("ROLLBACK")


@_mischief("SQLite 文件无法增长", "the files of SQLite can't grow", (2, 7), needs="sqlite")
@contextmanager
def disk_full(scene: Scene) -> Iterator[str]:
    """No file of the worker may grow beyond what it has: what SQLite writes behind its end fails."""
    with scene.worker(_on_sqlite(scene)) as worker:
        data = scene.system.folder / "data"
        largest = max(path.stat().st_size for path in data.glob(f"{worker.name.rpartition('-')[0]}.db*"))
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
        try:
            yield worker.name
        finally:
            # By then it may have ended, which is for others to find.
            with suppress(ProcessLookupError):
                resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


# Publishers


@_mischief("旧事件乱序重发", "old events come again, in any order", (0, 1), needs="again")
@contextmanager
def events_again(scene: Scene) -> Iterator[str]:
    """What was confirmed is published once more under the same ids."""
    assert scene.again is not None
    yield f"{scene.again(scene.dice)} ×"


# Drawing


def draw(scene: Scene) -> list[Mischief]:
    """One fault of those that the scene allows, or two to be combined; of two, no two strike the same kind of thing."""
    possible = [one for one in CATALOGUE if one.possible(scene)]
    first = scene.dice.choice(possible)
    if scene.dice.random() > TOGETHER:
        return [first]
    second = scene.dice.choice([one for one in possible if _kind(one) != _kind(first)])
    return [first, second]


def _kind(one: Mischief) -> str:
    # A broker that does not run cannot be reached over any line, and of one mail server there is one.
    return {"container": "broker", "network": "broker"}.get(one.needs, one.name.partition("_")[0])


def lasting(chosen: Sequence[Mischief], dice: random.Random) -> float:
    """For how many seconds the chosen faults are to last together."""
    return min(12.0, max(dice.uniform(*one.lasts) for one in chosen))


@contextmanager
def struck(scene: Scene, chosen: Sequence[Mischief]) -> Iterator[list[str]]:
    """All of the chosen faults at once, for as long as the block takes; tells what each struck."""
    with ExitStack() as stack:
        yield [stack.enter_context(one.does(scene)) for one in chosen]
