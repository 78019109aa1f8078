"""Programs of this project in processes of their own: started, watched, killed, paused, and ended with their starter.

Each has a log file and a web port on which it tells whether it is ready and how far it is (`/health/ready`,
`/metrics`). The demo, `kouan up` and the tests start every service this way.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

import orjson
from prometheus_client.parser import text_string_to_metric_families

from services.embedded.broker import free_ports

HOST = "127.0.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
TAIL_LINES = 30

_ATTACHED = """
import ctypes, os, signal, sys
starter = int(sys.argv[1])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != starter:
    sys.exit("its starter has ended")
os.execv(sys.argv[2], sys.argv[2:])
"""
# The wish to die with the starter (PR_SET_PDEATHSIG = 1) outlives exec. It is made by the child's own first program
# and not by code between fork and exec, which may hang where the starter has threads.


class ProcessFailed(Exception):
    """A process ended or did not become ready in time; the text says which, how, and ends with its last log lines."""


class Sample(NamedTuple):
    """One figure that a process tells: metric name, labels, value."""

    name: str
    labels: dict[str, str]
    value: float


class Process:
    """One program with its environment, log file and web port; may be started again after it ended, on the same port.

    `arguments` are those of the Python interpreter (`["-m", "services.cli", "worker", "screening"]`), `environment` is
    added to the starter's own, `log` is appended to. It gets `KOUAN_WEB_PORT`. On Linux it dies with the *thread* that
    started it, so start it from one that lives as long as the process is wanted.
    """

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.web_port = int(environment.get("KOUAN_WEB_PORT") or free_ports(1)[0])
        self._arguments = list(arguments)
        self._environment = {**environment, "KOUAN_WEB_PORT": str(self.web_port)}
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    # Life

    def start(self) -> Self:
        """Start it, without waiting for anything."""
        if self.alive:
            raise ProcessFailed(f"{self.name} 已在运行 / {self.name} runs already (process {self.pid})")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        starter = [sys.executable, "-I", "-S", "-c", _ATTACHED, str(os.getpid())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*starter, sys.executable, *self._arguments],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal reaches the starter alone, which then ends them in its order.
                start_new_session=True,
            )
        self._paused = False
        return self

    @property
    def pid(self) -> int:
        """The number of the process, also after it ended; `ProcessFailed` before the first start."""
        if self._process is None:
            raise ProcessFailed(f"{self.name} 尚未启动 / {self.name} was not started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs (or is paused)."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code once it ended, negative for a signal; None while it runs and before it was started."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, seconds: float = STOP_SECONDS) -> int | None:
        """Ask it to end (SIGTERM), kill it after `seconds`; returns its exit code. May be called again."""
        self.ask_to_stop()
        return self.wait_ended(seconds)

    def ask_to_stop(self) -> None:
        """Send SIGTERM and return; a paused one is continued, or it would never see it."""
        if self._process is not None and self.alive:
            if self._paused:
                self.resume()
            self._process.terminate()

    def wait_ended(self, seconds: float = STOP_SECONDS) -> int | None:
        """Wait until it has ended, kill it after `seconds`; returns its exit code."""
        if self._process is None:
            return None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def pause(self) -> None:
        """Hold it still (SIGSTOP) in the middle of whatever it does."""
        os.kill(self.pid, signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let it go on (SIGCONT) after `pause`."""
        os.kill(self.pid, signal.SIGCONT)
        self._paused = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What it tells

    @property
    def ready(self) -> bool:
        """Whether it answers its health check with "ready"."""
        return self._status("/health/ready") == 200

    def wait_ready(self, seconds: float = READY_SECONDS) -> Self:
        """Wait until it is ready.

        Raises:
            ProcessFailed: it ended, or is not ready after `seconds`; with the end of its log.
        """
        end = time.monotonic() + seconds
        while not self.ready:
            self.check_alive()
            if time.monotonic() > end:
                reason = self.why_not_ready()
                raise ProcessFailed(
                    f"{self.name} 在 {seconds:g} 秒内未就绪 / {self.name} is not ready after {seconds:g} s: {reason}\n"
                    f"{self.tail()}"
                )
            time.sleep(0.05)
        return self

    def check_alive(self) -> None:
        """Raise `ProcessFailed`, with the end of its log, if it has ended."""
        if not self.alive:
            how = "was not started" if self._process is None else f"ended with {self.exit_code}"
            raise ProcessFailed(f"{self.name} 已退出 / {self.name} {how}\n{self.tail()}")

    def why_not_ready(self) -> str:
        """What its health check gives as the reason, in its words; empty when it is ready."""
        with suppress(OSError, http.client.HTTPException, orjson.JSONDecodeError):
            answer = orjson.loads(self._get("/health/ready")[1])
            return str(answer.get("reason", ""))
        return "its web port does not answer"

    def samples(self) -> list[Sample]:
        """All figures on `/metrics`; none while it does not answer."""
        try:
            status, body = self._get("/metrics")
        except (OSError, http.client.HTTPException):
            return []
        if status != 200:
            return []
        families = text_string_to_metric_families(body.decode())
        return [Sample(one.name, one.labels, one.value) for family in families for one in family.samples]

    def figure(self, name: str) -> float | None:
        """The sum of a metric over its labels; None when it does not answer or has no such metric."""
        values = [sample.value for sample in self.samples() if sample.name == name]
        return sum(values) if values else None

    @property
    def memory(self) -> int:
        """Resident memory in bytes; 0 when it has ended."""
        return resident_memory(self.pid) if self.alive else 0

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its log, below a heading that names the file."""
        if not self.log.exists():
            return f"--- {self.log}: 无内容 / empty"
        with self.log.open("rb") as log:
            text = _last_bytes(log, 64 * 1024).decode(errors="replace")
        return "\n".join([f"--- {self.log}:", *text.splitlines()[-lines:]])

    def _status(self, path: str) -> int:
        try:
            return self._get(path)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(HOST, self.web_port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Workers:
    """Several processes as one: started together, stopped together, each reachable by name."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = {process.name: process for process in processes}

    def __getitem__(self, name: str) -> Process:
        return self._processes[name]

    def __iter__(self) -> Iterator[Process]:
        return iter(self._processes.values())

    def __len__(self) -> int:
        return len(self._processes)

    def start(self) -> Self:
        """Start all of them, without waiting."""
        for process in self:
            process.start()
        return self

    def wait_ready(self, seconds: float = READY_SECONDS, told: Callable[[Process], None] | None = None) -> Self:
        """Wait until all are ready, telling of each; raises `ProcessFailed` as `Process.wait_ready` does."""
        end = time.monotonic() + seconds
        for process in self:
            process.wait_ready(max(0.1, end - time.monotonic()))
            if told is not None:
                told(process)
        return self

    def check_alive(self) -> None:
        """Raise `ProcessFailed` if any of them has ended."""
        for process in self:
            process.check_alive()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask all to end at the same time, then wait for each; whatever is left after `seconds` is killed."""
        for process in self:
            process.ask_to_stop()
        end = time.monotonic() + seconds
        for process in self:
            process.wait_ended(max(0.1, end - time.monotonic()))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def worker(name: str, environment: Mapping[str, str], logs: Path, label: str | None = None) -> Process:
    """The worker of the service `name`; `label` (default: the service's name) tells two of the same service apart."""
    label = label or name
    return Process(label, ["-m", "services.cli", "worker", name], environment, logs / f"{label}.log")


def worker_environment(
    bootstrap_servers: str,
    data_dir: Path,
    *,
    smtp_port: int | None = None,
    database_url: str | None = None,
    **settings: object,
) -> dict[str, str]:
    """The environment of a worker; further settings by their names without `KOUAN_` (`log_level="WARNING"`)."""
    given: dict[str, object] = {"bootstrap_servers": bootstrap_servers, "data_dir": data_dir.absolute(), **settings}
    if database_url is not None:
        given["database_url"] = database_url
    if smtp_port is not None:
        given |= {"smtp_host": HOST, "smtp_port": smtp_port}
    return {f"KOUAN_{name.upper()}": str(value) for name, value in given.items()}


def resident_memory(pid: int) -> int:
    """Resident memory of a process in bytes.

    Raises:
        ProcessLookupError: there is none of this number.
    """
    status = Path(f"/proc/{pid}/status")
    if status.parent.parent.joinpath("self").exists():
        with suppress(FileNotFoundError):
            for line in status.read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise ProcessLookupError(pid)
    answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    if not answer.stdout.strip():
        raise ProcessLookupError(pid)
    return int(answer.stdout) * 1024


def _last_bytes(file: IO[bytes], count: int) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - count))
    return file.read()
