"""Processes of our own: they start, tell, stand still, and end as asked; and nobody leaves them behind."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.embedded.processes import Process, ProcessFailed, Workers, resident_memory, worker_environment

SERVING = textwrap.dedent(
    """
    import http.server, os, sys

    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'kouan_lag_events{topic="a"} 2.0\\nkouan_lag_events{topic="b"} 3.0\\n'
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body if self.path == "/metrics" else b'{"status": "ready", "reason": ""}')

        def log_message(self, *arguments):
            pass

    print("serving", os.environ["KOUAN_LABEL"], flush=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["KOUAN_WEB_PORT"])), Health).serve_forever()
    """
)


def serving(folder: Path, name: str = "one") -> Process:
    return Process(name, ["-c", SERVING], {"KOUAN_LABEL": name}, folder / f"{name}.log")


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def test_a_process_becomes_ready_tells_its_figures_and_ends_when_asked(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        process.wait_ready(20)
        assert process.figure("kouan_lag_events") == 5
        assert process.figure("kouan_unknown") is None
        assert process.memory > 1_000_000
    assert not process.alive
    assert process.exit_code == -15
    assert "serving one" in process.tail()


def test_a_killed_process_is_started_again_on_the_same_port_with_its_log_kept(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        process.wait_ready(20)
        first, port = process.pid, process.web_port
        process.kill()
        assert process.exit_code == -9
        assert not process.ready
        process.start().wait_ready(20)
        assert process.pid != first
        assert process.web_port == port
    assert process.tail().count("serving one") == 2


def test_a_process_that_ends_early_fails_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = Process("broken", ["-c", "raise SystemExit('no such setting')"], {}, tmp_path / "broken.log")
    with process, pytest.raises(ProcessFailed, match=r"(?s)broken ended with 1.*no such setting"):
        process.wait_ready(20)


def test_a_process_that_never_answers_fails_after_the_time_given(tmp_path: Path) -> None:
    process = Process("silent", ["-c", "import time; time.sleep(60)"], {}, tmp_path / "silent.log")
    with process, pytest.raises(ProcessFailed, match="its web port does not answer"):
        process.wait_ready(0.3)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_paused_process_stands_still_goes_on_and_can_be_stopped_while_paused(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        process.wait_ready(20)
        process.pause()
        until(lambda: state_of(process.pid) == "T")
        process.resume()
        until(lambda: process.ready)
        process.pause()
        started = time.monotonic()
        assert process.stop(20) == -15
        assert time.monotonic() - started < 15


def test_a_process_that_ignores_the_wish_to_end_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    with Process("stubborn", ["-c", stubborn], {}, tmp_path / "stubborn.log") as process:
        until(lambda: "up" in process.tail())
        assert process.stop(0.3) == -9


def test_workers_start_and_end_together_and_are_reached_by_name(tmp_path: Path) -> None:
    told: list[str] = []
    with Workers([serving(tmp_path, "one"), serving(tmp_path, "two")]) as workers:
        workers.wait_ready(20, told=lambda process: told.append(process.name))
        assert told == ["one", "two"]
        assert workers["two"].ready
        workers["two"].kill()
        with pytest.raises(ProcessFailed, match="two ended with -9"):
            workers.check_alive()
    assert not any(process.alive for process in workers)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_process_dies_with_a_killed_starter(tmp_path: Path) -> None:
    starter = textwrap.dedent(
        f"""
        import pathlib, time
        from services.embedded.processes import Process
        log = pathlib.Path({str(tmp_path / "child.log")!r})
        process = Process("child", ["-c", "import time; time.sleep(60)"], {{}}, log)
        print(process.start().pid, flush=True)
        time.sleep(60)
        """
    )
    program = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    child = int(program.stdout.readline())
    until(lambda: state_of(child) == "S")
    program.kill()
    program.wait()
    program.stdout.close()
    # Where nobody inherits orphans and collects them, a dead one stays as a zombie.
    until(lambda: state_of(child) in {"gone", "Z"})


def test_the_memory_of_a_process_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ProcessLookupError):
        resident_memory(2**22 + 12345)
    assert resident_memory(os.getpid()) > 1_000_000


def test_the_environment_of_a_worker_names_settings_as_the_services_read_them(tmp_path: Path) -> None:
    environment = worker_environment("127.0.0.1:9092", tmp_path, smtp_port=2525, log_level="WARNING")
    assert environment == {
        "KOUAN_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
        "KOUAN_DATA_DIR": str(tmp_path),
        "KOUAN_SMTP_HOST": "127.0.0.1",
        "KOUAN_SMTP_PORT": "2525",
        "KOUAN_LOG_LEVEL": "WARNING",
    }
