"""Fetch sessions: everything is asked for once, then what changed, and everything again when something went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4, FetchRequest_v7, FetchRequest_v11

from services.kit.sessions import Session

MOST = 1_000_000
UNKNOWN_SESSION, WRONG_EPOCH = 70, 71


@dataclass
class Answer:
    """What a broker says of a session."""

    session_id: int = 5
    error_code: int = 0


def wanted(**offsets: int) -> FetchRequest:
    """A request for partition 0 of topics, from these offsets on."""
    return FetchRequest(500, 1, 52_428_800, 1, [(topic, [(0, offset, MOST)]) for topic, offset in offsets.items()])


def sent(session: Session, whole: FetchRequest, version: type[Any] = FetchRequest_v11) -> Any:
    """The request as it goes out, read from its bytes."""
    return version.decode(session.request(whole).build(version).encode())


def told(request: Any) -> tuple[int, int, dict[str, int], dict[str, list[int]]]:
    """The session's id and epoch, the offsets asked for, and what is to be forgotten."""
    offsets = {topic: parts[0][2] for topic, parts in request.topics}
    return request.session_id, request.session_epoch, offsets, dict(request.forgotten_topics_data)


def begun(**offsets: int) -> Session:
    session = Session()
    session.request(wanted(**offsets))
    session.answered(Answer())
    return session


def test_the_first_request_asks_for_all_and_begins_a_session() -> None:
    assert told(sent(Session(), wanted(a=1, b=2))) == (0, 0, {"a": 1, "b": 2}, {})


def test_the_next_ones_ask_for_what_changed_and_forget_what_is_not_wanted_now() -> None:
    session = begun(a=1, b=2, c=3)

    assert told(sent(session, wanted(a=1, b=9, c=3))) == (5, 1, {"b": 9}, {})
    session.answered(Answer())
    assert told(sent(session, wanted(a=1, b=9))) == (5, 2, {}, {"c": [0]})
    session.answered(Answer())
    assert told(sent(session, wanted(a=1, b=9, c=3))) == (5, 3, {"c": 3}, {})


@pytest.mark.parametrize(("code", "id"), [(UNKNOWN_SESSION, 0), (WRONG_EPOCH, 5)])
def test_a_session_that_the_broker_refuses_begins_anew_with_everything(code: int, id: int) -> None:
    session = begun(a=1, b=2)
    session.request(wanted(a=1, b=3))
    session.answered(Answer(error_code=code, session_id=0))

    assert told(sent(session, wanted(a=1, b=3))) == (id, 0, {"a": 1, "b": 3}, {})


def test_a_request_whose_fate_is_unknown_is_followed_by_one_for_everything() -> None:
    session = begun(a=1, b=2)
    session.request(wanted(a=1, b=3))
    session.broken()

    assert told(sent(session, wanted(a=1, b=3))) == (5, 0, {"a": 1, "b": 3}, {})


def test_a_broker_without_room_for_a_session_is_asked_for_everything_each_time() -> None:
    session = Session()
    for _ in range(3):
        assert told(sent(session, wanted(a=1, b=2))) == (0, 0, {"a": 1, "b": 2}, {})
        session.answered(Answer(session_id=0))


def test_epochs_begin_again_at_one_behind_the_last() -> None:
    session = begun(a=1)
    session._epoch = 2**31 - 1
    session.answered(Answer())

    assert told(sent(session, wanted(a=1)))[1] == 1


def test_a_broker_that_knows_no_sessions_gets_the_whole_request() -> None:
    session = begun(a=1, b=2)

    assert [topic for topic, _ in sent(session, wanted(a=1, b=3), FetchRequest_v4).topics] == ["a", "b"]


def test_what_the_client_asks_beside_partitions_is_kept() -> None:
    request = sent(begun(a=1), FetchRequest(250, 7, 1000, 1, [("a", [(0, 2, 99)])], "rack"))

    assert (request.max_wait_time, request.min_bytes, request.max_bytes, request.isolation_level) == (250, 7, 1000, 1)
    assert request.rack_id == "rack"
    assert request.topics == [("a", [(0, -1, 2, -1, 99)])]
    older = sent(begun(a=1), wanted(a=2), FetchRequest_v7)
    assert (older.session_id, older.session_epoch, older.topics) == (5, 1, [("a", [(0, 2, -1, MOST)])])
