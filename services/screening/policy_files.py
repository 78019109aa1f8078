"""YAML files that people write by hand, read so that every fault is told with file, line, place and remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from schemas.faults import Fault, pointer_to

Place = Sequence[str | int]
"""Where something stands in a file: names and positions from the outside in."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """One thing wrong with a file; `line` counts from 1, None where the whole file is meant."""

    file: str
    line: int | None
    fault: Fault

    def __str__(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        place = f" {self.fault.pointer}:" if self.fault.pointer else ""
        return f"{self.file}{line}:{place} {self.fault.zh} {self.fault.en}"


class Written:
    """One file as it stands: its name, its SHA-256, what it says, and what is wrong with it as YAML."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.digest = sha256(content).hexdigest()
        self.value: Any = None
        self.faults: tuple[FileFault, ...] = ()
        self._root: yaml.Node | None = None
        try:
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, Loader=yaml.SafeLoader)):
                self.faults = (self._alias_used(),)
                return
            self._root = yaml.compose(content, Loader=yaml.SafeLoader)
            self.value = yaml.safe_load(content)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            # A ValueError is what a day like 2020-02-31 makes of the reading; too deep a nesting ends in recursion.
            self.faults = (self._unreadable(error),)
            return
        self.faults = tuple(
            self.fault(
                "repeated_name",
                place,
                f"{place[-1]} 在同一处写了两次，后者会盖过前者；请删除其一。",
                f"{place[-1]} is written twice in one place, and the later one would win; remove one.",
            )
            for place in _repeated_names(self._root, ())
        )

    @classmethod
    def of_file(cls, path: Path) -> Written:
        """A file on disk; one that can't be read has that as its fault, and no digest."""
        try:
            return cls(path.name, path.read_bytes())
        except OSError as error:
            written = cls(path.name, b"")
            written.digest, written.faults = "", (written._unreadable(error),)
            return written

    def _unreadable(self, error: Exception) -> FileFault:
        told = " ".join(str(error).split())
        return self.fault(
            "unreadable",
            (),
            f"无法作为 YAML 读取：{told}；请更正文件。",
            f"can't be read as YAML: {told}; correct the file.",
        )

    def _alias_used(self) -> FileFault:
        # A few lines of aliases of aliases unfold into more than any memory holds.
        return self.fault(
            "alias_used",
            (),
            "文件使用了 YAML 别名（*）；请把内容逐处写出。",
            "uses aliases of YAML (*); write what they stand for.",
        )

    def fault(self, code: str, place: Place, zh: str, en: str) -> FileFault:
        """A fault at a place of this file."""
        return self.at(place, Fault(code=code, pointer="", zh=zh, en=en))

    def at(self, place: Place, fault: Fault) -> FileFault:
        """The fault, whose pointer starts from a place of this file, as one of this file."""
        within = [part.replace("~1", "/").replace("~0", "~") for part in fault.pointer.split("/")[1:]]
        whole = (*place, *within)
        return FileFault(self.name, self._line_of(whole), fault.model_copy(update={"pointer": pointer_to(whole)}))

    def _line_of(self, place: Place) -> int | None:
        """The line in which a place begins, or the nearest one around it that is there."""
        node, line = self._root, None
        for step in place:
            found = _child(node, str(step))
            if found is None:
                break
            node, line = found
        return line


def _child(node: yaml.Node | None, step: str) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            if key.value == step:
                return child, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
        child = node.value[int(step)]
        return child, child.start_mark.line + 1
    return None


def _repeated_names(node: yaml.Node | None, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                yield (*place, key.value)
            seen.add(key.value)
            yield from _repeated_names(child, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for position, child in enumerate(node.value):
            yield from _repeated_names(child, (*place, position))
