"""What a run of fault tests ends with: one row for each fault, what became of its cases, and how it was judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import pytest
from rich.table import Table

FOLDER = "tests/faults/"

RIGHT = "账实相符 · books fit"
SAME = "账实相符，进程未换 · books fit, same process"
ONCE = "账实相符，各一次 · books fit, each once"
CAUGHT = "核对器指出那处错误 · the checker names what is broken"
AS_ASKED = "与情景要求一致 · what the scenario asks for"
AS_IN_PEACE = "与无故障时逐条相同 · the same as without faults"
LEGEND = """账实相符：凡经确认者不丢、不重、按键有序，余额、死信、信函、位置皆合；进程未换：同一进程，未多占内存与描述符
books fit: what was acknowledged is neither lost nor applied twice, in order per key; balances, dead letters,
letters and positions agree; same process: the one that was struck goes on, with hardly more memory and descriptors"""

FAULTS = {
    # Three brokers
    "test_every_broker_is_restarted_in_turn_under_load": ("三个节点轮流重启 · rolling restart of three brokers", SAME),
    "test_a_broker_is_killed_and_the_others_carry_on": ("三个节点中一个被杀 · one of three brokers killed", SAME),
    "test_the_broker_that_keeps_the_group_is_killed": ("协调节点被杀 · the group's coordinator killed", SAME),
    "test_two_of_three_brokers_are_gone_for_a_while": ("三个节点失去两个 · two of three brokers gone", SAME),
    "test_a_leader_is_cut_off_and_others_take_over": ("首领节点断网 · a leader cut off", SAME),
    "test_brokers_are_killed_and_workers_too": ("节点与工作进程随机被杀 · brokers and workers killed", RIGHT),
    # Clocks
    "test_a_clock_is_an_hour_wrong_for_a_while": ("时钟差一小时后改正 · clock an hour wrong, then right", ONCE),
    "test_one_worker_is_ahead_and_the_other_behind_and_one_is_killed": (
        "时钟一快一慢，一个被杀 · one clock ahead, one behind, one worker killed",
        ONCE,
    ),
    "test_what_a_clock_that_was_ahead_took_for_read_is_not_believed_when_it_is_right": (
        "时钟超前后改正时的到期 · deadlines after a clock was ahead",
        "须先读完才到期 · none fires before all was read",
    ),
    # Disk and network of one broker
    "test_the_disk_of_the_broker_is_full_until_it_gives_up": ("节点磁盘写满 · the broker's disk full", SAME),
    "test_no_packet_passes_for_a_while": ("断网：请求、应答、双向 · no packets: requests, answers, both", SAME),
    "test_a_group_is_cut_off_for_longer_than_its_session": (
        "整组断网超过会话时限 · a group cut off longer than its session",
        SAME,
    ),
    "test_one_packet_in_twenty_is_lost": ("每二十个包丢一个 · one packet in twenty lost", SAME),
    # PostgreSQL
    "test_postgresql_ends_twice_and_comes_back": ("PostgreSQL 停止、崩溃、被杀 · stopped, crashed, killed", SAME),
    "test_a_tablespace_of_postgresql_is_full_for_a_while": ("PostgreSQL 表空间写满 · tablespace full", SAME),
    "test_the_disk_of_postgresql_is_full_until_it_gives_up": ("PostgreSQL 日志磁盘写满 · no disk for its log", SAME),
    # Kits broken on purpose
    "test_the_sound_kit_passes_every_fault_that_catches_a_broken_one": (
        "完好内核经历同样故障 · the sound kit under the same faults",
        RIGHT,
    ),
    "test_a_broken_kit_is_caught": ("故意改坏的内核 · kits broken on purpose", CAUGHT),
    "test_the_sound_kit_passes_a_sleep_longer_than_its_session": (
        "完好内核沉睡超过会话时限 · the sound kit sleeps longer than its session",
        ONCE,
    ),
    "test_a_kit_without_a_fence_is_caught_when_a_worker_wakes_up": (
        "无隔离的内核醒来 · a kit without a fence wakes up",
        CAUGHT,
    ),
    # Outages
    "test_the_line_to_the_broker_goes_dead_and_comes_back": ("线路中断：收、发、双向 · the line goes dead", SAME),
    "test_connections_are_slow_and_reset_again_and_again": ("连接缓慢并反复重置 · connections slow and reset", SAME),
    "test_the_broker_is_killed_twice": ("唯一节点两次被杀 · the only broker killed twice", SAME),
    "test_postgresql_ends_its_connections_again_and_again": ("数据库反复断开连接 · connections ended, any time", SAME),
    "test_the_disk_under_sqlite_is_full_for_a_while": ("SQLite 磁盘写满 · no disk for SQLite", SAME),
    "test_workers_join_and_leave_under_load": ("工作进程进进出出 · workers join and leave", RIGHT),
    # Named points
    "test_a_worker_is_killed_at_one_point_after_the_other": ("在多个点接连被杀 · killed at several points", RIGHT),
    "test_a_worker_is_killed": ("在每个命名点被杀 · killed at each named point", RIGHT),
    "test_a_worker_is_killed_while_dead_letters_go_round_again": ("死信重投时被杀 · killed during a redrive", RIGHT),
    "test_a_new_owner_is_killed_while_it_takes_over_what_was_left": ("接管时被杀 · killed while taking over", RIGHT),
    "test_a_rebuilding_is_killed_and_neither_the_worker_nor_the_next_rebuilding_minds": (
        "重建途中被杀 · a rebuilding killed",
        "账实相符，再建无差异 · books fit, rebuilt without a difference",
    ),
    "test_a_commit_fails_or_its_answer_is_lost": (
        "提交失败，或成功而不闻 · a commit fails, or succeeds unheard",
        SAME,
    ),
    "test_postgresql_ends_the_connection_around_a_commit": ("提交前后连接中断 · connections cut around a commit", SAME),
    "test_a_worker_is_struck_between_losing_its_tasks_and_saying_so": (
        "失去任务而未及告知时被杀或沉睡 · struck amid a rebalance",
        RIGHT,
    ),
    "test_a_worker_that_sleeps_at_a_point_and_wakes_up_without_its_tasks_does_no_harm": (
        "在命名点沉睡，醒来已无任务 · asleep at a point, awake without tasks",
        RIGHT,
    ),
    "test_a_second_worker_on_one_sqlite_file_says_so_and_ends_and_the_first_goes_on": (
        "同一 SQLite 文件上的第二个进程 · a second worker on one SQLite file",
        "账实相符，第二个被拒 · books fit, the second refused",
    ),
    "test_a_worker_that_sleeps_through_the_switch_writes_nothing_from_what_it_remembers": (
        "沉睡中数据库被换 · the database switched during a sleep",
        RIGHT,
    ),
    # At random, under load
    "test_a_worker_on_sqlite_is_killed_again_and_again": ("SQLite 上反复被杀 · killed again and again, SQLite", RIGHT),
    "test_two_workers_on_postgresql_are_killed_in_turn": ("PostgreSQL 上轮流被杀 · killed in turn, PostgreSQL", RIGHT),
    "test_a_worker_that_slept_longer_than_its_session_does_no_harm_when_it_wakes_up": (
        "沉睡超过会话时限 · asleep longer than its session",
        RIGHT,
    ),
    "test_random_faults_change_nothing": ("随机故障 · faults of every kind at random", AS_ASKED),
    # All services
    "test_the_undisturbed_run_comes_to_what_the_scenario_says": ("无故障的对照 · no fault, to compare with", AS_ASKED),
    "test_each_notice_of_the_undisturbed_run_is_one_mail": (
        "无故障的邮件 · no fault: mails",
        "每份通知恰好一封 · one mail for each notice",
    ),
    "test_killing_each_service_in_turn_changes_nothing": ("各服务轮流被杀 · each service killed in turn", AS_IN_PEACE),
    "test_killing_one_of_two_workers_of_each_service_on_postgres_changes_nothing": (
        "各服务两进程之一被杀 · one of two workers of each service killed",
        AS_IN_PEACE,
    ),
    "test_a_worker_that_slept_longer_than_its_session_changes_nothing_when_it_wakes": (
        "各服务一进程沉睡后醒来 · one worker of each service asleep",
        AS_IN_PEACE,
    ),
    "test_screening_on_the_sound_kit_passes_the_faults_that_catch_broken_ones": (
        "共同筛选在完好内核上 · screening on the sound kit",
        AS_ASKED,
    ),
    "test_screening_on_a_broken_kit_is_caught": ("共同筛选在改坏的内核上 · screening on a broken kit", CAUGHT),
}
"""By the name of its test: the fault, and what has to hold of what it leaves."""


@dataclass(slots=True)
class Row:
    """What became of one fault's cases, by the ids of their tests."""

    file: str
    test: str
    cases: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def add(self, report: pytest.TestReport) -> None:
        """Count one report; a case has one for its making, one for itself and one for what it leaves behind."""
        self.cases.add(report.nodeid)
        self.seconds += report.duration
        if report.failed:
            self.failed.add(report.nodeid)
        if report.skipped:
            self.skipped.add(report.nodeid)

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """All cases, those that passed, failed, and were skipped."""
        skipped = self.skipped - self.failed
        return len(self.cases), len(self.cases - self.failed - skipped), len(self.failed), len(skipped)


