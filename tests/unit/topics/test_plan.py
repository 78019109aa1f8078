"""The plan is worked out from the catalogue and the state of a cluster, and never deletes or moves anything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.topics.builders import catalogue
from topics.plan import Change, ClusterState, ClusterTopic, Plan, RefusedError, apply, configs_of, plan

CATALOGUE = catalogue()


def cluster(brokers: int = 3, **changed: ClusterTopic | None) -> ClusterState:
    """A cluster that has the catalogue's topics as it says, but for those changed (`bank_loans`; None: missing)."""
    there: dict[str, Any] = {}
    for one in CATALOGUE.topics.values():
        there[one.name] = ClusterTopic(one.partitions, one.replication, configs_of(one, one.replication))
    for name, state in changed.items():
        there[name.replace("_", ".")] = state
    return ClusterState("cluster", brokers, {name: state for name, state in there.items() if state is not None})


def standing(partitions: int = 4, replication: int = 3, **configs: str) -> ClusterTopic:
    wanted = configs_of(CATALOGUE.topics["bank.loans"], replication)
    return ClusterTopic(partitions, replication, {**wanted, **{k.replace("_", "."): v for k, v in configs.items()}})


def test_an_empty_cluster_gets_every_topic() -> None:
    wanted = plan(CATALOGUE, ClusterState("new", 3, {}))
    assert [creation.topic.name for creation in wanted.creations] == list(CATALOGUE.topics)
    assert not wanted.shortfalls


def test_a_cluster_that_has_everything_gets_nothing() -> None:
    wanted = plan(CATALOGUE, cluster())
    assert wanted.empty
    assert len(wanted.unchanged) == len(CATALOGUE.topics)


def test_a_missing_topic_is_created_with_retention_for_ever_and_all_but_one_replica_in_sync() -> None:
    (creation,) = plan(CATALOGUE, cluster(bank_loans=None)).creations
    assert creation.replication == 3
    assert creation.configs["retention.ms"] == creation.configs["retention.bytes"] == "-1"
    assert creation.configs["min.insync.replicas"] == "2"


def test_a_small_cluster_gets_as_many_replicas_as_it_has_brokers_and_says_so() -> None:
    wanted = plan(CATALOGUE, cluster(brokers=1, bank_loans=None))
    assert wanted.creations[0].replication == 1
    assert wanted.creations[0].configs["min.insync.replicas"] == "1"
    assert [(short.topic.name, short.replication) for short in wanted.shortfalls] == [("bank.loans", 1)]


def test_replicas_in_sync_are_those_of_the_file_as_far_as_the_replicas_go() -> None:
    loans = CATALOGUE.topics["bank.loans"].model_copy(update={"replication": 5, "min_insync_replicas": 2})
    wanted = {count: configs_of(loans, count)["min.insync.replicas"] for count in (1, 2, 3, 5)}
    assert wanted == {1: "1", 2: "1", 3: "2", 5: "2"}


def test_settings_that_differ_are_adjusted_and_no_others() -> None:
    (adjustment,) = plan(CATALOGUE, cluster(bank_loans=standing(retention_ms="1000", segment_ms="60000"))).adjustments
    assert adjustment.changes == (Change("retention.ms", "1000", "-1"),)


def test_replicas_of_a_standing_topic_are_not_touched_and_its_settings_fit_them() -> None:
    wanted = plan(CATALOGUE, cluster(bank_loans=standing(replication=1)))
    assert wanted.empty
    assert [short.replication for short in wanted.shortfalls] == [1]


@pytest.mark.parametrize("count", [3, 6])
def test_another_partition_count_is_a_conflict_whether_fewer_or_more(count: int) -> None:
    wanted = plan(CATALOGUE, cluster(bank_loans=standing(partitions=count)))
    assert [(conflict.topic.name, conflict.partitions) for conflict in wanted.conflicts] == [("bank.loans", count)]
    assert not wanted.empty


def test_topics_that_are_not_in_the_catalogue_are_named_and_left_alone() -> None:
    wanted = plan(CATALOGUE, cluster(someone_elses=standing()))
    assert wanted.strangers == ("someone.elses",)
    assert wanted.empty


def test_a_plan_with_a_conflict_is_not_applied_at_all() -> None:
    wanted = plan(CATALOGUE, cluster(bank_loans=standing(partitions=6), loan_events=None))
    with pytest.raises(RefusedError, match=r"bank\.loans"):
        apply(wanted, admin=None)  # type: ignore[arg-type]


def test_an_empty_plan_asks_nothing_of_the_cluster() -> None:
    apply(Plan(), admin=None)  # type: ignore[arg-type]
