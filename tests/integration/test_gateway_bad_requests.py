"""A list of bad requests: each is refused with a problem document that names what is wrong, and publishes nothing."""

from __future__ import annotations

import io
import json
import socket
import time
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.gateway import BATCH, STRUCTURED, ZONE, Answer, Front, event, ids_on, running_gateway
from tests.unit.client.tables import SHEET, SOUND, csv, repacked, row, saved, workbook, xlsx

pytestmark = pytest.mark.broker

BODY_LIMIT = 300_000
SHEETS = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Headers = list[tuple[str, str | bytes]]


@dataclass
class Bad:
    """A request, and what the refusal has to say: status, end of the problem's type, a fault's code and pointer."""

    what: str
    status: int
    problem: str
    code: str = ""
    pointer: str | None = None
    body: Any = b""
    kind: str | None = STRUCTURED
    more: tuple[tuple[str, str | bytes], ...] = ()
    without: tuple[str, ...] = ()
    path: str = "/events"
    method: str = "POST"
    source: str = ZONE
    raw: bytes | None = None


def ce(**changed: str | None) -> tuple[tuple[str, str | bytes], ...]:
    """The headers of binary mode."""
    attributes = {name: value for name, value in event(data=None).items()} | changed
    return tuple((f"ce-{name}", value) for name, value in attributes.items() if value is not None)


def data(**changed: Any) -> dict[str, Any]:
    """A sound event with some fields of its referral changed."""
    whole = event()
    whole["data"]["referral"] |= changed
    return whole


def text(**changed: Any) -> bytes:
    return json.dumps(event(**changed)).encode()


def form(*parts: tuple[str, str, bytes]) -> bytes:
    """The body of a form with parts (name, file name, content)."""
    made = b""
    for name, file, content in parts:
        named = f'; filename="{file}"' if file else ""
        made += f'--line\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
    return made + b"--line--\r\n"


def named(name: str) -> tuple[tuple[str, str | bytes], ...]:
    return (("Content-Disposition", f'attachment; filename="{name}"'),)


def with_formula() -> bytes:
    book = workbook(row())
    sheet = book.active
    assert sheet is not None
    sheet["C2"] = '=HYPERLINK("http://127.0.0.1/","R-1")'
    return saved(book)


def bomb() -> bytes:
    return repacked(xlsx(row()), {SHEET: b"<worksheet>" + b" " * 80_000_000})


def not_a_sheet() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../etc/cron.d/x", "x")
    return stream.getvalue()


SOUND_CSV = csv(row()).encode()
FORM = "multipart/form-data; boundary=line"
KEYED = "Idempotency-Key"

