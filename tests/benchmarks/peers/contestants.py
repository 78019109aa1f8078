"""Who takes part in the race: how each is built once, and the command that runs it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.foreign.programs import built

_HERE = Path(__file__).parent
_INSTALL = "{python} -m venv . && bin/python -m pip install --quiet --requirement requirements.txt"


@dataclass(frozen=True, slots=True)
class Run:
    """One run: where it reads and writes, and how many records are on its topic.

    `repeats` of the `total` records are there for the second time, all of them among the first `warm` records, after
    which the clock starts. `database` is the URL of an empty PostgreSQL database where the contestant needs one.
    """

    servers: str
    source: str
    target: str
    total: int
    warm: int
    repeats: int
    folder: Path
    database: str = ""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One system. `slow` ones get fewer events and rounds; those without state let repeats pass.

    `target` is the topic of one that cannot be given another; `needs` names programs that must be installed.
    """

    name: str
    title: str
    command: Callable[[Run], list[str]]
    needs: tuple[str, ...] = ()
    slow: bool = False
    drops_repeats: bool = True
    target: str = ""
    postgres: bool = False

    def missing(self) -> str:
        """What has to be installed first, for people; empty where nothing is missing."""
        absent = [program for program in self.needs if shutil.which(program) is None]
        return f"{self.name}: {', '.join(absent)}" if absent else ""


def _arguments(run: Run) -> list[str]:
    return [run.servers, run.source, run.target, str(run.total), str(run.warm), str(run.folder)]


def _kit(run: Run) -> list[str]:
    # The kit's events count once each, however often they come.
    numbers = [str(run.total - run.repeats), str(run.warm - run.repeats)]
    given = [run.servers, str(run.folder), *numbers, *filter(None, [run.database])]
    return [sys.executable, "-m", "tests.benchmarks.kit_hop", *given]


def _python(name: str) -> Callable[[Run], list[str]]:
    """A peer in Python, in a virtual environment of its own."""

    def command(run: Run) -> list[str]:
        folder = built(_HERE / "environments" / name, ["sh", "-c", _INSTALL.format(python=sys.executable)])
        return [str(folder / "bin" / "python"), "-m", f"tests.benchmarks.peers.{name}_hop", *_arguments(run)]

    return command


def _streams(run: Run) -> list[str]:
    folder = built(_HERE / "streams", ["mvn", "-B", "-q", "compile", "dependency:copy-dependencies"]) / "target"
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", quiet, "-cp", f"{folder}/classes:{folder}/dependency/*", "kouan.Hop", *_arguments(run)]


def _bare(run: Run) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.bare_loop", *_arguments(run)[:-1]]


CONTESTANTS = {
    each.name: each
    for each in (
        Contestant("kit", "运行底座 · kit, SQLite", _kit, target="hop.events"),
        Contestant("kit-postgres", "运行底座 · kit, PostgreSQL, 1 worker", _kit, target="hop.events", postgres=True),
        Contestant("streams", "Kafka Streams, exactly_once_v2", _streams, needs=("java", "mvn")),
        Contestant("quix", "Quix Streams, exactly-once", _python("quix")),
        Contestant("faust", "Faust + SQLModel", _python("faust"), slow=True),
        Contestant("faststream", "FastStream + SQLModel", _python("faststream"), slow=True),
        Contestant("aiokafka", "aiokafka, 无状态 · no state", _bare, drops_repeats=False),
        Contestant("confluent", "confluent-kafka, 无状态 · no state", _python("confluent"), drops_repeats=False),
    )
}

FAST = [each.name for each in CONTESTANTS.values() if not each.slow]
"""Those that read all events in all rounds."""
