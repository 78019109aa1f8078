"""A small disk of the test's own that can be filled to the last byte and freed again."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CHUNK = bytes(64 * 1024)


class Disk:
    """A file system in memory; `folder` on it is for whoever is to run out of space."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "data"
        self.folder.mkdir()
        self._filler = root / "filler"

    def fill(self) -> None:
        """Leave no room, not for one byte."""
        with self._filler.open("ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(_CHUNK)
            except OSError:
                # What is left is less than a chunk.
                return

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Disk]:
    """A disk of this size, mounted at a folder that is made for it; skips where this machine may not mount."""
    if os.geteuid() != 0:
        pytest.skip("需要 root 才能挂载小磁盘 / mounting a small disk needs root")
    root = Path(tempfile.mkdtemp(prefix="kouan-disk-"))
    try:
        _mount(root, megabytes)
        try:
            yield Disk(root)
        finally:
            # Lazily: whoever still holds a file of it open ends with the test.
            subprocess.run(["umount", "--lazy", str(root)], check=False, capture_output=True)
    finally:
        root.rmdir()


def _mount(root: Path, megabytes: int) -> None:
    # Servers run as users of their own, who have to get through to their folder.
    options = f"size={megabytes}m,mode=0755"
    command = ["mount", "-t", "tmpfs", "-o", options, "kouan-test", str(root)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"本机不能挂载 tmpfs / this machine mounts no tmpfs: {done.stderr.strip()}")
