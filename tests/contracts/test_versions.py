"""Several versions of one type: none is left out, and each is read as the newest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.envelope import Payload
from schemas.json_schema import EXAMPLES, contracts
from schemas.upcasting import STEPS, newest, upcast

TYPES = contracts()
OUTDATED = [kind for kind, cls in TYPES.items() if cls in STEPS]


def _versions() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for kind in TYPES:
        stem, _, version = kind.rpartition(".v")
        found.setdefault(stem, []).append(int(version))
    return found


def _examples() -> list[Any]:
    paths = [(kind, path) for kind in OUTDATED for path in sorted((EXAMPLES / kind).glob("valid-*.json"))]
    return [pytest.param(TYPES[kind], path, id=f"{kind}/{path.stem}") for kind, path in paths]


def test_a_type_with_two_versions_is_there_to_try_all_this_on() -> None:
    assert OUTDATED


@pytest.mark.parametrize(("stem", "versions"), _versions().items())
def test_versions_follow_one_another_and_all_but_the_newest_are_read_as_it(stem: str, versions: list[int]) -> None:
    assert sorted(versions) == list(range(1, len(versions) + 1))
    latest = TYPES[f"{stem}.v{len(versions)}"]
    assert [newest(TYPES[f"{stem}.v{version}"]) for version in versions] == [latest] * len(versions)


@pytest.mark.parametrize("kind", TYPES)
def test_the_newest_class_has_the_plain_name_and_older_ones_end_in_their_version(kind: str) -> None:
    name, version = TYPES[kind].__name__, kind.rpartition(".v")[2]
    assert name == (f"{newest(TYPES[kind]).__name__}V{version}" if kind in OUTDATED else name.rstrip("0123456789"))


@pytest.mark.parametrize(("cls", "path"), _examples())
def test_what_is_read_as_the_newest_version_is_sound_in_it(cls: type[Payload], path: Path) -> None:
    read = upcast(cls.model_validate_json(path.read_bytes()))
    assert type(read) is newest(cls)
    assert type(read).model_validate_json(read.model_dump_json(exclude_none=True), extra="forbid") == read
