"""A topic that only the cluster knows begins a file; a person fills it in, and the checks say where."""

from __future__ import annotations

from pathlib import Path

import pytest

from topics.definition import CatalogueError, load_catalogue
from topics.importing import write_drafts
from topics.plan import ClusterState, ClusterTopic

SETTINGS = {
    "min.insync.replicas": "1",
    "retention.ms": "604800000",
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
}


def cluster(**settings: str) -> ClusterState:
    configs = {**SETTINGS, **{name.replace("_", "."): value for name, value in settings.items()}}
    there = ClusterTopic(partitions=4, replication=2, configs=configs)
    return ClusterState("abc", 3, {"bank.loans": there, "UPPER": there})


def flaws(folder: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(folder)
    return [str(flaw) for flaw in caught.value.flaws]


def test_what_the_cluster_knows_is_filled_in_and_every_other_place_is_named_by_the_checks(tmp_path: Path) -> None:
    (written,), left = write_drafts(cluster(), ["bank.loans"], tmp_path)
    assert not left
    text = written.read_text(encoding="utf-8")
    for line in ("name: bank.loans", "partitions: 4", "replication: 2", "retention_ms: 604800000"):
        assert f"\n{line}\n" in text
    found = flaws(tmp_path)
    assert all("nothing is filled in here" in flaw for flaw in found), found
    places = {flaw.partition(", ")[2].partition(")")[0] for flaw in found}
    assert places == {
        *("title.zh", "title.en", "owner", "kind", "key.name", "key.example", "key.why.zh", "key.why.en"),
        *("sources", "writers", "readers", "events"),
    }


def test_a_value_that_no_catalogue_may_hold_is_left_to_the_person_with_what_the_cluster_has(tmp_path: Path) -> None:
    ((written,), _) = write_drafts(cluster(cleanup_policy="compact,delete"), ["bank.loans"], tmp_path)
    assert "cleanup_policy:  # 集群为 · the cluster has compact,delete" in written.read_text(encoding="utf-8")
    assert any("cleanup_policy): nothing is filled in here" in flaw for flaw in flaws(tmp_path))


def test_a_name_that_can_not_stand_in_a_catalogue_is_told_and_left(tmp_path: Path) -> None:
    written, (left,) = write_drafts(cluster(), ["UPPER"], tmp_path)
    assert not written
    assert left.name == "UPPER"
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_already_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "bank.loans.yaml"
    file.write_text("mine")
    written, (left,) = write_drafts(cluster(), ["bank.loans"], tmp_path)
    assert not written
    assert "exists already" in left.en
    assert file.read_text() == "mine"
