"""The hop in Quix Streams, exactly once: state in RocksDB with a changelog, outputs and positions in a transaction."""

from __future__ import annotations

import time
from typing import Any

from quixstreams import Application, State

from tests.benchmarks.peers.events import Submitted, arguments, decide, headers_of

Headers = list[tuple[str, bytes]]


class Timed(Application):
    """Notes when the last checkpoint was committed, before the clients are closed."""

    committed = 0.0

    def _run_dataframe(self, sink: Any = None) -> None:
        super()._run_dataframe(sink)
        self.committed = time.perf_counter()


def main() -> None:
    given = arguments()

    def processed(topic: str, partition: int, offset: int) -> None:
        if given.clock.all_read:
            app.stop()

    app = Timed(
        given.servers,
        consumer_group=given.target,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=given.folder,
        on_message_processed=processed,
        loglevel="WARNING",
    )

    def score(value: bytes, key: bytes, timestamp: int, headers: Headers, state: State) -> bytes | None:
        given.clock.tick()
        received = dict(headers)
        seen = f"seen {received['ce_source'].decode()} {received['ce_id'].decode()}"
        if state.exists(seen):
            return None
        out = decide(Submitted.model_validate_json(value)).model_dump_json().encode()
        state.set(seen, True)
        state.set_bytes("scored", out)
        return out

    submitted = app.topic(given.source, key_deserializer="bytes", value_deserializer="bytes")
    scored = app.topic(given.target, key_serializer="bytes", value_serializer="bytes")
    frame = app.dataframe(submitted)
    frame = frame.apply(score, stateful=True, metadata=True)
    frame = frame.filter(lambda value: value is not None)
    frame = frame.set_headers(lambda value, key, timestamp, headers: headers_of("//kouan/quix", dict(headers), key))
    frame.to_topic(scored)
    app.run()
    given.clock.print(app.committed)


if __name__ == "__main__":
    main()
