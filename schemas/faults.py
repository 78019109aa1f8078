"""What is wrong with an input, said so that a person can act on it: all faults at once, with place and remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import Field, ValidationError

from schemas.envelope import Model

FAULT_LIMIT: Final = 100
"""At most this many faults are told of one input; the last one then says how many are left out."""

ECHO_LIMIT: Final = 200
"""No more characters than these of what was sent, or of a name in it, are repeated in a fault."""

_EXPLAINED_LIMIT: Final = 600


class Fault(Model):
    """One thing wrong with one field of an input."""

    code: str = Field(description="Stable code of the fault, for programs", examples=["missing"])
    pointer: str = Field(
        description="JSON Pointer (RFC 6901) to the field; empty for the whole", examples=["/amount/currency"]
    )
    zh: str = Field(description="What is wrong and what to do, in Chinese", examples=["缺少必填字段，请补充。"])
    en: str = Field(
        description="What is wrong and what to do, in English", examples=["A required field is missing; add it."]
    )


def faults_of(error: ValidationError) -> tuple[Fault, ...]:
    """All faults that pydantic found, in its order and without repeats, at most `FAULT_LIMIT`.

    A validator's own `PydanticCustomError` gives a fault whose code is the error's type. Its texts come from the table
    below or, where it isn't there, from the error itself: its message in English, `zh` of its context in Chinese.
    """
    found: dict[tuple[str, str], Fault] = {}
    within: set[str] = set()
    for one in error.errors(include_url=False):
        fault = _fault(one["type"], one["loc"], one["msg"], one["input"], one.get("ctx", {}))
        found.setdefault((fault.code, fault.pointer), fault)
        within.update(pointer_to(one["loc"][:depth]) for depth in range(len(one["loc"])))
    # Pydantic does not count faulty items, and so calls a list too short that only holds something wrong.
    return bounded(tuple(one for one in found.values() if one.code != "too_few" or one.pointer not in within))


def bounded(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """The faults themselves, or the first of them and one that says how many more there are."""
    if len(faults) <= FAULT_LIMIT:
        return faults
    left_out = len(faults) - FAULT_LIMIT + 1
    last = Fault(
        code="more_faults",
        pointer="",
        zh=f"另有 {left_out} 处错误未列出，请先更正以上各处。",
        en=f"{left_out} more faults are not listed; correct the ones above first.",
    )
    return (*faults[: FAULT_LIMIT - 1], last)


def pointer_to(location: Sequence[str | int]) -> str:
    """The JSON Pointer (RFC 6901) to a place; names longer than `ECHO_LIMIT` are cut."""
    return "".join("/" + _cut(str(step)).replace("~", "~0").replace("/", "~1") for step in location)


def _fault(kind: str, location: Sequence[str | int], message: str, value: object, context: Mapping[str, Any]) -> Fault:
    told = _Told({name: _cut(str(text), _EXPLAINED_LIMIT) for name, text in context.items()})
    told["got"] = _cut(value if isinstance(value, str) else _KINDS_OF_VALUE.get(type(value), type(value).__name__))
    code, zh, en = _TABLE.get(kind, (kind, context.get("zh", _UNTRANSLATED), None))
    # Braces in a message of somebody's own are text, not a place to fill in.
    return Fault(
        code=code,
        pointer=pointer_to(location),
        zh=zh.format_map(told) if en else _cut(zh, _EXPLAINED_LIMIT),
        en=en.format_map(told) if en else _cut(message, _EXPLAINED_LIMIT),
    )


class _Told(dict[str, str]):
    """What a text may name: a fault must be told even where pydantic gives less than the text asks for."""

    def __missing__(self, name: str) -> str:
        return "?"


def _cut(text: str, limit: int = ECHO_LIMIT) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


_UNTRANSLATED: Final = "内容不符合约定，请按契约说明更正。"

_KINDS_OF_VALUE: Final[dict[type, str]] = {
    dict: "object",
    list: "array",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
}

_Row = tuple[str, str, str]


def _wrong_type(zh: str, en: str) -> _Row:
    return (
        "wrong_type",
        f"类型不对，应为{zh}，收到 {{got}}；请更正。",
        f"Wrong type: expected {en}, got {{got}}; correct it.",
    )


_TEXT: Final = _wrong_type("文本", "text")
_NUMBER: Final = _wrong_type("整数", "a whole number")
_OBJECT: Final = _wrong_type("对象", "an object")
_ARRAY: Final = _wrong_type("数组", "an array")
_FEW: Final = ("too_few", "至少应有 {min_length} 项，请补充。", "At least {min_length} items are needed; add some.")
_MANY: Final = ("too_many", "最多 {max_length} 项，请删减。", "At most {max_length} items are allowed; remove some.")
_DATE: Final = (
    "bad_date",
    "不是日期：{got}；请写成 2020-04-01 的形式。",
    "Not a date: {got}; write it like 2020-04-01.",
)
_MOMENT: Final = (
    "bad_time",
    "不是带时差的时间：{got}；请写成 2020-04-01T09:30:00+08:00 的形式。",
    "Not a time with offset: {got}; write it like 2020-04-01T09:30:00+08:00.",
)
_CHOICE: Final = (
    "unknown_code",
    "代码不在允许范围内：{got}；可用：{expected}。",
    "Not one of the codes: {got}; use {expected}.",
)

_TABLE: Final[dict[str, _Row]] = {
    "missing": ("missing", "缺少必填字段，请补充。", "A required field is missing; add it."),
    "extra_forbidden": (
        "unknown_field",
        "契约中没有这个字段，请删除或核对名称。",
        "The contract has no such field; remove it or check its name.",
    ),
    "json_invalid": ("bad_json", "不是有效的 JSON，请更正。", "Not valid JSON; correct it."),
    "string_type": _TEXT,
    "string_unicode": ("bad_text", "文本编码有误，请使用 UTF-8。", "The text is not valid Unicode; send UTF-8."),
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_parsing_size": _NUMBER,
    "int_from_float": _NUMBER,
    "float_type": _wrong_type("数字", "a number"),
    "float_parsing": _wrong_type("数字", "a number"),
    "finite_number": _wrong_type("有限的数字", "a finite number"),
    "bool_type": _wrong_type("布尔值", "true or false"),
    "bool_parsing": _wrong_type("布尔值", "true or false"),
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "list_type": _ARRAY,
    "tuple_type": _ARRAY,
    "set_type": _ARRAY,
    "frozen_set_type": _ARRAY,
    "iterable_type": _ARRAY,
    "none_required": _wrong_type("空值", "null"),
    "string_too_short": (
        "too_short",
        "文本过短，至少 {min_length} 个字符；请补充。",
        "The text is too short: at least {min_length} characters; add to it.",
    ),
    "string_too_long": (
        "too_long",
        "文本过长，最多 {max_length} 个字符；请缩短。",
        "The text is too long: at most {max_length} characters; shorten it.",
    ),
    "string_pattern_mismatch": (
        "bad_form",
        "格式不对：{got}；应符合 {pattern}。",
        "Wrong form: {got}; it has to match {pattern}.",
    ),
    "too_short": _FEW,
    "too_long": _MANY,
    "missing_argument": _FEW,
    "unexpected_positional_argument": _MANY,
    "greater_than": (
        "too_small",
        "数值过小，应大于 {gt}；请更正。",
        "Too small: it has to be more than {gt}; correct it.",
    ),
    "greater_than_equal": (
        "too_small",
        "数值过小，不得小于 {ge}；请更正。",
        "Too small: it has to be at least {ge}; correct it.",
    ),
    "less_than": (
        "too_large",
        "数值过大，应小于 {lt}；请更正。",
        "Too large: it has to be less than {lt}; correct it.",
    ),
    "less_than_equal": (
        "too_large",
        "数值过大，不得大于 {le}；请更正。",
        "Too large: it has to be at most {le}; correct it.",
    ),
    "enum": _CHOICE,
    "literal_error": _CHOICE,
    "union_tag_invalid": (
        "unknown_code",
        "代码不在允许范围内；可用：{expected_tags}。",
        "Not one of the codes; use {expected_tags}.",
    ),
    "union_tag_not_found": ("missing", "缺少必填字段，请补充。", "A required field is missing; add it."),
    "date_form": _DATE,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "timezone_aware": _MOMENT,
    "timezone_naive": _MOMENT,
    "timezone_offset": _MOMENT,
    "credit_code_form": (
        "credit_code_form",
        "不是 GB 32100-2015 规定的 18 位统一社会信用代码：{got}；请对照营业执照核对。",
        "Not an 18-character unified social credit code by GB 32100-2015: {got}; check it against the licence.",
    ),
    "credit_code_check": (
        "credit_code_check",
        "统一社会信用代码的校验码不符：{got}；请对照营业执照逐位核对。",
        "The check character of the unified social credit code does not fit: {got}; compare it with the licence.",
    ),
    "country_unknown": (
        "country_unknown",
        "不是 ISO 3166-1 两位国家代码：{got}；请写成 RU 的形式。",
        "Not a country code of ISO 3166-1 alpha-2: {got}; write it like RU.",
    ),
    "amount_not_text": (
        "amount_not_text",
        '金额须写成十进制文本，例如 "5000000.00"；收到 {got}。',
        'An amount is written as decimal text, for example "5000000.00"; got {got}.',
    ),
    "amount_form": (
        "amount_form",
        "金额格式不对：{got}；最多 13 位整数、2 位小数，不带符号、分隔符和指数。",
        "Wrong form of an amount: {got}; at most 13 digits and 2 decimals, no sign, separators or exponent.",
    ),
    "amount_not_positive": (
        "amount_not_positive",
        "金额必须大于零，请更正。",
        "The amount has to be more than zero; correct it.",
    ),
}
