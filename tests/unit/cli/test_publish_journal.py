"""The journal of a publication knows what was confirmed, however the process that wrote it ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.publish_journal import Journal, JournalBusy, JournalDamaged, digest_of, opened
from services.client.preparing import Prepared
from services.client.rows import check_rows, read_rows
from tests.unit.cli.builders import lines, submitted

CLUSTER = "c-1"


def records(*ids: str) -> list[Prepared]:
    content = b"".join(lines(*(submitted(id=one) for one in ids)))
    return [one for _, one in check_rows(read_rows(content, "e.jsonl")).prepared]


EVENTS = records("a", "b", "c", "d", "e")


def confirmed(folder: Path, events: list[Prepared] = EVENTS, cluster: str = CLUSTER) -> set[int]:
    with opened(folder, events, cluster, "e.jsonl") as journal:
        return set(journal.confirmed)


def noted(folder: Path, *chunks: set[int]) -> Path:
    with opened(folder, EVENTS, CLUSTER, "e.jsonl") as journal:
        for chunk in chunks:
            journal.note(chunk)
        return journal.path


def test_what_was_noted_is_known_the_next_time_gaps_included(tmp_path: Path) -> None:
    noted(tmp_path, {0, 1}, {4, 2})
    assert confirmed(tmp_path) == {0, 1, 2, 4}
    noted(tmp_path, {3})
    assert confirmed(tmp_path) == {0, 1, 2, 3, 4}


def test_a_line_that_a_killed_process_left_unfinished_counts_for_nothing(tmp_path: Path) -> None:
    path = noted(tmp_path, {0}, {1})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        known = confirmed(tmp_path)
        assert known <= {0, 1}
        noted(tmp_path, {2})
        assert confirmed(tmp_path) == known | {2}


@pytest.mark.parametrize(
    "line", ["nonsense", '{"confirmed": [3, 9], "at": "2026-01-01"}', '{"confirmed": [2, 1]}', "[]"]
)
def test_lines_that_were_never_written_are_told_and_only_a_restart_helps(tmp_path: Path, line: str) -> None:
    path = noted(tmp_path, {0})
    path.write_bytes(path.read_bytes() + line.encode() + b"\n")
    with pytest.raises(JournalDamaged, match=f"{path.name}:3"):
        confirmed(tmp_path)
    with opened(tmp_path, EVENTS, CLUSTER, "e.jsonl", restart=True) as journal:
        assert journal.confirmed == set()
    assert confirmed(tmp_path) == set()


def test_other_events_and_another_cluster_have_journals_of_their_own(tmp_path: Path) -> None:
    noted(tmp_path, {0, 1, 2, 3, 4})
    assert confirmed(tmp_path, cluster="c-2") == set()
    assert confirmed(tmp_path, records("a", "b", "c", "d", "f")) == set()
    assert digest_of(EVENTS) == digest_of(records("a", "b", "c", "d", "e"))


def test_two_processes_do_not_publish_the_same_events_at_once(tmp_path: Path) -> None:
    with opened(tmp_path, EVENTS, CLUSTER, "e.jsonl") as first:
        assert isinstance(first, Journal)
        with pytest.raises(JournalBusy):
            confirmed(tmp_path)
    assert confirmed(tmp_path) == set()
