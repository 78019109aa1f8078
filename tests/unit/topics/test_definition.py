"""The catalogue is loaded strictly, and answers what the kit asks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.envelope import registered_types
from schemas.loading import load_contracts
from services.registry import SERVICES
from tests.unit.topics.builders import catalogue, dead_letters, desk, inputs, records, redrive, topic
from topics.definition import SHIPPED, Catalogue, CatalogueError, Kind, NotPublishableError, load_catalogue

SOUND = """\
name: bank.loans
title: {zh: 贷款, en: Loans}
owner: bank
kind: input
key:
  name: referral_id
  example: NMG-2020-000123
  why: {zh: 同一案件保持先后, en: a case keeps its order}
sources: [//bank/]
writers: [bank]
readers: [desk]
redistributed_by: desk
events: [loan.application_reported.v1]
"""


def flaws_of(folder: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(folder)
    return [str(flaw) for flaw in caught.value.flaws]


def flaws_between(*topics: object) -> str:
    with pytest.raises(CatalogueError) as caught:
        Catalogue.of(topics)  # type: ignore[arg-type]
    return str(caught.value)


# --- the shipped catalogue ---


def test_the_shipped_catalogue_is_sound_and_serves_exactly_the_registered_services() -> None:
    assert set(load_catalogue().services) == set(SERVICES)


def test_every_event_of_the_shipped_catalogue_has_a_payload_class_and_the_reverse() -> None:
    load_contracts()
    # Other tests register payload classes of their own in this process.
    ours = [kind for kind, cls in registered_types().items() if cls.__module__.startswith("schemas.")]
    load_catalogue().check_types(ours)


def test_every_shipped_topic_stands_in_a_file_of_its_name() -> None:
    assert {path.stem for path in SHIPPED.glob("*.yaml")} == set(load_catalogue().topics)


def test_events_and_reference_topics_are_kept_for_ever_and_whole() -> None:
    for one in load_catalogue().topics.values():
        assert (one.retention_ms, one.cleanup_policy) == (-1, "delete"), one.name


def test_inputs_take_four_megabytes_and_dead_letters_what_was_around_them() -> None:
    sizes = {kind: {t.max_message_bytes for t in load_catalogue().topics.values() if t.kind is kind} for kind in Kind}
    assert sizes[Kind.INPUT] == {4 * 1024 * 1024}
    assert sizes[Kind.DEAD_LETTERS] == sizes[Kind.REDRIVE] == {5 * 1024 * 1024}


def test_one_side_cannot_speak_for_the_other() -> None:
    shipped = load_catalogue().topics
    assert shipped["bank.opinions"].accepts_source("//bank/exim-nmg")
    assert not shipped["bank.opinions"].accepts_source("//commerce/15")
    assert not shipped["commerce.directory"].accepts_source("//commerce/15")


# --- what the kit asks ---


def test_a_service_finds_what_it_reads_and_where_it_writes() -> None:
    reference = topic(
        "bank.directory",
        "reference",
        owner="bank",
        sources=["//bank/exim"],
        writers=["bank"],
        readers=["desk"],
        partitions=1,
        events=["directory.branch_entered.v1"],
    )
    known = catalogue(reference)
    assert [one.name for one in known.inputs_of("desk")] == ["bank.loans"]
    assert [one.name for one in known.references_of("desk")] == ["bank.directory"]
    assert known.record_topic_of("desk").name == "loan.events"
    assert known.dead_letters_of("desk").name == "desk.dead-letters"
    assert known.redrive_of("desk").name == "desk.redrive"
    assert known.topic_for("desk", "loan.applied.v1").name == "loan.events"


def test_what_a_service_may_not_write_is_named() -> None:
    with pytest.raises(LookupError, match=r"lets desk write loan\.application_reported\.v1"):
        catalogue().topic_for("desk", "loan.application_reported.v1")


def test_a_service_that_is_not_in_the_catalogue_is_named_with_those_that_are() -> None:
    with pytest.raises(LookupError, match=r"no record topic of 'nobody'.*desk"):
        catalogue().record_topic_of("nobody")


def test_a_publisher_finds_its_topic_by_source_and_type() -> None:
    assert catalogue().topic_of_publisher("//bank/exim-nmg", "loan.application_reported.v1").name == "bank.loans"


def test_a_publisher_of_the_wrong_side_is_told_who_may() -> None:
    with pytest.raises(LookupError, match=r"taken from sources under //bank/, not from //commerce/15"):
        catalogue().topic_of_publisher("//commerce/15", "loan.application_reported.v1")


def test_what_our_services_say_is_not_for_publishers() -> None:
    with pytest.raises(NotPublishableError):
        catalogue().topic_of_publisher("//kouan/desk", "loan.applied.v1")


@pytest.mark.parametrize(
    ("prefix", "source", "accepted"),
    [
        ("//bank/", "//bank/exim-nmg", True),
        ("//bank/", "//bank/", False),
        ("//bank/", "//banker/x", False),
        ("//bank/exim", "//bank/exim", True),
        ("//bank/exim", "//bank/exim/feeds", True),
        ("//bank/exim", "//bank/exim-nmg", False),
    ],
)
def test_a_source_prefix_ends_where_a_name_ends(prefix: str, source: str, accepted: bool) -> None:
    assert inputs(sources=[prefix]).accepts_source(source) is accepted


# --- what is refused ---


def test_all_faults_of_all_files_are_told_at_once_with_line_and_field(tmp_path: Path) -> None:
    (tmp_path / "bank.loans.yaml").write_text(SOUND.replace("kind: input", "kind: imput") + "colour: red\n")
    (tmp_path / "loan.events.yaml").write_text(SOUND.replace(", en: a case keeps its order", ""))
    found = "\n".join(flaws_of(tmp_path))
    assert "bank.loans.yaml (line 4, kind): Input should be 'input'" in found
    assert "bank.loans.yaml (line 14, colour): Extra inputs are not permitted" in found
    assert "loan.events.yaml (line 8, key.why.en): Field required" in found


def test_a_field_given_twice_is_refused_instead_of_the_last_one_winning(tmp_path: Path) -> None:
    (tmp_path / "bank.loans.yaml").write_text(SOUND + "owner: bank\n")
    assert flaws_of(tmp_path) == ["bank.loans.yaml (line 14): owner is given twice"]


def test_a_file_that_is_not_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bank.loans.yaml").write_text(SOUND + "events: [\n")
    assert flaws_of(tmp_path)[0].startswith("bank.loans.yaml (line 15): not YAML")


def test_a_file_must_have_the_name_of_its_topic(tmp_path: Path) -> None:
    (tmp_path / "loans.yaml").write_text(SOUND)
    assert flaws_of(tmp_path) == ["loans.yaml (name): the topic bank.loans belongs into bank.loans.yaml"]


def test_an_empty_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    assert "there is no *.yaml file" in flaws_of(tmp_path)[0]
    (tmp_path / "bank.loans.yaml").write_text("")
    assert "the file is empty" in flaws_of(tmp_path)[0]


def test_a_list_with_a_repeat_or_a_misspelt_type_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bank.loans.yaml").write_text(
        SOUND.replace("[desk]", "[desk, desk]").replace("application_reported.v1", "applicationReported.v1")
    )
    found = "\n".join(flaws_of(tmp_path))
    assert "readers): listed more than once: desk" in found
    assert "events): no event types of the form context.what_happened.v1: loan.applicationReported.v1" in found


def test_topics_that_one_task_works_on_need_equal_partitions() -> None:
    assert "desk): all topics it works on need equal partitions, mostly 4, but bank.loans has 8" in flaws_between(
        *desk(inputs=inputs(partitions=8))
    )


def test_a_redrive_topic_with_other_partitions_would_miss_the_task() -> None:
    assert "desk.redrive has 1" in flaws_between(*desk(redrive=redrive(partitions=1)))


def test_a_service_needs_exactly_one_record_topic_dead_letters_and_redrive() -> None:
    found = flaws_between(inputs(), records(), records(name="loan.more", events=["loan.settled.v1"]), dead_letters())
    assert "desk): has 2 record topics (loan.events, loan.more), needs exactly one" in found
    assert "desk): has 0 redrive topics" in found


def test_a_reader_that_is_no_service_is_refused() -> None:
    assert "bank.loans.yaml (readers): no service with a record topic: dsek" in flaws_between(
        *desk(inputs=inputs(readers=["desk", "dsek"]))
    )


def test_an_input_needs_one_of_its_readers_to_put_misplaced_records_right() -> None:
    assert "redistributed_by): name one reader" in flaws_between(*desk(inputs=inputs(redistributed_by=None)))


def test_only_the_owner_writes_an_input() -> None:
    found = flaws_between(*desk(inputs=inputs(writers=["commerce"], sources=["//commerce/"])))
    assert "writers): kind input is written by its owner alone: [bank]" in found
    assert "sources): list prefixes under //bank/, the owner" in found


def test_our_own_topics_have_their_service_as_source() -> None:
    assert "sources): the source is the writing service: [//kouan/desk]" in flaws_between(
        *desk(records=records(sources=["//kouan/other"]))
    )


def test_a_type_may_not_have_two_homes_for_one_writer() -> None:
    second = inputs(name="bank.more")
    assert "loan.application_reported.v1 stands on bank.loans too" in flaws_between(*desk(second))


def test_the_same_type_may_stand_on_a_topic_of_each_side() -> None:
    other = inputs(name="commerce.loans", owner="commerce", sources=["//commerce/"], writers=["commerce"])
    assert catalogue(other).topic_of_publisher("//commerce/15", "loan.application_reported.v1").name == "commerce.loans"


def test_a_topic_that_one_lost_broker_would_stop_is_refused() -> None:
    found = flaws_between(*desk(inputs=inputs(replication=3, min_insync_replicas=3)))
    assert "bank.loans.yaml (min_insync_replicas): with 3 replicas one lost broker would stop every writer" in found
    assert "min_insync_replicas" in flaws_between(*desk(inputs=inputs(replication=1, min_insync_replicas=2)))


def test_what_is_not_filled_in_yet_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bank.loans.yaml").write_text(SOUND.replace("owner: bank", "owner:"))
    assert flaws_of(tmp_path) == ["bank.loans.yaml (line 3, owner): nothing is filled in here"]


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "bank.loans.yaml").write_bytes(b"name: \xff\xfe")
    assert flaws_of(tmp_path)[0].startswith("bank.loans.yaml: not text in UTF-8")


def test_only_what_is_said_to_others_is_for_the_parties_to_read() -> None:
    found = flaws_between(*desk(inputs=inputs(subscribers=["//bank/exim"])))
    assert "bank.loans.yaml (subscribers): kind input is not for the parties to read" in found
    assert "no systems of a party (bank, commerce, partner): ['//kouan/desk']" in flaws_between(
        *desk(records=records(subscribers=["//kouan/desk", "//bank/exim"]))
    )


def test_names_that_brokers_mix_up_are_refused() -> None:
    found = flaws_between(*desk(inputs(name="bank_a.loans", events=["a.b.v1"]), inputs(name="bank.a_loans")))
    assert "metrics mix these up" in found


def test_types_without_payload_class_and_the_reverse_are_told_together() -> None:
    with pytest.raises(CatalogueError) as caught:
        catalogue().check_types(["loan.applied.v1", "loan.unheard_of.v1"])
    assert [flaw.text for flaw in caught.value.flaws] == [
        "loan.application_reported.v1 has no payload class in schemas; define it or take it out",
        "loan.unheard_of.v1 has a payload class, but stands on no topic; add it to one's events",
    ]
