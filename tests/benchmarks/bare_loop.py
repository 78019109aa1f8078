"""The ceiling: an aiokafka loop that reads, validates and writes with full headers; no state, no guarantee.

It runs on the same event loop as the kit does.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.benchmarks.hop import HopScored, HopSubmitted

OUT = [
    ("ce_specversion", b"1.0"),
    ("ce_source", b"//kouan/bare"),
    ("ce_type", HopScored.TYPE.encode()),
    ("content-type", b"application/json"),
]


async def main(bootstrap_servers: str, source: str, target: str, count: int, warm: int = 0) -> None:
    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=bootstrap_servers,
        group_id=str(uuid.uuid4()),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=6 * 1024 * 1024,
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, max_batch_size=1 << 19, linger_ms=0)
    await consumer.start()
    await producer.start()
    done, started, sending = 0, 0.0, []
    while done < count:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=2000)
        if fetched and not started and done >= warm:
            started, warm = time.perf_counter(), done
        for place, records in fetched.items():
            batch = producer.create_batch()
            for record in records:
                headers = dict(record.headers)
                data = HopSubmitted.model_validate_json(record.value)
                out = HopScored(
                    referral_id=data.referral_id,
                    eligible=data.amount_cny > 0,
                    score=data.term_months,
                    amount_cny=data.amount_cny,
                    zone=data.zone,
                )
                passed_on = [
                    ("ce_id", headers["ce_id"]),
                    ("ce_time", headers["ce_time"]),
                    ("ce_subject", record.key),
                    ("ce_correlationid", record.key),
                    ("ce_causationid", headers["ce_id"]),
                    ("traceparent", headers["traceparent"]),
                ]
                message = {
                    "key": record.key,
                    "value": out.__pydantic_serializer__.to_json(out),
                    "timestamp": None,
                    "headers": OUT + passed_on,
                }
                if batch.append(**message) is None:
                    # It is full, and says so only in this way.
                    sending.append(await producer.send_batch(batch, target, partition=place.partition))
                    batch = producer.create_batch()
                    batch.append(**message)
            sending.append(await producer.send_batch(batch, target, partition=place.partition))
            done += len(records)
    await asyncio.gather(*sending)
    sys.stdout.write(f"{(done - warm) / (time.perf_counter() - started):.0f}\n")
    await consumer.stop()
    await producer.stop()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])))
