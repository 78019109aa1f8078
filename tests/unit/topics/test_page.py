"""The page shows everything that the document says, and needs nothing but itself."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

import pytest

from topics.asyncapi import document
from topics.definition import load_catalogue
from topics.page import USERS, page

VOID = {"meta", "input", "br", "link", "img"}


class Reader(HTMLParser):
    """Collects ids, links, addresses and text, and holds that elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name == "href" and value:
                self.links.append(value)
            if name in ("src", "srcset", "action", "data", "poster") and value:
                self.addresses.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@cache
def html() -> str:
    return page(document(load_catalogue()))


@pytest.fixture(scope="module")
def seen() -> Reader:
    reader = Reader()
    reader.feed(html())
    reader.close()
    assert reader.open == []
    return reader


def test_it_asks_nothing_of_any_other_place(seen: Reader) -> None:
    assert seen.addresses == []
    assert [link for link in seen.links if not link.startswith("#")] == []
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", html())
    told = set(re.findall(r"\w+://\d[^\s<]*|https?://[^\s<]*", html()))
    # Forms of addresses, and addresses of documents in examples, are text like any other.
    assert {one for one in told if not re.match(r"https://(\[|files\.example\.com/)", one)} == {"http://127.0.0.1:8080"}


def test_every_link_leads_to_one_place_of_the_page(seen: Reader) -> None:
    assert len(seen.ids) == len(set(seen.ids))
    assert {link.removeprefix("#") for link in seen.links} <= set(seen.ids)


def test_every_topic_and_every_event_has_its_place(seen: Reader) -> None:
    known = load_catalogue().topics.values()
    events = {event for topic in known for event in topic.events}
    assert {f"topic-{topic.name}" for topic in known} | {f"event-{event}" for event in events} <= set(seen.ids)


def test_every_user_has_a_name_that_people_know() -> None:
    users = {operation["tags"][0]["name"] for operation in document(load_catalogue())["operations"].values()}
    assert users <= USERS.keys()


def test_fields_are_told_with_type_unit_rules_and_example(seen: Reader) -> None:
    text = " ".join(" ".join(seen.text).split())
    assert "term_months" in text
    assert "months" in text
    assert "working_capital · plant_construction" in text
    assert "日期 date" in text


def test_what_a_contract_says_is_text_and_never_markup() -> None:
    made = document(load_catalogue())
    message = made["components"]["messages"]["loan.applied.v1"]
    message["summary"] = "<script>alert(1)</script>"
    message["examples"][0]["payload"]["note"] = "</code><img src=x>"
    written = page(made)
    assert "<script>alert(1)" not in written
    assert "<img" not in written
