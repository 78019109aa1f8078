"""The catalogue: which topics there are, who writes and reads them, and what stands on them.

Loaded strictly: every fault of every file is reported at once, with file and place. Topic names exist nowhere else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

SHIPPED = Path(__file__).with_name("catalogue")
"""The folder of the topics that the system itself uses."""

OPERATORS = "operators"
"""Writer of the redrive topics: the people who run the system, with its tools."""

GATEWAY = "gateway"
"""The parties' front door: it writes what they publish over HTTP, and reads what our services answer them."""

MIB = 1024 * 1024

_NAME = r"^[a-z][a-z0-9_]*(\.[a-z0-9_-]+)+$"
_EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)+\.v[1-9][0-9]*")
_SOURCE = re.compile(r"//[a-z]+/[A-Za-z0-9._/-]*")


class Owner(StrEnum):
    """The side that answers for a topic's content."""

    COMMERCE = "commerce"
    BANK = "bank"
    PARTNER = "partner"
    KOUAN = "kouan"


class Kind(StrEnum):
    """What a topic is for.

    input: what the parties tell us · record: the one topic whose fold is a service's state · announcement: what a
    service tells others besides · internal: what a service tells itself under another key, or keeps to itself ·
    reference: read to the end before anything else · dead_letters: what could not be processed · redrive: what
    operators send round again.
    """

    INPUT = "input"
    RECORD = "record"
    ANNOUNCEMENT = "announcement"
    INTERNAL = "internal"
    REFERENCE = "reference"
    DEAD_LETTERS = "dead_letters"
    REDRIVE = "redrive"


OUTPUTS = frozenset({Kind.RECORD, Kind.ANNOUNCEMENT, Kind.INTERNAL})
"""Kinds that exactly one of our services writes."""

PUBLISHED = frozenset({Kind.INPUT, Kind.REFERENCE})
"""Kinds that the parties' own systems write."""

OUTCOMES = frozenset({Kind.RECORD, Kind.ANNOUNCEMENT})
"""Kinds that may be read by others than the service that writes them."""

_ENTER_UNITS = frozenset({"directory.zone_entered", "directory.branch_entered"})

CARRIERS = frozenset({Kind.DEAD_LETTERS, Kind.REDRIVE})
"""Kinds whose records keep the source and the type they first came with, so that neither is listed."""

PARTIES = frozenset(owner.value for owner in Owner if owner is not Owner.KOUAN)
"""The sides that publish and react."""


class Entry(BaseModel):
    """Base of everything written in a catalogue file: unknown fields are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Entry):
    """Words for people, in both languages."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Key(Entry):
    """What the records are keyed by. Topics with the same `name` are keyed by the same thing.

    `why` says what the key keeps together; `example` is one as it stands on the topic.
    """

    name: str = Field(pattern=r"^[a-z][a-z_]*$")
    example: str = Field(min_length=1)
    why: Text


def _once_each(values: tuple[str, ...]) -> tuple[str, ...]:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"listed more than once: {', '.join(repeated)}")
    return values


def _event_types(values: Any) -> Any:
    """Runs before pydantic makes a set of them, in which a type that is listed twice would go unseen."""
    texts = tuple(value for value in values if isinstance(value, str)) if isinstance(values, Collection) else ()
    wrong = [value for value in _once_each(texts) if not _EVENT.fullmatch(value)]
    if wrong:
        raise ValueError(f"no event types of the form context.what_happened.v1: {', '.join(wrong)}")
    return values


