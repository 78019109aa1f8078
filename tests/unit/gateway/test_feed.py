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
from services.gateway.cases import steps_of
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
from services.gateway.parties import Party
from services.gateway.standing import status_of
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
        saying("notice.partner_queued.v1", "R-1"),
        saying("notice.partner_failed.v1", "R-1"),
        saying("cooperation.case_noted.v1", "R-1"),
        saying("enterprise.noted.v1", "91330100799655058B"),
        saying("notice.escalated.v1", "R-1"),
    )
    assert feed.database.query("SELECT type FROM gateway_feed ORDER BY entry") == [
        ("referral.registered.v1",),
        ("notice.escalated.v1",),
    ]


PARTNER, RIVAL = Reader("//partner/frontier-guarantee"), Reader("//partner/northern-surety")
BANK_HQ, COMMERCE_HQ = (Party(source, "").reader() for source in ("//bank/exim", "//commerce/mofcom"))
BRANCH = Reader("//bank/exim-nmg")


def test_a_partner_sees_of_a_case_its_invitation_and_what_came_of_it_and_nothing_else(feed: Feed) -> None:
    other = example("cooperation.partner_joined.v1")
    other["share"] |= {"partner": "northern-surety"}
    feed.take(
        registered("R-1", zone="heihe"),
        saying("screening.shortlisted.v1", "R-1"),
        saying("cooperation.mode_proposed.v1", "R-1"),
        saying("cooperation.partner_invited.v1", "R-1"),
        saying("cooperation.partner_joined.v1", "R-1", other),
        saying("cooperation.partner_joined.v1", "R-1"),
        saying("consortium.complete.v1", "R-1"),
        saying("loan.disbursed.v1", "R-1"),
    )
    own = ["cooperation.partner_invited.v1", "cooperation.partner_joined.v1"]
    assert feed.seen(PARTNER) == feed.case(PARTNER, "R-1") == own
    assert feed.seen(RIVAL) == ["cooperation.partner_joined.v1"]
    assert len(feed.case(BRANCH, "R-1")) == 8


def test_a_partner_sees_nothing_of_a_case_in_which_it_is_not_invited(feed: Feed) -> None:
    feed.take(registered("R-1", zone="heihe"), saying("cooperation.partner_invited.v1", "R-1"))
    assert feed.seen(RIVAL) == feed.case(RIVAL, "R-1") == []


def test_an_invitation_that_was_read_before_its_case_reaches_its_partner_all_the_same(feed: Feed) -> None:
    feed.take(saying("cooperation.partner_invited.v1", "R-1"))
    assert feed.seen(PARTNER) == []
    feed.take(registered("R-1", zone="heihe"))
    assert feed.seen(PARTNER) == ["cooperation.partner_invited.v1"]
    assert feed.seen(RIVAL) == []


@pytest.mark.parametrize("early", [False, True])
def test_a_sides_draft_is_not_shown_to_the_other_side_nor_to_its_headquarters(feed: Feed, early: bool) -> None:
    case = registered("R-1", zone="heihe")
    draft = saying("screening.opinion_drafted.v1", "R-1", example("screening.opinion_drafted.v1") | {"side": "bank"})
    for said in (draft, case) if early else (case, draft):
        feed.take(said)
    for reader in (BRANCH, BANK_HQ):
        assert "screening.opinion_drafted.v1" in feed.seen(reader)
        assert "screening.opinion_drafted.v1" in feed.case(reader, "R-1")
    for reader in (HEIHE, Reader("//commerce/15"), COMMERCE_HQ):
        assert feed.seen(reader) == feed.case(reader, "R-1") == ["referral.registered.v1"]


