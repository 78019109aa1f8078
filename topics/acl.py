"""Who may do what on the cluster: it follows from writers and readers, and is no more than they need.

Users are named after what the catalogue calls them: `kouan-screening` for a service, `bank-exim` for the system
`//bank/exim`, and `bank` for all of `//bank/` together where its systems are not named one by one.
"""

from __future__ import annotations

import re
import shlex
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from topics.definition import (
    GATEWAY,
    OPERATORS,
    PARTIES,
    PUBLISHED,
    Catalogue,
    Topic,
    covers,
    is_for_the_gateway,
    side_of,
)
from topics.plan import READY_WITHIN_MS, ClusterError

if TYPE_CHECKING:
    from kafka.admin import ACL, KafkaAdminClient

Operation = Literal["Read", "Write", "Describe"]


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One thing that a user may do. `prefixed`: with everything whose name begins so."""

    user: str
    resource: Literal["topic", "group"]
    name: str
    operation: Operation
    prefixed: bool = False


class SystemsError(ValueError):
    """Systems that can't be given users of their own. The text says which, and why."""


def user_of_service(service: str) -> str:
    """The user by which one of our own processes is known to the cluster."""
    return f"kouan-{_plain(service)}"


def user_of_source(source: str) -> str:
    """The user of a party's system, or of a whole side: `bank-exim` of `//bank/exim`, `bank` of `//bank/`."""
    return _plain(source)


def _plain(text: str) -> str:
    # As Kubernetes writes names, so that a user is called the same wherever it is entered.
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def parties_of(catalogue: Catalogue, systems: Iterable[str] = ()) -> dict[str, str]:
    """User → source of everybody outside who may do something.

    These are the systems that the catalogue names, those named here, and for each side of which none is named here one
    user that its systems share.

    Raises:
        SystemsError: a system belongs to no side, or two of them would have one user.
    """
    named = tuple(systems)
    strange = [source for source in named if side_of(source) not in PARTIES or source.endswith("/")]
    if strange:
        raise SystemsError(f"no systems of a side ({', '.join(sorted(PARTIES))}), as //bank/exim-nmg: {strange}")
    listed = {prefix for topic in catalogue.topics.values() for prefix in (*_outer_sources(topic), *topic.subscribers)}
    split = {side_of(source) for source in named}
    users: dict[str, str] = {}
    for source in sorted({*named, *(one for one in listed if not one.endswith("/") or side_of(one) not in split)}):
        other = users.setdefault(user_of_source(source), source)
        if other != source:
            raise SystemsError(f"{other} and {source} would both be the user {user_of_source(source)}; rename one")
    return users


def _outer_sources(topic: Topic) -> tuple[str, ...]:
    return topic.sources if topic.kind in PUBLISHED else ()


def rights(catalogue: Catalogue, systems: Iterable[str] = ()) -> tuple[Right, ...]:
    """All rights that the catalogue gives, sorted.

    Idempotent writing needs no right of its own: since Kafka 2.8 whoever may write a topic has it.

    Raises:
        SystemsError: see `parties_of`.
    """
    parties = parties_of(catalogue, systems)
    found: set[Right] = set()
    for topic in catalogue.topics.values():
        found.update(_writing(topic, parties))
        found.update(_reading(topic, parties))
    return tuple(sorted(found))


def _writing(topic: Topic, parties: Mapping[str, str]) -> Iterator[Right]:
    writers = [user for user, source in parties.items() if _any_covers(_outer_sources(topic), source)]
    if topic.kind in PUBLISHED:
        writers.append(user_of_service(GATEWAY))
    else:
        writers += [user_of_service(writer) for writer in topic.writers]
    if topic.redistributed_by is not None:
        writers.append(user_of_service(topic.redistributed_by))
    for user in writers:
        yield Right(user, "topic", topic.name, "Write")
        yield Right(user, "topic", topic.name, "Describe")


def _reading(topic: Topic, parties: Mapping[str, str]) -> Iterator[Right]:
    readers = [*topic.readers, OPERATORS, *([GATEWAY] if is_for_the_gateway(topic) else ())]
    subscribers = [user for user, source in parties.items() if _any_covers(topic.subscribers, source)]
    for user in (*map(user_of_service, readers), *subscribers):
        yield Right(user, "topic", topic.name, "Read")
        yield Right(user, "topic", topic.name, "Describe")
    # Only who decides works in a group; gateway and operators keep their place themselves.
    for service in topic.readers:
        yield Right(user_of_service(service), "group", service, "Read")
    for user in subscribers:
        # The dot ends the name: groups of bank-exim. are not those of bank-exim-nmg.
        yield Right(user, "group", f"{user}.", "Read", prefixed=True)


def _any_covers(prefixes: Iterable[str], source: str) -> bool:
    return any(prefix == source or covers(prefix, source) for prefix in prefixes)


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """The rights of one user with one topic or group, together."""

    user: str
    resource: Literal["topic", "group"]
    name: str
    prefixed: bool
    operations: tuple[Operation, ...]