def _source_prefixes(values: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [value for value in _once_each(values) if not _SOURCE.fullmatch(value)]
    if wrong:
        raise ValueError(f"no source prefixes of the form //side/ or //side/system: {', '.join(wrong)}")
    return values


Names = Annotated[tuple[str, ...], AfterValidator(_once_each)]
Sources = Annotated[tuple[str, ...], AfterValidator(_source_prefixes)]


class Topic(Entry):
    """One topic of the catalogue.

    `sources` are the prefixes of `ce_source` that may write it: one that ends in a slash stands for all below it, one
    that does not for exactly this system and what is below it. `retention_ms` is in milliseconds, -1 for ever;
    `max_message_bytes` is the largest record batch. `readers` take part in the decisions; `subscribers` are systems of
    the parties (prefixes, as with `sources`) that may read besides. `redistributed_by` is the one reader that sends a
    record that a foreign client put on a wrong partition to its right one.
    """

    name: str = Field(pattern=_NAME, max_length=200)
    title: Text
    owner: Owner
    kind: Kind
    key: Key
    partitions: int = Field(default=4, ge=1, le=1024)
    replication: int = Field(default=3, ge=1, le=9)
    min_insync_replicas: int = Field(default=2, ge=1, le=9)
    retention_ms: int = Field(default=-1, ge=-1)
    cleanup_policy: Literal["delete", "compact"] = "delete"
    max_message_bytes: int = Field(default=MIB, ge=256 * 1024, le=16 * MIB)
    sources: Sources = ()
    writers: Names = Field(min_length=1)
    readers: Names = ()
    subscribers: Sources = ()
    redistributed_by: str | None = None
    events: Annotated[frozenset[str], BeforeValidator(_event_types)] = frozenset()

    def accepts_source(self, source: str) -> bool:
        """Whether a `ce_source` may write here. Carriers take any: the topic a record first came from decides."""
        if self.kind in CARRIERS:
            return True
        return any(covers(prefix, source) for prefix in self.sources)


def is_for_the_gateway(topic: Topic) -> bool:
    """Whether the parties' front door reads a topic: what it tells them, and which zones and branches may be told."""
    entered = {kind.rpartition(".v")[0] for kind in topic.events}
    return topic.kind in OUTCOMES or (topic.kind is Kind.REFERENCE and not entered.isdisjoint(_ENTER_UNITS))


def covers(prefix: str, source: str) -> bool:
    """Whether `source` is what the prefix names, or below it: `//bank/exim` does not cover `//bank/exim-nmg`."""
    if not source.startswith(prefix):
        return False
    rest = source[len(prefix) :]
    return bool(rest) if prefix.endswith("/") else not rest or rest.startswith("/")


def side_of(source: str) -> str:
    """The side that a `ce_source`, or a prefix of one, belongs to: `bank` of `//bank/exim`."""
    return source.removeprefix("//").partition("/")[0]


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with the catalogue: the file, the place in it (line and field, where known) and what it is."""

    file: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}{f' ({self.place})' if self.place else ''}: {self.text}"


class CatalogueError(Exception):
    """The catalogue can't be used. `flaws` holds all that is wrong with it."""

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        self.flaws = tuple(flaws)
        super().__init__("\n".join(map(str, self.flaws)))


class NotPublishableError(LookupError):
    """An event type that no party writes."""


class Catalogue:
    """All topics, checked against each other. Make one with `load_catalogue` or `Catalogue.of`."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self.topics: dict[str, Topic] = dict(topics)
        self._outputs = {
            (writer, event): topic
            for topic in self.topics.values()
            if topic.kind in OUTPUTS
            for writer in topic.writers
            for event in topic.events
        }

    @classmethod
    def of(cls, topics: Iterable[Topic]) -> Catalogue:
        """A catalogue of these topics.

        Raises:
            CatalogueError: the topics do not fit together.
        """
        known = sorted(topics, key=lambda topic: topic.name)
        flaws = [*_flaws_of_names(known), *(flaw for topic in known for flaw in _flaws_of_topic(topic))]
        flaws += [*_flaws_of_services(known), *_flaws_of_types(known)]
        if flaws:
            raise CatalogueError(flaws)
        return cls({topic.name: topic for topic in known})

    @property
    def services(self) -> tuple[str, ...]:
        """The services that have a record topic, sorted."""
        return tuple(sorted(topic.writers[0] for topic in self.topics.values() if topic.kind is Kind.RECORD))

    def inputs_of(self, service: str) -> tuple[Topic, ...]:
        """What the service reads and decides about: neither reference topics nor its redrive topic."""
        apart = CARRIERS | {Kind.REFERENCE}
        return tuple(t for t in self.topics.values() if service in t.readers and t.kind not in apart)

    def references_of(self, service: str) -> tuple[Topic, ...]:
        """What the service reads to the end before anything else."""
        return tuple(t for t in self.topics.values() if service in t.readers and t.kind is Kind.REFERENCE)

    def record_topic_of(self, service: str) -> Topic:
        """The topic whose fold is the service's state."""
        return self._only(Kind.RECORD, service, writes=True)

    def dead_letters_of(self, service: str) -> Topic:
        """Where the service puts what it can't process."""
        return self._only(Kind.DEAD_LETTERS, service, writes=True)

    def redrive_of(self, service: str) -> Topic:
        """Where operators put what the service shall try again."""
        return self._only(Kind.REDRIVE, service, writes=False)

    def topic_for(self, service: str, event_type: str) -> Topic:
        """Where the service writes this event type.

        Raises:
            LookupError: the catalogue does not let the service write it anywhere.
        """
        topic = self._outputs.get((service, event_type))
        if topic is None:
            raise LookupError(f"no topic of the catalogue lets {service} write {event_type}; add it to one's events")
        return topic

    def topic_of_publisher(self, source: str, event_type: str) -> Topic:
        """Where a party's system with this `ce_source` writes this event type.

        Raises:
            NotPublishableError: no topic of the parties takes the type.
            LookupError: none takes it from this source.
        """
        takers = [t for t in self.topics.values() if t.kind in PUBLISHED and event_type in t.events]
        for topic in takers:
            if topic.accepts_source(source):
                return topic
        if not takers:
            raise NotPublishableError(f"{event_type} is not for publishers: no input or reference topic takes it")
        allowed = ", ".join(prefix for topic in takers for prefix in topic.sources)
        raise LookupError(f"{event_type} is taken from sources under {allowed}, not from {source}")

    def check_types(self, registered: Iterable[str]) -> None:
        """Hold the events of the catalogue against the payload classes that exist.

        Raises:
            CatalogueError: a listed event has no payload class, or a payload class stands on no topic.
        """
        classes = set(registered)
        listed = {event for topic in self.topics.values() for event in topic.events}
        flaws = [
            Flaw(_file(topic), "events", f"{event} has no payload class in schemas; define it or take it out")
            for topic in self.topics.values()
            for event in sorted(topic.events - classes)
        ]
        flaws += [
            Flaw("catalogue", "events", f"{event} has a payload class, but stands on no topic; add it to one's events")
            for event in sorted(classes - listed)
        ]
        if flaws:
            raise CatalogueError(flaws)

    def _only(self, kind: Kind, service: str, *, writes: bool) -> Topic:
        for topic in self.topics.values():
            if topic.kind is kind and service in (topic.writers if writes else topic.readers):
                return topic
        raise LookupError(f"the catalogue has no {kind.value} topic of {service!r}; its services: {self.services}")


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """The catalogue in a folder of YAML files, one a topic; by default the one that is shipped.

    Raises:
        CatalogueError: with every fault of every file.
    """
    return _shipped() if folder is None else _load(folder)


@cache
def _shipped() -> Catalogue:
    return _load(SHIPPED)


def _load(folder: Path) -> Catalogue:
    files = sorted(folder.glob("*.yaml"))
    flaws = [] if files else [Flaw(str(folder), "", "there is no *.yaml file here; a catalogue has one a topic")]
    topics: list[Topic] = []
    for file in files:
        read = _read(file)
        if isinstance(read, Topic):
            topics.append(read)
        else:
            flaws += read
    if not flaws:
        return Catalogue.of(topics)
    # To the checks between topics, one that could not be read would look missing: they wait until all can be read.
    raise CatalogueError([*flaws, *(flaw for topic in topics for flaw in _flaws_of_topic(topic))])


def _read(file: Path) -> Topic | list[Flaw]:
    """The topic in a file, or all that is wrong with the file."""
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.reader.ReaderError) as error:
        return [Flaw(file.name, "", f"not text in UTF-8: {error.reason}")]
    try:
        node = loader.get_single_node()
        if node is None:
            return [Flaw(file.name, "", "the file is empty; a topic needs name, title, owner, kind, key and writers")]
        repeated = [Flaw(file.name, f"line {line}", f"{name} is given twice") for name, line in _repeated(node)]
        raw = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return [Flaw(file.name, f"line {line}", f"not YAML: {error.problem}")]
    finally:
        loader.dispose()
    try:
        topic = Topic.model_validate(raw)
    except ValidationError as error:
        return repeated + [
            Flaw(file.name, _place(node, fault["loc"]), _plain(fault))
            for fault in error.errors(include_url=False, include_context=False)
        ]
    if file.name != _file(topic):
        repeated.append(Flaw(file.name, "name", f"the topic {topic.name} belongs into {_file(topic)}"))
    return repeated or topic