def test_a_referral_that_waits_for_consent_is_for_its_referrer_and_hidden_from_the_side_that_lacks_it(
    feed: Feed,
) -> None:
    body = example("referral.consent_awaited.v2", "valid-bank") | {"side": "commerce", "source": "//commerce/heihe"}
    feed.take(saying("referral.consent_awaited.v2", "R-1", body))
    assert feed.seen(HEIHE) == feed.seen(COMMERCE_HQ) == ["referral.consent_awaited.v2"]
    assert feed.seen(BANK_HQ) == feed.case(BANK_HQ, "R-1") == feed.seen(BRANCH) == []


@pytest.mark.parametrize(
    "kind", ["referral.consent_recorded.v1", "referral.resemblance_flagged.v1", "referral.closed.v1"]
)
def test_what_befalls_a_referral_before_it_is_registered_is_for_its_referrer(feed: Feed, kind: str) -> None:
    body = example(kind) | {"source": "//commerce/heihe"}
    feed.take(saying(kind, "R-1", body))
    assert feed.seen(HEIHE) == [kind]
    assert feed.seen(BRANCH) == feed.seen(Reader("//commerce/15")) == []
    feed.take(registered("R-1", zone="heihe"), saying(kind, "R-1", body))
    assert feed.seen(BRANCH) == ["referral.registered.v1", kind]


def test_a_stream_withholds_what_a_page_withholds(feed: Feed) -> None:
    body = example("referral.consent_awaited.v2", "valid-bank") | {"side": "commerce", "source": "//commerce/heihe"}
    feed.take(saying("referral.consent_awaited.v2", "R-1", body))
    [(_, audience)] = read_new(feed.database, 0, 1)
    assert [reader.is_among(audience) for reader in (HEIHE, COMMERCE_HQ, BANK_HQ, BRANCH)] == [True, True, False, False]


@pytest.mark.parametrize("kind", ["referral.refused.v1", "cooperation.refused.v1"])
def test_whoever_sent_what_was_refused_sees_the_refusal_and_by_it_nothing_else_of_the_case(
    feed: Feed, kind: str
) -> None:
    feed.take(registered("R-1", zone="heihe"))
    feed.take(
        saying(kind, "R-1", example(kind) | {"source": "//commerce/dandong"}), saying("screening.opened.v1", "R-1")
    )
    assert feed.seen(DANDONG) == feed.case(DANDONG, "R-1") == [kind]
    assert kind in feed.seen(HEIHE)


def test_a_refusal_to_a_partner_is_seen_by_that_partner(feed: Feed) -> None:
    body = example("cooperation.refused.v1") | {"source": "//partner/frontier-guarantee"}
    feed.take(saying("cooperation.refused.v1", "R-9", body))
    assert feed.seen(PARTNER) == ["cooperation.refused.v1"]
    assert feed.seen(RIVAL) == []


ZONE_UNITS = {"//commerce/heihe", "//commerce/23", "//bank/exim-hlj", "//bank/exim-dl"}
COMMERCE_UNITS = {"//commerce/heihe", "//commerce/23"}


@pytest.mark.parametrize(
    ("kind", "changes", "seen_by"),
    [
        ("plan.part_recorded.v1", {}, ZONE_UNITS),
        ("work_plan.action_late.v1", {}, ZONE_UNITS),
        ("advice.routed.v1", {"routed_to": "exim-hlj"}, {*COMMERCE_UNITS, "//bank/exim-hlj", "//commerce/manzhouli"}),
        ("advice.reminded.v1", {"routed_to": "exim-hlj"}, {*COMMERCE_UNITS, "//bank/exim-hlj"}),
        ("matchmaking.taken_up.v1", {}, ZONE_UNITS),
        ("matchmaking.turned_down.v1", {}, COMMERCE_UNITS),
        ("matchmaking.wish_opened.v1", None, set()),
        ("matchmaking.wish_closed.v1", None, set()),
        ("matchmaking.turned_down.v1", {"submitted_from": "//bank/exim-dl"}, {*COMMERCE_UNITS, "//bank/exim-dl"}),
        ("bulletin.matched.v1", {"side": "commerce"}, COMMERCE_UNITS),
        ("bulletin.matched.v1", {"side": "bank"}, ZONE_UNITS),
    ],
)
def test_what_is_said_of_no_case_is_seen_by_those_whom_it_concerns(
    feed: Feed, kind: str, changes: dict[str, str] | None, seen_by: set[str]
) -> None:
    body = example(kind) | ({} if changes is None else {"zone": "heihe"} | changes)
    feed.take(zone_entered("heihe", "23"), branch_entered("exim-hlj", "23"), branch_entered("exim-dl", "23"))
    feed.take(saying(kind, "ID-1", body))
    [(_, audience)] = read_new(feed.database, 0, 1)
    assert audience == seen_by


