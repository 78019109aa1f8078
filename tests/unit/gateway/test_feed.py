"""What enters the feed, in which order, and who may see it, on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import count
from types import SimpleNamespace

import pytest

from schemas.loading import load_contracts
from services.client.place import Place
from services.client.receiving import sort_out
from services.gateway.app import MIGRATIONS
from services.gateway.cases import status_of, steps_of
from services.gateway.feed_store import (
    Reader,
    forget,
    read_case,
    read_head,
    read_new,
    read_page,
    release_overdue,
    seq_at,
)
from services.gateway.outcomes import place_of
from services.gateway.taking import Taker
from services.gateway.webhooks import now_ms
from services.kit.database import Database, open_database
from services.kit.migrate import migrate
from tests.support.outcomes import (
    Saying,
    amended,
    branch_entered,
    example,
    registered,
    rejected,
    saying,
    zone_entered,
)
from tests.support.postgres import fresh_database
from topics.acl import rights
from topics.definition import load_catalogue

ALL = Reader(None)
HEIHE, DANDONG = Reader("//commerce/heihe"), Reader("//commerce/dandong")


class Feed:
    """A feed on a database of its own."""

    def __init__(self, url: str) -> None:
        load_contracts()
        migrate(url, "gateway", MIGRATIONS)
        self.database: Database = open_database(url, "gateway")
        self._place = Place("feed", place_of(url))
        self._place.take_over()
        self._taker = Taker(load_catalogue())
        self._offsets = count()

    def take(self, *said: Saying) -> None:
        """What was said arrives, in one batch."""
        records = [
            SimpleNamespace(
                topic=one.topic,
                partition=0,
                offset=next(self._offsets),
                key=one.key,
                value=one.value,
                headers=one.headers,
            )
            for one in said
        ]
        events, skipped = sort_out(records)
        assert not skipped, skipped
        with self._place.transaction() as connection:
            self._taker.take([event for event, _ in events], connection)

    def seen(self, reader: Reader, after: int = 0) -> list[str]:
        """The types that a reader sees."""
        return [item.type for item in read_page(self.database, reader, after, 1000).items]

    def case(self, reader: Reader, case: str) -> Sequence[str]:
        """The types that a reader sees of a case."""
        return [told.type for told in read_case(self.database, reader, case)[1]]

    def close(self) -> None:
        self._place.close()
        self.database.close()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    """A feed that all tests here share."""
    with ExitStack() as steps:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('feed') / 'gateway.db'}"
        else:
            url = steps.enter_context(fresh_database(request.getfixturevalue("postgres_url")))
        yield steps.enter_context(closing(Feed(url)))


@pytest.fixture
def feed(whole: Feed) -> Feed:
    """The feed, empty."""
    for table in ("gateway_feed", "gateway_audience", "gateway_case", "gateway_unit"):
        whole.database.execute(f"DELETE FROM {table}")
    whole.database.execute("UPDATE gateway_head SET last_seq = 0, floor_seq = 0")
    return whole


def test_a_case_is_seen_by_its_referrer_zone_department_branch_and_the_headquarters_and_by_nobody_else(
    feed: Feed,
) -> None:
    feed.take(
        registered("R-1", zone="heihe", province="23", branch="exim-hlj", referrer="//bank/exim-dl"),
        saying("screening.opened.v1", "R-1"),
    )
    both = ["referral.registered.v1", "screening.opened.v1"]
    for unit in ("//bank/exim-dl", "//commerce/heihe", "//commerce/23", "//bank/exim-hlj", None):
        assert feed.seen(Reader(unit)) == both
        assert feed.case(Reader(unit), "R-1") == both
    for unit in ("//commerce/dandong", "//commerce/21", "//bank/exim-ln", "//partner/heihe", "//commerce/hei"):
        assert feed.seen(Reader(unit)) == []
        assert feed.case(Reader(unit), "R-1") == []


def test_what_is_said_of_a_case_before_its_registration_is_read_waits_for_it(feed: Feed) -> None:
    feed.take(saying("loan.expected.v1", "R-1"), saying("loan.applied.v1", "R-1"))
    assert feed.seen(ALL) == []
    feed.take(registered("R-1", zone="heihe"), saying("screening.opened.v1", "R-1"))
    assert feed.seen(HEIHE) == [
        "referral.registered.v1",
        "screening.opened.v1",
        "loan.expected.v1",
        "loan.applied.v1",
    ]


def test_within_one_batch_the_order_of_topics_does_not_matter(feed: Feed) -> None:
    feed.take(saying("loan.expected.v1", "R-1"), registered("R-1", zone="heihe"))
    assert sorted(feed.seen(HEIHE)) == ["loan.expected.v1", "referral.registered.v1"]


def test_what_waited_too_long_goes_to_the_headquarters_alone(feed: Feed) -> None:
    feed.take(saying("loan.expected.v1", "R-1"))
    assert release_overdue(feed.database, now_ms() - 60_000) == 0
    assert release_overdue(feed.database, now_ms() + 1) == 1
    assert feed.seen(ALL) == ["loan.expected.v1"]
    feed.take(registered("R-1", zone="heihe"))
    assert feed.seen(HEIHE) == ["referral.registered.v1"]


def test_a_rejection_is_for_its_referrer_alone_and_opens_nobody_elses_case(feed: Feed) -> None:
    feed.take(
        registered("R-1", zone="heihe"),
        rejected("R-1", "//commerce/dandong"),
        saying("screening.opened.v1", "R-1"),
    )
    assert feed.seen(DANDONG) == feed.case(DANDONG, "R-1") == ["referral.rejected.v1"]
    assert feed.seen(HEIHE) == ["referral.registered.v1", "screening.opened.v1"]


def test_a_case_that_moves_shows_its_past_to_the_new_zone_and_nothing_more_to_the_old_one(feed: Feed) -> None:
    feed.take(
        rejected("R-1", "//commerce/heihe"),
        registered("R-1", zone="heihe", referrer="//commerce/15"),
        saying("screening.opened.v1", "R-1"),
    )
    feed.take(amended("R-1", zone="dandong"), saying("screening.shortlisted.v1", "R-1"))
    past = ["referral.registered.v1", "screening.opened.v1", "referral.amended.v1"]
    assert feed.case(DANDONG, "R-1") == [*past, "screening.shortlisted.v1"]
    assert feed.case(HEIHE, "R-1") == ["referral.rejected.v1", *past]


def test_bookkeeping_and_personal_data_never_reach_the_database(feed: Feed) -> None:
    feed.take(
        registered("R-1", zone="heihe"),
        saying("notice.queued.v1", "R-1"),
        saying("notice.delivered.v1", "R-1"),
        saying("notice.failed.v1", "R-1"),
        saying("notice.file_opened.v1", "R-1"),
        saying("notice.escalated.v1", "R-1"),
    )
    assert feed.database.query("SELECT type FROM gateway_feed ORDER BY entry") == [
        ("referral.registered.v1",),
        ("notice.escalated.v1",),
    ]


def test_a_zones_warning_is_for_the_zone_its_department_and_the_branches_that_serve_it_that_day(feed: Feed) -> None:
    warning = example("risk.warning_raised.v1", "valid-zone") | {"subject": "heihe", "zone": "heihe"}
    feed.take(
        zone_entered("heihe", "23"),
        branch_entered("exim-hlj", "22", "23"),
        branch_entered("exim-dl", "23", valid_to="2021-12-31"),
        branch_entered("exim-nmg", "15"),
        saying("risk.warning_raised.v1", "heihe", warning),
    )
    for unit in ("//commerce/heihe", "//commerce/23", "//bank/exim-hlj", None):
        assert feed.seen(Reader(unit)) == ["risk.warning_raised.v1"]
    for unit in ("//bank/exim-dl", "//bank/exim-nmg", "//commerce/15", "//commerce/dandong"):
        assert feed.seen(Reader(unit)) == []
    assert feed.case(ALL, "heihe") == []


def test_a_case_that_bears_a_zones_code_does_not_get_what_is_said_of_the_zone(feed: Feed) -> None:
    notice = example("notice.escalated.v1")
    feed.take(
        zone_entered("heihe", "23"),
        registered("heihe", zone="dandong", province="21", branch="exim-ln"),
        saying("notice.escalated.v1", "heihe", notice),
    )
    assert feed.seen(DANDONG) == ["referral.registered.v1"]
    assert feed.seen(HEIHE) == ["notice.escalated.v1"]


def test_types_are_asked_for_by_their_beginning_up_to_a_dot(feed: Feed) -> None:
    feed.take(
        registered("R-1", zone="heihe"),
        saying("loan.applied.v1", "R-1"),
        saying("screening.opened.v1", "R-1"),
        saying("screening.opinion_recorded.v1", "R-1"),
    )
    unit = "//commerce/heihe"
    assert feed.seen(Reader(unit, ("loan", "screening.opened"))) == ["loan.applied.v1", "screening.opened.v1"]
    assert feed.seen(Reader(unit, ("screening.opinion_recorded.v1",))) == ["screening.opinion_recorded.v1"]
    assert feed.seen(Reader(unit, ("screening.op", "scr%", "l_an"))) == []


def test_pages_follow_each_other_without_gap_or_repeat_and_say_how_far_they_looked(feed: Feed) -> None:
    feed.take(*(registered(f"R-{number}", zone=("heihe", "dandong")[number % 2]) for number in range(130)))
    seen, after = [], 0
    while (page := read_page(feed.database, HEIHE, after, 7)).items:
        seen += [item.seq for item in page.items]
        after = page.reached
    assert seen == list(range(1, 131, 2))
    assert after == read_head(feed.database).last == 130
    new = read_new(feed.database, 126, 130)
    assert [(item.seq, "//commerce/heihe" in units) for item, units in new] == [
        (127, True),
        (128, False),
        (129, True),
        (130, False),
    ]


def test_what_is_past_its_retention_is_forgotten_from_the_start_and_numbers_go_on(feed: Feed) -> None:
    feed.take(registered("R-1", zone="heihe"), registered("R-2", zone="heihe"))
    assert seq_at(feed.database, now_ms() + 1) == 2
    assert forget(feed.database, now_ms() - 60_000) == 0
    assert forget(feed.database, now_ms() + 1) == 2
    assert forget(feed.database, now_ms() + 1) == 0
    head = read_head(feed.database)
    assert (head.last, head.floor) == (2, 2)
    feed.take(saying("screening.opened.v1", "R-1"))
    assert [item.seq for item in read_page(feed.database, HEIHE, 0, 10).items] == [3]
    assert feed.database.query("SELECT count(*) FROM gateway_audience WHERE seq <= 2") == [(0,)]


def test_an_event_is_given_away_as_it_was_said_on_one_line(feed: Feed) -> None:
    said = registered("R-1", zone="heihe")
    pretty = Saying(said.topic, "R-1", said.id, said.type, said.value.replace(b", ", b",\r\n "), said.headers)
    feed.take(pretty)
    [item] = read_page(feed.database, HEIHE, 0, 10).items
    assert b"\n" not in item.event
    assert b"\r" not in item.event
    assert "满洲里".encode() in item.event


def test_a_case_says_where_it_stands(feed: Feed) -> None:
    held = example("risk.held.v1") | {"hold_id": "zone:heihe"}
    loan = example("loan.disbursed.v1")
    feed.take(
        saying("loan.disbursed.v1", "R-1", loan, time="2020-05-01T09:00:00+08:00"),
        saying("screening.shortlisted.v1", "R-1", time="2020-04-09T03:00:00+00:00"),
        registered("R-1", zone="heihe", time="2020-04-01T09:30:00+08:00"),
        saying("risk.held.v1", "R-1", held, time="2020-05-02T09:00:00+08:00"),
        rejected("R-1", "//commerce/dandong"),
    )
    steps = steps_of(read_case(feed.database, ALL, "R-1")[1])
    assert [told.type for told, _ in steps[:2]] == ["referral.registered.v1", "screening.shortlisted.v1"]
    status = status_of([event for _, event in steps])
    assert status["stage"] == "financed"
    assert status["since"] == "2020-05-01T09:00:00+08:00"
    assert status["name"] == example("referral.registered.v1")["referral"]["name"]
    assert status["held_by"] == ["zone:heihe"]
    assert status["loans"] == [loan["loan"]]


def test_a_time_line_tells_causes_before_what_they_caused_though_both_bear_one_time(feed: Feed) -> None:
    now = "2020-04-01T09:30:00+08:00"
    feed.take(saying("loan.expected.v1", "R-1", id="d", cause="c", time=now))
    feed.take(
        saying("screening.opened.v1", "R-1", id="b", cause="a", time=now),
        saying("screening.shortlisted.v1", "R-1", id="c", cause="b", time=now),
        registered("R-1", zone="heihe", id="a", time=now),
    )
    assert [one.id for one, _ in steps_of(read_case(feed.database, HEIHE, "R-1")[1])] == ["a", "b", "c", "d"]


def test_the_gateway_reads_what_the_catalogue_gives_it_the_right_to_read() -> None:
    catalogue = load_catalogue()
    readable = {one.name for one in rights(catalogue) if (one.user, one.operation) == ("kouan-gateway", "Read")}
    assert set(Taker(catalogue).topics) == readable