def _plain(fault: Mapping[str, Any]) -> str:
    if fault["input"] is None:
        return "nothing is filled in here"
    return str(fault["msg"]).removeprefix("Value error, ")


def _repeated(node: yaml.Node) -> Iterator[tuple[str, int]]:
    """Names that occur twice in one mapping: YAML would silently keep the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if name.value in seen:
                yield name.value, name.start_mark.line + 1
            seen.add(name.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value)


def _place(node: yaml.Node, where: tuple[int | str, ...]) -> str:
    """Line and dotted path of a field; for one that is missing, the line of what should hold it."""
    line = node.start_mark.line + 1
    for step in where:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    path = ".".join(str(step) for step in where)
    return f"line {line}, {path}" if path else f"line {line}"


def _child(node: yaml.Node, step: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == step:
                return name.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        value = node.value[step]
        return value.start_mark.line + 1, value
    return None


def _file(topic: Topic) -> str:
    return f"{topic.name}.yaml"


def _flaws_of_names(topics: list[Topic]) -> Iterator[Flaw]:
    by_metric: dict[str, list[str]] = {}
    for topic in topics:
        by_metric.setdefault(re.sub("[.-]", "_", topic.name), []).append(topic.name)
    for names in by_metric.values():
        if len(names) > 1:
            text = "metrics mix these up (., _ and - collide), and so does Kubernetes"
            yield Flaw(f"{names[0]}.yaml", "name", f"{text}: {', '.join(names)}")


def _flaws_of_topic(topic: Topic) -> Iterator[Flaw]:
    """What is wrong with one topic on its own."""
    file = _file(topic)
    if topic.kind in PUBLISHED and topic.owner is Owner.KOUAN:
        yield Flaw(file, "owner", f"kind {topic.kind} is written by a party, so a party owns it")
    if topic.kind not in PUBLISHED and topic.owner is not Owner.KOUAN:
        yield Flaw(file, "owner", f"kind {topic.kind} is ours, so its owner is {Owner.KOUAN}")
    if topic.kind in PUBLISHED and topic.writers != (topic.owner.value,):
        yield Flaw(file, "writers", f"kind {topic.kind} is written by its owner alone: [{topic.owner}]")
    if topic.kind not in PUBLISHED and len(topic.writers) != 1:
        yield Flaw(file, "writers", f"kind {topic.kind} has exactly one writer")
    if topic.kind is Kind.REDRIVE and topic.writers != (OPERATORS,):
        yield Flaw(file, "writers", f"a redrive topic is written by [{OPERATORS}]")
    if topic.kind is Kind.REDRIVE and len(topic.readers) != 1:
        yield Flaw(file, "readers", "a redrive topic is read by the one service it belongs to")
    if topic.kind is Kind.REFERENCE and not topic.readers:
        yield Flaw(file, "readers", "a reference topic that nobody reads is of no use")
    if topic.kind is Kind.INTERNAL and topic.readers != topic.writers:
        yield Flaw(file, "readers", "an internal topic is read by the service that writes it, and by no other")
    if topic.min_insync_replicas > max(1, topic.replication - 1):
        text = f"with {topic.replication} replicas one lost broker would stop every writer; at most one less than them"
        yield Flaw(file, "min_insync_replicas", text)
    yield from _flaws_of_sources(topic)
    yield from _flaws_of_subscribers(topic)
    yield from _flaws_of_placement(topic)


def _flaws_of_sources(topic: Topic) -> Iterator[Flaw]:
    file = _file(topic)
    if topic.kind in CARRIERS:
        if topic.sources or topic.events:
            yield Flaw(file, "sources", f"kind {topic.kind} keeps sources and types as they came: list neither")
        return
    if not topic.events:
        yield Flaw(file, "events", "list the event types that stand here")
    if topic.kind in PUBLISHED:
        strange = [prefix for prefix in topic.sources if not prefix.startswith(f"//{topic.owner}/")]
        if strange or not topic.sources:
            yield Flaw(file, "sources", f"list prefixes under //{topic.owner}/, the owner; found {list(topic.sources)}")
    elif topic.sources != tuple(f"//kouan/{writer}" for writer in topic.writers):
        yield Flaw(file, "sources", f"the source is the writing service: [//kouan/{topic.writers[0]}]")


def _flaws_of_subscribers(topic: Topic) -> Iterator[Flaw]:
    if topic.subscribers and topic.kind not in OUTCOMES:
        yield Flaw(_file(topic), "subscribers", f"kind {topic.kind} is not for the parties to read")
    strange = [prefix for prefix in topic.subscribers if side_of(prefix) not in PARTIES]
    if strange:
        yield Flaw(_file(topic), "subscribers", f"no systems of a party ({', '.join(sorted(PARTIES))}): {strange}")


def _flaws_of_placement(topic: Topic) -> Iterator[Flaw]:
    file = _file(topic)
    foreign = topic.kind is Kind.INPUT
    if foreign and topic.redistributed_by not in topic.readers:
        yield Flaw(
            file, "redistributed_by", f"name one reader that puts misplaced records right: {list(topic.readers)}"
        )
    if not foreign and topic.redistributed_by is not None:
        yield Flaw(file, "redistributed_by", f"kind {topic.kind} has none: foreign clients write inputs alone")


def _flaws_of_services(topics: list[Topic]) -> Iterator[Flaw]:
    services = sorted({topic.writers[0] for topic in topics if topic.kind is Kind.RECORD})
    for topic in topics:
        writers = () if topic.kind in PUBLISHED or topic.kind is Kind.REDRIVE else topic.writers
        for field, names in (("writers", writers), ("readers", topic.readers)):
            unknown = [name for name in names if name not in services]
            if unknown:
                yield Flaw(_file(topic), field, f"no service with a record topic: {', '.join(unknown)}")
    for service in services:
        yield from _flaws_of_rooms(service, topics)
        yield from _flaws_of_partitions(service, topics)


def _flaws_of_rooms(service: str, topics: list[Topic]) -> Iterator[Flaw]:
    for kind, names in (
        (Kind.RECORD, [t.name for t in topics if t.kind is Kind.RECORD and service in t.writers]),
        (Kind.DEAD_LETTERS, [t.name for t in topics if t.kind is Kind.DEAD_LETTERS and service in t.writers]),
        (Kind.REDRIVE, [t.name for t in topics if t.kind is Kind.REDRIVE and service in t.readers]),
    ):
        if len(names) != 1:
            yield Flaw("catalogue", service, f"has {len(names)} {kind} topics ({', '.join(names)}), needs exactly one")


def _flaws_of_partitions(service: str, topics: list[Topic]) -> Iterator[Flaw]:
    """A task is one partition number across all that a service decides about and puts out, its redrive included."""
    near = [t for t in topics if t.kind is not Kind.REFERENCE and (service in t.readers or service in t.writers)]
    counts = Counter(topic.partitions for topic in near)
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = ", ".join(f"{topic.name} has {topic.partitions}" for topic in near if topic.partitions != usual)
        yield Flaw("catalogue", service, f"all topics it works on need equal partitions, mostly {usual}, but {odd}")


def _flaws_of_types(topics: list[Topic]) -> Iterator[Flaw]:
    """No type may have two homes for one writer: neither ours nor a publisher's would be found."""
    listed = [(event, topic) for topic in topics for event in sorted(topic.events)]
    for index, (event, topic) in enumerate(listed):
        for other_event, other in listed[index + 1 :]:
            if event == other_event and _overlap(topic, other):
                yield Flaw(_file(other), "events", f"{event} stands on {topic.name} too, from the same source")


def _overlap(one: Topic, other: Topic) -> bool:
    return any(a == b or covers(a, b) or covers(b, a) for a in one.sources for b in other.sources)
