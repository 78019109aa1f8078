"""Figures of a measurement as JSON with machine, versions and commit, and the figures before them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(".kouan/bench")
PACKAGES = ("aiokafka", "pydantic", "orjson", "faust-streaming")

Found = dict[str, list[float]]
"""Events/s of each system, run after run."""


def keep(kind: str, found: Found, count: int, folder: Path = FOLDER) -> tuple[Path, dict[str, Any] | None]:
    """Write the figures down; returns the file and the figures before it."""
    folder.mkdir(parents=True, exist_ok=True)
    earlier = sorted(folder.glob(f"{kind}-*.json"))
    before = json.loads(earlier[-1].read_text(encoding="utf-8")) if earlier else None
    figures = {**about(), "events": count, "events_per_second": found}
    file = folder / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return file, before


def about() -> dict[str, Any]:
    """When and where it was measured."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": commit.stdout.strip(),
        "machine": f"{os.cpu_count()} × {platform.machine()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }
