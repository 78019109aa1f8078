"""How the columns of somebody's table become events: a small YAML or JSON file, checked strictly and all at once."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from schemas.envelope import payload_class
from schemas.faults import Fault, faults_of, pointer_to
from schemas.loading import load_contracts
from services.client.pointers import Kind, kind_of, steps_of

MAPPING_LIMIT: Final = 64 * 1024
"""A mapping file is no longer than this, in bytes."""

_POINTER: Final = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*|/[0-9]{1,2})+")


class MappingError(Exception):
    """The mapping can't be used; `faults` are all that is wrong with it, with pointers into the mapping."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.en}" for fault in faults))


def _pointer(text: str) -> str:
    if _POINTER.fullmatch(text) is None:
        raise PydanticCustomError(
            "bad_pointer",
            "Not a JSON Pointer into the event's data; write it like /referral/amount/amount.",
            {"zh": "不是指向 data 内字段的 JSON Pointer，请写成 /referral/amount/amount 的形式。"},
        )
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        raise PydanticCustomError(
            "unknown_zone",
            "Not a time zone; write it like Asia/Shanghai.",
            {"zh": "不是时区名称，请写成 Asia/Shanghai 的形式。"},
        ) from None
    return text


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Pointer = Annotated[str, AfterValidator(_pointer)]
"""A JSON Pointer into the event's data."""

Column = Annotated[str, Field(min_length=1, max_length=200)]
"""A column by its header."""

Constant = Annotated[str, Field(max_length=4000)] | int | bool


class Entry(BaseModel):
    """Base of everything in a mapping: unknown names are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class FromColumn(Entry):
    """An attribute that stands in a column."""

    column: Column


class Target(Entry):
    """Where a column goes: to one place of the data or several, read as what the contract has there, or as told.

    `default` stands for an empty cell; `codes` replaces what people write by what the contract calls it.
    """

    to: Annotated[tuple[Pointer, ...], BeforeValidator(_listed), Field(min_length=1, max_length=8)]
    as_: Kind | None = Field(None, alias="as")
    default: Constant | None = None
    codes: dict[str, str] = {}


def _target(value: Any) -> Any:
    return {"to": value} if isinstance(value, str | list) else value


Attribute = Annotated[
    FromColumn | Annotated[str, Field(min_length=1, max_length=256)], Field(union_mode="left_to_right")
]
"""The same for every row, or what stands in a column."""


class Mapping(Entry):
    """What a table means. What is not told here comes from the column of the same name: type, source, subject, …

    `reference` names the columns that identify a row in the publisher's own books: the event's id is derived from them.
    `zone` is the time zone of times that are written without one.
    """

    type: Attribute | None = None
    source: Attribute | None = None
    subject: Column | None = None
    reference: Annotated[tuple[Column, ...], BeforeValidator(_listed), Field(max_length=8)] = ()
    time: Attribute | None = None
    zone: Annotated[str, AfterValidator(_zone)] = "Asia/Shanghai"
    sheet: str | None = None
    fields: dict[Column, Annotated[Target, BeforeValidator(_target)]] = {}
    constants: dict[Pointer, Constant] = {}
    ignore: Annotated[tuple[Column, ...], BeforeValidator(_listed)] = ()

    @model_validator(mode="after")
    def _places_are_given_once(self) -> Self:
        given = [pointer for target in self.fields.values() for pointer in target.to] + list(self.constants)
        twice = sorted({pointer for pointer in given if given.count(pointer) > 1})
        if twice:
            raise PydanticCustomError(
                "repeated_pointer",
                "More than one column or constant goes to {places}; leave one.",
                {
                    "zh": f"多个列或常量写入同一字段 {', '.join(twice)[:200]}，请只保留一个。",
                    "places": ", ".join(twice)[:200],
                },
            )
        return self


def read_mapping(data: bytes | Path, name: str | None = None) -> Mapping:
    """The mapping in a file. JSON where the name ends in `.json`, else YAML.

    Raises:
        MappingError: with every fault.
    """
    if isinstance(data, Path):
        name = name or data.name
        with data.open("rb") as file:
            data = file.read(MAPPING_LIMIT + 1)
    if len(data) > MAPPING_LIMIT:
        raise _unreadable(f"映射文件超过 {MAPPING_LIMIT // 1024} KB。", f"it is longer than {MAPPING_LIMIT // 1024} KB")
    try:
        text = data.decode("utf-8-sig")
        raw = _json(text) if name and name.lower().endswith(".json") else _yaml(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        why = str(error).strip().replace("\n", " ")[:200] or type(error).__name__
        raise _unreadable(f"映射文件无法读取：{why}", f"it can't be read: {why}") from None
    try:
        mapping = Mapping.model_validate(raw)
    except ValidationError as error:
        raise MappingError(faults_of(error)) from None
    faults = tuple(_strange_pointers(mapping))
    if faults:
        raise MappingError(faults)
    return mapping


def _unreadable(zh: str, en: str) -> MappingError:
    return MappingError((Fault(code="bad_mapping", pointer="", zh=zh, en=f"The mapping is unusable: {en}"),))


def _strange_pointers(mapping: Mapping) -> Iterator[Fault]:
    """Places that the contract does not have; seen only where the type is the same for every row."""
    if not isinstance(mapping.type, str):
        return
    load_contracts()
    payload = payload_class(mapping.type)
    if payload is None:
        yield Fault(
            code="unknown_type",
            pointer="/type",
            zh=f"未知的事件类型 {mapping.type[:80]}，请核对。",
            en=f"There is no event type {mapping.type[:80]}; check it.",
        )
        return
    for place, pointer in _places(mapping):
        if kind_of(payload, steps_of(pointer)) is None:
            yield Fault(
                code="unknown_field",
                pointer=place,
                zh=f"{mapping.type} 中没有可填写的字段 {pointer}，请核对。",
                en=f"{mapping.type} has no field {pointer} that a cell could fill; check it.",
            )


def _places(mapping: Mapping) -> Iterator[tuple[str, str]]:
    for column, target in mapping.fields.items():
        for pointer in target.to:
            yield pointer_to(("fields", column)), pointer
    for pointer in mapping.constants:
        yield pointer_to(("constants", pointer)), pointer


def _json(text: str) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a name is given twice in one object")
        return found

    return json.loads(text, object_pairs_hook=once)


class _Loader(yaml.BaseLoader):
    """Everything stays text: no `NO` becomes a falsehood, no time loses its offset. Aliases and repeats are refused."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not taken; write it out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            raise yaml.YAMLError(f"a name is given twice below line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def _yaml(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
