"""What a process costs while it is measured: processor time and memory, as Linux counts them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KIB_MB = 1024 / 1e6
LOOK_S = 0.05
"""How often a process is looked at while it runs: the system tells its memory no longer when it has ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command wrote, and its highest memory in MB."""

    output: str
    peak_mb: float

    @property
    def number(self) -> float:
        """The number that stands at the end of what it wrote."""
        return float(self.output.split()[-1])


def processor_seconds(pid: int) -> float:
    """Seconds of the processor that all threads of a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_memory_mb(pid: int) -> float:
    """The most memory that a process held so far; 0 for one that has ended."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0) * KIB_MB


def run(*arguments: str) -> Ended:
    """Run a module of this project to its end; ends the program with what it wrote if it fails."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=output, stderr=errors)
        peak_mb = 0.0
        # What waiting tells of a process's memory counts what its parent held when it was made.
        while process.poll() is None:
            peak_mb = max(peak_mb, peak_memory_mb(process.pid))
            time.sleep(LOOK_S)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"{arguments[0]} failed:\n{errors.read()[-3000:]}")
        output.seek(0)
        return Ended(output.read(), peak_mb)
