"""Kafka's record batch, format v2: written once, when an output is decided, and sent as it stands in the outbox.

The client's own builder takes each record with a list of header tuples and copies them one by one; here the bytes that
all outputs of a type share are made once. What only the sending producer knows (its id, epoch and sequence, and the
checksum over them) is filled in when the batch goes out.

Source: the protocol guide of Apache Kafka, "Record Batch" and "Record".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any, Final

from crc32c import crc32c

HEADER: Final = Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, CRC-32C, attributes, last offset delta, first and last timestamp,
producer's id, epoch and base sequence, number of records."""

_PRODUCER: Final = Struct(">qhi")
_CRC: Final = Struct(">I")
_COUNT: Final = Struct(">i")
NOT_COUNTED: Final = 12
"""Bytes in front of what the length counts."""
CRC_FROM: Final = 21
_CRC_AT, _PRODUCER_AT, _COUNT_AT = 17, 43, 57
MAGIC: Final = 2
_NO_PRODUCER: Final = (-1, -1, -1)

FULL = 512 * 1024
"""A batch takes no further record beyond this size, in bytes; a single larger record makes a batch of its own."""


class _Varints(dict[int, bytes]):
    """Integers as Kafka writes them in records: zigzag, seven bits a byte. Small ones are kept."""

    def __missing__(self, number: int) -> bytes:
        rest = number << 1 if number >= 0 else (-number << 1) - 1
        text = bytearray()
        while rest > 0x7F:
            text.append(rest & 0x7F | 0x80)
            rest >>= 7
        text.append(rest)
        if -1 <= number < 16384:
            self[number] = bytes(text)
        return bytes(text)


VARINT: Final = _Varints()
"""The bytes of an integer by the integer."""

_ABSENT: Final = VARINT[-1]


class _Places(dict[int, bytes]):
    """The beginning of a record's body by its place in the batch: no attributes, the batch's own timestamp, place."""

    def __missing__(self, place: int) -> bytes:
        begin = b"\0\0" + VARINT[place]
        if place < 16384:
            self[place] = begin
        return begin


_PLACES: Final = _Places()


def header_bytes(name: str, value: bytes | None) -> bytes:
    """One header of a record."""
    key = name.encode()
    return b"".join((VARINT[len(key)], key, _ABSENT if value is None else VARINT[len(value)] + value))


def header_name(name: str, length: int | None = None) -> bytes:
    """The beginning of a header whose value follows, behind its length, which is part of it where it is given."""
    key = name.encode()
    return VARINT[len(key)] + key + (b"" if length is None else VARINT[length])


def body_of(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> bytes:
    """The body of a record from its key on: what does not depend on its place in a batch."""
    written = [header_bytes(name, text) for name, text in headers]
    return b"".join(
        (
            _ABSENT if key is None else VARINT[len(key)] + key,
            _ABSENT if value is None else VARINT[len(value)] + value,
            VARINT[len(written)],
            *written,
        )
    )


class RecordBatch:
    """Records that go out together, in order, to one partition."""

    __slots__ = ("_pieces", "count", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.count = 0
        self.size = 0

    def append(self, body: bytes) -> bool:
        """Add a record by its body (see `body_of`); False where it does not fit any more; the first always does."""
        length = len(body)
        if self.size + length > FULL and self.count:
            return False
        place = _PLACES[self.count]
        self._pieces += (VARINT[len(place) + length], place, body)
        self.count += 1
        self.size += length + 12
        return True

    def build(self, time_ms: int) -> bytes:
        """The whole batch, less what the sending producer fills in; all records bear the same timestamp."""
        records = b"".join(self._pieces)
        length = HEADER.size - NOT_COUNTED + len(records)
        header = HEADER.pack(0, length, -1, MAGIC, 0, 0, self.count - 1, time_ms, time_ms, *_NO_PRODUCER, self.count)
        return header + records


def count_of(batch: bytes) -> int:
    """How many records a built batch holds."""
    count: int = _COUNT.unpack_from(batch, _COUNT_AT)[0]
    return count


class Ready:
    """A built batch as aiokafka's producer takes it, in the place of a batch that it builds itself."""

    __slots__ = ("_batch", "_buffer")

    def __init__(self, batch: bytes) -> None:
        self._batch = batch
        self._buffer: bytearray | None = None

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        buffer = self._buffer = bytearray(self._batch)
        _PRODUCER.pack_into(buffer, _PRODUCER_AT, producer_id, producer_epoch, base_sequence)
        _CRC.pack_into(buffer, _CRC_AT, crc32c(memoryview(buffer)[CRC_FROM:]))

    def _build(self) -> bytearray:
        if self._buffer is None:
            raise RuntimeError("an idempotent producer gives every batch its sequence before it sends it")
        return self._buffer

    def close(self) -> None:
        """It never takes more."""

    def closed(self) -> bool:
        return True

    def size(self) -> int:
        return len(self._batch)

    def record_count(self) -> int:
        return count_of(self._batch)


def records_in(batch: bytes) -> Iterator[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]:
    """Key, value and headers of the records of a built batch, in order."""
    at = HEADER.size
    for _ in range(count_of(batch)):
        length, at = number_at(batch, at)
        end = at + length
        _, at = number_at(batch, at + 2)
        key, at = bytes_at(batch, at)
        value, at = bytes_at(batch, at)
        yield key, value, headers_at(batch, at)
        at = end


def number_at(data: bytes, at: int) -> tuple[int, int]:
    """A number as records have it (zigzag, seven bits a byte), and the place behind it."""
    shift = number = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7


def bytes_at(data: bytes, at: int) -> tuple[bytes | None, int]:
    """Bytes behind their length, None where that is negative, and the place behind them."""
    length, at = number_at(data, at)
    return (None, at) if length < 0 else (data[at : at + length], at + length)


def headers_at(data: bytes, at: int) -> list[tuple[str, Any]]:
    """The headers of a record, which are the last of it; their values are bytes or None."""
    number, at = number_at(data, at)
    found: list[tuple[str, bytes | None]] = []
    for _ in range(number):
        name, at = bytes_at(data, at)
        text, at = bytes_at(data, at)
        # A name that is no text must not stop who reads it: nobody asks for such a header.
        found.append(((name or b"").decode("utf-8", "replace"), text))
    return found
