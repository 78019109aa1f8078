"""`kouan topics`, `publish` and `case` on a real broker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.structs import TopicPartition
from typer.testing import CliRunner, Result

from services.cli import app
from tests.support.brokers import unique
from tests.unit.cli.builders import lines, submitted
from tests.unit.topics.builders import catalogue, inputs
from topics.definition import Catalogue, Topic, load_catalogue
from topics.partitioning import partition_of
from topics.plan import Plan, RefusedError, apply, plan, read_cluster

pytestmark = pytest.mark.broker


@pytest.fixture(autouse=True)
def _own_journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test published must not count as published in another."""
    monkeypatch.setenv("KOUAN_PUBLISH_JOURNALS", str(tmp_path / "journals"))


@pytest.fixture
def admin(kafka: str) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=kafka.split(","))) as client:
        yield client


@pytest.fixture
def own() -> Catalogue:
    """A catalogue with names that no other test uses."""
    mark = unique("t").replace("-", "_")
    return Catalogue.of(one.model_copy(update={"name": f"{mark}.{one.name}"}) for one in catalogue().topics.values())


def kouan(kafka: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "-b", kafka])


def until(look: Callable[[], Plan], fits: Callable[[Plan], bool]) -> Plan:
    """What `look` finds once it fits; brokers learn of a change a moment after it was confirmed."""
    deadline = time.monotonic() + 15
    while not fits(found := look()):
        assert time.monotonic() < deadline, found
    return found


def bank_loans(known: Catalogue) -> Topic:
    return next(one for name, one in known.topics.items() if name.endswith("bank.loans"))


def test_what_is_missing_is_created_as_planned_and_a_second_time_nothing_is_left(
    admin: KafkaAdminClient, own: Catalogue
) -> None:
    wanted = plan(own, read_cluster(admin))
    assert len(wanted.creations) == len(own.topics)
    apply(wanted, admin)
    again = plan(own, read_cluster(admin))
    assert again.empty
    assert len(again.unchanged) == len(own.topics)
    apply(again, admin)


def test_two_who_apply_the_same_plan_at_once_do_each_other_no_harm(admin: KafkaAdminClient, own: Catalogue) -> None:
    wanted = plan(own, read_cluster(admin))
    apply(wanted, admin)
    apply(wanted, admin)
    assert plan(own, read_cluster(admin)).empty


def test_a_setting_that_was_changed_is_put_back_and_others_are_left(admin: KafkaAdminClient, own: Catalogue) -> None:
    apply(plan(own, read_cluster(admin)), admin)
    name = bank_loans(own).name
    strayed = {"retention.ms": "86400000", "segment.ms": "3600000"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, strayed)])
    wanted = until(lambda: plan(own, read_cluster(admin)), lambda found: bool(found.adjustments))
    assert [change.setting for one in wanted.adjustments for change in one.changes] == ["retention.ms"]
    apply(wanted, admin)
    configs = read_cluster(admin).topics[name].configs
    assert (configs["retention.ms"], configs["segment.ms"]) == ("-1", "3600000")


def test_a_partition_count_is_not_changed_and_the_rest_is_not_applied_either(
    admin: KafkaAdminClient, own: Catalogue
) -> None:
    apply(plan(own, read_cluster(admin)), admin)
    mark = bank_loans(own).name.split(".")[0]
    grown = [one.model_copy(update={"partitions": 6}) for one in own.topics.values()]
    extra = inputs(name=f"{mark}.bank.more", events=["loan.contract_reported.v1"], partitions=6)
    wanted = plan(Catalogue.of([*grown, extra]), read_cluster(admin))
    with pytest.raises(RefusedError):
        apply(wanted, admin)
    state = read_cluster(admin)
    assert state.topics[bank_loans(own).name].partitions == 4
    assert extra.name not in state.topics


def test_the_command_applies_the_shipped_catalogue_and_then_finds_nothing_to_do(kafka: str) -> None:
    assert kouan(kafka, "topics", "apply").exit_code == 0
    again = kouan(kafka, "topics", "plan")
    assert again.exit_code == 0
    assert "nothing to do" in again.stdout


def test_a_published_file_stands_on_its_topics_by_murmur2_and_is_found_as_a_case(kafka: str, tmp_path: Path) -> None:
    kouan(kafka, "topics", "apply")
    case = unique("MZL")
    file = tmp_path / "events.jsonl"
    withdrawn = submitted(
        id="w-1",
        subject=case,
        type="referral.withdrawal_submitted.v1",
        time="2026-01-05T10:30:00+08:00",
        data={"code": "financed_elsewhere", "reason": "已获得其他贷款。"},
    )
    file.write_bytes(b"".join(lines(withdrawn, submitted(subject=case), submitted(subject=case))))

    published = kouan(kafka, "publish", str(file))
    assert published.exit_code == 0, published.stderr
    assert "all confirmed by the broker" in published.stdout

    shown = kouan(kafka, "case", case, "--json")
    assert shown.exit_code == 0
    steps = json.loads(shown.stdout)["steps"]
    assert [(one["type"], one["repeats"]) for one in steps] == [
        ("referral.submitted.v1", 1),
        ("referral.withdrawal_submitted.v1", 0),
    ]
    partitions = load_catalogue().topics["commerce.referrals"].partitions
    assert {one["partition"] for one in steps} == {partition_of(case.encode(), partitions)}
    assert case in kouan(kafka, "case", case).stdout


def test_a_record_carries_its_cloud_events_headers(kafka: str, tmp_path: Path) -> None:
    kouan(kafka, "topics", "apply")
    case = unique("MZL")
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(lines(submitted(subject=case))))
    assert kouan(kafka, "publish", str(file)).exit_code == 0
    (step,) = json.loads(kouan(kafka, "case", case, "--json").stdout)["steps"]
    place = TopicPartition(step["topic"], step["partition"])
    with closing(KafkaConsumer(bootstrap_servers=kafka.split(","), group_id=None)) as consumer:
        consumer.assign([place])
        consumer.seek(place, step["offset"])
        record = next(iter(consumer.poll(timeout_ms=10_000, max_records=1)[place]))
    assert dict(record.headers)["ce_type"] == b"referral.submitted.v1"
    assert record.key == case.encode()


def test_an_unknown_case_ends_with_code_5(kafka: str) -> None:
    kouan(kafka, "topics", "apply")
    result = kouan(kafka, "case", unique("NONE"))
    assert result.exit_code == 5
    assert "Check the id" in result.stderr


def test_publishing_onto_a_cluster_without_the_topic_says_to_apply_first(
    kafka: str, tmp_path: Path, own: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Catalogue.of(
        one.model_copy(update={"events": frozenset({"referral.submitted.v1"})}) if one.kind == "input" else one
        for one in own.topics.values()
    )
    monkeypatch.setattr("services.client.rows.load_catalogue", lambda: other)
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(lines(submitted(source="//bank/exim-nmg"))))
    result = kouan(kafka, "publish", str(file))
    assert result.exit_code == 4
    assert "kouan topics apply" in result.stderr
