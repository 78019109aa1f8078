"""What may be published, and how it is told what may not."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import decode
from schemas.envelope import EVENT_LIMIT, Event, Payload
from services.client import Prepared, Refused, derived_id, prepare, prepare_json, prepare_object
from topics.definition import load_catalogue

CATALOGUE = load_catalogue()
REFERRAL = json.loads((Path(__file__).parents[3] / "deploy/examples/first-referral.jsonl").read_bytes().splitlines()[0])


def referral(**attributes: Any) -> dict[str, Any]:
    """A right CloudEvent with other attributes; None takes one out."""
    changed = {**deepcopy(REFERRAL), **attributes}
    return {name: value for name, value in changed.items() if value is not None}


def faults(attributes: dict[str, Any]) -> set[tuple[str, str]]:
    with pytest.raises(Refused) as refused:
        prepare_object(attributes, CATALOGUE)
    assert all(fault.zh and fault.en for fault in refused.value.faults)
    return {(fault.code, fault.pointer) for fault in refused.value.faults}


def with_goods(text: object) -> dict[str, Any]:
    changed = referral()
    changed["data"]["referral"]["goods"] = text
    return changed


def made(**attributes: Any) -> Event[Payload]:
    """The same event as a Python object, with other attributes."""
    event = prepare_object(REFERRAL, CATALOGUE).event
    given = {name: getattr(event, name) for name in ("id", "source", "type", "time", "subject", "data")} | attributes
    return Event(**given)


def refused_by_prepare(event: Event[Payload]) -> set[tuple[str, str]]:
    with pytest.raises(Refused) as refused:
        prepare(event, CATALOGUE)
    return {(fault.code, fault.pointer) for fault in refused.value.faults}


def test_what_is_prepared_is_what_a_reader_decodes() -> None:
    prepared = prepare_json(json.dumps(REFERRAL).encode(), CATALOGUE)
    read = decode(prepared.key, prepared.value, prepared.headers)
    assert (prepared.topic, prepared.key) == ("commerce.referrals", REFERRAL["subject"].encode())
    assert (read.id, read.source, read.type) == (REFERRAL["id"], REFERRAL["source"], REFERRAL["type"])
    assert read.data == prepared.event.data


def test_the_three_forms_give_the_same_record() -> None:
    from_text = prepare_json(json.dumps(REFERRAL).encode(), CATALOGUE)
    from_object = prepare_object(REFERRAL, CATALOGUE)
    from_event = prepare(made(), CATALOGUE)
    assert record(from_text) == record(from_object) == record(from_event)


def record(prepared: Prepared) -> tuple[Any, ...]:
    return prepared.topic, prepared.key, prepared.value, prepared.headers


def test_all_faults_of_envelope_and_body_are_told_at_once() -> None:
    wrong = referral(id=None, time="2026-01-05", hurry="yes", source="//bank/exim-nmg")
    wrong["data"]["referral"] |= {"term_months": "soon", "colour": "red"}
    del wrong["data"]["referral"]["zone"]
    assert faults(wrong) == {
        ("missing", "/id"),
        ("bad_time", "/time"),
        ("unknown_attribute", "/hurry"),
        ("wrong_type", "/data/referral/term_months"),
        ("unknown_field", "/data/referral/colour"),
        ("missing", "/data/referral/zone"),
    }


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"specversion": "0.3"}, ("unsupported_version", "/specversion")),
        ({"specversion": None}, ("missing", "/specversion")),
        ({"id": ""}, ("bad_attribute", "/id")),
        ({"id": "x" * 257}, ("bad_attribute", "/id")),
        ({"id": "a\r\nb"}, ("bad_attribute", "/id")),
        ({"id": "a\x00"}, ("bad_attribute", "/id")),
        ({"id": "\ud800"}, ("bad_attribute", "/id")),
        ({"id": 7}, ("bad_attribute", "/id")),
        ({"subject": None}, ("missing", "/subject")),
        ({"subject": ["R-1"]}, ("bad_attribute", "/subject")),
        ({"time": "yesterday"}, ("bad_time", "/time")),
        ({"time": "1999-12-31T23:59:59+08:00"}, ("bad_time", "/time")),
        ({"type": "referral.invented.v1"}, ("unknown_type", "/type")),
        ({"type": "referral.registered.v1"}, ("not_publishable", "/type")),
        ({"source": "//commerce/"}, ("not_allowed", "/source")),
        ({"source": "//kouan/screening"}, ("not_allowed", "/source")),
        ({"data": None}, ("missing", "/data")),
        ({"data": []}, ("wrong_type", "/data")),
        ({"data": "{}"}, ("wrong_type", "/data")),
        ({"data_base64": "e30="}, ("unknown_attribute", "/data_base64")),
        ({"datacontenttype": "text/xml"}, ("unsupported_content", "/datacontenttype")),
        ({"correlationid": ""}, ("bad_attribute", "/correlationid")),
        ({"causationid": {}}, ("bad_attribute", "/causationid")),
        ({"traceparent": "00-1-2-3"}, ("bad_trace", "/traceparent")),
        ({"a/b": 1}, ("unknown_attribute", "/a~1b")),
    ],
)
def test_a_wrong_attribute_is_named(attributes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert faults(referral(**attributes)) == {expected}


def test_texts_that_no_database_takes_are_refused_wherever_they_stand() -> None:
    assert faults(with_goods("timber\x00")) == {("nul_character", "/data/referral/goods")}
    assert faults(with_goods("timber\ud800")) == {("bad_text", "/data/referral/goods")}
    assert prepare_object(with_goods("a path: \\u0000"), CATALOGUE).topic == "commerce.referrals"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (b'{"id": NaN}', "bad_json"),
        (b'{"id": "\\ud800"}', "bad_json"),
        (b"[" * 100_000, "bad_json"),
        (b"[]", "wrong_type"),
        (b"null", "wrong_type"),
        (b" " * (EVENT_LIMIT * 2 + 1), "event_too_large"),
    ],
)
def test_text_that_is_no_event_is_refused_with_the_reason(text: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        prepare_json(text, CATALOGUE)
    assert [fault.code for fault in refused.value.faults] == [code]


def test_a_payload_made_without_validation_is_caught() -> None:
    cls = type(made().data)
    right = made().data
    assert refused_by_prepare(made(data=cls.model_construct())) == {("missing", "/data/referral")}
    assert refused_by_prepare(made(data=cls.model_construct(referral=object()))) == {("wrong_type", "/data")}
    forged = right.referral.model_copy(update={"goods": "\x00", "term_months": "soon"})  # type: ignore[attr-defined]
    assert refused_by_prepare(made(data=cls.model_construct(referral=forged))) == {
        ("nul_character", "/data/referral/goods"),
        ("wrong_type", "/data/referral/term_months"),
    }


def test_a_time_without_offset_is_refused() -> None:
    assert refused_by_prepare(made(time=datetime(2026, 1, 5, 9, 30))) == {("bad_time", "/time")}
    assert prepare(made(time=datetime(2026, 1, 5, 9, 30, tzinfo=UTC)), CATALOGUE).topic == "commerce.referrals"


def test_a_payload_under_another_type_is_refused() -> None:
    assert refused_by_prepare(made(type="referral.withdrawal_submitted.v1")) == {("wrong_type", "/type")}


def test_a_reference_always_gives_the_same_id_and_another_gives_another() -> None:
    assert derived_id("//commerce/manzhouli", "2026-17/1") == derived_id("//commerce/manzhouli", "2026-17/1")
    ids = {derived_id(source, ref) for source in ("//a", "//b") for ref in ("1", "2", "满洲里-3")}
    assert len(ids) == 6


@pytest.mark.parametrize(("source", "reference"), [("", "1"), ("//a", " "), ("//a", "\ud800")])
def test_no_id_is_derived_from_nothing(source: str, reference: str) -> None:
    with pytest.raises(ValueError, match=r"source|reference"):
        derived_id(source, reference)
