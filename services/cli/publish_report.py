"""What `kouan publish` tells: tables on the terminal, and the same as a file for programs and spreadsheets."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.cli.terminal import err, out

if TYPE_CHECKING:
    from rich.table import Table

    from schemas.faults import Fault
    from services.client.delivery import Unconfirmed
    from services.client.preparing import Prepared
    from services.client.rows import Checked, RowFault, Taken

_SHOWN = 50
"""So many faults are shown on the terminal; a report file holds more."""

_SHOWN_UNCONFIRMED = 20
"""So many unconfirmed events are listed: all of them are sent again with the file anyway."""

_DELIMITERS = {",": "逗号 comma", ";": "分号 semicolon", "\t": "制表符 tab"}
_COLUMNS = ("row", "column", "pointer", "code", "zh", "en")


def show_taken(taken: Taken) -> None:
    """Say how the file was read, where that was chosen by what is in it."""
    from rich.markup import escape

    if taken.format == "JSON Lines":
        return
    told = [taken.format]
    if taken.encoding:
        told.append(taken.encoding)
    if taken.delimiter:
        told.append(_DELIMITERS[taken.delimiter])
    if taken.sheet:
        told.append(f"工作表 sheet {taken.sheet!r}")
    err().print(f"[dim]读作 Read as {escape(' · '.join(told))}[/]", soft_wrap=True)


def show_faults(faults: Sequence[RowFault], left_out: int) -> None:
    """A table of what is wrong, by row."""
    from rich.text import Text

    table = _table()
    table.add_column("行 Row", justify="right", no_wrap=True)
    table.add_column("列与字段 Column, field", overflow="fold", min_width=16, ratio=2)
    table.add_column("问题 What is wrong", overflow="fold", ratio=3)
    for fault in faults[:_SHOWN]:
        place = Text()
        if fault.column:
            place.append(fault.column, style="bold")
        if fault.pointer or not fault.column:
            place.append(("\n" if fault.column else "") + (fault.pointer or "/"))
        place.append(f"\n{fault.code}", style="dim")
        table.add_row(str(fault.row or ""), place, Text(f"{fault.zh}\n{fault.en}"))
    err().print(table)
    more = len(faults) - len(faults[:_SHOWN]) + left_out
    if more:
        err().print(f" … 另有 {more:,} 处 more；--report 文件.csv 可导出 writes them to a file")


def show_mapping_faults(faults: Iterable[Fault]) -> None:
    """A table of what is wrong with a mapping."""
    from rich.text import Text

    table = _table()
    table.add_column("位置 Place", overflow="fold", ratio=2)
    table.add_column("问题 What is wrong", overflow="fold", ratio=3)
    for fault in faults:
        place = Text(fault.pointer or "/").append(f"\n{fault.code}", style="dim")
        table.add_row(place, Text(f"{fault.zh}\n{fault.en}"))
    err().print(table)


def show_unconfirmed(unconfirmed: Sequence[tuple[int, Unconfirmed]]) -> None:
    """A table of what the broker did not confirm, by row."""
    from rich.text import Text

    table = _table()
    table.add_column("行 Row", justify="right", no_wrap=True)
    for title in ("事件 Event", "主题 Topic", "原因 Reason"):
        table.add_column(title, overflow="fold")
    for row, entry in unconfirmed[:_SHOWN_UNCONFIRMED]:
        table.add_row(str(row), Text(entry.prepared.event.id), entry.prepared.topic, Text(entry.reason))
    err().print(table)
    if len(unconfirmed) > _SHOWN_UNCONFIRMED:
        err().print(f" … 另有 {len(unconfirmed) - _SHOWN_UNCONFIRMED:,} 个 more")


def show_counts(records: Iterable[Prepared]) -> None:
    """How many events go where."""
    counts = Counter((record.topic, record.event.type) for record in records)
    table = _table()
    table.add_column("主题 Topic", no_wrap=True)
    table.add_column("事件类型 Event type", no_wrap=True)
    table.add_column("数量 Events", justify="right")
    for (topic, kind), count in sorted(counts.items()):
        table.add_row(topic, kind, f"{count:,}")
    out().print(table)


def write_report(file: Path, checked: Checked, **outcome: Any) -> None:
    """The faults as CSV (for spreadsheets) where the name ends in `.csv`, else everything as JSON.

    Raises:
        OSError: the file can't be written.
    """
    if file.suffix.lower() == ".csv":
        # With the mark, spreadsheet programs read it as UTF-8; with the quote, none runs a cell as a formula.
        with file.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(_COLUMNS)
            for fault in checked.faults:
                told = asdict(fault)
                writer.writerow([_harmless(told[name]) for name in _COLUMNS])
        return
    report = {
        "taken": asdict(checked.taken),
        "events": len(checked.prepared),
        "rows_at_fault": checked.rows_at_fault,
        **outcome,
        "faults": [asdict(fault) for fault in checked.faults],
        "faults_left_out": checked.left_out,
    }
    file.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.lstrip()[:1] in tuple("=+-@") else value


def _table() -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, pad_edge=False)
