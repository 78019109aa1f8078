"""Rights follow from writers and readers, and nobody gets more than that."""

from __future__ import annotations

import shlex
import subprocess

import pytest
import yaml

from tests.unit.topics.builders import catalogue, inputs, records, topic
from topics.acl import Right, SystemsError, as_commands, grants, parties_of, rights, strangers
from topics.definition import load_catalogue
from topics.strimzi import as_resources

CATALOGUE = catalogue(
    topic(
        "bank.directory",
        "reference",
        owner="bank",
        sources=["//bank/exim"],
        writers=["bank"],
        readers=["desk"],
        events=["directory.branch_entered.v1"],
    ),
    records=records(subscribers=["//bank/exim", "//commerce/"]),
)


def may(user: str, *, systems: tuple[str, ...] = ()) -> set[tuple[str, str]]:
    """What the user may do, as operation and name; the right to describe goes with any other."""
    of_user = [right for right in rights(CATALOGUE, systems) if right.user == user]
    described = {right.name for right in of_user if right.operation == "Describe"}
    assert described == {right.name for right in of_user if right.resource == "topic"}
    return {(right.operation, right.name) for right in of_user if right.operation != "Describe"}


def test_a_service_reads_what_it_decides_about_in_its_group_and_writes_what_it_says() -> None:
    assert may("kouan-desk") == {
        ("Read", "bank.loans"),
        ("Read", "bank.directory"),
        ("Read", "desk.redrive"),
        ("Read", "desk"),
        ("Write", "loan.events"),
        ("Write", "desk.dead-letters"),
        # Misplaced records of an input are sent on by the one reader that its file names.
        ("Write", "bank.loans"),
    }


def test_a_side_writes_its_inputs_and_nothing_else() -> None:
    assert may("bank") == {("Write", "bank.loans")}


def test_headquarters_write_what_only_they_may_write_as_well_as_what_their_side_may() -> None:
    assert {("Write", "bank.loans"), ("Write", "bank.directory")} <= may("bank-exim")


def test_a_subscriber_reads_in_groups_that_bear_its_name_and_an_end_to_it() -> None:
    assert ("Read", "loan.events") in may("bank-exim")
    groups = [right for right in rights(CATALOGUE) if right.resource == "group" and right.user == "bank-exim"]
    assert groups == [Right("bank-exim", "group", "bank-exim.", "Read", prefixed=True)]
    assert may("commerce") == {("Read", "loan.events"), ("Read", "commerce.")}


def test_the_gateway_writes_for_all_parties_and_reads_what_they_are_answered() -> None:
    assert may("kouan-gateway") == {
        ("Write", "bank.loans"),
        ("Write", "bank.directory"),
        ("Read", "loan.events"),
        ("Read", "bank.directory"),
    }


def test_operators_read_everything_and_write_only_what_they_send_round_again() -> None:
    found = may("kouan-operators")
    assert {name for operation, name in found if operation == "Read"} == set(CATALOGUE.topics)
    assert {name for operation, name in found if operation == "Write"} == {"desk.redrive"}


def test_systems_that_are_named_get_users_of_their_own_instead_of_one_they_share() -> None:
    systems = ("//bank/exim-nmg", "//bank/exim-ln")
    assert may("bank-exim-nmg", systems=systems) == may("bank-exim-ln", systems=systems) == {("Write", "bank.loans")}
    assert may("bank", systems=systems) == set()
    assert may("commerce", systems=systems) == may("commerce")


@pytest.mark.parametrize("system", ["//kouan/desk", "//bank/", "bank-exim", "//elsewhere/x"])
def test_what_is_no_system_of_a_side_gets_no_user(system: str) -> None:
    with pytest.raises(SystemsError, match="no systems of a side"):
        rights(CATALOGUE, [system])


def test_two_systems_never_share_a_user_unseen() -> None:
    with pytest.raises(SystemsError, match=r"would both be the user bank-exim-nmg"):
        parties_of(CATALOGUE, ["//bank/exim-nmg", "//bank/exim/nmg"])


