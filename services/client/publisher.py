"""Publishing from synchronous Python: check, fill the envelope, queue, and tell what the broker did not confirm."""

from __future__ import annotations

import time as clock
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from kafka import KafkaProducer
from kafka.errors import KafkaConfigurationError, KafkaError, KafkaTimeoutError

from schemas.envelope import Event, Payload
from services.client.delivery import (
    Report,
    Unavailable,
    Unconfirmed,
    UnconfirmedError,
    reason_of,
    require_settings,
    require_source,
)
from services.client.preparing import Prepared, fill, prepare
from topics.definition import Catalogue, load_catalogue

MOST_QUEUED: Final = 20_000
"""So many events may wait for their confirmation; `publish` then waits for the oldest ones."""

_MOST_BYTES: Final = 4 * 1024 * 1024


class Publisher:
    """Publishes events, in order per subject, from one thread; leaving the `with` block waits for all confirmations.

    Args:
        bootstrap_servers: `host:port`, several separated by commas.
        source: the system that speaks, as in the catalogue: `//commerce/manzhouli`. `publish` needs it, `send` doesn't.
        catalogue: which source writes what; by default the one that is shipped.
        confirm_within_s: after so many seconds in which nothing was confirmed, what is queued counts as unconfirmed.
        connect_within_s: so long the first answer of a broker, and the topic, may take.
        on_confirmed: called at every confirmation, on another thread; for progress bars.
        kafka: settings of kafka-python's producer, such as `security_protocol`, `ssl_cafile`, `sasl_mechanism`,
            `sasl_plain_username`, `sasl_plain_password`, `compression_type`.

    Raises:
        ValueError: the catalogue lets the source write nothing, or there is no such setting.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        source: str | None = None,
        *,
        catalogue: Catalogue | None = None,
        confirm_within_s: float = 30.0,
        connect_within_s: float = 10.0,
        on_confirmed: Callable[[Prepared], object] | None = None,
        **kafka: Any,
    ) -> None:
        self._servers = bootstrap_servers
        self._source = source
        self._catalogue = catalogue or load_catalogue()
        if source is not None:
            require_source(source, self._catalogue)
        require_settings(kafka, KafkaProducer.DEFAULT_CONFIG)
        self._confirm_within_s = confirm_within_s
        self._connect_within_ms = int(connect_within_s * 1000)
        self._on_confirmed = on_confirmed
        self._kafka = kafka
        self._producer: Any = None
        self._queued: deque[tuple[Prepared, Any]] = deque()
        self._confirmed = 0
        self._unconfirmed: list[Unconfirmed] = []

    def __repr__(self) -> str:
        return f"Publisher({self._servers!r}, {self._source!r})"

    def publish(
        self,
        payload: Payload,
        *,
        subject: str,
        reference: str,
        time: datetime | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        traceparent: str | None = None,
    ) -> Event[Payload]:
        """Check a payload, fill its envelope and queue it; `flush` tells whether it was confirmed.

        `subject` is the record's key, mostly the referral's id; `reference` names the fact in the caller's own books
        and gives the event's id (see `derived_id`); `time` is when it happened, with offset, by default now.

        Raises:
            Refused: the event breaks its contract, or the source may not publish it; with every fault.
            Unavailable: no broker answers; the event is not queued.
            ValueError: the reference is blank, or the publisher has no source.
        """
        if self._source is None:
            raise ValueError("this publisher has no source; give one to Publisher(…), such as //commerce/manzhouli")
        event = fill(
            self._source,
            payload,
            subject=subject,
            reference=reference,
            time=time,
            correlation_id=correlation_id,
            causation_id=causation_id,
            traceparent=traceparent,
        )
        prepared = prepare(event, self._catalogue)
        self.send(prepared)
        return prepared.event

    def send(self, prepared: Prepared) -> None:
        """Queue an event that was prepared before.

        Raises:
            Unavailable: no broker answers, it does not have the topic, or all that may be queued stays unconfirmed; the
                event is not queued.
        """
        self._settle()
        if len(self._queued) >= MOST_QUEUED:
            self._await_confirmations(MOST_QUEUED // 2, None)
            if self._unsettled() >= MOST_QUEUED:
                raise Unavailable(self._servers, f"nothing was confirmed for {self._confirm_within_s:g} s")
        producer = self._connected()
        try:
            future = producer.send(prepared.topic, prepared.value, prepared.key, prepared.headers)
        except KafkaTimeoutError:
            raise Unavailable(
                self._servers, f"topic {prepared.topic} could not be found; `kouan topics apply` creates it"
            ) from None
        except KafkaError as error:
            raise Unavailable(self._servers, reason_of(error)) from error
        if self._on_confirmed is not None:
            report = self._on_confirmed
            future.add_callback(lambda _: report(prepared))
        self._queued.append((prepared, future))

    def flush(self, timeout_s: float | None = None) -> Report:
        """Wait until everything that is queued is settled, at most `timeout_s` seconds; reports since the last flush.

        What is not confirmed by then, or stalls for `confirm_within_s`, is reported as unconfirmed and no longer tried.
        """
        self._await_confirmations(0, timeout_s)
        for prepared, future in self._queued:
            self._count(prepared, future)
        self._queued.clear()
        report = Report(self._confirmed, tuple(self._unconfirmed))
        self._confirmed, self._unconfirmed = 0, []
        if report.unconfirmed:
            # Nobody knows what arrived of it. Were the client kept, it would send it later, behind newer events.
            self._disconnect()
        return report

    def close(self, timeout_s: float | None = None) -> Report:
        """Flush and disconnect; the publisher may be used again and connects anew."""
        report = self.flush(timeout_s)
        self._disconnect()
        return report

    def __enter__(self) -> Self:
        """Connect at once, so that a wrong address shows before the work begins. Raises Unavailable."""
        self._connected()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush and disconnect. Raises UnconfirmedError, unless another exception is on its way."""
        report = self.close()
        if report.unconfirmed and error is None:
            raise UnconfirmedError(report)

    def _settle(self) -> None:
        """Count what is settled at the head of the queue."""
        while self._queued and self._queued[0][1].is_done:
            self._count(*self._queued.popleft())

    def _count(self, prepared: Prepared, future: Any) -> None:
        if future.succeeded():
            self._confirmed += 1
        else:
            late = "not confirmed in time"
            self._unconfirmed.append(Unconfirmed(prepared, reason_of(future.exception) if future.is_done else late))

    def _await_confirmations(self, most: int, timeout_s: float | None) -> None:
        """Wait until no more than `most` are unsettled, the time is up, or nothing moves for `confirm_within_s`.

        The client's own delivery timeout is not enough: it is not looked at while the client waits for a producer id
        from a broker that has stalled.
        """
        end = None if timeout_s is None else clock.monotonic() + timeout_s
        unsettled = self._unsettled()
        stalled = clock.monotonic() + self._confirm_within_s
        while unsettled > most:
            now = clock.monotonic()
            left = min(stalled, end or stalled) - now
            if left <= 0:
                return
            with suppress(KafkaTimeoutError):
                self._producer.flush(timeout=min(left, 0.5))
            before, unsettled = unsettled, self._unsettled()
            if unsettled < before:
                stalled = clock.monotonic() + self._confirm_within_s

    def _unsettled(self) -> int:
        self._settle()
        return sum(not future.is_done for _, future in self._queued)

    def _connected(self) -> Any:
        if self._producer is None:
            within_ms = int(self._confirm_within_s * 1000)
            settings = {
                "client_id": "kouan-publisher",
                "linger_ms": 5,
                "batch_size": 128 * 1024,
                "max_request_size": _MOST_BYTES,
                "max_block_ms": self._connect_within_ms,
                "bootstrap_timeout_ms": self._connect_within_ms,
                "request_timeout_ms": min(10_000, within_ms),
                "delivery_timeout_ms": within_ms + 10,
                **self._kafka,
                # What the promise of order and of confirmation rests on can't be set otherwise.
                "acks": "all",
                "enable_idempotence": True,
                "allow_auto_create_topics": False,
            }
            try:
                self._producer = KafkaProducer(bootstrap_servers=self._servers.split(","), **settings)
            except KafkaConfigurationError as error:
                raise ValueError(f"the Kafka client can't be set so: {error}") from None
            except KafkaTimeoutError:
                raise Unavailable(self._servers, f"no answer within {self._connect_within_ms / 1000:g} s") from None
            except (KafkaError, OSError) as error:
                raise Unavailable(self._servers, reason_of(error)) from error
        return self._producer

    def _disconnect(self) -> None:
        """Close the producer even if a broker has stalled: the client's own `close` would first wait, then raise."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.close(timeout=1)
        except KafkaError:
            producer._sender.force_close()
            producer._sender.join(5)
            producer.close(timeout=5)
