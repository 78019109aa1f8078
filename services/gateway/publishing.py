"""What every way in ends in: who may publish what, and publishing it once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import structlog
from fastapi import Response

from schemas.faults import Fault, bounded
from services.client.async_publisher import AsyncPublisher
from services.client.delivery import Unavailable
from services.client.preparing import Prepared, Refused, prepare_object
from services.gateway.cloudevents import within
from services.gateway.idempotency import Answer, Answers
from services.gateway.parties import Party
from services.gateway.problems import Problem, unavailable
from topics.definition import PUBLISHED, Catalogue

log = structlog.get_logger()

FORBIDDEN: Final = "source_not_yours"
_FORBIDDEN_CODES: Final = frozenset({FORBIDDEN, "not_allowed", "not_publishable"})
_BREATH: Final = 50


class Publishing:
    """Checks events against a party's rights and the contracts, and sends them to the broker exactly as accepted."""

    def __init__(self, catalogue: Catalogue, publisher: AsyncPublisher, answers: Answers) -> None:
        self._catalogue = catalogue
        self._publisher = publisher
        self._answers = answers

    def types_of(self, party: Party) -> list[str]:
        """The event types that a party may publish, sorted."""
        topics = self._catalogue.topics.values()
        open_to_it = (topic for topic in topics if topic.kind in PUBLISHED and topic.accepts_source(party.source))
        return sorted(event for topic in open_to_it for event in topic.events)

    async def checked(self, party: Party, objects: list[Any], pointers: Sequence[str]) -> list[Prepared]:
        """The events as they will stand on their topics, without their payloads; `objects` is used up.

        Raises:
            Problem: 403 when the party may not publish one of them, else 422; with every fault of all of them.
        """
        prepared: list[Prepared] = []
        faults: list[Fault] = []
        for index, pointer in enumerate(pointers):
            if index % _BREATH == _BREATH - 1:
                # A long batch lets short requests pass.
                await asyncio.sleep(0)
            try:
                # Memory that is let go of at once serves the next event while it is still at hand.
                prepared.append(self.check(party, objects[index]).without_payload())
                objects[index] = None
            except Refused as refused:
                faults += within(pointer, refused.faults)
        faults += _repeated(prepared) if not faults else ()
        if faults:
            problem = self.refusal(party, {fault.code for fault in faults})
            problem.faults = bounded(tuple(faults))
            raise problem
        return prepared

    def check(self, party: Party, attributes: Any) -> Prepared:
        """One event, given as parsed JSON.

        Raises:
            Refused: with every fault.
        """
        if not isinstance(attributes, dict):
            raise Refused((_NOT_AN_OBJECT,))
        try:
            prepared = prepare_object(attributes, self._catalogue)
        except Refused as refused:
            own = [] if _is_own(party, attributes.get("source")) else [not_yours(party)]
            others = (fault for fault in refused.faults if not own or fault.code != "not_allowed")
            raise Refused((*own, *others)) from None
        if prepared.event.source != party.source:
            raise Refused((not_yours(party),))
        return prepared

    def refusal(self, party: Party, codes: Collection[str]) -> Problem:
        """The problem that tells faults of these codes: 403 where the party may not, 422 where the content is wrong."""
        if not _FORBIDDEN_CODES.isdisjoint(codes):
            allowed = ", ".join(self.types_of(party)) or "–"
            return Problem(
                403,
                "not-allowed",
                ("无权发布", "Not allowed to publish this"),
                (
                    f"本密钥只能以 {party.source} 的名义发布：{allowed}。本请求未发布任何事件。",
                    f"This key publishes as {party.source}, of the types {allowed}. Nothing of it was published.",
                ),
            )
        return Problem(
            422,
            "faulty-events",
            ("事件有误", "The events are faulty"),
            (
                "请更正下列各处后重发整个请求；本请求未发布任何事件。",
                "Correct all of the faults and send the whole request again; nothing of it was published.",
            ),
        )

    async def once(
        self, party: Party, key: str, fingerprint: str, prepared: Sequence[Prepared], told: Callable[[], bytes]
    ) -> Response:
        """Publish, unless this request was answered before; `told` is the body of the answer (202).

        Raises:
            Problem: 409 or 422 for the key, 503 when the broker did not confirm everything: it can be repeated.
        """
        found = await self._answers.reserve(party.source, key, fingerprint)
        if isinstance(found, Answer):
            return _response(found, replayed=True)
        try:
            await self._send(prepared)
            await self._answers.durable(found)
        except BaseException:
            self._answers.release(found)
            raise
        answer = Answer(202, "application/json", told())
        self._answers.store(found, answer)
        return _response(answer, replayed=False)

    async def _send(self, prepared: Sequence[Prepared]) -> None:
        try:
            outcomes = await self._publisher.send_all(prepared)
        except Unavailable as failure:
            log.warning("no broker can be reached", reason=failure.reason)
            raise _repeat(
                "Kafka 暂时无法连接，本次未发布任何事件", "The broker can't be reached, nothing was published"
            ) from None
        unconfirmed = [outcome for outcome in outcomes if outcome is not None]
        if unconfirmed:
            log.warning("events were not confirmed", count=len(unconfirmed), reason=unconfirmed[0].reason)
            raise _repeat(
                f"{len(unconfirmed)} 个事件未得到 Kafka 确认",
                f"{len(unconfirmed)} of {len(outcomes)} events were not confirmed by the broker",
            )


def fingerprint_of(*parts: str | bytes) -> str:
    """What tells this request from another under the same key: SHA-256 of all that makes it what it is."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    return digest.hexdigest()


def _response(answer: Answer, *, replayed: bool) -> Response:
    headers = {"Idempotency-Replayed": "true"} if replayed else None
    return Response(answer.body, answer.status, headers, media_type=answer.media_type)


def _repeat(zh: str, en: str) -> Problem:
    return unavailable(
        (
            f"{zh}；请以同一 Idempotency-Key 原样重发，重复的事件会被识别。",
            f"{en}; send the same request again with the same Idempotency-Key, repeats are recognised.",
        )
    )


def _is_own(party: Party, source: Any) -> bool:
    """Whether a source is the party's, or missing, which is another fault."""
    return source is None or source == party.source


def not_yours(party: Party) -> Fault:
    """The fault of an event that speaks for somebody else."""
    return Fault(
        code=FORBIDDEN,
        pointer="/source",
        zh=f"本密钥只能以 {party.source} 的名义发布；请更正 source，或使用该来源的密钥。",
        en=f"This key publishes as {party.source} only; correct the source, or use that source's own key.",
    )


def _repeated(prepared: Sequence[Prepared]) -> list[Fault]:
    """Ids that stand twice in one request: readers would take the second for a repeat of the first."""
    seen: set[str] = set()
    found = []
    for index, each in enumerate(prepared):
        if each.event.id in seen:
            found.append(
                Fault(
                    code="repeated_id",
                    pointer=f"/{index}/id",
                    zh=f"同一请求中 id {each.event.id[:80]} 出现多次；每个事件须有自己的 id。",
                    en=f"The id {each.event.id[:80]} stands twice in this request; each event needs its own.",
                )
            )
        seen.add(each.event.id)
    return found


_NOT_AN_OBJECT: Final = Fault(
    code="wrong_type",
    pointer="",
    zh="应为一个 JSON 对象（结构化 CloudEvent）。",
    en="Has to be one JSON object, a structured CloudEvent.",
)
