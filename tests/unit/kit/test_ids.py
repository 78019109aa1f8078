"""Ids of outputs are derived from the input alone, ordered by its time, and have room for every position."""

from __future__ import annotations

from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from services.kit.ids import MOST_OUTPUTS, digest_of, output_stem

TIMES = some.integers(0, 2**48 - 1)

on_a_busy_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@on_a_busy_machine
@given(some.text(), some.text(), TIMES, some.integers(0, MOST_OUTPUTS))
def test_an_output_id_is_a_uuid_of_version_8(source: str, id: str, time_ms: int, position: int) -> None:
    made = UUID(f"{output_stem('ledger', source, id, time_ms)}{position:04x}")

    assert made.version == 8
    assert made.variant == "specified in RFC 4122"


@on_a_busy_machine
@given(some.text(), some.text(), TIMES)
def test_the_same_input_gives_the_same_ids_whoever_decides_it(source: str, id: str, time_ms: int) -> None:
    assert output_stem("ledger", source, id, time_ms) == output_stem("ledger", source, id, time_ms)


@on_a_busy_machine
@given(TIMES, TIMES)
def test_ids_are_ordered_by_the_time_of_their_inputs(one: int, other: int) -> None:
    earlier, later = sorted((one, other))

    assert output_stem("ledger", "//bank/a", "1", earlier)[:13] <= output_stem("ledger", "//bank/b", "2", later)[:13]


def test_service_source_and_id_each_make_another_id() -> None:
    stems = {output_stem(*what, 5) for what in (("a", "b", "c"), ("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x"))}

    assert len(stems) == 4


def test_what_stands_in_source_or_id_can_not_be_shifted_from_one_to_the_other() -> None:
    assert output_stem("s", "//bank/ab", "c", 5) != output_stem("s", "//bank/a", "bc", 5)


@on_a_busy_machine
@given(some.binary(max_size=50), some.binary(max_size=50))
def test_other_content_has_another_digest(one: bytes, other: bytes) -> None:
    assert (digest_of(b"key", one) == digest_of(b"key", other)) == (one == other)
