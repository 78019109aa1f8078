"""What may change in a published contract without breaking those who write its events or those who read them.

Two documents of one type (see `json_schema`) are walked side by side. Whoever writes holds to the closed schema, so a
party's event must go on being accepted. Whoever reads keeps code for what was promised, and events stay on their topics
for ever, so that what kouan writes may only gain optional fields. README.md holds the rules as a table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from schemas.faults import pointer_to

Document = Mapping[str, Any]


class Writer(StrEnum):
    """Who writes events of a type."""

    PARTY = "party"
    KOUAN = "kouan"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a change of a kind means: its texts, and for whose events it is refused."""

    zh: str
    en: str
    refused_of: frozenset[Writer] = frozenset(Writer)


_OF_KOUAN: Final = frozenset({Writer.KOUAN})

RULES: Final[Mapping[str, Rule]] = {
    "type-removed": Rule(
        "事件类型已删除或改名（改名即删除旧类型、新增另一类型）；请保留旧类型，新内容另立新版本。",
        "The event type is gone; a renamed one is a removed one and a new one. Keep it, and add a new version.",
    ),
    "field-removed": Rule(
        "字段已删除或改名：仍在发送它的系统会被拒绝，读取它的系统会缺少它。",
        "The field was removed or renamed: who still sends it is refused, who reads it misses it.",
    ),
    "required-added": Rule(
        "新增了必填字段：现有发送方没有它，主题上已有的事件也没有它；请设为可选。",
        "A new field is required: present writers do not send it, and events on the topics lack it; make it optional.",
    ),
    "made-required": Rule(
        "可选字段改为必填：现有发送方和主题上已有的事件可能没有它。",
        "An optional field became required: present writers and events on the topics may lack it.",
    ),
    "made-optional": Rule(
        "必填字段改为可选：读取方一直指望它存在。",
        "A required field became optional: readers count on its being there.",
        _OF_KOUAN,
    ),
    "enum-narrowed": Rule(
        "代码范围缩小，不再有 {old}：发送方和已有事件仍在使用。",
        "The codes {old} are gone: writers and events on the topics use them.",
    ),
    "enum-widened": Rule(
        "代码范围扩大，新增 {new}：现有读取方不认识。",
        "The codes {new} are new: present readers do not know them.",
        _OF_KOUAN,
    ),
    "type-changed": Rule(
        "类型由 {old} 改为 {new}。",
        "The type changed from {old} to {new}.",
    ),
    "type-widened": Rule(
        "类型增加了 {new}：现有读取方不会处理。",
        "The type may now be {new} too: present readers do not expect it.",
        _OF_KOUAN,
    ),
    "limit-tightened": Rule(
        "{name} 由 {old} 收紧为 {new}：原先允许的内容会被拒绝。",
        "{name} was tightened from {old} to {new}: what was allowed is refused now.",
    ),
    "limit-loosened": Rule(
        "{name} 由 {old} 放宽为 {new}：读取方按原限制准备。",
        "{name} was loosened from {old} to {new}: readers made room for what was promised.",
        _OF_KOUAN,
    ),
    "form-changed": Rule(
        "{name} 由 {old} 改为 {new}：原先符合的内容可能不再符合。",
        "{name} changed from {old} to {new}: what had the right form may no longer have it.",
    ),
    "default-changed": Rule(
        "缺省值由 {old} 改为 {new}：未填写者的含义随之改变。",
        "The default changed from {old} to {new}: what is left out would mean something else.",
    ),
    "unit-changed": Rule(
        "单位由 {old} 改为 {new}：同一数字的含义随之改变。",
        "The unit changed from {old} to {new}: the same number would mean something else.",
    ),
}
"""All rules by their stable code. What is in none of them passes: optional fields, new types and versions, texts."""


@dataclass(frozen=True, slots=True)
class Break:
    """One change that breaks somebody.

    `pointer` is the JSON Pointer (RFC 6901) to the field in the event's body, empty for the whole; where it goes into
    an array or into an object with names of its own, `*` stands for any place.
    """

    type: str
    pointer: str
    rule: str
    zh: str
    en: str


def breaks(
    old: Mapping[str, Document], new: Mapping[str, Document], writers: Mapping[str, Collection[Writer]]
) -> tuple[Break, ...]:
    """All that breaks somebody between two sets of documents by type, in the order of types.

    `writers` says by type who writes; for a type that is not in it, all rules hold.
    """
    found: list[Break] = []
    for kind, before in sorted(old.items()):
        if kind not in new:
            found.append(_broken(kind, _Change("type-removed", ())))
            continue
        held_to = frozenset(writers.get(kind) or Writer)
        changes = _Comparison(before, new[kind]).changes(before, new[kind], ())
        found += [_broken(kind, change) for change in changes if RULES[change.rule].refused_of & held_to]
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Change:
    rule: str
    where: tuple[str, ...]
    old: Any = None
    new: Any = None
    name: str = ""


def _broken(kind: str, change: _Change) -> Break:
    rule, told = RULES[change.rule], {"name": change.name, "old": _told(change.old), "new": _told(change.new)}
    zh, en = rule.zh.format_map(told), rule.en.format_map(told)
    return Break(kind, pointer_to(change.where), change.rule, zh, en)


def _told(value: Any) -> str:
    if value is _ABSENT:
        return "—"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


class _Absent:
    """What stands for a keyword that is not there: None is a value of some."""


_ABSENT: Final = _Absent()

_SILENT: Final = frozenset({"$schema", "$id", "$defs", "$ref", "title", "description", "examples"})
"""Keywords that say nothing of what may be sent, or that are followed elsewhere."""

