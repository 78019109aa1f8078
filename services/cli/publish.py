"""`kouan publish`: a file of events onto the topics of their publishers, all checked before the first is sent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.terminal import (
    ANSWER_WITHIN_MS,
    DEFAULT_SERVERS,
    BootstrapServers,
    Exit,
    administering,
    err,
    fail,
    fail_unreachable,
    out,
    quieten_clients,
    short,
)

if TYPE_CHECKING:
    from rich.progress import Progress

    from schemas.envelope import Event
    from topics.definition import Catalogue

CONFIRM_WITHIN_MS = 30_000
"""How long the broker may take to confirm a record before it counts as unconfirmed."""

_SHOWN = 20
"""So many unconfirmed records are listed: all of them are sent again with the file anyway."""

_ATTRIBUTES = frozenset(
    {
        *("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"),
        *("correlationid", "causationid", "traceparent", "data"),
    }
)

_IN_CHINESE = {
    "undecodable": "该行不是 JSON 对象，请每行写一个结构化 CloudEvent。",
    "missing-attribute": "缺少必填属性，或其值不是文本，请补齐 CloudEvents 属性。",
    "unsupported-version": "specversion 必须为 1.0。",
    "bad-attribute": "属性为空、过长或含控制字符，应为 1 至 256 个可打印字符。",
    "bad-time": "time 须为带时区的 RFC 3339 时间，例如 2026-01-05T09:30:00+08:00。",
    "unknown-type": "未知的事件类型，可用类型见主题目录。",
    "nul-character": "文本中含有 U+0000，请删除。",
    "too-large": "事件超过 256 KB 上限，请以引用代替文件内容。",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One checked event as it will stand on its topic; `line` is where it stood in the file, counted from 1."""

    line: int
    topic: str
    type: str
    id: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class LineFault:
    """One thing wrong with one line; `pointer` is a JSON Pointer into the line's object, empty for the whole."""

    line: int
    pointer: str
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A record that the broker did not confirm: it may stand on the topic or not. Sending it again does no harm."""

    record: Record
    reason: str


def publish(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="JSON Lines，每行一个 CloudEvent · one CloudEvent a line"
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="只检查，不发布 · check only, publish nothing")] = False,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """发布事件文件：先检查全部各行，再发布 · Publish a file of events; nothing is sent unless every line is right."""
    from services.registry import load_contracts
    from topics.definition import load_catalogue

    load_contracts()
    with _progress() as progress:
        task = progress.add_task("检查 checking", total=file.stat().st_size)
        with file.open("rb") as lines:
            records, faults = prepare(lines, load_catalogue(), lambda size: progress.advance(task, size))
    if faults:
        _show_faults(faults)
        lines_wrong = len({fault.line for fault in faults})
        fail(
            Exit.USAGE,
            f"{file.name}：{lines_wrong} 行有误，共 {len(faults)} 处；未发布任何事件。改正后请重新发布整个文件。",
            f"{file.name}: {len(faults)} faults in {lines_wrong} lines; nothing was published. Correct them, then "
            "publish the whole file again.",
        )
    if not records:
        fail(Exit.USAGE, f"{file.name} 中没有事件。", f"{file.name} holds no events.")
    if dry_run:
        _show_counts(records)
        out().print(f"[green]检查通过[/] {len(records)} 个事件，未发布 · all right, nothing published")
        return
    _publish(records, bootstrap_servers)


def prepare(
    lines: Iterable[bytes], catalogue: Catalogue, advance: Callable[[int], object] = lambda size: None
) -> tuple[list[Record], list[LineFault]]:
    """Check every line (blank ones are skipped) and encode what is right. `advance` is told the bytes of each line."""
    records: list[Record] = []
    faults: list[LineFault] = []
    seen: dict[tuple[str, str], tuple[int, bytes]] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix(b"\xef\xbb\xbf")
        if text:
            found = _check(number, text, catalogue, seen)
            if isinstance(found, Record):
                records.append(found)
            else:
                faults += found
        advance(len(line))
    return records, faults


def _check(
    number: int, text: bytes, catalogue: Catalogue, seen: dict[tuple[str, str], tuple[int, bytes]]
) -> Record | list[LineFault]:
    from schemas.codec import DecodeError, PayloadError, decode_structured, to_binary

    strange = _unknown_attributes(number, text)
    try:
        event = decode_structured(text, closed=True)
    except DecodeError as error:
        return [*strange, LineFault(number, "", error.code, _IN_CHINESE.get(error.code, error.text), error.text)]
    except PayloadError as error:
        inner = [LineFault(number, f"/data{f.pointer}", f.code, f.zh, f.en) for f in error.faults]
        placing = _misplaced(number, error.event, catalogue)
        # What our own services say has a contract too, but its faults would not help anybody who may not publish it.
        return [*strange, *placing, *([] if any(fault.pointer == "/type" for fault in placing) else inner)]
    faults = [*strange, *_misplaced(number, event, catalogue)]
    try:
        key, value, headers = to_binary(event)
    except ValueError as error:
        return [*faults, LineFault(number, "/data", "too-large", _IN_CHINESE["too-large"], str(error))]
    first, first_value = seen.setdefault((event.source, event.id), (number, value))
    if first_value != value:
        faults.append(
            LineFault(
                number,
                "/id",
                "id-reused",
                f"与第 {first} 行的来源和 id 相同而内容不同，请换用新的 id。",
                f"same source and id as line {first}, other content; give it an id of its own",
            )
        )
    if faults:
        return faults
    topic = catalogue.topic_of_publisher(event.source, event.type).name
    return Record(number, topic, event.type, event.id, key, value, headers)


def _unknown_attributes(number: int, text: bytes) -> list[LineFault]:
    """Attributes that would be lost on the way, most of them misspelt. A line that is no JSON is reported elsewhere."""
    from pydantic_core import from_json

    try:
        attributes: Any = from_json(text)
    except ValueError:
        return []
    names = sorted(set(attributes) - _ATTRIBUTES) if isinstance(attributes, dict) else []
    return [
        LineFault(
            number,
            f"/{name.replace('~', '~0').replace('/', '~1')}",
            "unknown-attribute",
            "未知的属性，请删除；业务字段应写在 data 之内。",
            "not an attribute of our events; remove it, or move it into data",
        )
        for name in names
    ]


def _misplaced(number: int, event: Event[Any], catalogue: Catalogue) -> list[LineFault]:
    from topics.definition import NotPublishableError

    try:
        catalogue.topic_of_publisher(event.source, event.type)
    except NotPublishableError as error:
        zh = f"{event.type} 由本系统的服务写出，不能由外部发布，请核对 type。"
        return [LineFault(number, "/type", "not-publishable", zh, str(error))]
    except LookupError as error:
        zh = f"来源 {event.source} 不能发布 {event.type}，请核对 source。"
        return [LineFault(number, "/source", "not-allowed", zh, str(error.args[0]))]
    return []


def _publish(records: Sequence[Record], servers: str) -> None:
    _require_topics({record.topic for record in records}, servers)
    started = time.monotonic()
    with _progress() as progress:
        task = progress.add_task("发布 publishing", total=len(records))
        unconfirmed = deliver(records, servers, lambda: progress.advance(task))
    if unconfirmed:
        _show_unconfirmed(unconfirmed)
        fail(
            Exit.BROKER,
            f"{len(unconfirmed)} 个事件未得到确认，见上。请检查 Kafka 后重新发布同一文件：重复的事件会被识别。",
            f"{len(unconfirmed)} of {len(records)} events were not confirmed, see above. Check the broker, then "
            "publish the same file again: repeats are recognised.",
        )
    _show_counts(records)
    spent = time.monotonic() - started
    out().print(f"[green]已确认[/] {len(records)} 个事件，{spent:.1f} 秒 · all confirmed by the broker")


def _require_topics(names: set[str], servers: str) -> None:
    with administering(servers) as admin:
        there = {topic["name"] for topic in admin.describe_topics(sorted(names)) if topic["error_code"] == 0}
    missing = ", ".join(sorted(names - there))
    if missing:
        fail(
            Exit.BROKER,
            f"集群上没有这些主题：{missing}。请先运行 kouan topics apply。",
            f"The cluster lacks these topics: {missing}. Run `kouan topics apply` first.",
        )


def deliver(records: Sequence[Record], servers: str, advance: Callable[[], object] = lambda: None) -> list[Unconfirmed]:
    """Publish in order and wait for every confirmation, calling `advance` at each; returns what got none.

    Idempotent producer, `acks=all`, partitions by murmur2 of the key: records of one key keep their order.
    """
    from kafka import KafkaProducer
    from kafka.errors import KafkaError

    quieten_clients()
    try:
        producer = KafkaProducer(
            bootstrap_servers=servers.split(","),
            bootstrap_timeout_ms=ANSWER_WITHIN_MS,
            client_id="kouan-publish",
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            linger_ms=5,
            batch_size=128 * 1024,
            max_request_size=4 * 1024 * 1024,
            max_block_ms=CONFIRM_WITHIN_MS,
            request_timeout_ms=10_000,
            delivery_timeout_ms=CONFIRM_WITHIN_MS,
        )
    except (KafkaError, OSError) as error:
        fail_unreachable(servers, short(error))
    try:
        return _send_all(producer, records, advance)
    finally:
        _close(producer)


def _send_all(producer: Any, records: Sequence[Record], advance: Callable[[], object]) -> list[Unconfirmed]:
    from kafka.errors import KafkaError

    sent: list[tuple[Record, Any]] = []
    confirmed = _Counter(advance)
    stopped = ""
    for record in records:
        try:
            future = producer.send(record.topic, record.value, record.key, record.headers)
        except KafkaError as error:
            stopped = f"not sent: {short(error)}"
            break
        future.add_callback(confirmed)
        sent.append((record, future))
    _await_confirmations(producer, confirmed)
    late = f"not confirmed within {CONFIRM_WITHIN_MS // 1000} s"
    failed = [
        Unconfirmed(record, short(future.exception) if future.is_done else late)
        for record, future in sent
        if not future.succeeded()
    ]
    return failed + [Unconfirmed(record, stopped) for record in records[len(sent) :]]


class _Counter:
    """Counts confirmations; called on the client's own thread."""

    def __init__(self, advance: Callable[[], object]) -> None:
        self.count = 0
        self._advance = advance

    def __call__(self, _: object) -> None:
        self.count += 1
        self._advance()


