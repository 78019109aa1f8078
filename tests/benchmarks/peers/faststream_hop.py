"""The hop in FastStream with a SQLModel session for each message, on the loop that its own command takes."""

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from tests.benchmarks.peers.events import Submitted, arguments, headers_of
from tests.benchmarks.peers.sql import apply, open_database


async def main() -> None:
    given = arguments()
    engine = open_database(given.folder)
    broker = KafkaBroker(given.servers, logger=None)
    app = FastStream(broker, logger=None)
    publisher = broker.publisher(given.target)

    @broker.subscriber(given.source, group_id=given.target, auto_offset_reset="earliest")
    async def score(data: Submitted, message: KafkaMessage) -> None:
        given.clock.tick()
        out = apply(engine, message.headers["ce_source"], message.headers["ce_id"], data)
        if out is not None:
            key = message.raw_message.key
            received = {name: text.encode() for name, text in message.headers.items()}
            headers = {name: raw.decode() for name, raw in headers_of("//kouan/faststream", received, key)}
            await publisher.publish(out, key=key, headers=headers)
        if given.clock.all_read:
            given.clock.print()
            app.exit()

    await app.run()


if __name__ == "__main__":
    uvloop.run(main())
