"""XLSX bytes → rows, from a file that nobody vouches for.

An XLSX file is a ZIP archive of XML. It is read as a stream, because general readers lay a sheet out in memory before
its size can be judged: two cells in opposite corners, or one long text shared by a million cells, are enough to end the
process. Here nothing is kept but the shared texts and the row at hand, every limit is held while the archive is being
unpacked (whatever sizes it declares), and what is no plain table is refused: formulas cell by cell, macros, links to
other files and embedded objects, document types (and with them entities), encrypted and damaged files as a whole.
"""

from __future__ import annotations

import io
import posixpath
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from services.client.sheets import Rows, Strings, Styles, local
from services.client.tables import MIB, Limits, TableRow, Unreadable

_CHUNK: Final = 64 * 1024
_DEPTH: Final = 64
_DIRECTORY_ENTRY: Final = b"PK\x01\x02"
_TAG_LIMIT: Final = MIB
_RATIO_FROM: Final = MIB
"""Small parts may be packed as tightly as they like: they do no harm."""

_NOT_WANTED: Final = (
    ("vbaproject", "macros", "含有宏", "macros"),
    ("xl/macrosheets/", "macros", "含有宏", "macros"),
    ("xl/externallinks/", "external_links", "含有指向其他文件的链接", "links to other files"),
    ("xl/connections.xml", "external_links", "含有外部数据连接", "connections to outside data"),
    ("xl/embeddings/", "embedded_objects", "含有嵌入对象", "embedded objects"),
    ("xl/activex/", "embedded_objects", "含有控件", "controls"),
)


def read_spreadsheet(data: bytes, sheet: str | None, limits: Limits) -> tuple[str, Iterator[TableRow]]:
    """The name of the sheet that is read (the first, unless one is named), and its rows that hold something.

    Raises:
        Unreadable: at once or while reading: not an XLSX file, damaged, beyond a limit, or not a plain table.
    """
    with _damage_told():
        archive = _Archive(data, limits)
        book_at = archive.related("", "officeDocument").get("", "xl/workbook.xml")
        book = _Book()
        archive.parse(book_at, book.start)
        if sheet is not None and sheet not in book.sheets:
            raise Unreadable(
                "no_such_sheet",
                f"没有名为 {sheet[:40]} 的工作表；现有：{_names(book.sheets)}。",
                f"There is no sheet {sheet[:40]!r}; there are: {_names(book.sheets)}.",
            )
        if not book.sheets:
            raise damaged("there is no sheet in it")
        name = sheet if sheet is not None else next(iter(book.sheets))
        targets = archive.related(book_at)
        strings, styles = Strings(limits), Styles()
        for kind, part in (("sharedStrings", strings), ("styles", styles)):
            at = archive.related(book_at, kind).get("")
            if at is not None:
                archive.parse(at, part.start, part.end, part.text)
        rows = Rows(strings.found, styles.dates, book.since_1904, limits)
        at = targets.get(book.sheets[name])
        if at is None:
            raise damaged(f"the sheet {name[:40]!r} is not in it")
    return name, _stream(archive, at, rows)


def _stream(archive: _Archive, at: str, rows: Rows) -> Iterator[TableRow]:
    with _damage_told():
        for _ in archive.feed(at, rows.start, rows.end, rows.text):
            yield from rows.take()


def damaged(why: str) -> Unreadable:
    """The refusal of a file that is not what it says it is."""
    return Unreadable(
        "damaged",
        f"不是完好的 XLSX 文件（{why[:120]}），请用电子表格软件打开后另存。",
        f"Not a sound XLSX file ({why[:120]}); open it in a spreadsheet program and save it again.",
    )


@contextmanager
def _damage_told() -> Iterator[None]:
    """Whatever the standard library says of broken archives and XML, people are told one thing."""
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, OSError, struct.error, NotImplementedError, RuntimeError) as error:
        raise damaged(str(error)) from None
    except (expat.ExpatError, ValueError, OverflowError, KeyError) as error:
        raise damaged(str(error)) from None


class _Book:
    """The sheets of a workbook: name → relation, in their order."""

    def __init__(self) -> None:
        self.sheets: dict[str, str] = {}
        self.since_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self.since_1904 = attributes.get("date1904") in ("1", "true")
        elif name == "sheet":
            relation = next((text for key, text in attributes.items() if local(key) == "id"), "")
            self.sheets.setdefault(attributes.get("name", ""), relation)


