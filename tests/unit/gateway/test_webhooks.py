"""Webhooks: how they are signed, where they may go, and what their places mean."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.gateway import webhooks
from services.gateway.app import MIGRATIONS
from services.gateway.cursors import Head, cursor_of, seq_of
from services.gateway.outcome_settings import OutcomeSettings
from services.gateway.problems import Problem
from services.gateway.targets import Forbidden, check_url, resolve
from services.gateway.webhooks import Attempt, Master, NoMaster, Replay, load_master
from services.kit.database import Database, open_database
from services.kit.migrate import migrate

MASTER = Master(b"m" * 32)
HEAD = Head("0a1b2c3d", last=100, floor=40)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    migrate(url, "gateway", MIGRATIONS)
    with closing(open_database(url, "gateway")) as one:
        yield one


def test_a_signature_is_that_of_the_standards_own_example() -> None:
    # The example of the Standard Webhooks libraries.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = webhooks.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_webhook_has_a_secret_of_its_own_and_none_lies_in_the_database(database: Database, tmp_path: Path) -> None:
    ids = [webhooks.add(database, MASTER, "//commerce/heihe", "https://example.com/", [], 0) for _ in range(2)]
    secrets = {MASTER.secret_of(id) for id in ids}
    assert len(secrets) == 2
    assert all(len(secret) == 32 for secret in secrets)
    database.query("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"https://example.com/" in kept
    for secret in [*secrets, MASTER.secret]:
        assert secret not in kept
        assert base64.b64encode(secret) not in kept
        assert secret.hex().encode() not in kept
    assert "mmmm" not in repr(MASTER)


def test_a_master_secret_is_taken_from_the_environment_or_a_file_and_never_too_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoMaster, match="KOUAN_GATEWAY_WEBHOOK_MASTER_FILE"):
        load_master(OutcomeSettings())
    monkeypatch.setenv("KOUAN_GATEWAY_WEBHOOK_MASTER_FILE", str(tmp_path / "master"))
    with pytest.raises(NoMaster, match="can't be read"):
        load_master(OutcomeSettings())
    (tmp_path / "master").write_text("s" * 31 + "\n")
    with pytest.raises(NoMaster, match="31 characters"):
        load_master(OutcomeSettings())
    (tmp_path / "master").write_text("s" * 32 + "\n")
    assert load_master(OutcomeSettings()) == Master(b"s" * 32)
    monkeypatch.setenv("KOUAN_GATEWAY_WEBHOOK_MASTER", "e" * 40)
    assert load_master(OutcomeSettings()) == Master(b"e" * 40)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https:///nothing",
        "https://user:secret@example.com/",
        "https://example.com/#part",
        "https://example.com/\r\nHost: other",
        "https://10.1.2.3/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://" + "a" * 2000,
        "no url",
    ],
)
def test_nothing_is_sent_to_addresses_that_are_not_public_or_by_other_ways_than_https(url: str) -> None:
    with pytest.raises(Forbidden):
        check_url(url, private=False)


@pytest.mark.parametrize("url", ["https://8.8.8.8/", "https://[2001:4860:4860::8888]:8443/in?x=1", "https://a.cn/in"])
def test_public_addresses_may_be_sent_to(url: str) -> None:
    assert check_url(url, private=False).scheme == "https"


def test_a_name_is_judged_by_its_addresses_and_the_request_goes_to_the_one_that_was_judged() -> None:
    with pytest.raises(Forbidden, match="not a public address"):
        asyncio.run(resolve("https://localhost:9/in", private=False))
    target = asyncio.run(resolve("http://localhost:9/in?x=1", private=True))
    assert str(target.url) in ("http://127.0.0.1:9/in?x=1", "http://[::1]:9/in?x=1")
    assert (target.host, target.name) == ("localhost:9", "localhost")


def test_a_place_moves_past_what_was_delivered_and_stays_before_what_failed(database: Database) -> None:
    id = webhooks.add(database, MASTER, "//commerce/heihe", "https://example.com/", ["loan"], 5)
    webhooks.record_delivered(database, id, Attempt(7, False, 1000, 5, 200, ""), None)
    webhooks.record_failed(database, id, Attempt(9, False, 2000, 5, 500, "HTTP 500"), 3000, disable=False)
    webhooks.record_failed(database, id, Attempt(9, False, 6000, 5, None, "no answer"), 6000, disable=True)
    [one] = webhooks.listed(database)
    assert (one.after_seq, one.failures, one.failing_since_ms, one.next_attempt_ms) == (7, 2, 2000, 12005)
    assert (one.disabled_ms, one.trouble) == (6000, "no answer")
    assert [(made.seq, made.status) for made in webhooks.attempts_of(database, id, 10)] == [
        (9, None),
        (9, 500),
        (7, 200),
    ]
    assert webhooks.enable(database, id)
    [one] = webhooks.listed(database)
    assert (one.after_seq, one.failures, one.disabled_ms, one.next_attempt_ms) == (7, 0, None, 0)


def test_a_replay_has_a_place_of_its_own_and_covers_only_what_was_delivered(database: Database) -> None:
    id = webhooks.add(database, MASTER, "//commerce/heihe", "https://example.com/", [], 7)
    [one] = webhooks.listed(database)
    assert not webhooks.ask_replay(database, one, 7, 100)
    assert webhooks.ask_replay(database, one, 2, 100)
    replay = webhooks.next_replay(database, id)
    assert replay == Replay(1, 2, 7)
    webhooks.record_delivered(database, id, Attempt(4, True, 1000, 5, 200, ""), replay)
    replay = webhooks.next_replay(database, id)
    assert replay == Replay(1, 4, 7)
    webhooks.skip_to(database, id, 7, replay)
    assert webhooks.next_replay(database, id) is None
    assert webhooks.listed(database)[0].after_seq == 7


def test_nothing_is_kept_of_a_webhook_that_is_removed(database: Database) -> None:
    id = webhooks.add(database, MASTER, "//commerce/heihe", "https://example.com/", [], 7)
    webhooks.ask_replay(database, webhooks.listed(database)[0], 0, 7)
    assert webhooks.remove(database, id)
    assert not webhooks.remove(database, id)
    webhooks.record_delivered(database, id, Attempt(8, False, 1000, 5, 200, ""), None)
    for table in ("gateway_webhook", "gateway_replay", "gateway_attempt"):
        assert database.query(f"SELECT count(*) FROM {table}") == [(0,)]


def test_cursors_lead_back_to_their_place_and_nowhere_else() -> None:
    assert seq_of(cursor_of(HEAD, 77), HEAD) == 77
    assert seq_of("start", HEAD) == 40
    assert seq_of("now", HEAD) == 100


@pytest.mark.parametrize(
    "cursor", ["", "77", "====", "a" * 16 + "\x00", "é", "AAAA", cursor_of(HEAD, 101), cursor_of(HEAD, 77) + "A"]
)
def test_what_is_no_cursor_of_ours_is_a_fault_of_the_request(cursor: str) -> None:
    with pytest.raises(Problem) as refused:
        seq_of(cursor, HEAD)
    assert refused.value.status == 400


@pytest.mark.parametrize("cursor", [cursor_of(HEAD, 39), cursor_of(Head("ffffffff", 100, 0), 77)])
def test_a_cursor_whose_events_are_gone_says_so(cursor: str) -> None:
    with pytest.raises(Problem) as refused:
        seq_of(cursor, HEAD)
    assert refused.value.status == 410
