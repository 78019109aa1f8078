"""What stands under an Idempotency-Key, on both databases."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from services.gateway.app import MIGRATIONS, NAME
from services.gateway.idempotency import Answer, Answers, Reservation, key_of
from services.gateway.problems import Problem
from services.kit.database import open_database
from services.kit.migrate import migrate

ANSWER = Answer(202, "application/json", '{"accepted":1,"说":"好"}'.encode())
Scenario = Callable[[Answers, Answers], Awaitable[None]]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_database"))
    return f"sqlite:///{tmp_path / 'gateway.db'}"


@asynccontextmanager
async def two_processes(url: str, lease_s: float = 60) -> AsyncIterator[tuple[Answers, Answers]]:
    """The answers of two gateways on one database."""
    databases = [open_database(url, NAME) for _ in range(2)]
    try:
        yield tuple(Answers(database, lease_s=lease_s, keep_hours=24) for database in databases)  # type: ignore[misc]
    finally:
        for database in databases:
            await database.stop()


def play(url: str, scenario: Scenario, lease_s: float = 60) -> None:
    async def run() -> None:
        async with two_processes(url, lease_s) as (one, other):
            await scenario(one, other)

    migrate(url, NAME, MIGRATIONS)
    asyncio.run(run())


async def reserved(answers: Answers, key: str, fingerprint: str = "f") -> Reservation:
    found = await answers.reserve("//commerce/manzhouli", key, fingerprint)
    assert isinstance(found, Reservation)
    await answers.durable(found)
    return found


async def status_of(answers: Answers, key: str, fingerprint: str = "f") -> int:
    with pytest.raises(Problem) as problem:
        await answers.reserve("//commerce/manzhouli", key, fingerprint)
    return problem.value.status


def test_a_stored_answer_is_given_again_by_every_process(url: str) -> None:
    async def scenario(one: Answers, other: Answers) -> None:
        one.store(await reserved(one, "k"), ANSWER)
        assert await one.reserve("//commerce/manzhouli", "k", "f") == ANSWER
        for answers in (one, other):
            assert await answers.reserve("//commerce/manzhouli", "k", "f") == ANSWER
            assert await status_of(answers, "k", "other payload") == 422

    play(url, scenario)


def test_a_request_under_way_is_409_and_free_again_when_it_failed(url: str) -> None:
    async def scenario(one: Answers, other: Answers) -> None:
        held = await reserved(one, "k")
        assert await status_of(one, "k") == 409
        assert await status_of(other, "k") == 409
        assert await status_of(other, "k", "other payload") == 422
        one.release(held)
        await one.settle()
        assert await status_of(other, "k", "other payload") == 422
        await reserved(other, "k")
        assert await status_of(one, "k") == 409

    play(url, scenario)


def test_what_a_process_left_behind_is_taken_over_after_its_lease(url: str) -> None:
    async def scenario(one: Answers, other: Answers) -> None:
        left = await reserved(one, "k")
        async with asyncio.timeout(10):
            while isinstance(taken := await found(other), Problem):
                assert taken.status == 409
        assert isinstance(taken, Reservation)
        # The one that was slow, and not dead, must not overwrite what the other stores.
        one.store(left, Answer(202, "application/json", b"{}"))
        await one.settle()
        other.store(taken, ANSWER)
        await other.settle()
        assert await one.reserve("//commerce/manzhouli", "k", "f") == ANSWER

    async def found(answers: Answers) -> Reservation | Answer | Problem:
        try:
            return await answers.reserve("//commerce/manzhouli", "k", "f")
        except Problem as problem:
            return problem

    play(url, scenario, lease_s=0.3)


def test_all_that_waits_at_one_moment_is_written_together_and_each_gets_its_own(url: str) -> None:
    async def scenario(one: Answers, other: Answers) -> None:
        keys = [uuid.uuid4().hex for _ in range(200)]

        async def whole(key: str) -> None:
            held = await reserved(one, key)
            one.store(held, Answer(202, "application/json", key.encode()))
            stored = await one.reserve("//commerce/manzhouli", key, "f")
            assert isinstance(stored, Answer)
            assert stored.body == key.encode()

        await asyncio.gather(*map(whole, keys))
        same = await asyncio.gather(
            *(one.reserve("//commerce/manzhouli", "same", "f") for _ in range(10)), return_exceptions=True
        )
        assert sum(isinstance(each, Reservation) for each in same) == 1
        assert all(each.status == 409 for each in same if isinstance(each, Problem))

    play(url, scenario)


def test_what_the_database_did_not_take_costs_its_own_request_alone(url: str) -> None:
    async def scenario(one: Answers, other: Answers) -> None:
        held, beside = await reserved(one, "k"), await reserved(one, "beside")
        one.store(held, Answer(202, "application/json", b"\xff"))
        await one.settle()
        assert await status_of(one, "k") == 409
        one.store(beside, ANSWER)
        assert await one.reserve("//commerce/manzhouli", "beside", "f") == ANSWER

    play(url, scenario)


def test_work_begins_before_its_key_is_durable_and_is_not_answered_when_that_fails(tmp_path: Path) -> None:
    async def scenario(one: Answers, other: Answers) -> None:
        with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as beside:
            # Nothing is wrong with a row until the commit, at which a reference leads nowhere.
            beside.execute("CREATE TABLE nowhere (key TEXT REFERENCES gateway_key DEFERRABLE INITIALLY DEFERRED)")
            beside.execute(
                "CREATE TRIGGER lost AFTER INSERT ON gateway_answer BEGIN INSERT INTO nowhere VALUES ('none'); END"
            )
            found = await one.reserve("//commerce/manzhouli", "k", "f")
            assert isinstance(found, Reservation)
            with pytest.raises(sqlite3.IntegrityError):
                await one.durable(found)
            beside.execute("DROP TRIGGER lost")
        # The key is as free as if nobody had asked, for another payload too.
        await reserved(other, "k", "other payload")

    async def with_references(one: Answers, other: Answers) -> None:
        await one._database.run(one._database.execute, "PRAGMA foreign_keys=on")
        await scenario(one, other)

    play(f"sqlite:///{tmp_path / 'gateway.db'}", with_references)


def test_the_only_process_on_a_database_takes_over_at_once(url: str) -> None:
    async def scenario(one: Answers, other: Answers) -> None:
        await reserved(one, "k")
        other.take_over()
        await reserved(other, "k")

    play(url, scenario)


@pytest.mark.parametrize(
    ("given", "key"), [("8e03978e-40d5", "8e03978e-40d5"), ('"8e03978e"', "8e03978e"), ('"a b"', "a b")]
)
def test_a_key_may_be_quoted(given: str, key: str) -> None:
    assert key_of(Headers({"Idempotency-Key": given})) == key