def rows_of(reports: Iterable[pytest.TestReport]) -> list[Row]:
    """One row for each fault of which a case was run, file by file and in the order of `FAULTS`."""
    rows: dict[str, Row] = {}
    for report in reports:
        if report.nodeid.startswith(FOLDER):
            # What a case was made with stands in brackets, and may hold anything.
            place, _, _ = report.nodeid.partition("[")
            path, _, test = place.rpartition("::")
            rows.setdefault(place, Row(PurePath(path).name, test)).add(report)
    order = {test: number for number, test in enumerate(FAULTS)}
    return sorted(rows.values(), key=lambda row: (row.file, order.get(row.test, len(order))))


def table_of(rows: Sequence[Row]) -> Table:
    """All faults with their sums below; those of which a case failed in red."""
    figures = [(*row.numbers, round(row.seconds)) for row in rows]
    table = Table(title="故障 · faults", caption=LEGEND, caption_justify="left", show_footer=True)
    table.add_column("文件 · file", "合计 · total")
    table.add_column("故障 · fault")
    for number, name in enumerate(("例\ncases", "通过\npassed", "失败\nfailed", "跳过\nskipped", "秒\ns")):
        table.add_column(name, str(sum(figure[number] for figure in figures)), justify="right")
    table.add_column("判据 · judged by")
    for row, numbers in zip(rows, figures, strict=True):
        fault, judged = FAULTS.get(row.test, (row.test, ""))
        table.add_row(row.file, fault, *map(str, numbers), judged, style="red" if row.failed else None)
    return table
