"""Ids of outputs, derived and time-ordered: the same input gives the same ids, whoever decides it and however often."""

from __future__ import annotations

from hashlib import sha1
from zlib import crc32

MOST_OUTPUTS = 0xFFFF
"""How many outputs one input may have: their position takes four hexadecimal digits of the id."""


def output_stem(service: str, source: str, id: str, time_ms: int) -> str:
    """What all output ids of one input share: a UUIDv8 less its last four digits, which are the output's position.

    48 bits are the input's time in milliseconds, so that indexes grow at their end; 56 bits a hash of service, source
    and id.
    """
    digest = sha1(f"{service}\0{source}\0{id}".encode(), usedforsecurity=False).hexdigest()
    time = f"{time_ms & 0xFFFFFFFFFFFF:012x}"
    return f"{time[:8]}-{time[8:]}-8{digest[:3]}-8{digest[3:6]}-{digest[6:14]}"


def digest_of(key: bytes, value: bytes) -> int:
    """Digest of key and value that tells a repeat from another event under a reused id: CRC-32 and the length.

    It guards against mistakes; a publisher who makes two events collide on purpose harms only his own.
    """
    return crc32(value, crc32(key)) | len(value) << 32
