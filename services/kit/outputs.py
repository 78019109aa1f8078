"""How an output is written as a record: CloudEvents in binary mode, the headers that never change made once."""

from __future__ import annotations

from typing import Final

from services.kit.record_batch import VARINT, header_bytes, header_name

_ID_LENGTH: Final = 36
_TRACE_LENGTH: Final = 55
_NUMBER: Final = 10
"""How many headers an output has."""

_TIME: Final = header_name("ce_time")
_SUBJECT: Final = header_name("ce_subject")
_CORRELATION: Final = header_name("ce_correlationid")
_CAUSATION: Final = header_name("ce_causationid")
_TRACE: Final = header_name("traceparent", _TRACE_LENGTH)


def output_headers(source: str, kind: str) -> bytes:
    """The beginning of the headers of all outputs of one type, up to the id, whose text follows."""
    return b"".join(
        (
            VARINT[_NUMBER],
            header_bytes("ce_specversion", b"1.0"),
            header_bytes("ce_source", source.encode()),
            header_bytes("ce_type", kind.encode()),
            header_bytes("content-type", b"application/json"),
            header_name("ce_id", _ID_LENGTH),
        )
    )


def common_headers(time: bytes, correlation: bytes, causation: bytes) -> tuple[bytes, ...]:
    """The headers that all outputs of one input share, in pieces."""
    return (
        _TIME, VARINT[len(time)], time, _CORRELATION, VARINT[len(correlation)], correlation,
        _CAUSATION, VARINT[len(causation)], causation, _TRACE,
    )  # fmt: skip


def output_body(key: bytes, value: bytes, headers: bytes, id: bytes, common: tuple[bytes, ...], trace: bytes) -> bytes:
    """The body of an output's record. `headers` are those of `output_headers`, `common` those of `common_headers`;
    `id` has 36 bytes, `trace` (W3C traceparent) 55."""
    length = VARINT[len(key)]
    return b"".join((length, key, VARINT[len(value)], value, headers, id, _SUBJECT, length, key, *common, trace))
