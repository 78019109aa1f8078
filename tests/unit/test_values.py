"""Shared values validate themselves: credit codes, money, days, countries, sources; and faults speak two languages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.envelope import Model
from schemas.faults import ECHO_LIMIT, FAULT_LIMIT, Fault, faults_of
from schemas.values import (
    Balance,
    CountryCode,
    CreditCode,
    Currency,
    Day,
    Money,
    ReferralId,
    Side,
    ZoneCode,
    credit_check_character,
    place_of,
    side_of,
)

VALID_CREDIT_CODES = [
    "914403001922038216",
    "9144030071526726XG",
    "91110108551385082Q",
    "91330100799655058B",
    "N2350123ABCDEFGHJC",
    "A1100000ABCDEFGHJA",
    "Y1100000ABCDEFGHJM",
]
CREDIT_CODE: TypeAdapter[str] = TypeAdapter(CreditCode)


def _codes(annotation: Any, value: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    return [fault.code for fault in faults_of(caught.value)]


@pytest.mark.parametrize("code", VALID_CREDIT_CODES)
def test_credit_code_of_a_known_organisation_is_accepted(code: str) -> None:
    assert CREDIT_CODE.validate_python(code) == code


@pytest.mark.parametrize("code", VALID_CREDIT_CODES)
@given(position=st.integers(0, 17), character=st.sampled_from("0123456789ABCDEFGHJKLMNPQRTUWXY"))
def test_credit_code_with_one_character_changed_is_refused(code: str, position: int, character: str) -> None:
    changed = code[:position] + character + code[position + 1 :]
    if changed != code:
        assert _codes(CreditCode, changed)[0] in ("credit_code_form", "credit_code_check")


@pytest.mark.parametrize("letter", "IOSVZ")
def test_credit_code_with_a_forbidden_letter_is_a_fault_of_form(letter: str) -> None:
    assert _codes(CreditCode, f"91330100{letter}99655058B") == ["credit_code_form"]


@pytest.mark.parametrize(
    "code",
    [
        "",
        "91330100799655058",
        "91330100799655058BB",
        "91330100799655058b",
        " 91330100799655058B",
        "91330100799655058B\n",
        "９1330100799655058B",
        "B1330100799655058B",
        "94330100799655058B",
        "Y2100000ABCDEFGHJM",
        "9133O100799655058B",
    ],
)
def test_credit_code_of_wrong_form_is_refused(code: str) -> None:
    assert _codes(CreditCode, code) == ["credit_code_form"]


@pytest.mark.parametrize("code", VALID_CREDIT_CODES)
def test_check_character_follows_from_the_first_seventeen(code: str) -> None:
    assert credit_check_character(code[:17]) == code[17]


def test_money_keeps_its_exact_amount_as_text() -> None:
    money = Money.model_validate_json('{"amount": "1234567890123.45", "currency": "CNY"}')
    assert money.amount == Decimal("1234567890123.45")
    assert money.model_dump_json() == '{"amount":"1234567890123.45","currency":"CNY"}'


@given(cents=st.integers(1, 10**15 - 1))
def test_any_amount_survives_being_written_and_read(cents: int) -> None:
    money = Money(amount=Decimal(cents) / 100, currency=Currency.CNY)
    assert Money.model_validate_json(money.model_dump_json()) == money


@pytest.mark.parametrize("amount", [5000000, 0.1, True, None, ["1"]])
def test_amount_that_is_not_text_is_refused_because_it_may_be_rounded(amount: object) -> None:
    assert _codes(Money, {"amount": amount, "currency": "CNY"}) == ["amount_not_text"]


@pytest.mark.parametrize(
    "amount",
    ["", "1.234", "-1", "+1", "01", "1e3", "1,000", " 1", "1.", ".5", "NaN", "Infinity", "10000000000000", "１"],
)
def test_amount_of_wrong_form_is_refused(amount: str) -> None:
    assert _codes(Money, {"amount": amount, "currency": "CNY"}) == ["amount_form"]


def test_result_of_arithmetic_with_too_many_decimals_is_refused() -> None:
    assert _codes(Money, {"amount": Decimal("10") / 3, "currency": "CNY"}) == ["amount_form"]


@pytest.mark.parametrize("amount", ["0", "0.00"])
def test_nothing_is_no_money_but_may_be_a_balance(amount: str) -> None:
    assert _codes(Money, {"amount": amount, "currency": "CNY"}) == ["amount_not_positive"]
    assert Balance.model_validate({"amount": amount, "currency": "CNY"}).amount == 0


@pytest.mark.parametrize("code", ["manzhouli", "mohan_boten", "erenhot_zamyn_uud"])
def test_zone_code_is_pinyin_joined_by_underscores(code: str) -> None:
    assert TypeAdapter(ZoneCode).validate_python(code) == code


@pytest.mark.parametrize("code", ["Manzhouli", "满洲里", "mohan-boten", "_x", "x_", "x__y", "", "1zone", "a\n"])
def test_zone_code_of_another_form_is_refused(code: str) -> None:
    assert _codes(ZoneCode, code) == ["bad_form"]


@pytest.mark.parametrize("text", ["", "-a", "a b", "a/b", "a" * 65, "a\n", "编号"])
def test_referral_id_of_another_form_is_refused(text: str) -> None:
    assert _codes(ReferralId, text) == ["bad_form"]


@pytest.mark.parametrize("code", ["XX", "ru", "RUS", ""])
def test_country_that_iso_does_not_list_is_refused(code: str) -> None:
    assert _codes(CountryCode, code) == ["country_unknown"]


@pytest.mark.parametrize("value", [1585699200, "1585699200", "20200401", "2020-04-01T00:00:00", "2020-4-1", None])
def test_day_is_never_guessed_from_anything_but_a_date(value: object) -> None:
    assert _codes(Day, value) == ["bad_date"]


def test_day_that_the_calendar_lacks_is_refused() -> None:
    assert _codes(Day, "2021-02-29") == ["bad_date"]


@pytest.mark.parametrize(
    ("source", "side", "place"),
    [
        ("//commerce/15", Side.COMMERCE, "15"),
        ("//commerce/mofcom", Side.COMMERCE, "mofcom"),
        ("//bank/exim-nmg", Side.BANK, "exim-nmg"),
        ("//partner/frontier-guarantee", None, "frontier-guarantee"),
        ("//kouan/screening", None, "screening"),
        ("//commerce", None, ""),
        ("//commercex/15", None, "15"),
        ("commerce/15", None, ""),
    ],
)
def test_source_says_which_side_speaks_and_for_what_place(source: str, side: Side | None, place: str) -> None:
    assert side_of(source) is side
    assert place_of(source) == place


class _Sheet(Model):
    names: tuple[ReferralId, ...] = ()


def _faults(body: object) -> tuple[Fault, ...]:
    with pytest.raises(ValidationError) as caught:
        _Sheet.model_validate(body, extra="forbid")
    return faults_of(caught.value)


def test_faults_beyond_the_limit_are_counted_instead_of_listed() -> None:
    faults = _faults({"names": ["?"] * (FAULT_LIMIT + 20)})
    assert len(faults) == FAULT_LIMIT
    assert faults[-1].code == "more_faults"
    assert faults[-1].en.startswith("21 more faults")


def test_value_is_echoed_in_part_only() -> None:
    (fault,) = _faults({"names": ["?" * 3000]})
    assert fault.en.count("?") < ECHO_LIMIT
    assert fault.zh.count("?") < ECHO_LIMIT


def test_name_of_an_unknown_field_is_escaped_and_cut_in_the_pointer() -> None:
    (fault,) = _faults({"a/b~c" + "x" * 5000: 1})
    assert fault.pointer.startswith("/a~1b~0c")
    assert len(fault.pointer) < ECHO_LIMIT + 10


def test_braces_in_a_value_are_repeated_as_they_are() -> None:
    (fault,) = _faults({"names": ["{got}{0}{pattern}"]})
    assert "{got}{0}{pattern}" in fault.en
