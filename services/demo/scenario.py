"""The scenario: from the committed files to the records that go onto the topics, in steps.

`scenario.yaml` names the steps and the files of each; deploy/demo/README.md says how the files are written. Nothing is
corrected here: what is faulty in a file arrives faulty.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.demo.times import WrongTime, fill_days, moment
from topics.definition import Catalogue

SHIPPED = Path(__file__).parents[2] / "deploy" / "demo"
"""The scenario of the checkout; an installed package has none beside it."""

_IDS = uuid.UUID("6d3ab2c5-5d0c-5f5b-9c86-3a0c1f6a3c0e")
_FILE = re.compile(r"\{(?P<what>text|digest) of (?P<name>[A-Za-z0-9._-]+)\}")
_INTEGERS = frozenset({"employees", "revenue_10k_cny", "assets_10k_cny", "term_months", "days", "version"})
_STRUCTURED = b"application/cloudevents+json"


class ScenarioError(Exception):
    """The scenario can't be used; the text names file and line."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Title(_Strict):
    """What a step is called for people."""

    zh: str
    en: str


class File(_Strict):
    """One file of a step. For CSV, `type` is the event type of every row and `under` the field its columns lie in,
    unless a column's name begins with a slash."""

    name: str
    type: str | None = None
    under: str | None = None
    subject_as: str | None = None


class Step(_Strict):
    """Files that are published together; the next step waits until they are `read`, or until all has `settled`."""

    title: Title
    files: Annotated[tuple[File, ...], Field(min_length=1)]
    until: Literal["read", "settled"] = "settled"


class Persons(_Strict):
    """How the simulated liaison persons answer: shares in percent, and how many make each kind of mistake."""

    in_time: Annotated[int, Field(ge=0, le=100)]
    late: Annotated[int, Field(ge=0, le=100)]
    mistakes: Annotated[int, Field(ge=0)]