def test_of_the_shipped_catalogue_no_user_of_a_party_reads_inputs_letters_or_persons_notices() -> None:
    services = ("referral", "screening", "cooperation", "loan", "risk")
    told = {"risk.holds", *(f"{name}.events" for name in services)}
    for right in rights(load_catalogue()):
        if right.operation == "Read" and right.user.startswith(("bank", "commerce")) and right.resource == "topic":
            assert right.name in told


def test_rights_that_do_not_follow_from_the_catalogue_are_told_if_they_touch_it() -> None:
    wanted = rights(CATALOGUE)
    own, elsewhere = (Right("guest", "topic", name, "Read") for name in ("bank.loans", "someone.elses"))
    assert strangers(wanted, [*wanted[:3], own, elsewhere], CATALOGUE) == (own,)


def test_the_commands_are_a_script_that_a_shell_takes_and_says_every_right_once() -> None:
    text = as_commands(rights(CATALOGUE))
    subprocess.run(["sh", "-n"], input=text, encoding="utf-8", check=True)
    said = [shlex.split(line) for line in text.splitlines() if line.startswith("allow ")]
    assert len(said) == len(grants(rights(CATALOGUE)))
    assert ["allow", "User:bank", "--operation", "Describe", "--operation", "Write", "--topic", "bank.loans"] in said
    assert said.count(["allow", "User:kouan-desk", "--operation", "Read", "--group", "desk"]) == 1


def test_the_script_hands_each_right_to_kafkas_own_tool() -> None:
    script = f"kafka-acls.sh() {{ printf '%s\\n' \"$*\"; }}\n{as_commands(rights(CATALOGUE))}".replace(
        "kafka-acls.sh", "kafka_acls"
    )
    environment = {"BOOTSTRAP_SERVERS": "one:9092,two:9092", "ADMIN_CONFIG": "/etc/kafka/an admin.properties"}
    done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[0] == (
        "--bootstrap-server one:9092,two:9092 --command-config /etc/kafka/an admin.properties "
        "--add --allow-principal User:bank --operation Describe --operation Write --topic bank.loans"
    )


def test_the_script_stops_where_it_is_not_told_the_cluster() -> None:
    done = subprocess.run(["sh"], input=as_commands(rights(CATALOGUE)), env={}, capture_output=True, encoding="utf-8")
    assert done.returncode != 0
    assert "BOOTSTRAP_SERVERS" in done.stderr


# --- Strimzi ---


def resources(kind: str) -> dict[str, dict[str, object]]:
    documents = yaml.safe_load_all(as_resources(CATALOGUE, "border"))
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == kind}


def test_each_topic_is_a_resource_of_the_named_cluster_with_its_settings() -> None:
    found = resources("KafkaTopic")
    assert {one["spec"]["topicName"] for one in found.values()} == set(CATALOGUE.topics)  # type: ignore[index]
    loans = found["bank.loans"]
    assert loans["metadata"]["labels"] == {"strimzi.io/cluster": "border"}  # type: ignore[index]
    assert (loans["spec"]["partitions"], loans["spec"]["replicas"]) == (4, 3)  # type: ignore[index]
    assert loans["spec"]["config"]["min.insync.replicas"] == "2"  # type: ignore[index]
    assert loans["spec"]["config"]["retention.ms"] == "-1"  # type: ignore[index]


def test_names_of_resources_are_such_as_kubernetes_takes() -> None:
    for one in yaml.safe_load_all(as_resources(load_catalogue(), "kouan")):
        name = one["metadata"]["name"]
        assert all(part and part.strip("-") == part for part in name.split(".")), name
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-"), name


def test_each_user_has_exactly_its_rights() -> None:
    found = resources("KafkaUser")
    told = {
        Right(
            user,
            rule["resource"]["type"],
            rule["resource"]["name"],
            operation,
            rule["resource"]["patternType"] != "literal",
        )
        for user, one in found.items()
        for rule in one["spec"]["authorization"]["acls"]  # type: ignore[index]
        for operation in rule["operations"]
    }
    assert told == set(rights(CATALOGUE))
    assert inputs().name in {right.name for right in told}
