"""A ceiling: a confluent-kafka loop that reads, validates and writes with full headers; no state, no guarantee."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer

from tests.benchmarks.peers.events import Submitted, arguments, decide, headers_of


def main() -> None:
    given = arguments()
    consumer = Consumer(
        {
            "bootstrap.servers": given.servers,
            "group.id": given.target,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer({"bootstrap.servers": given.servers, "queue.buffering.max.messages": 2_000_000})
    consumer.subscribe([given.source])
    while not given.clock.all_read:
        messages = consumer.consume(num_messages=2000, timeout=1.0)
        if messages:
            given.clock.tick(len(messages))
        for message in messages:
            if message.error():
                raise SystemExit(str(message.error()))
            out = decide(Submitted.model_validate_json(message.value()))
            producer.produce(
                given.target,
                key=message.key(),
                value=out.model_dump_json().encode(),
                partition=message.partition(),
                headers=headers_of("//kouan/confluent", dict(message.headers()), message.key()),
            )
        producer.poll(0)
    if producer.flush(120):
        raise SystemExit("the broker did not confirm all outputs in time")
    given.clock.print()
    consumer.close()


if __name__ == "__main__":
    main()
