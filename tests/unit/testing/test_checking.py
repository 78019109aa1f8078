"""What the test kit tells a publisher about its records, fault by fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.testing.checking import Checking, ContractBroken, check
from services.testing.reading import Ends, Reading, Record
from topics.definition import Catalogue, load_catalogue

TOPIC = "commerce.referrals"
EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples" / "referral.submitted.v1"
BODY: dict[str, Any] = json.loads((EXAMPLES / "valid-project.json").read_text(encoding="utf-8"))
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "//commerce/dongxing",
    "type": "referral.submitted.v1",
    "time": "2026-03-02T09:30:00+08:00",
    "subject": "R-1",
}


def binary(offset: int = 0, body: Any = BODY, key: bytes | None = b"R-1", **attributes: str | None) -> Record:
    """A sound record in binary mode, but for what is given; None leaves an attribute out."""
    named = {**ATTRIBUTES, **attributes}
    headers = [(f"ce_{name}", text.encode()) for name, text in named.items() if text is not None]
    return Record(TOPIC, 0, offset, key, json.dumps(body).encode(), (*headers, ("content-type", b"application/json")))


def structured(value: Any, content_type: bytes = b"application/cloudevents+json; charset=UTF-8") -> Record:
    return Record(TOPIC, 0, 0, b"R-1", json.dumps(value).encode(), (("content-type", content_type),))


def changed(change: Callable[[dict[str, Any]], object]) -> Any:
    """The body of the example, changed."""
    body = json.loads(json.dumps(BODY))
    change(body["referral"])
    return body


def faults(*records: Record) -> list[tuple[str, str]]:
    _, findings = check(records, load_catalogue())
    return [(finding.fault.pointer, finding.fault.code) for finding in findings]


@pytest.mark.parametrize(
    "record",
    [
        binary(),
        structured({**ATTRIBUTES, "data": BODY}),
        pytest.param(binary(partitionkey="R-1", datacontenttype="application/json"), id="as JavaScript's library does"),
        pytest.param(structured({**ATTRIBUTES, "partitionkey": "R-1", "data": BODY}), id="structured, with its key"),
    ],
)
def test_a_sound_record_is_given_back_as_an_event(record: Record) -> None:
    [event], findings = check([record], load_catalogue())

    assert not findings
    assert (event.id, event.subject, event.data.referral.name) == ("e-1", "R-1", BODY["referral"]["name"])


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (binary(time="2026-03-02 09:30", id=None), {("/id", "missing"), ("/time", "bad_time")}),
        (binary(source="//bank/exim-gx"), {("", "wrong_topic")}),
        (binary(source="//partner/customs"), {("/source", "not_allowed")}),
        (binary(type="referral.registered.v1"), {("/type", "not_publishable")}),
        (binary(type="referral.submitted.v9"), {("/type", "unknown_type")}),
        (binary(corelationid="c-1"), {("/corelationid", "unknown_attribute")}),
        (binary(key=b"R-2"), {("/subject", "key_mismatch")}),
        (binary(key=None), {("/subject", "key_mismatch")}),
        (binary(body="text"), {("/data", "wrong_type")}),
        (binary(body=changed(lambda r: r.update(colour="red"))), {("/data/referral/colour", "unknown_field")}),
        (
            binary(body=changed(lambda r: (r.pop("zone"), r["amount"].update(amount="5,000")))),
            {("/data/referral/zone", "missing"), ("/data/referral/amount/amount", "amount_form")},
        ),
        (Record(TOPIC, 0, 0, b"R-1", None, binary().headers), {("/data", "bad_json")}),
        (Record(TOPIC, 0, 0, b"R-1", b"{}", (("ce_id", b"1"), ("ce_id", b"2"))), {("", "repeated_header")}),
        (Record("bank.referrals", 0, 0, b"R-1", binary().value, binary().headers), {("", "wrong_topic")}),
        (structured([ATTRIBUTES], b"application/cloudevents-batch+json"), {("", "wrong_type")}),
    ],
)
def test_every_fault_of_a_record_is_told_with_its_place(record: Record, told: set[tuple[str, str]]) -> None:
    assert set(faults(record)) == told


def test_bytes_that_are_no_text_are_a_fault_and_no_crash() -> None:
    sound = binary()
    headers = tuple((name, b"\xff\xfe" if name == "ce_id" else value) for name, value in sound.headers)

    assert faults(Record(TOPIC, 0, 0, sound.key, b"\xff{", headers)) == [("/data", "bad_json")]
    assert faults(Record(TOPIC, 0, 0, sound.key, sound.value, headers)) == [("/id", "bad_attribute")]


def test_a_repeat_is_right_and_another_content_under_its_id_is_not() -> None:
    other = binary(2, body=changed(lambda referral: referral.update(term_months=12)))

    assert not faults(binary(0), binary(1))
    assert faults(binary(0), binary(1), other) == [("/id", "id_reused")]


class Written:
    """Topics on which these records stand."""

    catalogue: Catalogue = load_catalogue()

    def __init__(self, *records: Record) -> None:
        self._records = list(records)

    def read(self, name: str, since: Ends) -> list[Record]:
        return self._records


def checking(*records: Record) -> Checking:
    return Checking(Reading(Written(*records), {}))  # type: ignore[arg-type]


def test_the_message_names_topic_place_pointer_and_what_to_do() -> None:
    with pytest.raises(ContractBroken) as broken:
        checking(binary(0), binary(7, id="e-2", source="//partner/customs"))(TOPIC)

    heading, line = str(broken.value).splitlines()
    assert "1 of 2 records" in heading
    assert line.startswith("commerce.referrals[0]@7  /source  not_allowed: ")


def test_a_check_of_nothing_fails() -> None:
    with pytest.raises(AssertionError, match="nothing was written"):
        checking()(TOPIC)


def test_a_topic_that_publishers_do_not_write_is_not_checked() -> None:
    with pytest.raises(LookupError, match="not by publishers"):
        checking(binary())("referral.events")
