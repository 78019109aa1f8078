"""`kouan case`: the whole time line of one case, read from the topics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.records import consuming, records_of
from services.cli.terminal import DEFAULT_SERVERS, BootstrapServers, Exit, fail, out

if TYPE_CHECKING:
    from kafka import KafkaConsumer
    from kafka.structs import TopicPartition

    from schemas.chronology import Place
    from schemas.envelope import Event
    from topics.definition import Catalogue

CASE_KEYS = frozenset({"referral_id", "referral_id_or_zone", "referral_id_or_plan", "plan_id", "advice_id"})
"""Names of the catalogue's keys under which the id of a case stands, of a plan or of a question to the bank."""

_LABELLED = frozenset(
    {
        *("level", "level_before", "score", "outstanding", "overdue_days", "deadline", "acknowledge_by", "until"),
        *("grace_until", "forerunner", "missing", "version", "percent", "round"),
    }
)
"""Those of them that say nothing without their name."""

_CHINA = timezone(timedelta(hours=8))

_TELLING = (
    *("verdict", "outcome", "answer", "code", "reason_code", "level", "level_before", "refused_type", "duplicate_of"),
    *("side", "supported_by", "opposed_by", "partner", "mode", "part", "version", "action_id", "round", "routed_to"),
    *("status", "standing", "grade", "reason", "name", "enterprise", "title", "name_zh", "subject_zh", "score"),
    *("amount", "percent", "missing", "outstanding", "currency", "overdue_days", "deadline", "grace_until", "until"),
    *(
        "acknowledge_by",
        "loan_id",
        "hold_id",
        "chain_id",
        "forerunner",
        "other",
        "carried",
        "scopes",
        "zh",
        "en",
        "text",
    ),
    *("question", "summary"),
)
"""Fields worth a glance in one table row, the most telling first; `--json` shows everything."""

_WORKINGS = frozenset({"rules"})
"""How a result was reached: what stands there is no result itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that stands on the topics about the case.

    `event` is None where the record can't be read as an event; `problem` then says why, or why it is a dead letter.
    `repeats` counts further records with the same source and id.
    """

    topic: str
    partition: int
    offset: int
    time: datetime
    source: str
    type: str
    id: str
    event: Event[Any] | None = None
    problem: str = ""
    dead_letter: bool = False
    repeats: int = 0
    body: Any = field(default=None, compare=False)


def show(
    case_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="案件（推荐）编号，也可填规划或咨询的编号 · the id of a case (referral), plan or question",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="以 JSON 输出全部内容 · everything, as JSON")] = False,
    bootstrap_servers: BootstrapServers = DEFAULT_SERVERS,
) -> None:
    """从各主题读出案件的完整时间线 · Show all that happened to a case, read from the topics."""
    from schemas.loading import load_contracts
    from topics.definition import load_catalogue

    load_contracts()
    steps = time_line(read_steps(case_id, load_catalogue(), bootstrap_servers))
    if not steps:
        fail(
            Exit.UNKNOWN_CASE,
            f"各主题中没有案件 {case_id} 的记录。请核对编号（区分大小写）。",
            f"No topic holds anything about case {case_id}. Check the id; capitals matter.",
        )
    if as_json:
        _show_json(case_id, steps)
    else:
        _show_table(case_id, steps)


def time_line(steps: Iterable[Step]) -> list[Step]:
    """Repeats dropped (by source and id), in order of time, causes before what they caused."""
    from schemas.chronology import in_order

    first: dict[tuple[str, str], Step] = {}
    for step in steps:
        ident = (step.source, step.id)
        known = first.get(ident)
        first[ident] = step if known is None else replace(known, repeats=known.repeats + 1)
    return in_order(first.values(), _place)


def _place(step: Step) -> Place:
    from schemas.chronology import Place

    cause = None if step.event is None else step.event.causation_id
    aside = step.dead_letter or step.event is None
    return Place(step.time, step.source, step.id, cause, step.topic, step.partition, step.offset, aside)


def read_steps(case_id: str, catalogue: Catalogue, servers: str) -> list[Step]:
    """All records with this key: of each topic the one partition it belongs to, of dead letters every partition.

    A dead letter keeps the partition number it came on, which a foreign client may have chosen.
    """
    from kafka.structs import TopicPartition

    key = case_id.encode()
    with consuming(servers, "kouan-case") as consumer:
        places = _places(key, catalogue, consumer)
        return [
            step_of(record, dead_letters=places[TopicPartition(record.topic, record.partition)])
            for record in records_of(consumer, places, key)
        ]


def _places(key: bytes, catalogue: Catalogue, consumer: KafkaConsumer) -> dict[TopicPartition, bool]:
    """The partitions to read, each with whether dead letters stand there."""
    from kafka.structs import TopicPartition

    from topics.definition import Kind
    from topics.partitioning import partition_of

    there = consumer.topics()
    places: dict[TopicPartition, bool] = {}
    for topic in catalogue.topics.values():
        if topic.name not in there:
            continue
        partitions = consumer.partitions_for_topic(topic.name) or set()
        if topic.kind is Kind.DEAD_LETTERS:
            places.update({TopicPartition(topic.name, number): True for number in partitions})
        elif topic.key.name in CASE_KEYS and partitions:
            places[TopicPartition(topic.name, partition_of(key, len(partitions)))] = False
    if not places:
        fail(
            Exit.BROKER,
            "集群上没有目录中的任何主题。请先运行 kouan topics apply。",
            "The cluster has none of the catalogue's topics. Run `kouan topics apply` first.",
        )
    return places