def _await_confirmations(producer: Any, confirmed: _Counter) -> None:
    """Wait until all is settled, or until nothing was confirmed for `CONFIRM_WITHIN_MS`.

    The client's own delivery timeout is not enough: it is not looked at while the client waits for a producer id from a
    broker that has stalled.
    """
    from kafka.errors import KafkaTimeoutError

    count, since = confirmed.count, time.monotonic()
    while time.monotonic() - since < CONFIRM_WITHIN_MS / 1000:
        try:
            producer.flush(timeout=1)
            return
        except KafkaTimeoutError:
            if confirmed.count != count:
                count, since = confirmed.count, time.monotonic()


def _close(producer: Any) -> None:
    """Close the producer even if a broker has stalled: the client's own `close` would first wait, then raise."""
    from kafka.errors import KafkaError

    try:
        producer.close(timeout=1)
    except KafkaError:
        producer._sender.force_close()
        producer._sender.join(5)
        producer.close(timeout=5)


def _progress() -> Progress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = err()
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _show_faults(faults: Sequence[LineFault]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("行 Line", justify="right", no_wrap=True)
    table.add_column("字段 Field", overflow="fold")
    table.add_column("代码 Code", overflow="fold")
    table.add_column("问题 What is wrong", overflow="fold", ratio=1)
    for fault in faults:
        table.add_row(str(fault.line), Text(fault.pointer or "/"), Text(fault.code), Text(f"{fault.zh}\n{fault.en}"))
    err().print(table)


def _show_unconfirmed(unconfirmed: Sequence[Unconfirmed]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for title in ("行 Line", "事件 Event", "主题 Topic", "原因 Reason"):
        table.add_column(title, overflow="fold")
    for entry in unconfirmed[:_SHOWN]:
        record = entry.record
        table.add_row(str(record.line), Text(record.id), record.topic, Text(entry.reason))
    err().print(table)
    if len(unconfirmed) > _SHOWN:
        err().print(f" … 另有 {len(unconfirmed) - _SHOWN} 个 more")


def _show_counts(records: Sequence[Record]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    counts = Counter((record.topic, record.type) for record in records)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("主题 Topic", no_wrap=True)
    table.add_column("事件类型 Event type", no_wrap=True)
    table.add_column("数量 Events", justify="right")
    for (topic, kind), count in sorted(counts.items()):
        table.add_row(topic, kind, f"{count:,}")
    out().print(table)
