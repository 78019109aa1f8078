"""Places inside an event's data: what the contract has there, and how data are built up from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any, Final

from schemas.envelope import Payload

_LIST_LIMIT: Final = 100


class Kind(StrEnum):
    """What a cell is read as."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    LIST = "list"


def steps_of(pointer: str) -> tuple[str, ...]:
    """The names on the way of a JSON Pointer."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


@cache
def kind_of(payload: type[Payload], steps: tuple[str, ...]) -> Kind | None:
    """What the contract of a payload has at a place; None where it has nothing, or nothing that fits into one cell."""
    schema = _schema(payload)
    return next((kind for found in _at(schema, schema, steps) if (kind := _kind(schema, found)) is not None), None)


@cache
def place_named(payload: type[Payload], header: str) -> tuple[str, ...] | None:
    """The place that a column's header names, as JSON Pointer or with dots; None if there is none.

    Where one object of the payload alone is required (`referral`), its name may be left out: `enterprise.credit_code`.
    """
    steps = steps_of(header) if header.startswith("/") else tuple(header.split("."))
    needed = _schema(payload).get("required", ())
    ways = [steps, (needed[0], *steps)] if len(needed) == 1 else [steps]
    return next((way for way in ways if kind_of(payload, way) is not None), None)


def put(data: dict[str, Any], steps: Sequence[str], value: Any) -> None:
    """Set what is at a place, making the objects on the way. Numbers count the items of lists: see `with_lists`."""
    for step in steps[:-1]:
        data = data.setdefault(step, {})
    data[steps[-1]] = value


def with_lists(node: Any) -> Any:
    """The same with lists for the objects whose names are 0, 1, 2, …; what is left out between them closes up."""
    if not isinstance(node, dict):
        return node
    if node and all(name.isdecimal() for name in node):
        return [with_lists(node[name]) for name in sorted(node, key=int)]
    return {name: with_lists(child) for name, child in node.items()}


@cache
def _schema(payload: type[Payload]) -> dict[str, Any]:
    return payload.model_json_schema()


def _at(root: Mapping[str, Any], schema: Mapping[str, Any], steps: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    for branch in _branches(root, schema):
        if not steps:
            yield branch
        elif steps[0] in branch.get("properties", ()):
            yield from _at(root, branch["properties"][steps[0]], steps[1:])
        elif branch.get("type") == "array" and steps[0].isdecimal() and int(steps[0]) < _LIST_LIMIT:
            yield from _at(root, branch.get("items", {}), steps[1:])


def _branches(root: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        yield from _branches(root, root["$defs"][schema["$ref"].rpartition("/")[2]])
        return
    for group in ("anyOf", "oneOf", "allOf"):
        for branch in schema.get(group, ()):
            yield from _branches(root, branch)
    if "type" in schema or "properties" in schema or "enum" in schema or "const" in schema:
        yield schema


def _kind(root: Mapping[str, Any], schema: Mapping[str, Any]) -> Kind | None:
    kind = schema.get("type")
    if kind == "array":
        items = list(_branches(root, schema.get("items", {})))
        return Kind.LIST if items and all(_kind(root, item) is Kind.TEXT for item in items) else None
    if kind == "string":
        return {"date": Kind.DATE, "date-time": Kind.TIME}.get(schema.get("format", ""), Kind.TEXT)
    return {"integer": Kind.NUMBER, "number": Kind.NUMBER, "boolean": Kind.BOOLEAN}.get(str(kind))
