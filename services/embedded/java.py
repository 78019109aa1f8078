"""Kafka from Maven Central, run with the Java of this machine: the way that needs no container engine."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

from services.embedded.broker import (
    BROKER_SETTINGS,
    HEAP,
    JVM_OPTIONS,
    POM,
    BrokerUnavailable,
    Say,
    Started,
    free_ports,
    kafka_version,
    wait_until_answers,
)

OLDEST_JAVA = 17
START_SECONDS = 90
STOP_SECONDS = 30
MAVEN_SECONDS = 900
ATTEMPTS = 3
TAIL_LINES = 25

LOG_CONFIGURATION = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""

# The broker is a child of this little shell, which reads from a pipe that only our process holds open. When we end,
# however we end, the read returns and the broker is told to stop: no broker outlives its program.
GUARD = """\
exec 3<&0
"$@" </dev/null 3<&- &
broker=$!
{ read -r _ <&3; kill -TERM "$broker" 2>/dev/null; } &
guard=$!
wait "$broker"
status=$?
kill "$guard" 2>/dev/null
exit "$status"
"""


def kafka_jars(cache: Path, say: Say) -> Path:
    """The folder under `cache` with Kafka's jars (broker, console tools), fetched by Maven the first time only."""
    # Maven takes a relative folder to be beside the POM, not below where this process stands.
    cache = cache.resolve()
    jars = cache / f"kafka-{kafka_version()}"
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailable(
            "本机没有 Maven（mvn），无法取得 Kafka。\nMaven (mvn) is not installed, so Kafka cannot be fetched."
        )
    say(f"正在通过 Maven 取得 Kafka {kafka_version()}（仅首次）/ fetching Kafka by Maven, the first time only")
    cache.mkdir(parents=True, exist_ok=True)
    parcel = cache / f".kafka-{uuid.uuid4().hex}"
    command = [
        maven,
        "-B",
        "-q",
        "-Dstyle.color=never",
        "-f",
        str(POM),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={parcel}",
    ]
    log = cache / "maven.log"
    try:
        with log.open("wb") as sink:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=MAVEN_SECONDS,
                check=True,
            )
        # Renamed when complete, so that an interrupted download is never taken for the whole.
        parcel.rename(jars)
    except OSError:
        if not jars.is_dir():
            raise
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise BrokerUnavailable(
            "Maven 未能取得 Kafka，请检查网络或 Maven 设置。\n"
            f"Maven could not fetch Kafka: check the network or Maven's settings.\n{tail(log)}"
        ) from error
    finally:
        shutil.rmtree(parcel, ignore_errors=True)
    return jars


def find_java() -> str:
    """The path of a Java that can run the broker."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin")) if home else None
    java = java or shutil.which("java")
    if java is None:
        raise BrokerUnavailable("本机没有 Java。\nJava is not installed.")
    version = subprocess.run(
        [java, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    ).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', version)
    if match is None or int(match.group(1)) < OLDEST_JAVA:
        raise BrokerUnavailable(
            f"Kafka 需要 Java {OLDEST_JAVA} 或更新版本，本机为：{version.strip()}\n"
            f"Kafka needs Java {OLDEST_JAVA} or newer."
        )
    return java


def start_java_broker(folder: Path, cache: Path, say: Say) -> Started:
    """Start Kafka with the local Java; its data, settings and log live in `folder`, its jars in `cache`."""
    java = find_java()
    jars = kafka_jars(cache, say)
    folder.mkdir(parents=True, exist_ok=True)
    say("正在用本机 Java 启动 Kafka / starting Kafka with the local Java")
    for attempt in range(1, ATTEMPTS + 1):
        started = _start_once(java, jars, folder)
        if started is not None:
            return started
        # Between finding a free port and the broker's bind somebody else may take it: that alone is worth a new try.
        if attempt == ATTEMPTS or "Address already in use" not in (folder / "broker.log").read_text(errors="replace"):
            break
    raise BrokerUnavailable(
        f"Kafka 未能启动，日志见 {folder / 'broker.log'}，末尾如下。\n"
        f"Kafka did not start; its log ends as follows.\n{tail(folder / 'broker.log')}"
    )


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log file; empty where there is none."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def new_cluster_id() -> str:
    """A Kafka cluster id: 16 random bytes in URL-safe Base64, not starting like an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _start_once(java: str, jars: Path, folder: Path) -> Started | None:
    port, controller = free_ports(2)
    settings = folder / "server.properties"
    settings.write_text(_properties(folder / "data", port, controller), encoding="utf-8")
    logging_settings = folder / "log4j2.properties"
    logging_settings.write_text(LOG_CONFIGURATION, encoding="utf-8")
    log = folder / "broker.log"
    if log.exists():
        log.replace(folder / "broker.log.1")
    run = [java, *HEAP.split(), *JVM_OPTIONS.split(), f"-Dlog4j2.configurationFile={logging_settings}"]
    run += ["-cp", f"{jars}/*"]
    with log.open("wb") as sink:
        _format(run, settings, folder, sink.fileno())
        process = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "kafka", *run, "kafka.Kafka", str(settings)],
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            # A Ctrl-C in the terminal is for the program, which ends its services first and the broker last.
            start_new_session=True,
        )
    bootstrap_servers = f"127.0.0.1:{port}"
    try:
        ready = wait_until_answers(bootstrap_servers, START_SECONDS, lambda: process.poll() is None)
    except BaseException:
        _end(process)
        raise
    if not ready:
        _end(process)
        return None
    return Started(bootstrap_servers, lambda: _end(process))


def _format(run: list[str], settings: Path, folder: Path, sink: int) -> None:
    if (folder / "data" / "meta.properties").exists():
        return
    command = [*run, "kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(settings)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise BrokerUnavailable(
            f"Kafka 存储目录 {folder / 'data'} 无法格式化。\n"
            f"Kafka's storage cannot be formatted.\n{tail(folder / 'broker.log')}"
        )


def _properties(data: Path, port: int, controller: int) -> str:
    settings = BROKER_SETTINGS | {
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"{BROKER_SETTINGS['node.id']}@127.0.0.1:{controller}",
        "log.dirs": str(data.resolve()).replace("\\", "\\\\"),
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