class Plan(_Strict):
    """The content of `scenario.yaml`. `refused_mailboxes` are addresses that the mail server does not know.

    Where `complete`, a run in which a code of the domain has no case does not add up.
    """

    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    persons: Persons
    refused_mailboxes: tuple[str, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Publication:
    """One record to be published. `partition` None leaves the place to the key, as publishers do."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    partition: int | None = None


class Scenario:
    """The scenario at one moment: plan and records, all read and prepared before the first is published."""

    def __init__(self, folder: Path, catalogue: Catalogue, now: datetime) -> None:
        """Read everything in `folder`.

        Raises:
            ScenarioError: a file is missing or can't be understood.
        """
        self._folder = folder
        self.catalogue = catalogue
        self._now = now
        self._events: dict[tuple[str, str], tuple[str, Publication]] = {}
        self.plan = self._plan()
        self.records: list[list[Publication]] = [
            [record for file in step.files for record in self._read(file)] for step in self.plan.steps
        ]

    def _plan(self) -> Plan:
        path = self._folder / "scenario.yaml"
        try:
            return Plan.model_validate(yaml.safe_load(path.read_text("utf-8")))
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise ScenarioError(f"{path}: {error}") from error

    def _read(self, file: File) -> Iterator[Publication]:
        path = self._folder / file.name
        reader = self._rows if path.suffix == ".csv" else self._lines
        try:
            for number, entry in reader(path, file):
                try:
                    yield self._publication(entry, f"{file.name}/{number}")
                except (WrongTime, LookupError, TypeError, ValueError) as error:
                    raise ScenarioError(f"{path}, line {number}: {error}") from error
        except (OSError, csv.Error, orjson.JSONDecodeError) as error:
            raise ScenarioError(f"{path}: {error}") from error

    def _rows(self, path: Path, file: File) -> Iterator[tuple[int, dict[str, Any]]]:
        with path.open(encoding="utf-8", newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines), 2):
                yield number, _event_of_row(row, file)

    def _lines(self, path: Path, file: File) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if line.strip():
                yield number, orjson.loads(line)

    def _publication(self, entry: dict[str, Any], place: str) -> Publication:
        if "again" in entry:
            return self._known(entry["again"])[1]
        if "raw" in entry:
            return self._raw(entry["raw"])
        event = dict(entry)
        if "id_of" in event:
            event["id"] = self._known(event.pop("id_of"))[0]
        placed_by = event.pop("placed_by", "murmur2")
        event.setdefault("id", str(uuid.uuid5(_IDS, place)))
        record = self._placed(self._encoded(event), placed_by)
        self._events.setdefault((event["type"], event["subject"]), (event["id"], record))
        return record

    def _known(self, named: Mapping[str, str]) -> tuple[str, Publication]:
        """Id and record of the first event of this type and subject in the files read so far."""
        known = self._events.get((named["type"], named["subject"]))
        if known is None:
            raise LookupError(f"no event {named['type']} of {named['subject']} stands before this line")
        return known

    def _encoded(self, event: Mapping[str, Any]) -> Publication:
        topic = self.catalogue.topic_of_publisher(event["source"], event["type"])
        time = moment(event["time"], self._now).isoformat()
        data = self._with_files(fill_days(event["data"], self._now))
        subject = str(fill_days(event["subject"], self._now))
        event = {**event, "subject": subject}
        key = subject.encode()
        if event.get("mode") == "structured":
            whole = {"specversion": "1.0", "datacontenttype": "application/json", **event, "time": time, "data": data}
            del whole["mode"]
            return Publication(topic.name, key, orjson.dumps(whole), (("content-type", _STRUCTURED),))
        attributes = {name: event[name] for name in ("id", "source", "type", "subject")} | {"time": time}
        return Publication(topic.name, key, orjson.dumps(data), _headers(attributes))

    def _with_files(self, value: Any) -> Any:
        """`value` with `{text of NAME}` and `{digest of NAME}` replaced by a file's text, or its SHA-256."""
        if isinstance(value, dict):
            return {name: self._with_files(child) for name, child in value.items()}
        if not isinstance(value, str) or (match := _FILE.fullmatch(value)) is None:
            return value
        content = (self._folder / match["name"]).read_bytes()
        return content.decode() if match["what"] == "text" else hashlib.sha256(content).hexdigest()

    def _raw(self, raw: Mapping[str, Any]) -> Publication:
        """A record that no careful publisher would send, on the topic where `like` would belong."""
        like = raw["like"]
        topic = self.catalogue.topic_of_publisher(like["source"], like["type"])
        attributes = dict(raw.get("attributes") or {})
        if attributes.get("time", "").startswith("-"):
            attributes["time"] = moment(attributes["time"], self._now).isoformat()
        key = raw["key"].encode() if raw.get("key") is not None else None
        headers = _headers(attributes) if attributes else ()
        return self._placed(Publication(topic.name, key, _value(raw["value"]), headers), "murmur2")

    def _placed(self, record: Publication, placed_by: str) -> Publication:
        if placed_by != "crc32" or record.key is None:
            return record
        # Where librdkafka's default partitioner puts the key, named outright because our own client places by murmur2.
        return replace(record, partition=zlib.crc32(record.key) % self.catalogue.topics[record.topic].partitions)


def _event_of_row(row: Mapping[str, str], file: File) -> dict[str, Any]:
    """A row as an event: `time`, `source` and `subject`, `type` unless the file has one, `id` if it is to be known
    elsewhere; the rest is its data.
    """
    cells = {name: text for name, text in row.items() if text not in ("", None)}
    event: dict[str, Any] = {name: cells.pop(name) for name in ("time", "source", "subject")}
    if "id" in cells:
        event["id"] = cells.pop("id")
    event["type"] = file.type or cells.pop("type")
    body: dict[str, Any] = {file.subject_as: event["subject"]} if file.subject_as else {}
    under = [file.under] if file.under else []
    for path, text in cells.items():
        way = path[1:].split(".") if path.startswith("/") else [*under, *path.split(".")]
        _put(body, way, _cell(way[-1], text))
    event["data"] = body
    return event


def _put(body: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        body = body.setdefault(name, {})
    body[path[-1]] = value


def _cell(name: str, text: str) -> Any:
    if name in _INTEGERS and text.isdecimal():
        return int(text)
    if name == "scopes":
        return text.split(";")
    if name == "reasons":
        return [dict(zip(("code", "text"), reason.split("|", 1), strict=False)) for reason in text.split(";")]
    return text


def _headers(attributes: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    named = {"specversion": "1.0", **attributes}
    return (*((f"ce_{name}", text.encode()) for name, text in named.items()), ("content-type", b"application/json"))


def _value(value: Mapping[str, Any] | None) -> bytes | None:
    """The bytes of a raw record: `null`, or an object that says how they are written."""
    if value is None:
        return None
    if "base64" in value:
        return base64.b64decode(value["base64"])
    if "fill" in value:
        return str(value["fill"]).encode() * int(value["times"])
    return orjson.dumps(value["json"])
