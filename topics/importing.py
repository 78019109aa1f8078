"""A topic that stands on a cluster, but not in the catalogue: the beginning of its file, for a person to fill in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from topics.definition import Topic
from topics.plan import ClusterState, ClusterTopic

_FORM = """\
# 由集群导入 · Imported from the cluster {cluster_id}
# 请填写所有空白处，`kouan topics validate` 会逐处指出 · Fill in every empty place; validate names them all.
name: {name}
title:
  zh:
  en:
owner:  # commerce | bank | partner | kouan
kind:  # input | record | announcement | internal | reference | dead_letters | redrive
key:
  name:  # 记录以何为键 · what records are keyed by: referral_id
  example:
  why:
    zh:
    en:
{facts}
sources:  # 可写入的来源前缀 · prefixes of ce_source that may write: [//bank/]
writers:  # 一侧、一个服务或 operators · a side, a service, or operators: [bank]
readers:  # 参与处理的服务 · services that decide about it: [loan_desk]
subscribers: []  # 另可读取的各方系统 · systems of the parties that may read besides: [//bank/exim]
redistributed_by:  # 仅用于 input：更正错置记录的读者 · of an input: the reader that puts misplaced records right
events:  # 可出现的事件类型 · event types that may stand here: [loan.application_reported.v1]
"""


@dataclass(frozen=True, slots=True)
class Left:
    """A topic that was not imported, and why."""

    name: str
    zh: str
    en: str


def write_drafts(state: ClusterState, names: list[str], folder: Path) -> tuple[list[Path], list[Left]]:
    """Write the beginning of a catalogue file for each of these topics; what is there already is never overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    left: list[Left] = []
    for name in names:
        file = folder / f"{name}.yaml"
        facts, faults = _facts(name, state.topics[name])
        if "name" in faults:
            form = faults["name"]
            left.append(Left(name, f"名称不符合目录规则：{form}", f"its name can't stand in a catalogue: {form}"))
            continue
        try:
            with file.open("x", encoding="utf-8") as form_file:
                form_file.write(_FORM.format(cluster_id=state.cluster_id, name=name, facts=_lines(facts, faults)))
        except FileExistsError:
            left.append(Left(name, f"{file} 已存在", f"{file} exists already"))
        else:
            written.append(file)
    return written, left


def _facts(name: str, there: ClusterTopic) -> tuple[dict[str, Any], dict[str, str]]:
    """What the cluster knows of the topic, by field, and what the catalogue has against it, by field."""
    known = {
        "name": name,
        "partitions": there.partitions,
        "replication": there.replication,
        "min_insync_replicas": there.configs.get("min.insync.replicas"),
        "retention_ms": there.configs.get("retention.ms"),
        "cleanup_policy": there.configs.get("cleanup.policy"),
        "max_message_bytes": there.configs.get("max.message.bytes"),
    }
    faults: dict[str, str] = {}
    try:
        Topic.model_validate(known)
    except ValidationError as error:
        faults = {str(fault["loc"][0]): fault["msg"] for fault in error.errors(include_url=False)}
    return {field: value for field, value in known.items() if field != "name"}, faults


def _lines(facts: dict[str, Any], faults: dict[str, str]) -> str:
    return "\n".join(
        f"{field}:  # 集群为 · the cluster has {value}; {faults[field]}" if field in faults else f"{field}: {value}"
        for field, value in facts.items()
    )