def grants(wanted: Iterable[Right]) -> tuple[Grant, ...]:
    """Rights put together by user and resource, sorted."""
    together: defaultdict[tuple[str, Literal["topic", "group"], str, bool], set[Operation]] = defaultdict(set)
    for right in wanted:
        together[right.user, right.resource, right.name, right.prefixed].add(right.operation)
    return tuple(sorted(Grant(*whom, tuple(sorted(operations))) for whom, operations in together.items()))


_HEAD = """\
#!/bin/sh
# 由主题目录生成：谁可以做什么 · Worked out from the topic catalogue: who may do what.
# 可重复执行；只授予，不撤销 · May be repeated; grants, and takes nothing away.
# 需要 Needs: BOOTSTRAP_SERVERS；可选 optional: ADMIN_CONFIG（管理员连接配置 the administrator's client properties）
set -eu
: "${BOOTSTRAP_SERVERS:?}"
allow() {
    kafka-acls.sh --bootstrap-server "$BOOTSTRAP_SERVERS" ${ADMIN_CONFIG:+--command-config "$ADMIN_CONFIG"} \\
        --add --allow-principal "$@"
}
"""


def as_commands(wanted: Iterable[Right]) -> str:
    """A shell script that grants the rights with Kafka's own `kafka-acls.sh`."""
    lines = [_HEAD]
    user = ""
    for grant in grants(wanted):
        if grant.user != user:
            user = grant.user
            lines.append("\n")
        operations = " ".join(f"--operation {operation}" for operation in grant.operations)
        pattern = " --resource-pattern-type prefixed" if grant.prefixed else ""
        whom, what = shlex.quote(f"User:{grant.user}"), shlex.quote(grant.name)
        lines.append(f"allow {whom} {operations} --{grant.resource} {what}{pattern}\n")
    return "".join(lines)


def read_rights(admin: KafkaAdminClient) -> frozenset[Right]:
    """What users may do with topics and groups now, as far as it is a right that this module would give.

    Raises:
        ClusterError: the cluster checks no rights, or doesn't tell them.
        kafka.errors.KafkaError: the cluster can't be asked.
    """
    from kafka.admin import (
        ACLFilter,
        ACLOperation,
        ACLPermissionType,
        ACLResourcePatternType,
        ResourcePatternFilter,
        ResourceType,
    )
    from kafka.errors import ClusterAuthorizationFailedError, SecurityDisabledError

    anything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
    allowed = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ALLOW, resource_pattern=anything)
    try:
        there, _ = admin.describe_acls(allowed)
    except SecurityDisabledError:
        raise ClusterError(["it has no authorizer, so it checks no rights; set authorizer.class.name"]) from None
    except ClusterAuthorizationFailedError:
        raise ClusterError(["it doesn't tell its rights; Describe on the cluster is needed"]) from None
    return frozenset(right for acl in there if (right := _right_of(acl)) is not None)


def _right_of(acl: ACL) -> Right | None:
    operations: dict[str, Operation] = {"READ": "Read", "WRITE": "Write", "DESCRIBE": "Describe"}
    resources: dict[str, Literal["topic", "group"]] = {"TOPIC": "topic", "GROUP": "group"}
    operation = operations.get(acl.operation.name)
    resource = resources.get(acl.resource_pattern.resource_type.name)
    if operation is None or resource is None or acl.host != "*" or not acl.principal.startswith("User:"):
        return None
    prefixed = acl.resource_pattern.pattern_type.name == "PREFIXED"
    return Right(acl.principal.removeprefix("User:"), resource, acl.resource_pattern.resource_name, operation, prefixed)


def strangers(wanted: Iterable[Right], there: Iterable[Right], catalogue: Catalogue) -> tuple[Right, ...]:
    """Rights with the catalogue's topics that do not follow from it: for a person to look at, never taken away."""
    known = set(wanted)
    return tuple(sorted(one for one in there if one not in known and one.name in catalogue.topics))


def grant_rights(missing: Iterable[Right], admin: KafkaAdminClient) -> None:
    """Give the rights, and wait until the cluster works by them; safe to repeat.

    Raises:
        ClusterError: the cluster refused some, and the rest was given; or it does not work by them in time.
        kafka.errors.KafkaError: the cluster can't be asked.
    """
    wanted = frozenset(missing)
    if not wanted:
        return
    failed = admin.create_acls([_acl_of(right) for right in sorted(wanted)])["failed"]
    if failed:
        reasons = sorted({error.__name__ for error in failed})
        raise ClusterError([f"{len(failed)} of {len(wanted)} rights were not given: {', '.join(reasons)}"])
    # Brokers learn of rights a moment after the controller has confirmed them.
    deadline = time.monotonic() + READY_WITHIN_MS / 1000
    while late := wanted - read_rights(admin):
        if time.monotonic() > deadline:
            raise ClusterError([f"{len(late)} rights were confirmed, but are not in force yet"])
        time.sleep(0.1)


def _acl_of(right: Right) -> ACL:
    from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

    return ACL(
        principal=f"User:{right.user}",
        host="*",
        operation=ACLOperation[right.operation.upper()],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(
            ResourceType[right.resource.upper()],
            right.name,
            ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL,
        ),
    )
