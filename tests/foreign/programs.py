"""Clients that are none of ours: built once, then asked to publish and to read, all of them in one form.

Each takes events as JSON objects (CloudEvents structured form) and gives what it reads in the same form.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from tests.support.brokers import jar_cache

Json = dict[str, Any]
Mode = Literal["binary", "structured"]

MODES: tuple[Mode, ...] = ("binary", "structured")

_HERE = Path(__file__).parent
_BUILD_SECONDS = 900
_RUN_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Client:
    """One foreign client: the programs it needs, and its two abilities, each given bootstrap servers and a topic.

    `publish` returns when the broker has confirmed all; `read` gives all that stands on the topic at this moment.
    """

    name: str
    needs: tuple[str, ...]
    packages: str
    publish: Callable[[str, str, Iterable[tuple[Mode, Json]]], None]
    read: Callable[[str, str], list[Json]]

    def missing(self) -> str:
        """What has to be installed first, for people; empty where nothing is missing."""
        absent = [program for program in self.needs if shutil.which(program) is None]
        return f"{self.name} needs {', '.join(absent)}: apt-get install {self.packages}" if absent else ""


def _java() -> list[str]:
    folder = built(_HERE / "java", ["mvn", "-B", "-q", "compile", "dependency:copy-dependencies"]) / "target"
    # Serial collection and one compiler stage: for seconds of work on a small machine, starting is all that counts.
    quick = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *quick, "-cp", f"{folder}/classes:{folder}/dependency/*", "kouan.Foreign"]


def _javascript() -> list[str]:
    return ["node", str(built(_HERE / "javascript", ["npm", "ci"]) / "main.mjs")]


def _program(command: Callable[[], list[str]], name: str, needs: tuple[str, ...], packages: str) -> Client:
    """A client that is a program with the commands `publish` and `read`."""

    def publish(servers: str, topic: str, events: Iterable[tuple[Mode, Json]]) -> None:
        lines = [json.dumps({"mode": mode, "event": event}, ensure_ascii=False) for mode, event in events]
        _run([*command(), "publish", servers, topic], "\n".join(lines))

    def read(servers: str, topic: str) -> list[Json]:
        return [json.loads(line) for line in _run([*command(), "read", servers, topic]).splitlines()]

    return Client(name, needs, packages, publish, read)


def _kcat_publish(servers: str, topic: str, events: Iterable[tuple[Mode, Json]]) -> None:
    for mode, event in events:
        attributes = {name: value for name, value in event.items() if name != "data"}
        if mode == "binary":
            headers = {f"ce_{name}": value for name, value in attributes.items() if name != "datacontenttype"}
            headers["content-type"], value = event["datacontenttype"], event["data"]
        else:
            headers, value = {"content-type": "application/cloudevents+json; charset=UTF-8"}, event
        given = [part for name, text in headers.items() for part in ("-H", f"{name}={text}")]
        text = json.dumps(value, ensure_ascii=False)
        _run(["kcat", "-P", "-b", servers, "-t", topic, "-k", event["subject"], "-X", "acks=all", *given], text)


def _kcat_read(servers: str, topic: str) -> list[Json]:
    lines = _run(["kcat", "-C", "-q", "-b", servers, "-t", topic, "-o", "beginning", "-e", "-J"]).splitlines()
    return [_event_of(json.loads(line)) for line in lines]


def _event_of(record: Json) -> Json:
    """kcat knows nothing of CloudEvents: it gives headers as a list of names and values, and the value as text."""
    pairs = record["headers"]
    headers = dict(zip(pairs[::2], pairs[1::2], strict=True))
    attributes = {name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")}
    return {**attributes, "datacontenttype": headers["content-type"], "data": json.loads(record["payload"])}


CLIENTS = (
    _program(_java, "java", ("java", "mvn"), "default-jdk-headless maven"),
    _program(_javascript, "javascript", ("node", "npm"), "nodejs npm"),
    Client("kcat", ("kcat",), "kcat", _kcat_publish, _kcat_read),
)


def built(source: Path, command: Sequence[str]) -> Path:
    """A copy of the source folder in the cache, in which the command was run once; a changed source, a new copy."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    digest = sha256()
    for path in files:
        digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes() + b"\0")
    kept = jar_cache() / f"foreign-{source.name}-{digest.hexdigest()[:16]}"
    if kept.is_dir():
        return kept
    parcel = kept.with_name(f".{kept.name}-{uuid.uuid4().hex}")
    try:
        for path in files:
            copy = parcel / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        _run(command, folder=parcel, seconds=_BUILD_SECONDS)
        # Renamed when complete, so that an interrupted download is never taken for the whole.
        parcel.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise
    finally:
        shutil.rmtree(parcel, ignore_errors=True)
    return kept


def _run(command: Sequence[str], text: str = "", *, folder: Path | None = None, seconds: float = _RUN_SECONDS) -> str:
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
        cwd=folder,
        # In the C locale Java and kcat would still pass bytes on, but a program that asks is to be told UTF-8.
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}\n{done.stdout}"
    return done.stdout