BAD = [
    # Who it is
    Bad("no Authorization", 401, "key-missing", without=("Authorization",)),
    Bad("another scheme", 401, "key-malformed", without=("Authorization",), more=(("Authorization", "Basic eDp5"),)),
    Bad("half a key", 401, "key-malformed", without=("Authorization",), more=(("Authorization", "Bearer kg_abc"),)),
    Bad(
        "a key nobody has",
        401,
        "key-unknown",
        without=("Authorization",),
        more=(("Authorization", f"Bearer kg_{'a' * 12}_{'0' * 64}"),),
    ),
    Bad("another's secret", 401, "key-unknown", more=(("Authorization", "swapped"),)),
    Bad("an expired key", 401, "key-expired", more=(("Authorization", "expired"),)),
    Bad("a revoked key", 401, "key-revoked", more=(("Authorization", "revoked"),)),
    # Idempotency-Key
    Bad("no Idempotency-Key", 400, "idempotency-key-missing", without=(KEYED,)),
    Bad("two Idempotency-Keys", 400, "idempotency-key-malformed", more=((KEYED, "second"),)),
    Bad("an empty Idempotency-Key", 400, "idempotency-key-malformed", without=(KEYED,), more=((KEYED, ""),)),
    Bad("a long Idempotency-Key", 400, "idempotency-key-malformed", without=(KEYED,), more=((KEYED, "k" * 129),)),
    Bad("a Chinese Idempotency-Key", 400, "idempotency-key-malformed", without=(KEYED,), more=((KEYED, "键"),)),
    Bad("half a quote", 400, "idempotency-key-malformed", without=(KEYED,), more=((KEYED, '"k'),)),
    # Media types and encodings
    Bad("no Content-Type", 415, "unsupported-media-type", kind=None),
    Bad("plain text", 415, "unsupported-media-type", kind="text/plain"),
    Bad("XML", 415, "unsupported-media-type", kind="application/cloudevents+xml"),
    Bad("JSON without attributes", 415, "unsupported-media-type", kind="application/json", body={}),
    Bad("another charset", 415, "unsupported-media-type", kind=f"{STRUCTURED}; charset=gbk"),
    Bad("two Content-Types", 415, "unsupported-media-type", more=(("Content-Type", BATCH),)),
    Bad("compressed", 415, "unsupported-media-type", more=(("Content-Encoding", "gzip"),), body=b"\x1f\x8b"),
    Bad("two modes at once", 400, "mixed-modes", more=(("ce-id", "1"),), body=event()),
    # JSON
    Bad("no body", 400, "empty-body"),
    Bad("no JSON", 400, "not-json", "bad_json", "", b"id=1"),
    Bad("half of it", 400, "not-json", "bad_json", "", text()[:-20]),
    Bad("something behind it", 400, "not-json", "bad_json", "", text() + b"x"),
    Bad("GBK", 400, "not-json", "bad_json", "", json.dumps(event(), ensure_ascii=False).encode("gbk")),
    Bad("UTF-16", 400, "not-json", "bad_json", "", json.dumps(event()).encode("utf-16")),
    Bad("a byte order mark", 400, "not-json", "bad_json", "", b"\xef\xbb\xbf" + text()),
    Bad("half a surrogate pair", 400, "not-json", "bad_json", "", text(subject="R").replace(b'"R"', b'"\\ud800"')),
    Bad("NaN", 400, "not-json", "bad_json", "", text(data="@").replace(b'"@"', b"NaN")),
    Bad("Infinity", 400, "not-json", "bad_json", "", text(data="@").replace(b'"@"', b"-Infinity")),
    Bad("a raw NUL", 400, "not-json", "bad_json", "", text(subject="R").replace(b'"R"', b'"R\x00"')),
    Bad("forty levels", 400, "not-json", "too_deep", "", b"[" * 40 + b"]" * 40),
    Bad("five thousand levels", 400, "not-json", "bad_json", "", b"[" * 5000 + b"]" * 5000),
    Bad("an attribute twice", 400, "not-json", "repeated_name", "", text()[:-1] + b',"id":"other"}'),
    Bad("a field twice", 400, "not-json", "repeated_name", "", text(data="@").replace(b'"@"', b'{"a":1,"a":2}')),
    Bad("a name twice, escaped", 400, "not-json", "repeated_name", "", text()[:-1] + b',"\\u0069d":"\\"x"}'),
    # Attributes
    Bad("a JSON text", 422, "faulty-events", "wrong_type", "", "R-1"),
    Bad("a JSON list", 422, "faulty-events", "wrong_type", "", [event()]),
    Bad("an empty object", 422, "faulty-events", "missing", "/id", {}),
    Bad("no id", 422, "faulty-events", "missing", "/id", {k: v for k, v in event().items() if k != "id"}),
    Bad("an old CloudEvent", 422, "faulty-events", "unsupported_version", "/specversion", event(specversion="0.3")),
    Bad("a number as id", 422, "faulty-events", "bad_attribute", "/id", {**event(), "id": 7}),
    Bad("an empty id", 422, "faulty-events", "bad_attribute", "/id", {**event(), "id": ""}),
    Bad("a long id", 422, "faulty-events", "bad_attribute", "/id", event(id="x" * 257)),
    Bad("an id of two lines", 422, "faulty-events", "bad_attribute", "/id", event(id="a\r\nb")),
    Bad("an id with NUL", 422, "faulty-events", "bad_attribute", "/id", event(id="a\x00b")),
    Bad("no subject", 422, "faulty-events", "bad_attribute", "/subject", event(subject="")),
    Bad("a time without offset", 422, "faulty-events", "bad_time", "/time", event(time="2026-01-05T09:30:00")),
    Bad("a time long ago", 422, "faulty-events", "bad_time", "/time", event(time="1949-10-01T15:00:00+08:00")),
    Bad("no time", 422, "faulty-events", "bad_time", "/time", event(time="昨天")),
    Bad("an unknown attribute", 422, "faulty-events", "unknown_attribute", "/priority", event(priority="1")),
    Bad("bad base64", 422, "faulty-events", "unknown_attribute", "/data_base64", event(data=None, data_base64="@@@")),
    Bad("XML within", 422, "faulty-events", "unsupported_content", "/datacontenttype", event(datacontenttype="a/xml")),
    Bad("a broken trace", 422, "faulty-events", "bad_trace", "/traceparent", event(traceparent="00-0")),
    Bad("a type nobody knows", 422, "faulty-events", "unknown_type", "/type", event(type="referral.submited.v1")),
    # Data
    Bad("no data", 422, "faulty-events", "missing", "/data", event(data=None)),
    Bad("a list as data", 422, "faulty-events", "wrong_type", "/data", event(data=[])),
    Bad("an unknown field", 422, "faulty-events", "unknown_field", "/data/referral/colour", data(colour="red")),
    Bad(
        "a number as amount",
        422,
        "faulty-events",
        "amount_not_text",
        "/data/referral/amount/amount",
        data(amount={"amount": 5.0, "currency": "CNY"}),
    ),
    Bad(
        "an amount with an exponent",
        422,
        "faulty-events",
        "amount_form",
        "/data/referral/amount/amount",
        data(amount={"amount": "1e99", "currency": "CNY"}),
    ),
    Bad("half a month", 422, "faulty-events", "wrong_type", "/data/referral/term_months", data(term_months=1.5)),
    Bad("a number without end", 400, "not-json", "bad_json", "", data(term_months=10**400)),
    Bad("a large number", 422, "faulty-events", "", "/data/referral/term_months", data(term_months=10**30)),
    Bad("a truth as text", 422, "faulty-events", "wrong_type", "/data/referral/name", data(name=True)),
    Bad("a code of none", 422, "faulty-events", "unknown_code", "/data/referral/lane", data(lane="express")),
    Bad("a very long text", 422, "faulty-events", "too_long", "/data/referral/purpose", data(purpose="长" * 4001)),
    Bad("NUL in a text", 422, "faulty-events", "nul_character", "/data/referral/purpose", data(purpose="a\x00b")),
    # Rights
    Bad("another zone", 403, "not-allowed", "source_not_yours", "/source", event(source="//commerce/hunchun")),
    Bad("another side", 403, "not-allowed", "source_not_yours", "/source", event(source="//bank/exim-nmg")),
    Bad(
        "a loan report of a zone", 403, "not-allowed", "not_allowed", "/source", event(type="loan.approval_reported.v1")
    ),
    Bad("what our services say", 403, "not-allowed", "not_publishable", "/type", event(type="referral.registered.v1")),
    Bad(
        "another branch",
        403,
        "not-allowed",
        "source_not_yours",
        "/source",
        event(source="//bank/exim-jl", type="loan.approval_reported.v1"),
        source="//bank/exim-nmg",
    ),
    # Batches
    Bad("no list", 400, "not-a-batch", kind=BATCH, body=event()),
    Bad("an empty list", 400, "not-a-batch", kind=BATCH, body=[]),
    Bad("a long list", 413, "batch-too-long", kind=BATCH, body=[1] * 1001),
    Bad("a text in a batch", 422, "faulty-events", "wrong_type", "/1", [event(), "x"], BATCH),
    Bad("a fault within", 422, "faulty-events", "unknown_code", "/2/data/referral/lane", [event(), event()], BATCH),
    Bad("an id twice", 422, "faulty-events", "repeated_id", "/1/id", [event("same"), event("same")], BATCH),
    Bad("another's event within", 403, "not-allowed", "source_not_yours", "/1/source", [event(), event()], BATCH),
    # Binary mode
    Bad("no ce-id", 422, "faulty-events", "missing", "/id", {}, "application/json", ce(id=None)),
    Bad("two ce-ids", 400, "bad-headers", "repeated_header", "/id", {}, "application/json", (*ce(), ("ce-id", "2"))),
    Bad("broken percent", 400, "bad-headers", "bad_text", "/subject", {}, "application/json", ce(subject="%ff")),
    Bad("a smuggled line", 422, "faulty-events", "bad_attribute", "/id", {}, "application/json", ce(id="1%0d%0ax: y")),
    Bad("data as header", 400, "bad-headers", "unknown_attribute", "/data", {}, "application/json", ce(data="{}")),
    Bad("another header", 422, "faulty-events", "unknown_attribute", "/x", {}, "application/json", ce(x="1")),
    Bad("no JSON as data", 400, "not-json", "bad_json", "/data", b"x", "application/json", ce()),
    # Sizes and HTTP itself
    Bad("a large body", 413, "too-large", body=b" " * (BODY_LIMIT + 1)),
    Bad(
        "a large body in chunks",
        413,
        "too-large",
        more=(("Transfer-Encoding", "chunked"),),
        body=b"ffff\r\n" + b" " * 0xFFFF + b"\r\n" + (b"ffff\r\n" + b" " * 0xFFFF + b"\r\n") * 5 + b"0\r\n\r\n",
    ),
    Bad("large headers", 431, "headers-too-large", more=(("X-Large", "x" * 20_000),)),
    Bad("many headers", 431, "headers-too-large", more=tuple((f"X-{n}", "x" * 20) for n in range(700))),
    Bad("no HTTP", 400, "malformed-http", raw=b"HELLO\r\n\r\n"),
    Bad("a header without colon", 400, "malformed-http", raw=b"GET / HTTP/1.1\r\nHost gateway\r\n\r\n"),
    Bad("NUL in a header", 400, "malformed-http", raw=b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n"),
    Bad("a bare return", 400, "malformed-http", raw=b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n"),
    Bad(
        "two lengths",
        400,
        "malformed-http",
        raw=b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    ),
    Bad(
        "length and chunks",
        400,
        "malformed-http",
        raw=b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    Bad(
        "a negative length",
        400,
        "malformed-http",
        raw=b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ),
    Bad("nowhere", 404, "not-found", path="/evnets"),
    Bad("up and away", 404, "not-found", path="/docs/../../etc/passwd"),
    Bad("another method", 405, "method-not-allowed", method="PUT"),
    Bad("no method there is", 405, "method-not-allowed", method="DELETE", path="/docs"),
    # Files
    Bad("a web page", 415, "unsupported-media-type", path="/files", kind="text/html", body=b"<p>"),
    Bad("no name", 400, "file-name-missing", path="/files", kind="application/octet-stream", body=SOUND_CSV),
    Bad("up a folder", 400, "bad-file-name", path="/files", kind="text/csv", more=named("../../x.csv"), body=SOUND_CSV),
    Bad("a drive", 400, "bad-file-name", path="/files", kind="text/csv", more=named("C:\\\\x.csv"), body=SOUND_CSV),
    Bad("a dot in front", 400, "bad-file-name", path="/files", kind="text/csv", more=named(".x.csv"), body=SOUND_CSV),
    Bad(
        "NUL in a name",
        400,
        "bad-file-name",
        path="/files",
        kind="text/csv",
        more=(("Content-Disposition", "attachment; filename*=UTF-8''x%00.csv"),),
        body=SOUND_CSV,
    ),
    Bad(
        "a line in a name",
        400,
        "bad-file-name",
        path="/files",
        kind="text/csv",
        more=(("Content-Disposition", "attachment; filename*=UTF-8''x%0d%0ay.csv"),),
        body=SOUND_CSV,
    ),
    Bad("an old sheet", 415, "unreadable-file", "other_spreadsheet", "", b"x", SHEETS, named("a.xls"), path="/files"),
    Bad("another kind", 415, "unreadable-file", "unknown_format", "", b"%PDF", SHEETS, named("a.pdf"), path="/files"),
    Bad("an empty file", 422, "unreadable-file", "empty_file", "", b" ", "text/csv", path="/files"),
    Bad("no sheet at all", 422, "unreadable-file", "not_xlsx", "", b"a,b", SHEETS, path="/files"),
    Bad("a zip of something", 422, "unreadable-file", "", "", not_a_sheet(), SHEETS, path="/files"),
    Bad("a zip bomb", 422, "faulty-events", "zip_bomb", "", bomb(), SHEETS, path="/files"),
    Bad("a formula", 422, "faulty-events", "formula_cell", None, with_formula(), SHEETS, path="/files"),
    Bad("an unknown column", 422, "faulty-events", "", None, b"colour\r\nred\r\n", "text/csv", path="/files"),
    Bad(
        "a wrong cell",
        422,
        "faulty-events",
        "unknown_code",
        "/data/referral/lane",
        csv(row(), row(lane="express", reference="2")).encode(),
        "text/csv",
        path="/files",
    ),
    Bad(
        "another zone's row",
        403,
        "not-allowed",
        "source_not_yours",
        "/source",
        csv(row(source="//commerce/hunchun")).encode(),
        "text/csv",
        path="/files",
    ),
    Bad("a header alone", 422, "unreadable-file", "", None, csv().encode(), "text/csv", path="/files"),
    Bad(
        "too many rows",
        422,
        "faulty-events",
        "too_many_rows",
        None,
        csv(*(row(reference=str(n)) for n in range(40))).encode(),
        "text/csv",
        path="/files",
    ),
    Bad("a large file", 413, "too-large", path="/files", kind="text/csv", body=b"a," * BODY_LIMIT),
    Bad("a form without file", 400, "malformed-form", path="/files", kind=FORM, body=form(("mapping", "", b"{}"))),
    Bad("a form without line", 400, "malformed-form", path="/files", kind="multipart/form-data", body=b"x"),
    Bad("no form", 400, "malformed-form", path="/files", kind=FORM, body=b"--line\r\nx"),
    Bad(
        "a strange part",
        400,
        "malformed-form",
        path="/files",
        kind=FORM,
        body=form(("file", "a.csv", SOUND_CSV), ("path", "", b"/etc")),
    ),
    Bad("two files", 400, "malformed-form", path="/files", kind=FORM, body=form(*[("file", "a.csv", SOUND_CSV)] * 2)),
    Bad(
        "up a folder in a form",
        400,
        "bad-file-name",
        path="/files",
        kind=FORM,
        body=form(("file", "../a.csv", SOUND_CSV)),
    ),
    Bad(
        "a mapping to nowhere",
        422,
        "faulty-mapping",
        "",
        None,
        form(("file", "a.csv", SOUND_CSV), ("mapping", "m.json", b'{"fields": {"name": "../x"}}')),
        FORM,
        path="/files",
    ),
    Bad(
        "a mapping with aliases",
        422,
        "faulty-mapping",
        "bad_mapping",
        "",
        form(("file", "a.csv", SOUND_CSV), ("mapping", "m.yaml", b"a: &a [x]\nb: [*a, *a]\n")),
        FORM,
        path="/files",
    ),
]


@pytest.fixture(scope="module")
def gateway(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("gateway")
    limits = {"gateway_body_limit": BODY_LIMIT, "gateway_file_limit": BODY_LIMIT, "gateway_file_rows": 30}
    with running_gateway(kafka, folder, gateway_read_seconds=2, **limits) as front:
        front.keys["expired"] = front.new_key(ZONE, expires_ms=int(time.time() * 1000) - 1)
        front.keys["revoked"] = front.new_key(ZONE)
        front.revoke(front.keys["revoked"])
        front.keys["swapped"] = front.key(ZONE)[:-64] + front.key("//bank/exim-nmg")[-64:]
        yield front


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.what)
def test_a_bad_request_gets_a_problem_document_that_names_the_fault(gateway: Front, bad: Bad) -> None:
    answer = sent(gateway, bad)
    assert answer.status == bad.status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["type"] == f"urn:kouan:problem:{bad.problem}"
    assert problem["status"] == bad.status
    assert " · " in problem["title"]
    assert problem["detail"]
    assert problem["instance"].startswith("urn:uuid:")
    for fault in problem["faults"]:
        assert fault["zh"], fault
        assert fault["en"], fault
    if bad.code or bad.pointer:
        found = [(fault["code"], fault["pointer"]) for fault in problem["faults"]]
        assert any(bad.code in ("", code) and bad.pointer in (None, pointer) for code, pointer in found), found
    if bad.status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    if bad.status == 405:
        assert answer.headers["allow"]


def sent(gateway: Front, bad: Bad) -> Answer:
    if bad.raw is not None:
        return gateway.raw(bad.raw)
    body = bad.body
    if bad.what == "a fault within":
        body = [*body, data(lane="express")]
    if bad.what == "another's event within":
        body = [event(), event(source="//commerce/hunchun")]
    given = dict(bad.more).get("Authorization", "")
    key = gateway.keys.get(given if isinstance(given, str) else "") or gateway.key(bad.source)
    headers: Headers = [("Authorization", f"Bearer {key}"), (KEYED, uuid.uuid4().hex)]
    headers = [(name, value) for name, value in headers if name not in bad.without]
    headers += [(name, value) for name, value in bad.more if value not in gateway.keys]
    if bad.kind is not None:
        headers.append(("Content-Type", bad.kind))
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return gateway.send(bad.method, bad.path, headers, content)


def test_there_are_at_least_sixty_of_them_and_each_is_another() -> None:
    assert len({bad.what for bad in BAD}) == len(BAD) >= 60


def test_faults_of_a_file_name_row_and_column(gateway: Front) -> None:
    table = csv(row(), row(lane="express", reference="2"), row(term_months="-", reference="3")).encode()
    faults = gateway.post(table, path="/files", kind="text/csv").json["faults"]
    assert [(fault["row"], fault["column"]) for fault in faults] == [(3, "lane"), (4, "term_months")]
    assert set(SOUND) >= {fault["column"] for fault in faults}


@pytest.mark.parametrize("begun", [b"POST /events HTTP/1.1\r\nHost: a\r\nX: ", b"", b"body"])
def test_a_request_that_does_not_arrive_in_time_is_told_so(gateway: Front, begun: bytes) -> None:
    if begun == b"body":
        begun = b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nContent-Type: %b\r\n" % STRUCTURED.encode()
        begun += f"Authorization: Bearer {gateway.key(ZONE)}\r\n{KEYED}: slow\r\n\r\n123".encode()
    began = time.monotonic()
    answer = gateway.raw(begun)
    assert answer.status == 408
    assert answer.json["type"] == "urn:kouan:problem:too-slow"
    assert time.monotonic() - began < 6


def test_a_client_that_goes_away_leaves_the_gateway_as_it_was(gateway: Front) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(b"POST /events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    assert gateway.post(event()).status == 202


def test_nothing_of_what_was_refused_was_published(gateway: Front) -> None:
    # Ids of their own, because other tests share the broker.
    first, second = event(), event(source="//commerce/hunchun")
    assert gateway.post([first, second], kind=BATCH).status == 403
    assert gateway.post([first, data(lane="express")], kind=BATCH).status == 422
    assert gateway.post(second).status == 403
    assert not {first["id"], second["id"]} & set(ids_on(gateway.servers, "commerce.referrals"))
