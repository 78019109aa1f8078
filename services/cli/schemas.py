"""`kouan schemas`: the contracts as JSON Schema, and whether a change of them breaks anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.terminal import Exit, err, fail, out

if TYPE_CHECKING:
    from schemas.compatibility import Break, Writer

commands = typer.Typer(
    no_args_is_help=True,
    help="契约：导出 JSON Schema，检查改动是否兼容 · Contracts: export as JSON Schema, check what a change breaks",
)

Documents = dict[str, dict[str, Any]]

_Folder = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        metavar="DIR",
        help="已发布契约的目录，默认 schemas/published · Folder of published contracts",
        show_default=False,
    ),
]


@commands.command("export")
def export(to: _Folder = None) -> None:
    """把全部契约写成 JSON Schema 2020-12；不覆盖不兼容的改动 · Write all contracts; never over one that would break."""
    from schemas.json_schema import PUBLISHED, documents, file_of, written

    folder = to or PUBLISHED
    published = _read(folder) if folder.exists() else {}
    current = documents()
    _refuse_breaks(published, current, folder)
    folder.mkdir(parents=True, exist_ok=True)
    changed = 0
    for kind, document in current.items():
        path, text = file_of(kind, folder), written(document)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed += 1
    out().print(f"[green]完成[/] {len(current)} 份契约，{changed} 份有变 · {len(current)} contracts, {changed} changed")


@commands.command("check")
def check(against: _Folder = None) -> None:
    """对照已发布的契约，拒绝会影响发送方或读取方的改动 · Refuse what breaks those who write or read."""
    from schemas.json_schema import PUBLISHED, documents

    folder = against or PUBLISHED
    published, current = _read(folder), documents()
    if not published:
        fail(
            Exit.USAGE,
            f"{folder} 中没有契约（*.json）。请先运行 kouan schemas export。",
            f"{folder} holds no contracts (*.json). Run `kouan schemas export` first.",
        )
    _refuse_breaks(published, current, folder)
    new = [kind for kind in current if kind not in published]
    changed = [kind for kind in current if kind in published and current[kind] != published[kind]]
    console = out()
    for title, kinds in (("新增 new", new), ("兼容的改动 compatible changes", changed)):
        for kind in kinds:
            console.print(f"  {title}: {kind}", markup=False)
    console.print(
        f"[green]兼容[/] {len(published)} 份已发布的契约 · compatible with {len(published)} published contracts"
    )
    if new or changed:
        console.print("请运行 kouan schemas export 写入上述改动 · `kouan schemas export` writes the changes above")


def _read(folder: Path) -> Documents:
    from schemas.json_schema import read

    try:
        return read(folder)
    except (ValueError, OSError) as error:
        fail(Exit.USAGE, f"读不懂已发布的契约：{error}", f"Published contracts can't be read: {error}")


def _refuse_breaks(published: Documents, current: Documents, folder: Path) -> None:
    from schemas.compatibility import breaks

    found = breaks(published, current, _writers())
    if not found:
        return
    _show(found)
    fail(
        Exit.CONFLICT,
        f"以上 {len(found)} 处改动与 {folder} 不兼容，未作任何改动。请恢复原契约，把新内容写成该类型的新版本"
        "（schemas/README.md 有步骤）。",
        f"The {len(found)} changes above break what is published in {folder}; nothing was written. Put the contract "
        "back as it was and make a new version of the type (schemas/README.md says how).",
    )


def _writers() -> dict[str, set[Writer]]:
    """Who writes each event type, by the catalogue."""
    from schemas.compatibility import Writer
    from topics.definition import PUBLISHED, load_catalogue

    found: dict[str, set[Writer]] = {}
    for topic in load_catalogue().topics.values():
        for kind in topic.events:
            found.setdefault(kind, set()).add(Writer.PARTY if topic.kind in PUBLISHED else Writer.KOUAN)
    return found


def _show(found: tuple[Break, ...]) -> None:
    from rich.text import Text

    console = err()
    for one in found:
        place = f"{one.type} {one.pointer}".rstrip()
        console.print(Text.assemble((place, "bold"), "  ", (one.rule, "red")), soft_wrap=True)
        console.print(Text(f"  {one.zh}\n  {one.en}"), soft_wrap=True)
