"""Publishing from asyncio: returns when the broker has confirmed, and never waits longer than it was told to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from inspect import signature
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.envelope import Event, Payload
from services.client.batching import Batch, Call, batched
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

log = logging.getLogger(__name__)

_MOST_BYTES: Final = 4 * 1024 * 1024
_SETTINGS: Final = frozenset(signature(AIOKafkaProducer.__init__).parameters) - {"self", "loop", "bootstrap_servers"}


class AsyncPublisher:
    """Publishes on one event loop, from any number of tasks; records that meet on the way travel together.

    Args:
        bootstrap_servers: `host:port`, several separated by commas.
        source: the system that speaks, as in the catalogue; `publish` needs it, `send_all` doesn't.
        catalogue: which source writes what; by default the one that is shipped.
        confirm_within_s: so long one call may wait for its confirmations.
        connect_within_s: so long one call may wait for a connection.
        kafka: settings of aiokafka's producer, such as `security_protocol`, `ssl_context`, `sasl_mechanism`,
            `sasl_plain_username`, `sasl_plain_password`, `compression_type`, `linger_ms`.

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
        connect_within_s: float = 5.0,
        **kafka: Any,
    ) -> None:
        self._servers = bootstrap_servers
        self._source = source
        self._catalogue = catalogue or load_catalogue()
        if source is not None:
            require_source(source, self._catalogue)
        require_settings(kafka, _SETTINGS)
        self._confirm_within_s = confirm_within_s
        self._connect_within_s = connect_within_s
        self._kafka = kafka
        self._connecting: asyncio.Task[Any] | None = None
        self._discarding: set[asyncio.Task[None]] = set()
        self._waiting: list[Call] = []
        self._known: set[str] = set()
        self._known_of: asyncio.Task[Any] | None = None
        self._sending: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"AsyncPublisher({self._servers!r}, {self._source!r})"

    async def start(self) -> None:
        """Connect now, so that a wrong address shows at once; sending connects too, whenever nothing is connected.

        Raises:
            Unavailable: no broker answers within `connect_within_s`.
        """
        await self._connected()

    async def stop(self) -> None:
        """Disconnect. What other tasks are sending is reported to them as unconfirmed."""
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call.done.set_exception(Unavailable(self._servers, "the publisher was stopped"))
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
            self._discard(connecting)
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
        if self._discarding:
            await asyncio.wait(self._discarding)

    async def publish(
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
        """Check a payload, fill its envelope and publish it; returns when the broker has confirmed it.

        Raises:
            Refused: the event breaks its contract, or the source may not publish it; with every fault.
            Unavailable: no broker could be reached; the event was not sent.
            UnconfirmedError: it was sent and not confirmed; publish it again under the same reference.
            ValueError: the reference is blank, or the publisher has no source.
        """
        if self._source is None:
            raise ValueError(
                "this publisher has no source; give one to AsyncPublisher(…), such as //commerce/manzhouli"
            )
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
        [unconfirmed] = await self.send_all([prepared])
        if unconfirmed is not None:
            raise UnconfirmedError(Report(0, (unconfirmed,)))
        return prepared.event

    async def send_all(self, prepared: Sequence[Prepared]) -> list[Unconfirmed | None]:
        """Send a batch and wait for its confirmations together: None or Unconfirmed for each, in order.

        What is unconfirmed may stand on its topic or not: it is sent again under the same id.

        Raises:
            Unavailable: no broker could be reached within `connect_within_s`; nothing was sent.
        """
        if not prepared:
            return []
        await self._require_topics({one.topic for one in prepared})
        loop = asyncio.get_running_loop()
        call = Call(prepared, [None] * len(prepared), loop.create_future())
        self._waiting.append(call)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_rounds(), name="send to Kafka")
        too_late = loop.call_later(self._confirm_within_s, self._give_up, call)
        try:
            await call.done
        finally:
            too_late.cancel()
        return call.outcomes

    def _give_up(self, call: Call) -> None:
        """Let a call go whose time is over."""
        stopped = f"not confirmed within {self._confirm_within_s:g} s"
        if call.done.done():
            return
        if call in self._waiting:
            self._waiting.remove(call)
            call.done.set_exception(Unavailable(self._servers, stopped))
            return
        call.outcomes = [Unconfirmed(one, stopped) for one in call.prepared]
        call.done.set_result(None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _connected(self) -> asyncio.Task[Any]:
        """The finished task that has made the producer. All who wait share one attempt, and what comes of it."""
        connecting = self._connecting
        if connecting is None or _failed(connecting):
            connecting = self._connecting = asyncio.create_task(self._connect(), name="connect to Kafka")
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            if connecting.cancelled():
                raise Unavailable(self._servers, "the publisher was stopped") from None
            raise
        return connecting

    async def _connect(self) -> Any:
        within_ms = int(self._confirm_within_s * 1000)
        settings = {
            "client_id": "kouan-publisher",
            # One request a broker is under way at a time; what comes meanwhile travels together in the next.
            "linger_ms": 0,
            "max_batch_size": 256 * 1024,
            "max_request_size": _MOST_BYTES,
            "request_timeout_ms": min(10_000, within_ms),
            **self._kafka,
            # What the promise of order and of confirmation rests on can't be set otherwise.
            "acks": "all",
            "enable_idempotence": True,
        }
        producer = AIOKafkaProducer(bootstrap_servers=self._servers.split(","), **settings)
        try:
            async with asyncio.timeout(self._connect_within_s):
                await producer.start()
        except TimeoutError:
            await _close(producer)
            raise Unavailable(self._servers, f"no answer within {self._connect_within_s:g} s") from None
        except (KafkaError, OSError) as error:
            await _close(producer)
            raise Unavailable(self._servers, reason_of(error)) from error
        except BaseException:
            await _close(producer)
            raise
        return producer

    async def _require_topics(self, topics: set[str]) -> None:
        """Each call asks for its own topics, so that one that is missing holds up nobody else."""
        connection = await self._connected()
        if topics <= self._known and connection is self._known_of:
            return
        stopped = f"not known within {self._confirm_within_s:g} s"
        for topic in topics:
            try:
                async with asyncio.timeout(self._confirm_within_s):
                    await connection.result().partitions_for(topic)
                continue
            except TimeoutError:
                pass
            except KafkaError as error:
                stopped = reason_of(error)
            raise Unavailable(self._servers, f"{topic}: {stopped}")
        self._known = topics | (self._known if connection is self._known_of else set())
        self._known_of = connection

    async def _send_rounds(self) -> None:
        """Send what waits, all calls of one moment together, until nothing waits any more.

        What goes to one partition travels as one batch with one confirmation: a future for each record would cost more
        than all the rest.
        """
        while self._waiting:
            calls: list[Call] = []
            error: Exception | None = None
            try:
                # They stay in the queue meanwhile, so that who gives up there knows that nothing of his was sent.
                connection = await self._connected()
                calls, self._waiting = self._waiting, []
                if calls:
                    await self._send_round(connection, calls)
            except asyncio.CancelledError:
                error = Unavailable(self._servers, "the publisher was stopped")
            except Exception as raised:
                error = raised
            if not calls:
                calls, self._waiting = self._waiting, []
            for call in calls:
                if call.done.done():
                    continue
                if error is None:
                    call.done.set_result(None)
                else:
                    call.done.set_exception(error)
        self._sending = None

    async def _send_round(self, connection: asyncio.Task[Any], calls: Sequence[Call]) -> None:
        producer = connection.result()
        stopped = f"not confirmed within {self._confirm_within_s:g} s"
        batches: list[Batch] = []
        try:
            async with asyncio.timeout(self._confirm_within_s):
                batches = await batched(producer, calls)
                for batch in batches:
                    batch.future = await producer.send_batch(batch.builder, batch.topic, partition=batch.partition)
                await asyncio.wait([batch.future for batch in batches if batch.future is not None])
        except TimeoutError:
            self._discard(connection)
        except KafkaError as error:
            stopped = reason_of(error)
            self._discard(connection)
        except asyncio.CancelledError:
            stopped = "the publisher was stopped"
        else:
            stopped = ""
        for batch in batches:
            batch.settle(stopped)
        if not batches and stopped:
            raise Unavailable(self._servers, f"{calls[0].prepared[0].topic}: {stopped}")
        if not stopped and any(outcome is not None for call in calls for outcome in call.outcomes):
            # A failed sequence of an idempotent producer leaves a gap, at which the broker would refuse all that comes.
            self._discard(connection)

    def _discard(self, connection: asyncio.Task[Any]) -> None:
        """Give a producer up; the next who sends connects anew."""
        if self._connecting is connection:
            self._connecting = None
        if connection.done() and not _failed(connection):
            closing = asyncio.create_task(_close(connection.result()), name="disconnect from Kafka")
            self._discarding.add(closing)
            closing.add_done_callback(self._discarding.discard)


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


async def _close(producer: Any) -> None:
    """Close a producer without waiting for what it has queued, as its own `stop` would: a stalled broker takes nothing.

    What is left in its queue is dropped with it. Were it failed instead, the client would stumble over requests that it
    is about to try again.
    """
    sender = producer._sender.sender_task
    try:
        if sender is not None:
            sender.cancel()
        await producer.client.close()
        if sender is not None:
            await asyncio.wait([sender], timeout=1)
            # Asked once, it waits for its requests, and those perhaps for news of the cluster that never come.
            sender.cancel()
            await asyncio.wait([sender], timeout=1)
        producer._closed = True
    except Exception as error:
        log.debug("a producer did not stop cleanly: %s", reason_of(error))
