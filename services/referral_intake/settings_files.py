"""Reads what operators may change, strictly: all faults of a file at once, so that a wrong file stops the start."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from services.referral_intake.domain.limits import Limits
from services.referral_intake.domain.scopes import Scope

DUPLICATES: Final = Path(__file__).with_name("duplicates.yaml")
LIMITS: Final = Path(__file__).with_name("limits.yaml")

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

T = TypeVar("T")


class SettingsFileError(ValueError):
    """A file cannot be used: says which, where in it, and what is wrong."""


def load_scopes(path: Path = DUPLICATES) -> tuple[Scope, ...]:
    """The scopes of duplicates and resemblances, in the order in which they are asked. Raises SettingsFileError."""
    file = _read(path, dict[str, tuple[Scope, ...]])
    faults = [f"{name}: unknown" for name in file if name != "scopes"] + list(_faults(file.get("scopes", ())))
    if faults:
        raise SettingsFileError(f"{path}: {'; '.join(faults)}")
    return file.get("scopes", ())


def load_limits(path: Path = LIMITS) -> Limits:
    """The limits of what is plausible. Raises SettingsFileError."""
    return _read(path, Limits)


def _faults(scopes: tuple[Scope, ...]) -> Iterator[str]:
    names = Counter(scope.name for scope in scopes)
    yield from (f"scopes: {name} is given twice" for name, number in names.items() if number > 1)
    for scope in scopes:
        if _CODE.fullmatch(scope.name) is None:
            yield f"scopes: {scope.name!r} is no code of lower-case letters, digits and underscores"
        if not scope.of or not scope.subjects:
            yield f"scopes: {scope.name} needs parts and subjects"
        if scope.window is not None and not 0 < scope.window.step <= scope.window.days:
            yield f"scopes: {scope.name} needs a window of days and a step of at least 1 and at most so many"


def _read(path: Path, kind: type[T]) -> T:
    # As the value of a mapping, because a dataclass alone takes no such configuration, and hands it on to its parts.
    adapter = TypeAdapter(dict[str, kind], config=ConfigDict(extra="forbid"))  # type: ignore[valid-type]
    try:
        content: dict[str, T] = adapter.validate_python({"": yaml.safe_load(path.read_text("utf-8"))})
        return content[""]
    except (OSError, yaml.YAMLError) as error:
        raise SettingsFileError(f"{path}: cannot be read as YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors())
        raise SettingsFileError(f"{path}: {faults}") from error
