"""`kouan demo`: the main job at full size on a real broker, with the books at the end."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.terminal import Exit, err, fail, out, quieten_clients

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from services.demo.running import Outcome
    from services.demo.scenario import Scenario, Title
    from services.demo.stack import Stack

DATA_DIR = Path(".kouan")


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="对账后即结束，不停留 · end after the reconciliation, also in a terminal")
    ] = False,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="运行数据所在目录 · folder of the runs' data", envvar="KOUAN_DEMO_DIR")
    ] = DATA_DIR,
    scenario: Annotated[
        Path | None,
        typer.Option("--scenario", help="剧本目录 · folder of the scenario", exists=True, file_okay=False),
    ] = None,
) -> None:
    """在真实 Kafka 上运行并对账 · Run everything on a real broker and reckon up; exit code 1 if it is off."""
    from services.demo.scenario import SHIPPED

    quieten_clients()
    with contextlib.suppress(KeyboardInterrupt), ending_on_signals():
        right = _run(scenario or SHIPPED, data_dir, stay=not once and out().is_terminal)
        raise typer.Exit(Exit.OK if right else Exit.FAILED)
    err().print("已中断 · interrupted", style="yellow")
    raise typer.Exit(130)


def _run(folder: Path, data_dir: Path, *, stay: bool) -> bool:
    from services.demo.running import Run, new_run_folder
    from services.demo.stack import Stack
    from services.demo.tables import addresses

    now = datetime.now(UTC)
    script = _scenario(folder, now)
    run_folder = new_run_folder(data_dir / "demo", now)
    with _progress() as progress:
        watcher = ProgressWatcher(progress)
        stack = Stack(
            run_folder.resolve(),
            (data_dir / "cache").resolve(),
            script.catalogue,
            alone=True,
            refused_mailboxes=script.plan.refused_mailboxes,
            say=watcher.say,
        )
        with started(stack, empty_topics=True):
            outcome = Run(stack, script, watcher).play()
            watcher.done()
            # Bars that are still painted would paint over the tables.
            progress.stop()
            _show(outcome, run_folder)
            if stay:
                out().print(addresses(stack))
                stay_until_interrupted("按 Ctrl-C 结束 · Ctrl-C ends everything")
    return outcome.account.balanced


def _scenario(folder: Path, now: datetime) -> Scenario:
    from schemas.loading import load_contracts
    from services.demo.scenario import Scenario, ScenarioError
    from topics.definition import load_catalogue

    load_contracts()
    try:
        return Scenario(folder, load_catalogue(), now)
    except ScenarioError as error:
        fail(
            Exit.USAGE,
            f"剧本文件有误：{error}。演示需要源码目录中的 deploy/demo，或用 --scenario 指定目录。",
            f"The scenario can't be used: {error}. The demo needs deploy/demo of the checkout, or --scenario.",
        )


@contextlib.contextmanager
def started(stack: Stack, *, empty_topics: bool) -> Iterator[None]:
    """The stack while it is up; what keeps it from starting, or ends it, is told clearly and ends the command."""
    from services.demo.log import TopicsStalled
    from services.demo.publishing import NotConfirmed
    from services.demo.stack import TopicsInUse
    from services.embedded.kafka import BrokerUnavailable
    from services.embedded.processes import ProcessFailed
    from topics.plan import ClusterError, RefusedError

    try:
        with stack.start(empty_topics=empty_topics):
            yield
    except BrokerUnavailable as error:
        fail(Exit.BROKER, *_halves(str(error)))
    except TopicsInUse as error:
        fail(
            Exit.CONFLICT,
            f"{error} 上的主题已有记录；演示需要空主题，也从不删除。"
            "请取消 KAFKA_BOOTSTRAP_SERVERS，由演示自行启动 Kafka。",
            f"The topics at {error} hold records. The demo needs empty ones and never deletes: unset "
            "KAFKA_BOOTSTRAP_SERVERS, and it starts a broker of its own.",
        )
    except (ProcessFailed, RefusedError, ClusterError, NotConfirmed, TopicsStalled) as error:
        fail(Exit.FAILED, f"无法继续：{error}", f"Can't go on, see above. Logs: {stack.logs}")


def _halves(text: str) -> tuple[str, str]:
    zh, _, en = text.partition("\n")
    return zh, en


def _show(outcome: Outcome, folder: Path) -> None:
    from services.demo.tables import reconciliation

    console = out()
    console.print(reconciliation(outcome))
    console.print(f"数据、日志与邮件 · data, logs and mails: {folder}", style="dim", soft_wrap=True)


def _progress() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    console = err()
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        # Takes the width that is left, or a long title would leave none to the bar.
        TextColumn(
            "{task.description} [dim]{task.fields[note]}",
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
    )
    return Progress(*columns, console=console, expand=True, disable=not console.is_terminal)


class ProgressWatcher:
    """Shows how a run goes as progress bars; without a terminal, one plain line a step."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        """What is being done before the first step."""
        if self._progress.disable:
            err().print(text, soft_wrap=True)
        elif self._task is None:
            self._task = self._progress.add_task(text, total=None, note="")
        else:
            self._progress.update(self._task, description=text)

    def publishing(self, title: Title, total: int) -> Callable[[], object]:
        """A step begins; the one before is done."""
        self.done()
        text = f"{title.zh} · {title.en}"
        if self._progress.disable:
            err().print(f"{text}（{total:,}）", soft_wrap=True)
            return lambda: None
        task = self._task = self._progress.add_task(text, total=total, note="")
        return lambda: self._progress.advance(task)

    def waiting(self, open_work: str) -> None:
        """What the services still have to do."""
        if self._task is not None:
            self._progress.update(self._task, note=open_work[:60])

    def done(self) -> None:
        """The step under way is done."""
        if self._task is not None:
            task = next(task for task in self._progress.tasks if task.id == self._task)
            self._progress.update(self._task, total=task.total or 1, completed=task.total or 1, note="")
            self._progress.stop_task(self._task)
            self._task = None


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does, so that nothing started here is left behind."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stay_until_interrupted(text: str, look: Callable[[], object] = lambda: None) -> None:
    """Stay until Ctrl-C, calling `look` now and then."""
    err().print(text, style="bold")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)
            look()
