"""Ids of outputs, derived and time-ordered: the same input gives the same ids, whoever decides it and however often."""

from __future__ import annotations

from hashlib import sha1

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


def digest_of(key: bytes, value: bytes) -> str:
    """Digest of key and value that tells a repeat from another event under a reused id. SHA-1 for its speed: nobody
    gains from a collision here, since only the publisher of both events could make one.
    """
    return sha1(key + value, usedforsecurity=False).hexdigest()[:16]
