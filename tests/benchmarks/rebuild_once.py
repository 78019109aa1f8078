"""One rebuilding in this process, or the bare client reading the same topic: prints what it took as JSON.

Arguments: `hop`, `screening` or `bare` (which reads the hop's record topic), bootstrap servers, folder of the
databases.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.loading import load_contracts
from services.kit.rebuild import rebuild
from services.kit.settings import Settings
from services.screening.service import build as build_screening
from tests.benchmarks import hop
from topics.definition import load_catalogue

Took = dict[str, float]
"""`events`, and by their number: `rate` events/s, `loop_us` and `other_us` the processor's µs on the loop's thread and
on all others, `compare_s` seconds for settling, comparing and switching, `differences` rows that differ, `switched` 1
where the new database took the place of the one in use."""


async def bare(servers: str) -> Took:
    """Read the hop's record topic and do nothing with it."""
    topic = hop.catalogue().record_topic_of("hop")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        group_id=None,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        left = sum((await consumer.end_offsets(places)).values())
        events, started, worked = left, time.perf_counter(), time.thread_time()
        consumer.assign(places)
        while left > 0:
            for records in (await consumer.getmany(timeout_ms=1000, max_records=5000)).values():
                left -= len(records)
        seconds = time.perf_counter() - started
        return {"events": events, "rate": events / seconds, "loop_us": (time.thread_time() - worked) / events * 1e6}
    finally:
        await consumer.stop()


async def rebuilt(name: str, settings: Settings) -> Took:
    """Rebuild, compare and switch."""
    service, topics = (hop.build(), hop.catalogue()) if name == "hop" else (build_screening(), load_catalogue())
    worked, everywhere = time.thread_time(), time.process_time()
    report = await rebuild(service, settings, topics, switch=True)
    loop = time.thread_time() - worked
    return {
        "events": report.events,
        "rate": report.rate,
        "loop_us": loop / report.events * 1e6,
        "other_us": (time.process_time() - everywhere - loop) / report.events * 1e6,
        "compare_s": report.compare_seconds,
        "differences": report.differences.total,
        "switched": float(report.replaced is not None),
    }


if __name__ == "__main__":
    what, bootstrap, data = sys.argv[1:]
    load_contracts()
    chosen = Settings(bootstrap_servers=bootstrap, data_dir=Path(data), database_url=None, log_level="WARNING")
    took = asyncio.run(bare(bootstrap) if what == "bare" else rebuilt(what, chosen))
    sys.stdout.write(json.dumps(took) + "\n")
