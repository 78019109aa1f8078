"""What holds for every payload type: told in full, with examples that are right and examples that are wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from schemas.envelope import EVENT_LIMIT, Model
from schemas.faults import faults_of
from schemas.json_schema import EXAMPLES, contracts

TYPES = contracts()


def _examples(kind: str, which: str) -> list[Path]:
    return sorted((EXAMPLES / kind).glob(f"{which}-*.json"))


def _all_examples(which: str) -> list[Any]:
    return [pytest.param(kind, path, id=f"{kind}/{path.stem}") for kind in TYPES for path in _examples(kind, which)]


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _all_models() -> dict[str, type[Model]]:
    found: dict[str, type[Model]] = {}
    waiting: list[type[Model]] = list(TYPES.values())
    while waiting:
        model = waiting.pop()
        if model.__qualname__ not in found:
            found[model.__qualname__] = model
            waiting += [inner for field in model.model_fields.values() for inner in _models_in(field.annotation)]
    return dict(sorted(found.items()))


def _all_fields() -> list[Any]:
    return [
        pytest.param(field, id=f"{name}.{field_name}")
        for name, model in _all_models().items()
        for field_name, field in model.model_fields.items()
    ]


def _is_number(annotation: Any) -> bool:
    return annotation in (int, float, Decimal) or any(_is_number(argument) for argument in get_args(annotation))


def test_there_are_contracts() -> None:
    assert "referral.submitted.v1" in TYPES


@pytest.mark.parametrize("kind", TYPES)
def test_type_is_lower_case_words_with_a_version(kind: str) -> None:
    stem, _, version = kind.rpartition(".")
    assert version[0] == "v"
    assert int(version[1:]) >= 1
    assert all(word.isidentifier() and word == word.lower() for word in stem.split("."))


@pytest.mark.parametrize("kind", TYPES)
def test_type_has_a_docstring_of_its_own(kind: str) -> None:
    assert (TYPES[kind].__dict__.get("__doc__") or "").strip()


@pytest.mark.parametrize("field", _all_fields())
def test_field_has_description_and_example(field: FieldInfo) -> None:
    assert field.description, "no description"
    assert field.examples, "no example"


@pytest.mark.parametrize("field", _all_fields())
def test_number_has_a_unit(field: FieldInfo) -> None:
    if _is_number(field.annotation):
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        assert extra.get("unit"), 'no json_schema_extra=unit("…")'


@pytest.mark.parametrize("field", _all_fields())
def test_examples_of_a_field_are_sound_values_of_it(field: FieldInfo) -> None:
    assert field.examples
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])
    for example in field.examples:
        adapter.validate_json(json.dumps(example), extra="forbid")


@pytest.mark.parametrize("which", ["valid", "invalid"])
@pytest.mark.parametrize("kind", TYPES)
def test_type_has_examples(kind: str, which: str) -> None:
    assert _examples(kind, which), f"no schemas/examples/{kind}/{which}-*.json"


def test_every_example_belongs_to_a_type() -> None:
    strays = [
        path.relative_to(EXAMPLES).as_posix()
        for path in EXAMPLES.rglob("*")
        if path.is_file()
        and not (path.parent.name in TYPES and path.suffix == ".json" and path.name.startswith(("valid-", "invalid-")))
    ]
    assert strays == []


@pytest.mark.parametrize(("kind", "path"), _all_examples("valid"))
def test_valid_example_is_accepted_from_a_publisher(kind: str, path: Path) -> None:
    TYPES[kind].model_validate_json(path.read_bytes(), extra="forbid")


@pytest.mark.parametrize(("kind", "path"), _all_examples("valid"))
def test_valid_example_survives_being_written_and_read_again(kind: str, path: Path) -> None:
    payload = TYPES[kind].model_validate_json(path.read_bytes())
    written = payload.model_dump_json(exclude_none=True)
    assert len(written.encode()) <= EVENT_LIMIT
    assert TYPES[kind].model_validate_json(written, extra="forbid") == payload


@pytest.mark.parametrize(("kind", "path"), _all_examples("valid"))
def test_unknown_field_is_refused_from_a_publisher_and_ignored_by_a_reader(kind: str, path: Path) -> None:
    body = {**json.loads(path.read_bytes()), "not_in_the_contract": 1}
    assert TYPES[kind].model_validate(body) == TYPES[kind].model_validate_json(path.read_bytes())
    with pytest.raises(ValidationError) as caught:
        TYPES[kind].model_validate(body, extra="forbid")
    assert [(fault.code, fault.pointer) for fault in faults_of(caught.value)] == [
        ("unknown_field", "/not_in_the_contract")
    ]


@pytest.mark.parametrize(("kind", "path"), _all_examples("invalid"))
def test_invalid_example_gives_exactly_the_faults_it_says(kind: str, path: Path) -> None:
    example = json.loads(path.read_bytes())
    with pytest.raises(ValidationError) as caught:
        TYPES[kind].model_validate_json(json.dumps(example["body"]), extra="forbid")
    faults = faults_of(caught.value)
    assert sorted([fault.code, fault.pointer] for fault in faults) == sorted(example["faults"])
    assert all(fault.zh and fault.en for fault in faults)
