"""What all Python peers share: the events of the hop as pydantic models, their headers, the decision, and the clock.

Only pydantic and the standard library: each peer runs in an environment of its own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel


class Enterprise(BaseModel):
    uscc: str
    name: str
    size: Literal["micro", "small", "medium", "large"]
    ownership: Literal["private", "state", "foreign"]


class Submitted(BaseModel):
    referral_id: str
    occurred_at: datetime
    enterprise: Enterprise
    zone: str
    key_area: str
    amount_cny: Decimal
    term_months: int
    purpose: str


class Scored(BaseModel):
    referral_id: str
    eligible: bool
    score: int
    amount_cny: Decimal
    zone: str


def decide(data: Submitted) -> Scored:
    """The same decision as the kit's hop takes."""
    return Scored(
        referral_id=data.referral_id,
        eligible=data.amount_cny > 0,
        score=data.term_months,
        amount_cny=data.amount_cny,
        zone=data.zone,
    )


def headers_of(source: str, received: Mapping[str, bytes], key: bytes) -> list[tuple[str, bytes]]:
    """All CloudEvents headers of the event that follows from the received one."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", received["ce_id"]),
        ("ce_source", source.encode()),
        ("ce_type", b"hop.scored.v1"),
        ("ce_time", received["ce_time"]),
        ("ce_subject", key),
        ("content-type", b"application/json"),
        ("ce_correlationid", key),
        ("ce_causationid", received["ce_id"]),
        ("traceparent", received["traceparent"]),
    ]


@dataclass
class Clock:
    """Counts the records that are read; runs from the end of the warm-up on."""

    total: int
    warm: int
    read: int = 0
    started: float = 0.0

    def tick(self, records: int = 1) -> None:
        """To be called when records have been read, before any work on them."""
        if not self.started and self.read >= self.warm:
            self.started = time.perf_counter()
            self.warm = self.read
        self.read += records

    @property
    def all_read(self) -> bool:
        return self.read >= self.total

    def print(self, finished: float | None = None) -> None:
        """To be called when the last output is confirmed, or with the moment at which it was."""
        seconds = (finished or time.perf_counter()) - self.started
        sys.stdout.write(f"{(self.read - self.warm) / seconds:.0f}\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class Arguments:
    """The command line of every peer; `target` serves as group or application id too, as it is new in each run."""

    servers: str
    source: str
    target: str
    clock: Clock
    folder: Path


def arguments() -> Arguments:
    """What this peer was started with."""
    servers, source, target, total, warm, folder = sys.argv[1:]
    return Arguments(servers, source, target, Clock(int(total), int(warm)), Path(folder))
