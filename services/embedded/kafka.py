"""A real Kafka broker wherever the program runs: the one that is named, else in a container, else by the local Java."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from services.embedded.broker import Broker, BrokerUnavailable, Origin, Say, Started, answers
from services.embedded.container import KafkaContainer, connect_engine, find_image, remove_orphans, volume_for
from services.embedded.java import kafka_jars, new_cluster_id, start_java_broker

__all__ = ["Broker", "BrokerUnavailable", "Origin", "find_or_start", "kafka_jars"]

VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
WAYS: tuple[Origin, ...] = ("environment", "docker", "java")


def find_or_start(
    data_dir: Path,
    say: Say = lambda text: None,
    *,
    ways: Sequence[Origin] = WAYS,
    cache_dir: Path | None = None,
) -> Broker:
    """Return a broker that answers, trying `ways` in order.

    `environment` takes the broker that KAFKA_BOOTSTRAP_SERVERS names: when the variable is set, nothing else is tried.
    `docker` and `java` start one whose data belong to `data_dir` and are there again at the next start with the same
    folder; once a folder has data, it stays with the way that wrote them. `cache_dir` (default `data_dir/cache`)
    keeps Kafka's jars, so that only the first start needs Maven. `say` is told what takes time.
    Raises `BrokerUnavailable`, whose text names what to install.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named and "environment" in ways:
        return _named_broker(named)
    folder = data_dir.resolve() / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    starters: dict[Origin, Callable[[], Started]] = {
        "docker": lambda: _start_container(folder, say),
        "java": lambda: start_java_broker(folder, cache_dir or data_dir.resolve() / "cache", say),
    }
    with ExitStack() as steps:
        steps.callback(os.close, _lock(folder))
        way, started = _start_first(folder, [way for way in ways if way in starters], starters)
        steps.callback(started.end)
        return Broker(started.bootstrap_servers, way, steps.pop_all())


def _named_broker(bootstrap_servers: str) -> Broker:
    if not answers(bootstrap_servers, seconds=15):
        raise BrokerUnavailable(
            f"{VARIABLE} 指定的 Kafka（{bootstrap_servers}）没有应答：请检查地址，或取消该变量以自动启动。\n"
            f"The broker that {VARIABLE} names does not answer: check the address, or unset it to have one started."
        )
    return Broker(bootstrap_servers, "environment")


def _start_first(
    folder: Path, ways: list[Origin], starters: dict[Origin, Callable[[], Started]]
) -> tuple[Origin, Started]:
    mark = folder / "origin"
    written_by = mark.read_text(encoding="utf-8").strip() if mark.exists() else None
    reasons = []
    for way in ways:
        if written_by not in (None, way):
            continue
        try:
            started = starters[way]()
        except BrokerUnavailable as error:
            reasons.append(f"[{way}] {error}")
            continue
        mark.write_text(way, encoding="utf-8")
        return way, started
    raise BrokerUnavailable(_advice(folder, written_by, reasons))


def _advice(folder: Path, written_by: str | None, reasons: list[str]) -> str:
    lines = [
        "没有可用的 Kafka。请任选其一：安装并启动 Docker；安装 Java 17 以上与 Maven"
        f"（apt-get install default-jre-headless maven）；或用 {VARIABLE} 指定已有的 Kafka。",
        "No Kafka broker is available. Do one of these: install and start Docker; install Java 17 or newer and Maven"
        f" (apt-get install default-jre-headless maven); or name a broker in {VARIABLE}.",
        *reasons,
    ]
    if written_by is not None:
        lines.append(
            f"{folder} 中的数据由 {written_by} 方式写入，只能以同样方式读取；不再需要时可删除该目录。\n"
            f"The data in {folder} were written by the way `{written_by}` and only it can read them; delete the folder"
            " to start afresh."
        )
    return "\n".join(lines)


def _start_container(folder: Path, say: Say) -> Started:
    engine = connect_engine()
    image = find_image(engine, say)
    remove_orphans(engine)
    identity = folder / "cluster-id"
    if not identity.exists():
        identity.write_text(new_cluster_id(), encoding="utf-8")
    cluster_id = identity.read_text(encoding="utf-8").strip()
    say(f"正在启动容器 {image} / starting a container of it")
    container = KafkaContainer(image, cluster_id=cluster_id, volume=volume_for(engine, folder, cluster_id)).start()
    return Started(container.bootstrap_servers, container.stop)


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise BrokerUnavailable(
            f"{folder} 正被另一个 kouan 使用：请先结束它，或换一个数据目录。\n"
            f"{folder} is in use by another kouan: end it first, or choose another data folder."
        ) from error
    return descriptor
