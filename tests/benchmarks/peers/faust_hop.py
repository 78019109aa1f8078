"""The hop as a Faust agent with a SQLModel session for each event."""

from __future__ import annotations

import os

import faust

from tests.benchmarks.peers.events import Submitted, arguments, headers_of
from tests.benchmarks.peers.sql import apply, open_database


def build() -> faust.App:
    given = arguments()
    engine = open_database(given.folder)
    app = faust.App(
        given.target,
        broker=f"kafka://{given.servers}",
        datadir=str(given.folder),
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )
    submitted = app.topic(given.source, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    scored = app.topic(given.target, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(submitted)
    async def score(stream: faust.Stream[bytes]) -> None:
        async for event in stream.events():
            given.clock.tick()
            data = Submitted.model_validate_json(event.value)
            out = apply(engine, event.headers["ce_source"].decode(), event.headers["ce_id"].decode(), data)
            if out is not None:
                headers = headers_of("//kouan/faust", event.headers, event.key)
                await scored.send(key=event.key, value=out.model_dump_json().encode(), headers=headers)
            if given.clock.all_read:
                await app.producer.flush()
                given.clock.print()
                # The orderly end of a worker takes seconds, and nothing more is to be seen.
                os._exit(0)

    return app


if __name__ == "__main__":
    faust.Worker(build(), loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()
