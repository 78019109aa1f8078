"""What became of the events that a publisher sent, and the errors with which a publisher or subscriber stops."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from services.client.preparing import Prepared
from topics.definition import PUBLISHED, Catalogue


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """An event that the broker did not confirm: it may stand on its topic or not. Send it again under the same id."""

    prepared: Prepared
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all events since the last report: how many were confirmed, and which were not."""

    confirmed: int
    unconfirmed: tuple[Unconfirmed, ...] = ()


class UnconfirmedError(Exception):
    """Events were sent and not confirmed; `report` says which and why."""

    def __init__(self, report: Report) -> None:
        self.report = report
        first = report.unconfirmed[0]
        super().__init__(
            f"{len(report.unconfirmed)} 个事件未得到确认，请用同一 id 重发 / {len(report.unconfirmed)} events were not "
            f"confirmed; send them again under the same ids (first: {first.prepared.event.id}, {first.reason})"
        )


class Unavailable(Exception):
    """No broker could be reached in time; nothing of this call was sent."""

    def __init__(self, bootstrap_servers: str, reason: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.reason = reason
        super().__init__(
            f"连不上 Kafka {bootstrap_servers}：{reason}。请检查地址与 Kafka 是否运行 / no Kafka broker can be reached "
            f"at {bootstrap_servers}: {reason}; check the address and that the broker runs, then send again"
        )


def require_source(source: str, catalogue: Catalogue) -> None:
    """Raise ValueError unless the catalogue lets the source write something: most often it is misspelt."""
    published = [topic for topic in catalogue.topics.values() if topic.kind in PUBLISHED]
    if not any(topic.accepts_source(source) for topic in published):
        allowed = ", ".join(sorted({prefix for topic in published for prefix in topic.sources}))
        raise ValueError(f"source {source!r} may not publish anything; the catalogue has sources under {allowed}")


def require_settings(kafka: Collection[str], known: Collection[str]) -> None:
    """Raise ValueError for settings that the client does not have. Values are not repeated: one may be a password."""
    strange = sorted(set(kafka) - set(known))
    if strange:
        raise ValueError(f"the Kafka client has no setting {', '.join(strange)}; check the spelling")


def reason_of(error: BaseException) -> str:
    """The first line of a client's error, named by its kind where it has no words of its own."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