def step_of(record: Any, *, dead_letters: bool) -> Step:
    """What a record says, whatever state it is in."""
    from schemas.codec import DecodeError, PayloadError, decode

    headers = [(name, value) for name, value in record.headers if value is not None]
    named = {name: value.decode("utf-8", "replace") for name, value in headers}
    stamped = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    place = f"{record.topic}/{record.partition}/{record.offset}"
    base = Step(
        record.topic,
        record.partition,
        record.offset,
        stamped,
        named.get("ce_source", ""),
        named.get("ce_type", ""),
        named.get("ce_id") or place,
    )
    if dead_letters:
        problem = f"{named.get('kouan_reason', '')}: {named.get('kouan_text', '')}"
        letter = named.get("kouan_dead_letter_id", place)
        # Beside what it is of, which stands at the publisher's time, not where it was written off.
        return replace(
            base, time=_moment(named.get("ce_time", "")) or stamped, dead_letter=True, id=letter, problem=problem
        )
    try:
        event = decode(record.key, record.value, headers, as_written=True)
    except PayloadError as error:
        event = error.event
        told = "; ".join(f"{fault.pointer or '/'} {fault.zh}" for fault in error.faults)
        return replace(_of_event(base, event), event=event, problem=told, body=error.body)
    except DecodeError as error:
        return replace(base, problem=f"{error.code}: {error.text}")
    return replace(_of_event(base, event), event=event, body=event.data.model_dump(mode="json", exclude_none=True))


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def _of_event(base: Step, event: Event[Any]) -> Step:
    return replace(base, time=event.time.astimezone(UTC), source=event.source, type=event.type, id=event.id)


def _show_json(case_id: str, steps: list[Step]) -> None:
    import json

    typer.echo(json.dumps({"case": case_id, "steps": [_as_json(step) for step in steps]}, ensure_ascii=False, indent=2))


def _as_json(step: Step) -> dict[str, Any]:
    from topics.titles import title_of

    told: dict[str, Any] = {
        "time": step.time.isoformat(),
        "type": step.type,
        "title": title_of(step.type)._asdict(),
        "source": step.source,
        "id": step.id,
        "topic": step.topic,
        "partition": step.partition,
        "offset": step.offset,
        "repeats": step.repeats,
        "dead_letter": step.dead_letter,
    }
    if step.event is not None:
        told |= {
            "correlationid": step.event.correlation_id,
            "causationid": step.event.causation_id,
            "traceparent": step.event.traceparent,
        }
    if step.problem:
        told["problem"] = step.problem
    if step.body is not None:
        told["data"] = step.body
    return {name: value for name, value in told.items() if value is not None}


def _show_table(case_id: str, steps: list[Step]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("时间 Time (+08:00)", no_wrap=True)
    table.add_column("事件 Event", overflow="fold")
    table.add_column("来源 Source", overflow="fold")
    table.add_column("内容 What", overflow="fold", ratio=1)
    for step in steps:
        moment = step.time.astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(moment, _what_happened(step), Text(step.source.removeprefix("//")), Text(summary(step)))
    console = out()
    console.print(f"案件 Case [bold]{case_id}[/] · {len(steps)} 件事 steps")
    console.print(table)


def _what_happened(step: Step) -> Any:
    from rich.text import Text

    again = f" ×{step.repeats + 1}" if step.repeats else ""
    name = called(step.type) + again
    if step.dead_letter:
        return Text(f"死信 dead letter\n{name}", style="red")
    ours = step.source.startswith("//kouan/")
    return Text(name, style="red" if step.problem else "" if ours else "cyan")


def called(kind: str) -> str:
    """What an event is called in Chinese, and its type without version beneath."""
    from topics.titles import title_of

    if not kind:
        return "不可读 unreadable"
    name, title = kind.rsplit(".v", 1)[0], title_of(kind).zh
    return name if title == kind else f"{title}\n{name}"


def summary(step: Step) -> str:
    """What a step says in a line or two: its problem, or its most telling fields."""
    if step.problem:
        return _cut(step.problem, 240)
    found: dict[str, str] = {}
    _glean(step.body, found)
    told = [(f"{name} " if name in _LABELLED else "") + _cut(found[name], 60) for name in _TELLING if name in found]
    return " · ".join(told)


def _glean(node: Any, found: dict[str, str]) -> None:
    """The first scalar, or list of texts, of each name; outer ones before inner ones."""
    if isinstance(node, list):
        node = node[0] if node else None
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            found.setdefault(name, str(value))
        elif isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            found.setdefault(name, ", ".join(value))
    for name, value in node.items():
        if name not in _WORKINGS:
            _glean(value, found)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
