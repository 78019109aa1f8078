"""Kafka in a container, through testcontainers: for tests, and for `find_or_start` where a container engine answers.

testcontainers brings a Kafka class for one vendor's images only. This one serves `apache/kafka` and the image that
`deploy/kafka/build-image` makes, which take the same environment variables.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from services.embedded.broker import (
    BROKER_SETTINGS,
    HEAP,
    JVM_OPTIONS,
    BrokerUnavailable,
    Say,
    free_ports,
    kafka_version,
    wait_until_answers,
)

CLIENT_PORT = 9092
CONTROLLER_PORT = 9093
BROKER_PORT = 9094
DATA = "/var/lib/kafka/data"
OWNER_LABEL = "kouan.owner"
FOLDER_LABEL = "kouan.folder"

ENGINE_SECONDS = 20
"""How long the engine may keep silent; a registry that cannot be reached is noticed within this time."""
PULL_SECONDS = 180
START_SECONDS = 90
STOP_SECONDS = 20
ATTEMPTS = 3


class KafkaContainer(DockerContainer):
    """One Kafka broker in a container; `bootstrap_servers` is where this machine reaches it.

    `volume` names a volume that keeps the data when the container is gone; without it they go with the container.
    `settings` are broker properties over and above `BROKER_SETTINGS`. The client port is chosen before the start and
    stays when the container is restarted, because a broker must know the address that it advertises.
    """

    def __init__(
        self,
        image: str,
        *,
        cluster_id: str,
        volume: str | None = None,
        settings: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            image,
            docker_client_kw={"timeout": ENGINE_SECONDS + STOP_SECONDS},
            labels={OWNER_LABEL: _owner()},
            **kwargs,
        )
        self.bootstrap_servers = ""
        self._settings = BROKER_SETTINGS | dict(settings or {})
        self.with_env("CLUSTER_ID", cluster_id)
        self.with_env("KAFKA_HEAP_OPTS", HEAP)
        self.with_env("KAFKA_JVM_PERFORMANCE_OPTS", JVM_OPTIONS)
        if volume is not None:
            self.with_volume_mapping(volume, DATA, "rw")

    def start(self) -> Self:
        """Start the broker and wait until it answers; raises `BrokerUnavailable` with the end of its log otherwise."""
        # The reaper is one more image to pull, which an isolated machine cannot; `remove_orphans` does its work.
        testcontainers_config.ryuk_disabled = True
        for attempt in range(1, ATTEMPTS + 1):
            self._choose_address()
            try:
                super().start()
                break
            except Exception as error:
                self._remove()
                # Between finding a free port and publishing it somebody else may take it.
                taken = "already allocated" in str(error) or "already in use" in str(error)
                if attempt == ATTEMPTS or not taken:
                    raise BrokerUnavailable(
                        f"容器 {self.image} 无法启动：{error}\nThe container could not be started."
                    ) from error
        try:
            ready = wait_until_answers(self.bootstrap_servers, START_SECONDS, self._runs)
        except BaseException:
            self._remove()
            raise
        if not ready:
            end = self.log_tail()
            self._remove()
            raise BrokerUnavailable(
                f"容器 {self.image} 中的 Kafka 未能启动，日志末尾如下。\n"
                f"Kafka in the container did not start; its log ends as follows.\n{end}"
            )
        return self

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:
        """End the broker and remove its container; data in a named volume are written out first and stay."""
        if self._container is not None and self.volumes:
            with suppress(Exception):
                self._container.stop(timeout=STOP_SECONDS)
        with suppress(Exception):
            super().stop(force, delete_volume)
        self._container = None

    def log_tail(self, lines: int = 25) -> str:
        """The last lines that the broker wrote."""
        if self._container is None:
            return ""
        text: bytes = self._container.logs(tail=lines)
        return text.decode(errors="replace")

    def _choose_address(self) -> None:
        host = self.get_docker_client().host()
        local = host in {"localhost", "127.0.0.1", "::1"}
        address = "127.0.0.1" if local else host
        port = free_ports(1)[0]
        # A local engine publishes on the loopback interface alone: the listener asks nobody for a password.
        published: Any = ("127.0.0.1", port) if local else port
        self.ports[f"{CLIENT_PORT}/tcp"] = published
        self.bootstrap_servers = f"{address}:{port}"
        self._settings |= {
            "listeners": f"PLAINTEXT://0.0.0.0:{CLIENT_PORT},BROKER://127.0.0.1:{BROKER_PORT},"
            f"CONTROLLER://127.0.0.1:{CONTROLLER_PORT}",
            # The broker also calls itself (transaction markers), and inside the container only this address leads home.
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers},BROKER://127.0.0.1:{BROKER_PORT}",
            "inter.broker.listener.name": "BROKER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"{BROKER_SETTINGS['node.id']}@127.0.0.1:{CONTROLLER_PORT}",
            "log.dirs": DATA,
        }
        for key, value in self._settings.items():
            self.with_env("KAFKA_" + key.upper().replace(".", "_"), value)

    def _runs(self) -> bool:
        if self._container is None:
            return False
        self._container.reload()
        return bool(self._container.status == "running")

    def _remove(self) -> None:
        if self._container is not None:
            with suppress(Exception):
                self._container.remove(force=True, v=True)
            self._container = None


def connect_engine() -> DockerClient:
    """A client of the container engine; raises `BrokerUnavailable` when none answers."""
    try:
        engine = DockerClient(timeout=ENGINE_SECONDS)
        engine.client.ping()
    except Exception as error:
        raise BrokerUnavailable(f"Docker 没有应答：{error}\nDocker does not answer.") from error
    return engine


def find_image(engine: DockerClient, say: Say) -> str:
    """A Kafka image that the engine has, or can pull soon; raises `BrokerUnavailable` otherwise."""
    official, own = f"apache/kafka:{kafka_version()}", f"kouan/kafka:{kafka_version()}"
    for image in (official, own):
        if engine.client.images.list(name=image):
            return image
    say(f"正在拉取镜像 {official} / pulling the image")
    try:
        _pull(engine, official)
    except Exception as error:
        raise BrokerUnavailable(
            f"Docker 中没有 Kafka 镜像，也无法拉取 {official}：{error}\n"
            f"Docker has no Kafka image and cannot pull {official}; `deploy/kafka/build-image` builds {own}."
        ) from error
    return official


def remove_orphans(engine: DockerClient) -> None:
    """Remove containers whose program on this machine was killed before it could remove them itself."""
    host, _, _ = _owner().partition("/")
    for container in engine.client.containers.list(all=True, filters={"label": OWNER_LABEL}):
        owner_host, _, process = container.labels[OWNER_LABEL].partition("/")
        if owner_host == host and not _same_process(process):
            with suppress(Exception):
                container.remove(force=True, v=True)


def volume_for(engine: DockerClient, folder: Path, cluster_id: str) -> str:
    """The volume that holds the data of `folder`; volumes of folders that were deleted or begun anew are removed."""
    name = f"kouan-kafka-{cluster_id}"
    host = socket.gethostname()
    for volume in engine.client.volumes.list(filters={"label": FOLDER_LABEL}):
        owner_host, _, owner = volume.attrs["Labels"][FOLDER_LABEL].partition(":")
        outdated = Path(owner) == folder or not Path(owner).exists()
        if owner_host == host and outdated and volume.name != name:
            with suppress(Exception):
                volume.remove()
    engine.client.volumes.create(name, labels={FOLDER_LABEL: f"{host}:{folder}"})
    return name


def _pull(engine: DockerClient, image: str) -> None:
    repository, _, tag = image.rpartition(":")
    end = time.monotonic() + PULL_SECONDS
    for line in engine.client.api.pull(repository, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise BrokerUnavailable(str(line["error"]))
        if time.monotonic() > end:
            raise BrokerUnavailable(f"用时超过 {PULL_SECONDS} 秒 / took more than {PULL_SECONDS} seconds")


def _owner() -> str:
    return f"{socket.gethostname()}/{os.getpid()}-{_started(os.getpid())}"


def _same_process(process: str) -> bool:
    pid, _, started = process.partition("-")
    return pid.isdigit() and _started(int(pid)) == started


def _started(pid: int) -> str:
    # Process numbers come round again; the start time (clock ticks since boot) tells two holders of one apart.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
