"""`POST /files`: a table of events (CSV, XLSX, JSON Lines), answered row by row, published whole or not at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from email.message import Message
from typing import Any, Final, NamedTuple

import orjson
from fastapi import Request, Response
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from services.client.layout import RowFault
from services.client.mapping import MAPPING_LIMIT, MappingError, read_mapping
from services.client.rows import FILE_FAULT_LIMIT, Checked, Limits, Mapping, Unreadable, check_rows, read_rows
from services.gateway.cloudevents import bad_request, media_type
from services.gateway.idempotency import key_of
from services.gateway.limits import unsupported
from services.gateway.parties import Party, authenticated
from services.gateway.problems import Problem
from services.gateway.publishing import fingerprint_of, not_yours
from services.gateway.state import State

_FORM: Final = "multipart/form-data"
_ENDINGS: Final = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/octet-stream": "",
}
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f/\\:*?\"<>|]{1,200}")
_STATUS: Final = {"file_too_large": 413, "too_many_rows": 413, "other_spreadsheet": 415, "unknown_format": 415}


class Upload(NamedTuple):
    """A file as it came; its name tells the format and is never a path."""

    name: str
    content: bytes
    mapping_name: str
    mapping: bytes | None


def handler(state: State) -> Callable[[Request], Awaitable[Response]]:
    """What answers `POST /files`."""
    # One file at a time: each may take all of a core, and requests with events go on beside it.
    checking = ThreadPoolExecutor(1, thread_name_prefix="files")
    limits = Limits(
        file_bytes=state.settings.gateway_file_limit,
        rows=state.settings.gateway_file_rows,
        lines=state.settings.gateway_file_rows,
    )

    async def publish_file(request: Request) -> Response:
        party = await authenticated(request)
        state.limits.count(party)
        with state.limits.under_way():
            key = key_of(request.headers)
            upload = await _upload(request, await state.limits.read(request, state.settings.gateway_file_limit))
            loop = asyncio.get_running_loop()
            checked = await loop.run_in_executor(checking, _checked, state, upload, limits, party)
            fingerprint = fingerprint_of(
                request.scope["path"], upload.name, upload.content, upload.mapping_name, upload.mapping or b""
            )
            prepared = [one for _, one in checked.prepared]
            return await state.publishing.once(party, key, fingerprint, prepared, lambda: _told(checked))

    return publish_file


def _checked(state: State, upload: Upload, limits: Limits, party: Party) -> Checked:
    mapping: Mapping | None = None
    try:
        if upload.mapping is not None:
            mapping = read_mapping(upload.mapping, upload.mapping_name)
        found = check_rows(read_rows(upload.content, upload.name, mapping, state.catalogue, limits))
    except MappingError as error:
        raise Problem(
            422,
            "faulty-mapping",
            ("列映射有误", "The mapping is faulty"),
            ("请更正 mapping。", "Correct the mapping."),
            error.faults,
        ) from None
    except Unreadable as error:
        fault = {"row": error.row, "column": None, "pointer": "", "code": error.code, "zh": error.zh, "en": error.en}
        raise Problem(
            _STATUS.get(error.code, 422),
            "unreadable-file",
            ("文件无法读取", "The file can't be read"),
            (error.zh, error.en),
            more={"faults": [fault]},
        ) from None
    _refuse_others(found, party)
    if found.faults:
        raise _refusal(state, party, found)
    if not found.prepared:
        raise Problem(
            422,
            "unreadable-file",
            ("文件中没有事件", "The file holds no events"),
            ("除表头外至少应有一行。", "Beside its header a table has at least one row."),
        )
    return found


def _refuse_others(found: Checked, party: Party) -> None:
    """Add a fault for each row that speaks for somebody else."""
    fault = not_yours(party)
    for row, prepared in found.prepared:
        if prepared.event.source != party.source:
            found.rows_at_fault += 1
            if len(found.faults) < FILE_FAULT_LIMIT:
                found.faults.append(RowFault(row, None, fault.pointer, fault.code, fault.zh, fault.en))
            else:
                found.left_out += 1


def _refusal(state: State, party: Party, found: Checked) -> Problem:
    problem = state.publishing.refusal(party, {fault.code for fault in found.faults})
    problem.more = {
        "faults": [asdict(fault) for fault in sorted(found.faults, key=lambda fault: fault.row)],
        "faults_left_out": found.left_out,
        "rows_at_fault": found.rows_at_fault,
        "rows_right": len(found.prepared),
    }
    return problem


def _told(checked: Checked) -> bytes:
    taken = {name: value for name, value in asdict(checked.taken).items() if value is not None}
    rows = [{"row": row, "id": one.event.id, "topic": one.topic} for row, one in checked.prepared]
    return orjson.dumps({"accepted": len(rows), "taken": taken, "rows": rows})


async def _upload(request: Request, body: bytes) -> Upload:
    """The file of a request, in a form or as the body itself.

    Raises:
        Problem: 400 for a form or a name that can't be used, 415 for other media types.
    """
    kind, _ = media_type(request.headers)
    if kind == _FORM:
        return await _of_form(request, body)
    ending = _ENDINGS.get(kind)
    if ending is None:
        raise unsupported(
            f"收到 {kind[:80] or '空'}；请发送 CSV、XLSX、JSON Lines，或 {_FORM}。",
            f"Got {kind[:80] or 'none'}; send CSV, XLSX, JSON Lines, or {_FORM}.",
        )
    message = Message()
    message["Content-Disposition"] = request.headers.get("content-disposition", "")
    name = message.get_filename()
    if name is None and not ending:
        raise bad_request(
            "file-name-missing",
            '请以 Content-Disposition: attachment; filename="events.csv" 给出文件名。',
            'Name the file: Content-Disposition: attachment; filename="events.csv".',
        )
    return Upload(_plain_name(name or f"events{ending}"), body, "", None)


async def _of_form(request: Request, body: bytes) -> Upload:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(request.headers, whole(), max_files=2, max_fields=2, max_part_size=MAPPING_LIMIT)
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError, ValueError) as error:
        raise bad_request(
            "malformed-form",
            "multipart/form-data 格式有误；请含 file 与可选的 mapping 两部分。",
            f"The form is malformed ({error}); it has a part named file, and mapping if needed.",
        ) from None
    try:
        parts = form.multi_items()
        strange = [name for name, _ in parts if name not in {"file", "mapping"}]
        names = [name for name, _ in parts]
        file = form.get("file")
        if strange or len(set(names)) < len(names) or not isinstance(file, UploadFile):
            raise bad_request(
                "malformed-form",
                "表单须恰有一个带文件名的 file 部分，可另有一个 mapping 部分。",
                "A form has exactly one part named file, with a file name, and may have one named mapping.",
            )
        mapping: Any = form.get("mapping")
        named = isinstance(mapping, UploadFile)
        content = await mapping.read() if named else mapping.encode() if mapping is not None else None
        mapping_name = _plain_name(mapping.filename or "mapping.yaml") if named else "mapping.yaml"
        return Upload(_plain_name(file.filename or ""), await file.read(), mapping_name, content)
    finally:
        await form.close()


def _plain_name(name: str) -> str:
    """A file name that is one and nothing else."""
    if not _NAME.fullmatch(name) or name.startswith(".") or ".." in name or not name.isprintable():
        raise bad_request(
            "bad-file-name",
            "文件名只能是名称本身：不含路径、控制字符，不以点开头，最多 200 个字符。",
            "A file name is a name alone: no path, no control characters, no dot in front, 200 characters at most.",
        )
    return name
