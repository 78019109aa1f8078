"""Every error of the gateway as a problem document (RFC 9457): what is wrong, where, and what to do, zh-CN first."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from schemas.faults import Fault, bounded, faults_of

log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"
_SPACE: Final = "urn:kouan:problem:"


class Problem(Exception):
    """A request that can't be served.

    `name` ends the problem's type, `title` and `detail` are (zh, en), `more` are further members of the document.
    """

    def __init__(
        self,
        status: int,
        name: str,
        title: tuple[str, str],
        detail: tuple[str, str],
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail[1])
        self.status = status
        self.name = name
        self.title = title
        self.detail = detail
        self.faults = bounded(tuple(faults))
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    def document(self) -> dict[str, Any]:
        """The members of the problem document."""
        return {
            "type": _SPACE + self.name,
            "title": " · ".join(self.title),
            "status": self.status,
            "detail": " · ".join(self.detail),
            "instance": uuid.uuid4().urn,
            "faults": [fault.model_dump() for fault in self.faults],
            **self.more,
        }

    def body(self) -> bytes:
        """The problem document as JSON."""
        return orjson.dumps(self.document())

    def response(self) -> Response:
        """The HTTP response that tells the problem."""
        return Response(self.body(), self.status, self.headers, media_type=MEDIA_TYPE)


def unavailable(detail: tuple[str, str], after_s: int = 5) -> Problem:
    """It can't be done now; the same request may be sent again after so many seconds."""
    return Problem(
        503,
        "unavailable",
        ("暂时无法受理", "Not available at present"),
        detail,
        headers={"Retry-After": str(after_s)},
    )


def add_handlers(web: FastAPI) -> None:
    """Let every error of an app leave it as a problem document."""
    web.add_exception_handler(Problem, _own)
    web.add_exception_handler(HTTPException, _of_http)
    web.add_exception_handler(RequestValidationError, _of_parameters)
    web.add_exception_handler(Exception, unexpected)


def _own(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


def method_not_allowed(allowed: str) -> Problem:
    """The address takes other methods."""
    return Problem(
        405,
        "method-not-allowed",
        ("此地址不支持该方法", "This address does not take the method"),
        (f"可用方法：{allowed}；请参阅 /docs。", f"Use {allowed}; see /docs."),
        headers={"Allow": allowed},
    )


def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return method_not_allowed((error.headers or {}).get("Allow", "")).response()
    if error.status_code == 404:
        path = request.scope["path"][:200]
        title, told = (
            ("没有这个地址", "There is nothing at this address"),
            (f"{path}：请参阅 /docs。", f"{path}: see /docs."),
        )
        return Problem(404, "not-found", title, told).response()
    phrase = HTTPStatus(error.status_code).phrase
    told = ("请参阅 /docs。", f"{phrase}; see /docs.")
    name = phrase.lower().replace(" ", "-")
    return Problem(error.status_code, name, ("请求有误", phrase), told, headers=error.headers).response()


def _of_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = faults_of(ValidationError.from_exception_data("request", [_plain(one) for one in error.errors()]))
    return Problem(
        400,
        "bad-parameters",
        ("参数有误", "The parameters are faulty"),
        ("请更正下列参数。", "Correct the parameters below."),
        faults,
    ).response()


def _plain(one: Any) -> Any:
    return {"type": one["type"], "loc": one["loc"], "input": one.get("input"), "ctx": one.get("ctx", {})}


async def unexpected(request: Request, error: Exception) -> Response:
    """A problem that tells nothing of what is within; the log has the same instance with the cause."""
    problem = Problem(
        500,
        "unexpected",
        ("网关内部错误", "An error within the gateway"),
        (
            "这不是您的错误。请稍后以同样的请求重试，并将 instance 告知运行方。",
            "This is no fault of yours. Send the same request again later and tell the operators the instance.",
        ),
    )
    response = problem.response()
    log.error(
        "a request failed unexpectedly",
        path=request.scope["path"],
        problem=bytes(response.body).decode(),
        exc_info=error,
    )
    return response