_WALKED: Final = frozenset(
    {"type", "enum", "const", "anyOf", "oneOf", "properties", "required", "items", "additionalProperties"}
    | {"propertyNames", "default", "unit"}
)

_AT_MOST: Final = frozenset({"maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties"})
_AT_LEAST: Final = frozenset({"minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties"})


class _Comparison:
    """Two documents, each with the definitions that its references point to."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old = old.get("$defs", {})
        self._new = new.get("$defs", {})
        self._open: set[tuple[str | None, str | None]] = set()

    def changes(self, old: Document, new: Document, where: tuple[str, ...]) -> Iterator[_Change]:
        """What differs between two schemas of one place."""
        yield from _meaning(_resolved(old, self._old), _resolved(new, self._new), where)
        before, after = self._alternatives(old, self._old), self._alternatives(new, self._new)
        gone, added = [kind for kind in before if kind not in after], [kind for kind in after if kind not in before]
        if gone:
            yield _Change("type-changed", where, list(before), list(after))
        elif added:
            yield _Change("type-widened", where, new=added)
        for kind in before:
            if kind in after:
                yield from self._of_one_type(before[kind], after[kind], where)

    def _alternatives(self, schema: Document, definitions: Document) -> dict[str, Document]:
        """The types that a schema allows, each with its own part of the schema."""
        found: dict[str, Document] = {}
        whole = _resolved(schema, definitions)
        for branch in whole.get("anyOf") or whole.get("oneOf") or [schema]:
            types = _resolved(branch, definitions).get("type", "any")
            for kind in types if isinstance(types, list) else [types]:
                # Two objects side by side are told apart by their place alone.
                name = kind if kind not in found else f"{kind} {len(found) + 1}"
                found[name] = branch
        return found

    def _of_one_type(self, old: Document, new: Document, where: tuple[str, ...]) -> Iterator[_Change]:
        names = (_reference(old), _reference(new))
        if names in self._open:
            return  # A model that holds itself is compared where it is met first.
        if names != (None, None):
            self._open.add(names)
        yield from self._between(_resolved(old, self._old), _resolved(new, self._new), where)
        self._open.discard(names)

    def _between(self, old: Document, new: Document, where: tuple[str, ...]) -> Iterator[_Change]:
        yield from _codes(old, new, where)
        yield from _limits(old, new, where)
        yield from self._fields(old, new, where)
        for keyword in ("items", "additionalProperties", "propertyNames"):
            if isinstance(old.get(keyword), Mapping) and isinstance(new.get(keyword), Mapping):
                yield from self.changes(old[keyword], new[keyword], (*where, "*"))
            elif old.get(keyword) != new.get(keyword):
                yield _Change("form-changed", where, old.get(keyword, _ABSENT), new.get(keyword, _ABSENT), keyword)

    def _fields(self, old: Document, new: Document, where: tuple[str, ...]) -> Iterator[_Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        for name, schema in before.items():
            place = (*where, name)
            if name not in after:
                yield _Change("field-removed", place)
                continue
            if name in needed_after - needed_before:
                yield _Change("made-required", place)
            if name in needed_before - needed_after:
                yield _Change("made-optional", place)
            yield from self.changes(schema, after[name], place)
        for name in after:
            if name not in before and name in needed_after:
                yield _Change("required-added", (*where, name))


def _reference(schema: Document) -> str | None:
    name = schema.get("$ref")
    return name.rpartition("/")[2] if isinstance(name, str) else None


def _resolved(schema: Document, definitions: Document) -> Document:
    """The schema with what its reference names; what stands beside the reference goes before it."""
    name = _reference(schema)
    return schema if name is None else {**_resolved(definitions[name], definitions), **schema}


def _meaning(old: Document, new: Document, where: tuple[str, ...]) -> Iterator[_Change]:
    for keyword, rule in (("default", "default-changed"), ("unit", "unit-changed")):
        before, after = old.get(keyword, _ABSENT), new.get(keyword, _ABSENT)
        # A default that comes or goes is told as a field that became optional or required.
        if before != after and (rule == "unit-changed" or _ABSENT not in (before, after)):
            yield _Change(rule, where, before, after)


def _codes(old: Document, new: Document, where: tuple[str, ...]) -> Iterator[_Change]:
    before, after = _codes_of(old), _codes_of(new)
    if before is not None and after is not None:
        gone = [code for code in before if code not in after]
        added = [code for code in after if code not in before]
        if gone:
            yield _Change("enum-narrowed", where, old=gone)
        if added:
            yield _Change("enum-widened", where, new=added)
    elif after is not None:
        yield _Change("limit-tightened", where, _ABSENT, after, "enum")
    elif before is not None:
        yield _Change("limit-loosened", where, before, _ABSENT, "enum")


def _codes_of(schema: Document) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    codes = schema.get("enum")
    return None if codes is None else list(codes)


def _limits(old: Document, new: Document, where: tuple[str, ...]) -> Iterator[_Change]:
    for keyword in sorted((old.keys() | new.keys()) - _SILENT - _WALKED):
        before, after = old.get(keyword, _ABSENT), new.get(keyword, _ABSENT)
        if before == after:
            continue
        if before is _ABSENT:
            rule = "limit-tightened"
        elif after is _ABSENT:
            rule = "limit-loosened"
        elif keyword in _AT_MOST:
            rule = "limit-tightened" if after < before else "limit-loosened"
        elif keyword in _AT_LEAST:
            rule = "limit-tightened" if after > before else "limit-loosened"
        else:
            rule = "form-changed"
        yield _Change(rule, where, before, after, keyword)
