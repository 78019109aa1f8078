"""The catalogue as resources of Strimzi, which runs Kafka on Kubernetes: a KafkaTopic a topic, a KafkaUser a user."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

import yaml

from topics.acl import Grant, grants, rights
from topics.definition import Catalogue, Topic
from topics.plan import configs_of

API: Final = "kafka.strimzi.io/v1"


def as_resources(catalogue: Catalogue, cluster: str, systems: Iterable[str] = ()) -> str:
    """YAML documents: first the topics, then the users with their rights. `cluster` is the name of the Kafka resource.

    Raises:
        topics.acl.SystemsError: see `topics.acl.parties_of`.
    """
    documents = [*_topics(catalogue, cluster), *_users(grants(rights(catalogue, systems)), cluster)]
    return yaml.safe_dump_all(documents, allow_unicode=True, sort_keys=False, explicit_start=True, width=120)


def _topics(catalogue: Catalogue, cluster: str) -> Iterator[dict[str, Any]]:
    for topic in catalogue.topics.values():
        yield {
            **_head("KafkaTopic", _resource_name(topic), cluster),
            "spec": {
                "topicName": topic.name,
                "partitions": topic.partitions,
                "replicas": topic.replication,
                "config": configs_of(topic, topic.replication),
            },
        }


def _users(given: Iterable[Grant], cluster: str) -> Iterator[dict[str, Any]]:
    for user, of_user in groupby(given, key=lambda grant: grant.user):
        yield {
            **_head("KafkaUser", user, cluster),
            "spec": {
                "authentication": {"type": "scram-sha-512"},
                "authorization": {"type": "simple", "acls": [_rule(grant) for grant in of_user]},
            },
        }


def _rule(grant: Grant) -> dict[str, Any]:
    return {
        "type": "allow",
        "resource": {
            "type": grant.resource,
            "name": grant.name,
            "patternType": "prefix" if grant.prefixed else "literal",
        },
        "operations": list(grant.operations),
        "host": "*",
    }


def _head(kind: str, name: str, cluster: str) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "labels": {"strimzi.io/cluster": cluster}}}


def _resource_name(topic: Topic) -> str:
    """Kubernetes allows no underscores; that names stay apart without them is held by the catalogue's own checks."""
    return re.sub("_", "-", topic.name)