class _Archive:
    """The parts of an XLSX file, unpacked no further than the limits."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        # Counted before the directory is read, because an object is made of every entry.
        if data.count(_DIRECTORY_ENTRY) > limits.entries:
            raise Unreadable(
                "zip_bomb",
                f"压缩包内超过 {limits.entries:,} 个条目，已拒绝。",
                f"More than {limits.entries:,} entries in the archive; refused.",
            )
        self._zip = ZipFile(io.BytesIO(data))
        self._limits = limits
        self._left = limits.unzipped_bytes
        self._elements = limits.elements
        self._packed = len(data)
        self._parts: dict[str, ZipInfo] = {}
        for info in self._zip.infolist():
            _check_entry(info)
            if info.filename.lower() in self._parts:
                raise damaged("an entry occurs twice")
            self._parts[info.filename.lower()] = info
        if sum(info.file_size for info in self._parts.values()) > limits.unzipped_bytes:
            raise _bomb(limits)

    def related(self, part: str, kind: str | None = None) -> dict[str, str]:
        """The parts that a part refers to: relation id → path. With a kind, the one of that kind under the id ""."""
        folder, name = posixpath.split(part)
        found: dict[str, str] = {}

        def start(element: str, attributes: dict[str, str]) -> None:
            if element != "Relationship" or attributes.get("TargetMode") == "External":
                return
            path = posixpath.normpath(posixpath.join("/" + folder, attributes.get("Target", ""))).lstrip("/")
            if kind is None:
                found[attributes.get("Id", "")] = path
            elif attributes.get("Type", "").endswith("/" + kind):
                found[""] = path

        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if relations.lower() in self._parts:
            self.parse(relations, start)
        return found

    def parse(
        self,
        part: str,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        """Give a whole part to the handlers."""
        for _ in self.feed(part, start, end, text):
            pass

    def feed(
        self,
        part: str,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> Iterator[None]:
        """Give a part to the handlers piece by piece; names come without their prefix."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        depth = 0

        def opened(name: str, attributes: dict[str, str]) -> None:
            nonlocal depth
            depth += 1
            self._elements -= 1
            if self._elements < 0:
                raise _bomb(self._limits)
            if depth > _DEPTH:
                raise damaged("its elements are nested too deeply")
            start(local(name), attributes)

        def closed(name: str) -> None:
            nonlocal depth
            depth -= 1
            if end is not None:
                end(local(name))

        def doctype(*_: object) -> None:
            raise Unreadable(
                "document_type",
                "文件内含 XML 文档类型声明（可能是实体攻击），已拒绝。",
                "The file declares an XML document type, as entity attacks do; refused.",
            )

        parser.StartElementHandler = opened
        parser.EndElementHandler = closed
        parser.StartDoctypeDeclHandler = doctype
        if text is not None:
            parser.CharacterDataHandler = text
        fed = 0
        for chunk in self._unpack(part):
            parser.Parse(chunk, False)
            fed += len(chunk)
            # A tag without an end is scanned from its beginning again with every piece.
            if fed - parser.CurrentByteIndex > _TAG_LIMIT:
                raise damaged("one of its tags is too long")
            yield
        parser.Parse(b"", True)
        yield

    def _unpack(self, part: str) -> Iterator[bytes]:
        info = self._parts.get(part.lower())
        if info is None:
            raise damaged(f"it has no {part}")
        packed = max(1, min(info.compress_size, self._packed))
        unpacked = 0
        with self._zip.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                unpacked += len(chunk)
                self._left -= len(chunk)
                if self._left < 0 or unpacked > max(_RATIO_FROM, packed * self._limits.ratio):
                    raise _bomb(self._limits)
                yield chunk


def _check_entry(info: ZipInfo) -> None:
    name = info.filename
    if info.flag_bits & 0x1:
        raise encrypted()
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise damaged("an entry is packed in an unusual way")
    strange = name.startswith("/") or "\\" in info.orig_filename or ":" in name or "\x00" in info.orig_filename
    if strange or ".." in name.split("/"):
        raise Unreadable(
            "path_trick",
            "压缩包内的条目名称指向文件之外，已拒绝。",
            "An entry of the archive has a path that leads out of it; refused.",
        )
    for mark, code, zh, en in _NOT_WANTED:
        if mark in name.lower():
            raise Unreadable(
                code,
                f"文件{zh}，请另存为不含这些内容的 XLSX。",
                f"The file holds {en}; save it as a plain XLSX without them.",
            )


def encrypted() -> Unreadable:
    """The refusal of a file that is locked by a password."""
    return Unreadable(
        "encrypted",
        "文件已加密，请去除密码后重试。",
        "The file is encrypted; take the password off and try again.",
    )


def _bomb(limits: Limits) -> Unreadable:
    return Unreadable(
        "zip_bomb",
        f"解压后过大（上限 {limits.unzipped_bytes // MIB} MB、{limits.ratio} 倍、{limits.elements:,} 个元素），"
        "请拆分文件。",
        f"Unpacks to too much (limits: {limits.unzipped_bytes // MIB} MB, {limits.ratio} times its size, "
        f"{limits.elements:,} elements); split it.",
    )


def _names(sheets: dict[str, str]) -> str:
    return ", ".join(name[:40] for name in list(sheets)[:20])