def test_a_match_is_seen_by_the_zones_that_it_names(feed: Feed) -> None:
    body = example("matchmaking.matched.v1")
    body["matches"] = [body["matches"][0] | {"zone": zone} for zone in ("heihe", "dandong")]
    feed.take(zone_entered("heihe", "23"), zone_entered("dandong", "21"), zone_entered("horgos", "65"))
    feed.take(saying("matchmaking.matched.v1", "WISH-1", body))
    [(_, audience)] = read_new(feed.database, 0, 1)
    assert audience == {*COMMERCE_UNITS, "//commerce/dandong", "//commerce/21"}


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


def test_a_case_says_who_blocks_it_who_takes_part_and_how_it_ended(feed: Feed) -> None:
    moments = iter(f"2020-04-{day:02}T09:30:00+08:00" for day in range(1, 30))
    kinds = [
        "screening.opened.v1",
        "screening.conference_called.v1",
        "screening.chain_raised.v1",
        "screening.shortlisted.v1",
        "cooperation.mode_proposed.v1",
        "cooperation.partner_invited.v1",
        "cooperation.partner_joined.v1",
        "consortium.complete.v1",
        "referral.closed.v1",
    ]
    feed.take(registered("R-1", zone="heihe", time=next(moments)))
    stages = []
    for kind in kinds:
        feed.take(saying(kind, "R-1", time=next(moments)))
        status = status_of([event for _, event in steps_of(read_case(feed.database, ALL, "R-1")[1])])
        stages.append((status["stage"], status["deadline"] is not None))
    assert stages[:2] == [("screening", True), ("conference", True)]
    assert stages[3:] == [("shortlisted", False)] * 4 + [("matched", False)] * 2
    blocked = example("screening.chain_raised.v1")["blocked_by"]
    assert status["blocked_by"] == [link["referral_id"] for link in blocked]
    share = example("cooperation.partner_joined.v1")["share"]
    assert status["cooperation"] == {
        "mode": example("consortium.complete.v1")["mode"],
        "missing": None,
        "partners": [{"partner": share["partner"], "standing": "takes_part", "share": share["amount"]}],
    }
    assert status["closed"]["code"] == example("referral.closed.v1")["code"]


def test_for_a_partner_a_case_stands_where_its_invitation_stands(feed: Feed) -> None:
    feed.take(registered("R-1", zone="heihe"), saying("cooperation.partner_invited.v1", "R-1"))
    status = status_of([event for _, event in steps_of(read_case(feed.database, PARTNER, "R-1")[1])])
    assert (status["stage"], status["name"]) == ("invited", None)
    assert [one["standing"] for one in status["cooperation"]["partners"]] == ["invited"]


def test_a_partner_that_leaves_after_the_loan_was_paid_out_takes_no_stage_back(feed: Feed) -> None:
    feed.take(registered("R-1", zone="heihe", time="2020-04-01T09:30:00+08:00"))
    for day, kind in enumerate(("loan.disbursed.v1", "consortium.short.v1"), 2):
        feed.take(saying(kind, "R-1", time=f"2020-04-0{day}T09:30:00+08:00"))
    assert status_of([event for _, event in steps_of(read_case(feed.database, ALL, "R-1")[1])])["stage"] == "financed"


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
