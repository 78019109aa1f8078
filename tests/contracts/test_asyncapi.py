"""The AsyncAPI document: valid to the official parser, complete, and published as the code would write it today."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from schemas.codec import decode, decode_structured
from schemas.json_schema import documents
from tests.foreign.programs import built
from tests.support.brokers import in_ci
from topics.asyncapi import as_yaml, document
from topics.definition import PUBLISHED, load_catalogue
from topics.page import page

FOLDER = Path(__file__).parents[2] / "topics" / "published"
PARSER = Path(__file__).with_name("asyncapi-parser")
CATALOGUE = load_catalogue()
REFRESH = "kouan topics export --format {format} --output topics/published/{file}"


@cache
def made() -> dict[str, Any]:
    return document(CATALOGUE)


@cache
def text() -> str:
    return as_yaml(made())


def messages() -> dict[str, Any]:
    return {name: one for name, one in made()["components"]["messages"].items() if "payload" in one}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, child in node.items():
            if name == "$ref":
                yield child
            else:
                yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def pointed_at(reference: str) -> Any:
    node: Any = made()
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_the_official_parser_finds_no_fault(tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        reason = "the official parser needs node and npm: apt-get install nodejs npm"
        pytest.fail(reason) if in_ci() else pytest.skip(reason)
    file = tmp_path / "asyncapi.yaml"
    file.write_text(text(), encoding="utf-8")
    script = built(PARSER, ["npm", "ci"]) / "parse.mjs"
    done = subprocess.run(["node", script, file], capture_output=True, encoding="utf-8", timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # Hints about newer versions of AsyncAPI aside (severity 2 and above), nothing may be found.
    assert [one for one in told["diagnostics"] if one["severity"] < 2] == []
    assert told["document"] == {
        "version": "3.0.0",
        "channels": len(CATALOGUE.topics),
        "operations": len(made()["operations"]),
        "messages": len(made()["components"]["messages"]),
    }


@pytest.mark.parametrize(("format", "file"), [("asyncapi", "asyncapi.yaml"), ("html", "index.html")])
def test_what_is_published_is_what_the_code_writes(format: str, file: str) -> None:
    now = text() if format == "asyncapi" else page(made())
    command = REFRESH.format(format=format, file=file)
    assert (FOLDER / file).read_text(encoding="utf-8") == now, f"out of date; run: {command}"


def test_every_topic_is_a_channel_and_every_event_a_message_of_it() -> None:
    channels = made()["channels"]
    assert channels.keys() == CATALOGUE.topics.keys()
    for name, topic in CATALOGUE.topics.items():
        assert set(channels[name]["messages"]) == (set(topic.events) or {"original-record"}), name
    assert messages().keys() == documents().keys()


def test_every_reference_leads_somewhere() -> None:
    found = list(references(made()))
    assert found
    for reference in found:
        pointed_at(reference)


def test_text_read_again_is_the_same_document() -> None:
    assert yaml.load(text(), Loader=yaml.CSafeLoader) == made()


def test_the_document_names_no_host_but_the_loopback_and_reserved_names() -> None:
    servers = made()["servers"]
    assert servers["production"]["host"] == "{host}:{port}"
    assert servers["production"]["variables"]["host"]["default"].endswith(".example")
    assert servers["local"]["host"].startswith("127.0.0.1:")
    hosts = re.findall(r"https?://([\w.-]+)", text())
    assert {host for host in hosts if not host.endswith((".example", "example.com", "example.org"))} == set()


@pytest.mark.parametrize("kind", documents())
def test_every_example_is_an_event_that_is_accepted_in_both_modes(kind: str) -> None:
    for example in messages()[kind]["examples"]:
        headers = example["headers"]
        subject = headers["ce_subject"].encode()
        binary = [(name, value.encode()) for name, value in headers.items()]
        value = json.dumps(example["payload"], ensure_ascii=False).encode()
        event = decode(subject, value, binary)
        assert event.type == kind
        attributes = {name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")}
        structured = json.dumps({**attributes, "data": example["payload"]}).encode()
        decode_structured(structured, closed=True)
        assert decode_structured(structured).data == event.data


@pytest.mark.parametrize("kind", documents())
def test_every_example_fits_the_schemas_of_the_document(kind: str) -> None:
    message = messages()[kind]
    for part, name in (("payload", "payload"), ("headers", "headers")):
        validator = Draft202012Validator({**message[part], "components": made()["components"]})
        for example in message["examples"]:
            assert [fault.message for fault in validator.iter_errors(example[name])] == []


def test_the_schema_of_the_document_refuses_what_the_contract_refuses() -> None:
    message = messages()["referral.submitted.v1"]
    validator = Draft202012Validator({**message["payload"], "components": made()["components"]})
    body = json.loads(json.dumps(message["examples"][0]["payload"]))
    body["referral"]["not_in_the_contract"] = 1
    del body["referral"]["purpose"]
    assert {fault.validator for fault in validator.iter_errors(body)} == {"additionalProperties", "required"}


def test_a_publishers_example_comes_from_a_source_that_may_write_there() -> None:
    for name, topic in CATALOGUE.topics.items():
        for kind in topic.events if topic.kind in PUBLISHED else ():
            sources = {example["headers"]["ce_source"] for example in messages()[kind]["examples"]}
            home = CATALOGUE.topic_of_publisher(sources.pop(), kind)
            assert kind in home.events, name
            assert not sources


def test_a_directory_entry_stands_under_the_key_that_follows_from_it() -> None:
    (example, *_) = messages()["directory.zone_entered.v1"]["examples"]
    assert example["headers"]["ce_subject"] == f"zone/{example['payload']['code']}@{example['payload']['valid_from']}"


def test_operations_say_who_writes_and_who_reads() -> None:
    operations = made()["operations"]
    assert operations["bank.send.bank.loans"]["action"] == "send"
    assert operations["bank-exim.send.bank.directory"]["action"] == "send"
    assert "bank.send.bank.directory" not in operations
    assert "commerce.send.bank.loans" not in operations
    reading = operations["kouan-screening.receive.referral.events"]
    assert reading["bindings"]["kafka"]["groupId"]["enum"] == ["screening"]
    assert "commerce-mofcom.receive.loan.events" in operations
