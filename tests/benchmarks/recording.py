"""What stands on all topics after the scenario went through all services: the inputs that each is measured with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from tests.benchmarks.topics import Ends
from tests.support.scenario import Input, build_scenario
from tests.support.system import System
from topics.definition import Kind, Topic, load_catalogue

Recording = Mapping[str, Sequence[Input]]
"""The records of each topic; those of one partition stand in their order."""

SECONDS = 60.0
READY_SECONDS = 180.0


def record(servers: str, folder: Path, referrals: int) -> Recording:
    """Take so many referrals, with all that their publishers say of them, through all services, and read the topics."""
    scenario = build_scenario(referrals)
    with System(servers, folder) as system:
        system.publisher.publish(scenario.directory)
        system.workers.wait_ready(READY_SECONDS)
        system.publisher.publish(scenario.inputs)
        system.settle()
    found: dict[str, list[Input]] = defaultdict(list)
    for message in _messages(servers):
        found[message.topic() or ""].append(_input(message))
    return found


def feeds(service: str) -> list[Topic]:
    """The topics that a service is told by others: not those that it writes itself."""
    catalogue = load_catalogue()
    read = (*catalogue.references_of(service), *catalogue.inputs_of(service))
    return [topic for topic in read if topic.kind is Kind.REFERENCE or service not in topic.writers]


def _messages(servers: str) -> Iterator[Message]:
    with closing(Ends(servers)) as ends:
        left = {
            place: end
            for place, end in ends.of((one.name, one.partitions) for one in load_catalogue().topics.values()).items()
            if end
        }
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "bench-recording", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in left])
        while left:
            messages = consumer.consume(5000, SECONDS)
            if not messages:
                raise TimeoutError(f"nothing more came from {sorted(left)}")
            for message in messages:
                if message.error():
                    raise RuntimeError(str(message.error()))
                yield message
                place = (message.topic() or "", message.partition() or 0)
                if (message.offset() or 0) + 1 >= left.get(place, 0):
                    left.pop(place, None)
    finally:
        consumer.close()


def _input(message: Message) -> Input:
    headers = tuple((name, bytes(value or b"")) for name, value in message.headers() or ())
    moment = message.timestamp()[1]
    value, key = message.value(), message.key()
    return Input(
        message.topic() or "",
        message.partition() or 0,
        key if isinstance(key, bytes | None) else key.encode(),
        value if isinstance(value, bytes | None) else value.encode(),
        headers,
        moment,
        float(moment),
    )
