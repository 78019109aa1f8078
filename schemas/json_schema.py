"""Contracts as JSON Schema 2020-12: one document for each event type and version, for clients in any language.

The documents take the writer's view, which is closed: an object holds no other fields than those named. Readers are to
ignore what they do not know. `published/` holds them as last exported; what may change in them stands in README.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from schemas.envelope import Payload, registered_types
from schemas.loading import load_contracts

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

PUBLISHED: Final = Path(__file__).with_name("published")
"""The folder of the documents as last exported."""

EXAMPLES: Final = Path(__file__).with_name("examples")
"""The folder of bodies that are right, and of bodies that are wrong, for each type."""


def contracts() -> dict[str, type[Payload]]:
    """The payload classes of this package by event type, sorted: others may be registered too, by tests for example."""
    load_contracts()
    return {kind: cls for kind, cls in registered_types().items() if cls.__module__.partition(".")[0] == __package__}


def documents(examples: Path = EXAMPLES) -> dict[str, JsonSchemaValue]:
    """The documents of all contracts, by event type."""
    return {kind: document(cls, examples) for kind, cls in contracts().items()}


def document(cls: type[Payload], examples: Path = EXAMPLES) -> JsonSchemaValue:
    """The document of one type; the valid bodies found in `examples` stand in it."""
    schema = cls.model_json_schema(schema_generator=_Closed)
    valid = [json.loads(path.read_bytes()) for path in sorted((examples / cls.TYPE).glob("valid-*.json"))]
    head = {"$schema": DIALECT, "$id": f"urn:kouan:schema:{cls.TYPE}", "title": cls.TYPE}
    return {**head, **{name: value for name, value in schema.items() if name not in head}, "examples": valid}


def written(document: JsonSchemaValue) -> str:
    """A document as text. Its order is that of the contract, so that equal contracts give equal text."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def file_of(kind: str, folder: Path = PUBLISHED) -> Path:
    """Where the document of a type stands in a folder of them."""
    return folder / f"{kind}.json"


def read(folder: Path = PUBLISHED) -> dict[str, JsonSchemaValue]:
    """The documents in a folder, by event type.

    Raises:
        ValueError: a file is not a JSON object.
    """
    found: dict[str, JsonSchemaValue] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if not isinstance(content, dict):
            raise ValueError(f"{path}: not a JSON object")
        found[path.stem] = content
    return found


class _Closed(GenerateJsonSchema):
    """Closes every object that a model describes; keeps the contract's order of fields, and adds no titles."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        described = super().model_schema(schema)
        if "properties" in described:
            described["additionalProperties"] = False
        return described

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value
