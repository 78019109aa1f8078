"""The published documents are those of the code, and say the same of every example as the code does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from schemas.json_schema import EXAMPLES, PUBLISHED, contracts, documents, file_of, written

TYPES = contracts()

BEYOND_JSON_SCHEMA: Final = frozenset(
    {
        "action_repeated",
        "amount_not_positive",
        "country_unknown",
        "credit_code_check",
        "digest_mismatch",
        "figure_repeated",
        "own_deputy",
        "part_or_project",
        "percent_not_positive",
        "period_backwards",
        "reason_contradicts_verdict",
        "reason_missing",
        "role_not_of_side",
        "share_not_expected",
        "share_unclear",
        "unit_not_of_role",
    }
)
"""Faults that no document can state: check characters, and what one field demands of another."""


def _examples(which: str) -> list[Any]:
    paths = [(kind, path) for kind in TYPES for path in sorted((EXAMPLES / kind).glob(f"{which}-*.json"))]
    return [pytest.param(kind, path, id=f"{kind}/{path.stem}") for kind, path in paths]


_FORMATS: Final = FormatChecker()


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    """RFC 3339, which asks for an offset."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(file_of(kind).read_bytes()), format_checker=_FORMATS)


def _objects(node: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every description of an object with named fields, with its place."""
    if isinstance(node, dict):
        if "properties" in node:
            yield where, node
        for name, child in node.items():
            if name not in ("examples", "default"):
                yield from _objects(child, f"{where}/{name}")
    elif isinstance(node, list):
        for position, child in enumerate(node):
            yield from _objects(child, f"{where}/{position}")


def test_what_is_published_is_what_the_code_says() -> None:
    published = {path.stem: path.read_text(encoding="utf-8") for path in PUBLISHED.glob("*.json")}
    current = {kind: written(document) for kind, document in documents().items()}
    differing = sorted(kind for kind in published | current if published.get(kind) != current.get(kind))
    assert differing == [], "run `kouan schemas export`; it refuses what would break somebody, and says why"


@pytest.mark.parametrize("kind", TYPES)
def test_document_is_sound_by_the_meta_schema_and_names_its_type(kind: str) -> None:
    document = json.loads(file_of(kind).read_bytes())
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == f"urn:kouan:schema:{kind}"
    assert document["title"] == kind
    assert document["description"]
    assert document["examples"]


@pytest.mark.parametrize("kind", TYPES)
def test_every_object_in_a_document_is_closed(kind: str) -> None:
    document = json.loads(file_of(kind).read_bytes())
    described = list(_objects(document))
    assert described
    assert [where for where, schema in described if schema.get("additionalProperties") is not False] == []


@pytest.mark.parametrize(("kind", "path"), _examples("valid"))
def test_valid_example_is_valid_by_the_document(kind: str, path: Path) -> None:
    assert [error.message for error in _validator(kind).iter_errors(json.loads(path.read_bytes()))] == []


@pytest.mark.parametrize(("kind", "path"), _examples("invalid"))
def test_invalid_example_is_invalid_by_the_document_where_a_document_can_say_so(kind: str, path: Path) -> None:
    example = json.loads(path.read_bytes())
    codes = {code for code, _ in example["faults"]}
    assert _validator(kind).is_valid(example["body"]) is (codes <= BEYOND_JSON_SCHEMA)


def test_readme_names_the_faults_that_no_document_can_state() -> None:
    text = (PUBLISHED.parent / "README.md").read_text(encoding="utf-8")
    assert [code for code in sorted(BEYOND_JSON_SCHEMA) if f"`{code}`" not in text] == []
