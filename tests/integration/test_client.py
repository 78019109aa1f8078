"""The library of other systems on a real broker: what is sent is confirmed or told, what is read has one effect."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewPartitions
from sqlalchemy import Connection, create_engine, text

import services.client
from schemas.envelope import Payload
from services.client import (
    AsyncPublisher,
    PlaceLost,
    Prepared,
    Publisher,
    Received,
    Refused,
    Skipped,
    Subscriber,
    Superseded,
    Unavailable,
    UnconfirmedError,
    Unknown,
    prepare,
    prepare_object,
)
from services.embedded.broker import free_ports
from services.embedded.container import KafkaContainer
from services.embedded.processes import Process
from tests.support.brokers import create_topics, kafka_container, unique
from topics.definition import Catalogue, load_catalogue

SOURCE = "//commerce/manzhouli"
REFERRAL = json.loads((Path(__file__).parents[2] / "deploy/examples/first-referral.jsonl").read_bytes().splitlines()[0])
PAYLOAD: Payload = prepare_object(REFERRAL, load_catalogue()).event.data
SECONDS = 40.0


def catalogue_of(topic: str) -> Catalogue:
    """The referrals of commerce under another name."""
    return Catalogue({topic: load_catalogue().topics["commerce.referrals"].model_copy(update={"name": topic})})


@pytest.fixture
def catalogue(kafka: str) -> Catalogue:
    """A catalogue of one new topic with four partitions."""
    topic = unique("commerce.client")
    create_topics(kafka, {topic: 4})
    return catalogue_of(topic)


def topic_of(catalogue: Catalogue) -> str:
    return next(iter(catalogue.topics))


def publish(bootstrap_servers: str, catalogue: Catalogue, references: Sequence[str]) -> None:
    with Publisher(bootstrap_servers, SOURCE, catalogue=catalogue) as publisher:
        for reference in references:
            publisher.publish(PAYLOAD, subject=f"R-{reference}", reference=reference)


@dataclass
class Reader:
    """A subscriber on a thread of its own, and what it was given."""

    subscriber: Subscriber
    events: list[Received] = field(default_factory=list)
    until: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None

    def handle(self, events: Sequence[Received], connection: Connection) -> None:
        self.events += events

    def run(self) -> None:
        try:
            self.subscriber.run(self.handle, until=self.until)
        except BaseException as error:
            self.error = error

    @property
    def subjects(self) -> list[str]:
        return [one.event.subject for one in self.events]


@contextmanager
def reading(subscriber: Subscriber) -> Iterator[Reader]:
    reader = Reader(subscriber)
    thread = threading.Thread(target=reader.run)
    thread.start()
    try:
        yield reader
    finally:
        reader.until.set()
        asked = time.monotonic()
        thread.join(10)
        assert time.monotonic() - asked < 3, "a subscriber did not end when it was asked to"


def eventually(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, f"not within {SECONDS:g} s: {what}"
        time.sleep(0.02)


def subscriber(bootstrap_servers: str, catalogue: Catalogue, place: Path | str, **settings: Any) -> Subscriber:
    url = f"sqlite:///{place}" if isinstance(place, Path) else place
    return Subscriber(bootstrap_servers, "reader", list(catalogue.topics), place=url, **settings)


# Publishing


def test_one_reference_published_twice_is_delivered_once(kafka: str, catalogue: Catalogue, tmp_path: Path) -> None:
    for _ in range(2):
        publish(kafka, catalogue, ["1", "2"])
    publish(kafka, catalogue, ["3"])
    with reading(subscriber(kafka, catalogue, tmp_path / "place.db")) as reader:
        eventually(
            lambda: reader.subscriber.counts.repeated == 2 and len(reader.events) == 3, "three events, two repeats"
        )
    assert sorted(reader.subjects) == ["R-1", "R-2", "R-3"]
    assert all(one.event.data == PAYLOAD and one.event.source == SOURCE for one in reader.events)


def test_records_stand_where_every_client_with_murmur2_puts_them(
    kafka: str, catalogue: Catalogue, tmp_path: Path
) -> None:
    publish(kafka, catalogue, [str(number) for number in range(20)])

    async def again() -> None:
        async with AsyncPublisher(kafka, SOURCE, catalogue=catalogue) as publisher:
            for number in range(20):
                await publisher.publish(PAYLOAD, subject=f"R-{number}", reference=f"second {number}")

    asyncio.run(again())
    with reading(subscriber(kafka, catalogue, tmp_path / "place.db")) as reader:
        eventually(lambda: len(reader.events) == 40, "forty events")
    partitions = {(one.event.subject, one.partition) for one in reader.events}
    assert len(partitions) == 20
    assert len({partition for _, partition in partitions}) == 4


def test_the_wrong_side_is_refused_before_anything_is_sent(kafka: str, catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match="may not publish anything"):
        Publisher(kafka, "//bank/exim-nmg", catalogue=catalogue)
    of_the_bank = prepare_object(REFERRAL, load_catalogue()).event
    of_the_bank.source = "//bank/exim-nmg"
    with pytest.raises(Refused) as refused:
        prepare(of_the_bank, catalogue)
    assert [fault.pointer for fault in refused.value.faults] == ["/source"]


def test_no_broker_is_told_within_the_time_that_was_given() -> None:
    [port] = free_ports(1)
    nowhere = f"127.0.0.1:{port}"
    began = time.monotonic()
    with pytest.raises(Unavailable, match=nowhere):
        Publisher(nowhere, SOURCE, connect_within_s=1).publish(PAYLOAD, subject="R-1", reference="1")

    async def send() -> None:
        publisher = AsyncPublisher(nowhere, SOURCE, connect_within_s=1)
        tries = [publisher.publish(PAYLOAD, subject="R-1", reference=str(number)) for number in range(50)]
        for outcome in await asyncio.gather(*tries, return_exceptions=True):
            assert isinstance(outcome, Unavailable)
        await publisher.stop()

    asyncio.run(send())
    assert time.monotonic() - began < 6


def test_a_misspelt_setting_is_named_without_its_value() -> None:
    for cls in (Publisher, AsyncPublisher):
        with pytest.raises(ValueError, match="sasl_plain_pasword") as error:
            cls("127.0.0.1:1", SOURCE, sasl_plain_pasword="secret")
        assert "secret" not in str(error.value)
        assert "secret" not in repr(cls("127.0.0.1:1", SOURCE, sasl_plain_password="secret"))


def test_a_batch_is_confirmed_together_and_in_order(kafka: str, catalogue: Catalogue, tmp_path: Path) -> None:
    async def send() -> list[object]:
        async with AsyncPublisher(kafka, catalogue=catalogue) as publisher:
            outcomes = await asyncio.gather(*(publisher.send_all(batch(catalogue, one)) for one in range(10)))
        return [outcome for some in outcomes for outcome in some]

    assert asyncio.run(send()) == [None] * 1000
    with reading(subscriber(kafka, catalogue, tmp_path / "place.db")) as reader:
        eventually(lambda: len(reader.events) == 1000, "a thousand events")
    for one in range(10):
        ids = [received.event.id for received in reader.events if received.event.subject == f"R-{one}"]
        assert ids == [f"{one}-{number}" for number in range(100)]


def batch(catalogue: Catalogue, one: int) -> list[Prepared]:
    return [
        prepare_object({**REFERRAL, "subject": f"R-{one}", "id": f"{one}-{number}"}, catalogue) for number in range(100)
    ]


@pytest.fixture(scope="module")
def own_broker() -> Iterator[KafkaContainer]:
    """A broker that may be paused."""
    with kafka_container() as container:
        yield container


@contextmanager
def paused(broker: KafkaContainer) -> Iterator[None]:
    container = broker.get_wrapped_container()
    container.pause()
    try:
        yield
    finally:
        container.unpause()


def test_what_a_stalled_broker_did_not_confirm_is_told_and_later_events_pass(
    own_broker: KafkaContainer, tmp_path: Path
) -> None:
    servers = own_broker.bootstrap_servers
    catalogue = catalogue_of(unique("commerce.client"))
    create_topics(servers, {topic_of(catalogue): 2})
    publisher = Publisher(servers, SOURCE, catalogue=catalogue, confirm_within_s=2)
    publisher.publish(PAYLOAD, subject="R-1", reference="1")
    assert publisher.flush().confirmed == 1
    with paused(own_broker):
        for number in range(2, 5):
            publisher.publish(PAYLOAD, subject="R-1", reference=str(number))
        began = time.monotonic()
        report = publisher.flush()
        assert time.monotonic() - began < 8
    assert report.confirmed == 0
    assert [one.prepared.event.subject for one in report.unconfirmed] == ["R-1"] * 3
    assert all(one.reason for one in report.unconfirmed)
    for one in report.unconfirmed:
        publisher.send(one.prepared)
    publisher.publish(PAYLOAD, subject="R-1", reference="5")
    again = publisher.close()
    assert (again.confirmed, again.unconfirmed) == (4, ())
    with reading(subscriber(servers, catalogue, tmp_path / "place.db")) as reader:
        eventually(lambda: len(reader.events) == 5, "five events")


def test_leaving_the_block_with_something_unconfirmed_raises(own_broker: KafkaContainer) -> None:
    servers = own_broker.bootstrap_servers
    catalogue = catalogue_of(unique("commerce.client"))
    create_topics(servers, {topic_of(catalogue): 1})
    with Publisher(servers, SOURCE, catalogue=catalogue, confirm_within_s=1) as publisher:
        publisher.publish(PAYLOAD, subject="R-1", reference="1")
        publisher.flush()
        with pytest.raises(UnconfirmedError) as error, paused(own_broker), publisher:
            publisher.publish(PAYLOAD, subject="R-1", reference="2")
    assert len(error.value.report.unconfirmed) == 1


def test_an_async_publisher_never_hangs_on_a_stalled_broker_and_recovers(
    own_broker: KafkaContainer, caplog: pytest.LogCaptureFixture
) -> None:
    servers = own_broker.bootstrap_servers
    catalogue = catalogue_of(unique("commerce.client"))
    create_topics(servers, {topic_of(catalogue): 2})

    async def send() -> None:
        async with AsyncPublisher(
            servers, SOURCE, catalogue=catalogue, confirm_within_s=1.5, connect_within_s=1.5
        ) as publisher:
            await publisher.publish(PAYLOAD, subject="R-1", reference="1")
            with paused(own_broker):
                began = time.monotonic()
                tries = [publisher.publish(PAYLOAD, subject=f"R-{n}", reference=str(n)) for n in range(2, 30)]
                outcomes = await asyncio.gather(*tries, return_exceptions=True)
                assert all(isinstance(one, UnconfirmedError) for one in outcomes), outcomes
                with pytest.raises(Unavailable):
                    await publisher.publish(PAYLOAD, subject="R-1", reference="30")
                assert time.monotonic() - began < 6
            await stop_while_sending(own_broker, catalogue)
            end = time.monotonic() + SECONDS
            while True:
                try:
                    await publisher.publish(PAYLOAD, subject="R-1", reference="31")
                    break
                except Unavailable:
                    assert time.monotonic() < end, "the publisher did not recover"

    asyncio.run(send())
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_what_was_given_up_before_there_was_a_connection_was_never_sent(own_broker: KafkaContainer) -> None:
    servers = own_broker.bootstrap_servers
    catalogue = catalogue_of(unique("commerce.client"))
    create_topics(servers, {topic_of(catalogue): 1})

    async def send() -> None:
        async with AsyncPublisher(
            servers, SOURCE, catalogue=catalogue, confirm_within_s=1.5, connect_within_s=10
        ) as publisher:
            await publisher.publish(PAYLOAD, subject="R-1", reference="1")
            with paused(own_broker):
                first = asyncio.create_task(publisher.publish(PAYLOAD, subject="R-2", reference="2"))
                await asyncio.sleep(0.8)
                # Joins the queue behind the first, whose connection is given up before this one's own time is over.
                with pytest.raises(Unavailable):
                    await publisher.publish(PAYLOAD, subject="R-3", reference="3")
                with pytest.raises(UnconfirmedError):
                    await first
            while True:
                try:
                    await publisher.publish(PAYLOAD, subject="R-4", reference="4")
                    break
                except Unavailable:
                    pass

    asyncio.run(asyncio.wait_for(send(), SECONDS))
    consumer = KafkaConsumer(
        topic_of(catalogue), bootstrap_servers=servers, auto_offset_reset="earliest", consumer_timeout_ms=3000
    )
    sent = {dict(record.headers)["ce_subject"].decode() for record in consumer}
    consumer.close()
    assert sent - {"R-2"} == {"R-1", "R-4"}


def test_the_beginning_in_the_readme_publishes_and_reads(
    own_broker: KafkaContainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = own_broker.bootstrap_servers
    create_topics(servers, {"commerce.referrals": 4})
    monkeypatch.setenv("KOUAN_BOOTSTRAP_SERVERS", servers)
    readme = (Path(services.client.__file__).parent / "README.md").read_text(encoding="utf-8")
    publishing, reacting = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    url = f"sqlite:///{tmp_path / 'cases.db'}"
    # What is shown reads our own topic and runs for ever: here it reads what was just published, until it has it.
    shown = reacting.replace("sqlite:///cases.db", url).replace("referral.events", "commerce.referrals")
    assert shown.count(".run(handle)") == 1
    names: dict[str, Any] = {"until": threading.Event()}
    with create_engine(url).begin() as connection:
        connection.execute(text("CREATE TABLE seen_case (id TEXT)"))
    exec(publishing, names)
    reader = threading.Thread(target=exec, args=(shown.replace(".run(handle)", ".run(handle, until=until)"), names))
    reader.start()

    def cases() -> list[str]:
        with create_engine(url).connect() as connection:
            return list(connection.execute(text("SELECT id FROM seen_case")).scalars())

    try:
        eventually(lambda: cases() == ["R-FIRST-0001"], "the case is in the list")
    finally:
        names["until"].set()
        reader.join(10)


async def stop_while_sending(broker: KafkaContainer, catalogue: Catalogue) -> None:
    """Who waits for a confirmation when the publisher is stopped is told at once, and does not wait in vain."""
    publisher = AsyncPublisher(broker.bootstrap_servers, SOURCE, catalogue=catalogue, confirm_within_s=SECONDS)
    await publisher.publish(PAYLOAD, subject="R-1", reference="stopped 1")
    with paused(broker):
        sending = asyncio.create_task(publisher.publish(PAYLOAD, subject="R-1", reference="stopped 2"))
        await asyncio.wait([sending], timeout=0.3)
        began = time.monotonic()
        await publisher.stop()
        with pytest.raises(UnconfirmedError, match="stopped"):
            await sending
        assert time.monotonic() - began < 6


# Reacting


@dataclass
class Effects:
    """A table of the caller's own, beside the place."""

    url: str

    def __post_init__(self) -> None:
        self.engine = create_engine(self.url)
        with self.engine.begin() as connection:
            connection.execute(text("CREATE TABLE effect (id TEXT)"))

    @staticmethod
    def write(events: Sequence[Received], connection: Connection) -> None:
        connection.execute(text("INSERT INTO effect VALUES (:id)"), [{"id": one.event.id} for one in events])

    def count(self) -> tuple[int, int]:
        """Effects, and events that had one."""
        with self.engine.connect() as connection:
            row = connection.execute(text("SELECT count(*), count(DISTINCT id) FROM effect")).one()
            return row[0], row[1]

    def read_all(self, reader: Subscriber, number: int) -> None:
        """Let the subscriber write its effects until there are so many."""
        until = threading.Event()

        def handle(events: Sequence[Received], connection: Connection) -> None:
            self.write(events, connection)
            if connection.execute(text("SELECT count(*) FROM effect")).scalar_one() >= number:
                until.set()

        reader.run(handle, until=until)


