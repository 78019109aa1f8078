"""What commands read: the records of topics up to their ends or on and on, and recorded events in files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.cli.terminal import ANSWER_WITHIN_MS, Exit, err, fail, fail_unreachable, quieten_clients, short

if TYPE_CHECKING:
    from kafka import KafkaConsumer
    from kafka.structs import TopicPartition

    from schemas.envelope import Event, Payload

_STALLED_AFTER_S = 30
_AT_ONCE = 5000


@contextmanager
def consuming(servers: str, client_id: str) -> Iterator[KafkaConsumer]:
    """A consumer that belongs to no group and changes nothing; ends the command when the cluster can't be read."""
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError, KafkaTimeoutError

    quieten_clients()
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=servers.split(","),
            bootstrap_timeout_ms=ANSWER_WITHIN_MS,
            client_id=client_id,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
        )
    except KafkaTimeoutError:
        fail_unreachable(servers)
    except (KafkaError, ValueError, OSError) as error:
        fail_unreachable(servers, short(error))
    try:
        yield consumer
    except KafkaError as error:
        fail_unreachable(servers, short(error))
    finally:
        consumer.close(autocommit=False)


def partitions_of(consumer: KafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of these topics; ends the command where the cluster lacks one of them."""
    from kafka.structs import TopicPartition

    found: list[TopicPartition] = []
    for topic in topics:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            fail(
                Exit.BROKER,
                f"集群上没有主题 {topic}。请先运行 kouan topics apply。",
                f"The cluster has no topic {topic}. Run `kouan topics apply` first.",
            )
        found += [TopicPartition(topic, number) for number in sorted(numbers)]
    return found


def records_of(consumer: KafkaConsumer, places: Collection[TopicPartition], key: bytes | None = None) -> Iterator[Any]:
    """The records of these partitions, up to where they ended when reading began; of one key only, if given."""
    consumer.assign(list(places))
    begins, ends = consumer.beginning_offsets(list(places)), consumer.end_offsets(list(places))
    consumer.seek_to_beginning(*places)
    with progress(sum(ends.values()) - sum(begins.values())) as advance:
        yield from _read_to(ends, key, consumer, advance)


def _read_to(
    ends: Mapping[TopicPartition, int], key: bytes | None, consumer: KafkaConsumer, advance: Callable[[int], object]
) -> Iterator[Any]:
    import time

    from kafka.errors import KafkaTimeoutError

    heard = time.monotonic()
    left = {place for place, end in ends.items() if consumer.position(place) < end}
    while left:
        for place, records in consumer.poll(timeout_ms=500, max_records=_AT_ONCE).items():
            heard = time.monotonic()
            advance(len(records))
            for record in records:
                if (key is None or record.key == key) and record.offset < ends[place]:
                    yield record
        left = {place for place in left if consumer.position(place) < ends[place]}
        if time.monotonic() - heard > _STALLED_AFTER_S:
            raise KafkaTimeoutError(f"nothing came for {_STALLED_AFTER_S} s from {', '.join(p.topic for p in left)}")


def new_records_of(consumer: KafkaConsumer, places: Collection[TopicPartition]) -> Iterator[Any]:
    """The records that are written to these partitions after this call, without end."""
    consumer.assign(list(places))
    consumer.seek_to_end(*places)
    # Seeking waits for the first question; what is written in between would be passed over.
    for place in places:
        consumer.position(place)
    return _read_on(consumer)


def _read_on(consumer: KafkaConsumer) -> Iterator[Any]:
    while True:
        for records in consumer.poll(timeout_ms=500, max_records=_AT_ONCE).values():
            yield from records


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal while something is read; gives what moves it on."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = err()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("读取 reading", total=total)
        waiting = 0

        def advance(count: int) -> None:
            # Drawing takes longer than reading a line, so that only every hundredth part is shown.
            nonlocal waiting
            waiting += count
            if waiting * 100 >= total:
                bar.advance(task, waiting)
                waiting = 0

        yield advance


class Unreadable:
    """Records that were passed over because they are no events: how many, and what was wrong with the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ""

    def add(self, place: str, error: Exception) -> None:
        """Note one."""
        self.count += 1
        self.first = self.first or f"{place}: {error}"


def warn(unreadable: Unreadable) -> None:
    """Tell how many records were passed over, if any."""
    if unreadable.count:
        console = err()
        console.print(f"[yellow]略过 {unreadable.count:,} 条无法读取的记录 · records passed over as unreadable[/]")
        console.print(unreadable.first, markup=False, soft_wrap=True)


def events_of_topics(
    records: Iterable[Any], known: Mapping[str, type[Payload]], unreadable: Unreadable
) -> Iterator[Event[Any]]:
    """The events of these types among records."""
    from schemas.codec import DecodeError, PayloadError, decode

    names = {name.encode() for name in known}
    for record in records:
        headers = [(name, value) for name, value in record.headers if value is not None]
        if dict(headers).get("ce_type") not in names:
            continue
        try:
            yield decode(record.key, record.value, headers, known)
        except (DecodeError, PayloadError) as error:
            unreadable.add(f"{record.topic}/{record.partition}/{record.offset}", error)


def events_of_file(
    file: Path, known: Mapping[str, type[Payload]], unreadable: Unreadable, subject: str | None = None
) -> Iterator[Event[Any]]:
    """The events of these types, and of one subject if given, in a file of JSON Lines: a CloudEvent a line.

    Ends the command where the file can't be read.
    """
    from schemas.codec import DecodeError, PayloadError, decode_structured

    names = [name.encode() for name in known]
    part = (subject or "").encode()
    try:
        with file.open("rb") as lines, progress(file.stat().st_size) as advance:
            for number, line in enumerate(lines, 1):
                advance(len(line))
                # Much of a long record is of other types and subjects; looking for a name is quicker than reading it.
                if line[:1] == b"{" and (part not in line or not any(name in line for name in names)):
                    continue
                if not line.strip():
                    continue
                try:
                    event = decode_structured(line, known)
                    if subject is None or event.subject == subject:
                        yield event
                except DecodeError as error:
                    if error.code != "unknown-type":
                        unreadable.add(f"{file.name}:{number}", error)
                except PayloadError as error:
                    unreadable.add(f"{file.name}:{number}", error)
    except OSError as error:
        fail(Exit.USAGE, f"无法读取 {file}：{error.strerror}。", f"{file} can't be read: {error.strerror}.")
