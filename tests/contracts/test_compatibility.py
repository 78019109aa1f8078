"""What may change in a contract, case by case: for events that a party writes, and for events that kouan writes."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest

from schemas.compatibility import RULES, Writer, breaks
from schemas.json_schema import documents

PARTY, KOUAN = Writer.PARTY, Writer.KOUAN
KIND: Final = "parcel.sent.v1"

DOCUMENT: Final[dict[str, Any]] = {
    "$id": "urn:kouan:schema:parcel.sent.v1",
    "title": "parcel.sent.v1",
    "type": "object",
    "properties": {
        "weight": {"type": "integer", "minimum": 1, "maximum": 40, "unit": "kg", "description": "Weight"},
        "to": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 40},
        "colour": {"$ref": "#/$defs/Colour", "default": "red"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}, "maxItems": 9},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 9}},
    },
    "required": ["weight", "to", "parts"],
    "additionalProperties": False,
    "$defs": {
        "Colour": {"type": "string", "enum": ["red", "blue"]},
        "Part": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "enum": ["a", "b"]},
                "part": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}], "default": None},
            },
            "required": ["code"],
            "additionalProperties": False,
        },
    },
}

GONE: Final = object()
"""Stands for a value that is taken out."""

Changes = dict[str, Any]


def changed(changes: Changes) -> dict[str, Any]:
    """The document with values put, by path, in place of those there were; or taken out."""
    document = deepcopy(DOCUMENT)
    for path, value in changes.items():
        *parents, last = path.split("/")
        node = document
        for step in parents:
            node = node[step]
        if value is GONE:
            del node[last]
        else:
            node[last] = value
    return document


WEIGHT, TO, PART = "properties/weight", "properties/to", "$defs/Part/properties"

# What changes; where it is told, and by which rule, for a party's events and for kouan's. None: it passes.
CASES: Final[dict[str, tuple[Changes, str, str | None, str | None]]] = {
    "a removed required field": (
        {WEIGHT: GONE, "required": ["to", "parts"]},
        "/weight",
        "field-removed",
        "field-removed",
    ),
    "a removed optional field": ({"properties/note": GONE}, "/note", "field-removed", "field-removed"),
    "a removed field within a list": (
        {f"{PART}/code": GONE, "$defs/Part/required": []},
        "/parts/*/code",
        "field-removed",
        "field-removed",
    ),
    "a new required field": (
        {"properties/from": {"type": "string"}, "required": ["weight", "to", "parts", "from"]},
        "/from",
        "required-added",
        "required-added",
    ),
    "a new required field within a list": (
        {f"{PART}/size": {"type": "integer"}, "$defs/Part/required": ["code", "size"]},
        "/parts/*/size",
        "required-added",
        "required-added",
    ),
    "a new optional field": ({"properties/from": {"type": "string", "default": ""}}, "", None, None),
    "a new optional field within a list": ({f"{PART}/size": {"type": "integer", "default": 1}}, "", None, None),
    "an optional field made required": (
        {"required": ["weight", "to", "parts", "colour"]},
        "/colour",
        "made-required",
        "made-required",
    ),
    "a required field made optional": ({"required": ["to", "parts"]}, "/weight", None, "made-optional"),
    "a narrowed enum": ({"$defs/Colour/enum": ["red"]}, "/colour", "enum-narrowed", "enum-narrowed"),
    "an enum narrowed to one constant": (
        {"$defs/Colour": {"type": "string", "const": "red"}},
        "/colour",
        "enum-narrowed",
        "enum-narrowed",
    ),
    "a widened enum": ({"$defs/Colour/enum": ["red", "blue", "green"]}, "/colour", None, "enum-widened"),
    "an enum in another order": ({"$defs/Colour/enum": ["blue", "red"]}, "", None, None),
    "text that becomes an enum": ({f"{TO}/enum": ["here"]}, "/to", "limit-tightened", "limit-tightened"),
    "an enum that becomes text": ({"$defs/Colour/enum": GONE}, "/colour", None, "limit-loosened"),
    "a changed type": ({f"{WEIGHT}/type": "string"}, "/weight", "type-changed", "type-changed"),
    "a list that becomes an object": (
        {"properties/parts": {"$ref": "#/$defs/Part"}},
        "/parts",
        "type-changed",
        "type-changed",
    ),
    "null no longer allowed": (
        {"properties/note/anyOf": [{"type": "string"}]},
        "/note",
        "type-changed",
        "type-changed",
    ),
    "null allowed as well": (
        {WEIGHT: {**DOCUMENT["properties"]["weight"], "type": ["integer", "null"]}},
        "/weight",
        None,
        "type-widened",
    ),
    "a tightened maximum": ({f"{WEIGHT}/maximum": 30}, "/weight", "limit-tightened", "limit-tightened"),
    "a tightened minimum": ({f"{WEIGHT}/minimum": 2}, "/weight", "limit-tightened", "limit-tightened"),
    "a tightened length": ({f"{TO}/maxLength": 39}, "/to", "limit-tightened", "limit-tightened"),
    "a tightened least length": ({f"{TO}/minLength": 3}, "/to", "limit-tightened", "limit-tightened"),
    "fewer items": ({"properties/parts/maxItems": 8}, "/parts", "limit-tightened", "limit-tightened"),
    "a new limit": ({"properties/parts/minItems": 1}, "/parts", "limit-tightened", "limit-tightened"),
    "a tightened value under a name of its own": (
        {"properties/labels/additionalProperties/maxLength": 8},
        "/labels/*",
        "limit-tightened",
        "limit-tightened",
    ),
    "a loosened maximum": ({f"{WEIGHT}/maximum": 50}, "/weight", None, "limit-loosened"),
    "a loosened minimum": ({f"{WEIGHT}/minimum": 0}, "/weight", None, "limit-loosened"),
    "a limit taken out": ({f"{TO}/maxLength": GONE}, "/to", None, "limit-loosened"),
    "a changed pattern": ({f"{TO}/pattern": "^[a-z]*$"}, "/to", "form-changed", "form-changed"),
    "a new format": ({f"{TO}/format": "email"}, "/to", "limit-tightened", "limit-tightened"),
    "an object opened": ({"additionalProperties": True}, "", "form-changed", "form-changed"),
    "a changed default": ({"properties/colour/default": "blue"}, "/colour", "default-changed", "default-changed"),
    "a changed unit": ({f"{WEIGHT}/unit": "lb"}, "/weight", "unit-changed", "unit-changed"),
    "other words": ({f"{WEIGHT}/description": "How heavy", "title": "x", "examples": [{}]}, "", None, None),
    "a keyword that the rules do not know": ({f"{TO}/contains": 1}, "/to", "limit-tightened", "limit-tightened"),
    "a definition by another name": (
        {"$defs/Paint": DOCUMENT["$defs"]["Colour"], "properties/colour/$ref": "#/$defs/Paint"},
        "",
        None,
        None,
    ),
}


@pytest.mark.parametrize("writer", Writer)
@pytest.mark.parametrize("name", CASES)
def test_change_of_one_type(name: str, writer: Writer) -> None:
    changes, pointer, of_party, of_kouan = CASES[name]
    rule = of_party if writer is PARTY else of_kouan
    found = breaks({KIND: DOCUMENT}, {KIND: changed(changes)}, {KIND: {writer}})
    assert [(one.type, one.pointer, one.rule) for one in found] == ([(KIND, pointer, rule)] if rule else [])
    assert all(one.zh and one.en and "{" not in one.zh + one.en for one in found)


def test_every_rule_has_a_case() -> None:
    shown = {rule for _, _, *rules in CASES.values() for rule in rules}
    assert set(RULES) - shown == {"type-removed"}


@pytest.mark.parametrize("writer", Writer)
def test_removed_type_is_refused(writer: Writer) -> None:
    (found,) = breaks({KIND: DOCUMENT}, {}, {KIND: {writer}})
    assert (found.type, found.pointer, found.rule) == (KIND, "", "type-removed")


def test_renamed_type_is_a_removed_one_and_a_new_one_and_is_told_so() -> None:
    (found,) = breaks({KIND: DOCUMENT}, {"parcel.posted.v1": DOCUMENT}, {"parcel.posted.v1": {PARTY}})
    assert (found.type, found.rule) == (KIND, "type-removed")
    assert "改名" in found.zh
    assert "renamed" in found.en


@pytest.mark.parametrize("kind", ["parcel.lost.v1", "parcel.sent.v2"])
def test_new_event_and_new_version_pass(kind: str) -> None:
    other = changed({WEIGHT: GONE, "required": ["to"]})
    assert breaks({KIND: DOCUMENT}, {KIND: DOCUMENT, kind: other}, {KIND: {PARTY}, kind: {PARTY}}) == ()


def test_type_that_both_write_or_nobody_is_known_to_write_is_held_to_all_rules() -> None:
    new = {KIND: changed({"$defs/Colour/enum": ["red", "blue", "green"]})}
    for writers in ({KIND: {PARTY, KOUAN}}, {}):
        assert [one.rule for one in breaks({KIND: DOCUMENT}, new, writers)] == ["enum-widened"]


def test_all_that_breaks_is_told_at_once_with_the_field_and_what_changed() -> None:
    new = changed(
        {"$defs/Colour/enum": ["blue"], f"{WEIGHT}/maximum": 30, "properties/note": GONE, f"{PART}/code": GONE}
    )
    found = breaks({KIND: DOCUMENT, "x.gone.v1": DOCUMENT}, {KIND: new}, {KIND: {PARTY}})
    assert [(one.type, one.pointer, one.rule) for one in found] == [
        (KIND, "/weight", "limit-tightened"),
        (KIND, "/colour", "enum-narrowed"),
        (KIND, "/note", "field-removed"),
        (KIND, "/parts/*/code", "field-removed"),
        ("x.gone.v1", "", "type-removed"),
    ]
    assert "maximum was tightened from 40 to 30" in found[0].en
    assert "red" in found[1].zh


def test_readme_tells_the_rules_as_they_are() -> None:
    text = (Path(__file__).parents[2] / "schemas" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|]+\| `([a-z-]+)` \| (\w+) \| (\w+) \|$", text, re.MULTILINE)
    says = {True: "refused", False: "passes"}
    assert {rule: told for rule, *told in rows} == {
        code: [says[writer in rule.refused_of] for writer in (PARTY, KOUAN)] for code, rule in RULES.items()
    }


def test_nothing_is_found_between_the_contracts_and_themselves() -> None:
    current = documents()
    assert breaks(current, deepcopy(current), {}) == ()