def test_each_event_has_one_effect_when_the_handler_fails(kafka: str, catalogue: Catalogue, tmp_path: Path) -> None:
    publish(kafka, catalogue, [str(number) for number in range(30)])
    effects = Effects(f"sqlite:///{tmp_path / 'place.db'}")
    calls: list[set[str]] = []

    def fail(events: Sequence[Received], connection: Connection) -> None:
        effects.write(events, connection)
        calls.append({one.event.id for one in events})
        raise RuntimeError("the handler broke")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="the handler broke"):
            subscriber(kafka, catalogue, effects.url, batch_size=30).run(fail)
    assert calls[0] & calls[1]
    effects.read_all(subscriber(kafka, catalogue, effects.url, batch_size=7), 30)
    assert effects.count() == (30, 30)


READER = """
    import sys, threading
    from pathlib import Path
    from sqlalchemy import text
    from services.client import Subscriber

    servers, topic, place, held = sys.argv[1:]

    def handle(events, connection):
        connection.execute(text("INSERT INTO effect VALUES (:id)"), [{"id": one.event.id} for one in events])
        Path(held).touch()
        threading.Event().wait()

    Subscriber(servers, "reader", [topic], place=place).run(handle)
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_reader_killed_between_its_write_and_its_commit_gives_one_effect(
    database: str, kafka: str, catalogue: Catalogue, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if database == "sqlite":
        effects = Effects(f"sqlite:///{tmp_path / 'place.db'}")
    else:
        url = request.getfixturevalue("postgres_database")
        effects = Effects(url.replace("postgresql://", "postgresql+psycopg://"))
    publish(kafka, catalogue, [str(number) for number in range(25)])
    program, held = tmp_path / "reader.py", tmp_path / "held"
    program.write_text(textwrap.dedent(READER))
    arguments = [str(program), kafka, topic_of(catalogue), effects.url, str(held)]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with Process("reader", arguments, environment, tmp_path / "reader.log") as killed:
        eventually(lambda: held.exists() or killed.check_alive(), "the handler is at work")
        killed.kill()
    assert effects.count() == (0, 0)
    effects.read_all(subscriber(kafka, catalogue, effects.url, batch_size=10), 25)
    assert effects.count() == (25, 25)
    effects.engine.dispose()


def test_unknown_versions_are_given_as_such_and_what_is_no_event_is_left_out(
    kafka: str, catalogue: Catalogue, tmp_path: Path
) -> None:
    [known] = batch(catalogue, 0)[:1]
    from_the_future = [(name, value.replace(b".v1", b".v9")) for name, value in known.headers]
    producer = KafkaProducer(bootstrap_servers=kafka.split(","))
    topic = topic_of(catalogue)
    for key, value, headers in (
        (b"k", b"no event", []),
        (known.key, b'{"new": [1, null]}', renamed(from_the_future, "future-1")),
        (b"S-1", structured("S-1", "referral.submitted.v9"), [("content-type", b"application/cloudevents+json")]),
        (known.key, b'{"referral": 7}', renamed(known.headers, "broken")),
        (known.key, None, []),
        (known.key, known.value, known.headers),
        (known.key, known.value.replace(b"126", b"127"), known.headers),
    ):
        producer.send(topic, value, key, headers, partition=0)
    producer.close()
    skipped: list[Skipped] = []
    read = subscriber(kafka, catalogue, tmp_path / "place.db", on_skipped=lambda one, connection: skipped.append(one))
    with reading(read) as reader:
        eventually(lambda: read.counts.skipped + len(reader.events) == 7, "seven records")
    assert reader.error is None
    assert [one.event.data for one in reader.events[:2]] == [
        Unknown("referral.submitted.v9", {"new": [1, None]}),
        Unknown("referral.submitted.v9", {"later": True}),
    ]
    assert type(reader.events[2].event.data) is type(PAYLOAD)
    assert sorted(one.code for one in skipped) == ["empty-value", "id-reused", "missing-attribute", "schema"]


def renamed(headers: list[tuple[str, bytes]], id: str) -> list[tuple[str, bytes]]:
    return [(name, id.encode() if name == "ce_id" else value) for name, value in headers]


def structured(subject: str, kind: str) -> bytes:
    return json.dumps(
        {**REFERRAL, "id": "future-2", "subject": subject, "type": kind, "data": {"later": True}}
    ).encode()


def test_who_takes_a_place_over_fences_off_who_had_it(kafka: str, catalogue: Catalogue, tmp_path: Path) -> None:
    publish(kafka, catalogue, ["1"])
    with reading(subscriber(kafka, catalogue, tmp_path / "place.db")) as first:
        eventually(lambda: len(first.events) == 1, "the first reader reads")
        with reading(subscriber(kafka, catalogue, tmp_path / "place.db")) as second:
            publish(kafka, catalogue, ["2"])
            eventually(lambda: len(second.events) == 1 and first.error, "the second reads, the first has ended")
    assert isinstance(first.error, Superseded)
    assert (first.subjects, second.subjects) == (["R-1"], ["R-2"])


def test_partitions_that_are_added_are_read_too(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.client.subscriber._LOOK_FOR_PARTITIONS_S", 0.5)
    catalogue = catalogue_of(unique("commerce.client"))
    create_topics(kafka, {topic_of(catalogue): 1})
    with reading(subscriber(kafka, catalogue, tmp_path / "place.db")) as reader:
        publish(kafka, catalogue, ["1"])
        eventually(lambda: len(reader.events) == 1, "the first event")
        admin = KafkaAdminClient(bootstrap_servers=kafka.split(","))
        admin.create_partitions({topic_of(catalogue): NewPartitions(total_count=3)})
        admin.close()
        publish(kafka, catalogue, [str(number) for number in range(2, 22)])
        eventually(lambda: len(reader.events) == 21, "all events of all partitions")
    assert {one.partition for one in reader.events} == {0, 1, 2}


def test_a_topic_that_lost_what_was_to_be_read_stops_the_reader(
    kafka: str, catalogue: Catalogue, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'place.db'}"
    publish(kafka, catalogue, ["1"])
    with reading(subscriber(kafka, catalogue, url)) as reader:
        eventually(lambda: len(reader.events) == 1, "one event")
    with create_engine(url).begin() as connection:
        connection.execute(text("UPDATE kouan_position SET next = 1000 WHERE partition = 0"))
    with pytest.raises(PlaceLost, match="partition 0 no longer holds offset 1000"):
        subscriber(kafka, catalogue, url).run(lambda events, connection: None)


def test_ids_are_forgotten_when_they_are_old(kafka: str, catalogue: Catalogue, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'place.db'}"
    publish(kafka, catalogue, ["1"])
    with reading(subscriber(kafka, catalogue, url)) as reader:
        eventually(lambda: len(reader.events) == 1, "one event")
    with create_engine(url).begin() as connection:
        connection.execute(text("UPDATE kouan_seen SET seen_at = seen_at - 3600"))
    publish(kafka, catalogue, ["2"])
    with reading(subscriber(kafka, catalogue, url, keep_ids=timedelta(minutes=30))) as reader:
        eventually(lambda: len(reader.events) == 1, "another event")
    with create_engine(url).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM kouan_seen")).scalar_one() == 1


def test_a_reader_that_waits_for_a_broker_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    [port] = free_ports(1)
    nowhere = Subscriber(f"127.0.0.1:{port}", "reader", ["any.topic"], place=f"sqlite:///{tmp_path / 'place.db'}")
    with reading(nowhere) as reader:
        reader.until.wait(0.3)
    assert reader.error is None
