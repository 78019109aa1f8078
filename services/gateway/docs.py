"""The gateway described: OpenAPI 3.1 at `/openapi.json`, and a page of it at `/docs`, which loads nothing else."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson
from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from jinja2 import Environment, PackageLoader, select_autoescape

from schemas.envelope import registered_types
from services.gateway.problems import MEDIA_TYPE
from services.gateway.state import State

_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}

_STATUSES: Final = {
    400: "请求无法解读，或缺少 Idempotency-Key · The request can't be read, or has no Idempotency-Key",
    401: "密钥缺失、无效、过期或已吊销 · The key is missing, unknown, expired or revoked",
    403: "该密钥无权发布 · The key may not publish this",
    404: "没有，或无权查看 · There is none, or it is not yours to see",
    405: "此地址不支持该方法 · The address does not take the method",
    408: "请求未及时送达 · The request did not arrive in time",
    409: "同一请求正在处理 · The same request is under way",
    413: "请求过大 · The request is too large",
    415: "不支持的内容类型 · The media type is not taken",
    422: "内容有误，或键已用于其他内容 · The content is faulty, or the key belongs to another payload",
    429: "请求过于频繁 · Too many requests",
    431: "请求头过大 · The headers are too large",
    500: "网关内部错误 · An error within the gateway",
    503: "暂时无法受理，可原样重发 · Not available at present; the same request may be sent again",
}
_OF_POST: Final = (400, 401, 403, 405, 408, 409, 413, 415, 422, 429, 431, 500, 503)
_OF_GET: Final = (400, 401, 404, 405, 408, 429, 431, 500, 503)
_RETRIED: Final = frozenset({409, 429, 503})


def router(web: FastAPI, state: State) -> APIRouter:
    """`GET /openapi.json` and `GET /docs`."""
    routes = APIRouter(include_in_schema=False)

    @cache
    def described() -> dict[str, Any]:
        return describe(web, state)

    @routes.get("/openapi.json")
    async def openapi() -> Response:
        return Response(orjson.dumps(described()), media_type="application/json")

    @routes.get("/docs")
    async def page() -> Response:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(_page(described()), headers=policy, media_type="text/html; charset=utf-8")

    return routes


def describe(web: FastAPI, state: State) -> dict[str, Any]:
    """The OpenAPI document of all routes."""
    document = get_openapi(
        title="口岸协作网关 · Kouan gateway",
        version="1",
        description=(
            "没有 Kafka 的系统由此发布事件、查询案件、接收结果。 · "
            "Systems without Kafka publish events here, ask for cases and receive outcomes."
        ),
        routes=web.routes,
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "kg_<编号 key id>_<密钥 secret>"}
    }
    schemas = {name: schema for name, schema in components.get("schemas", {}).items() if "Validation" not in name}
    components["schemas"] = {**schemas, **_schemas()}
    document["security"] = [{"key": []}]
    document["paths"] = {"/events": {"post": _events(state)}, "/files": {"post": _files(state)}, **document["paths"]}
    for path in document["paths"].values():
        for method, operation in path.items():
            answers = operation["responses"]
            # FastAPI promises its own form of refusal here, which the gateway never sends.
            if method == "get":
                answers.pop("422", None)
            for status in _OF_POST if method == "post" else _OF_GET:
                answers[str(status)] = _problem(status)
    return document


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": _STATUSES[status],
        "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
    }
    if status in _RETRIED:
        answer["headers"] = {
            "Retry-After": {"description": "秒 · seconds", "schema": {"type": "integer", "minimum": 0}},
        }
    return answer


def _schemas() -> dict[str, Any]:
    text = {"type": "string"}
    fault = {
        "type": "object",
        "required": ["code", "pointer", "zh", "en"],
        "properties": {
            "code": {**text, "description": "稳定的错误代码 · stable code", "examples": ["missing"]},
            "pointer": {
                **text,
                "description": "JSON Pointer；批量请求以序号开头 · in a batch it starts with the index",
                "examples": ["/3/data/referral/amount"],
            },
            "zh": text,
            "en": text,
            "row": {"type": ["integer", "null"], "description": "文件的行号 · row of the file"},
            "column": {"type": ["string", "null"], "description": "文件的列名 · column of the file"},
        },
    }
    problem = {
        "type": "object",
        "required": ["type", "title", "status", "detail", "instance", "faults"],
        "properties": {
            "type": {**text, "examples": ["urn:kouan:problem:faulty-events"]},
            "title": text,
            "status": {"type": "integer"},
            "detail": {**text, "description": "有何问题、如何处理 · what is wrong, what to do"},
            "instance": {**text, "description": "告知运行方即可查到 · tell it to the operators"},
            "faults": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
        },
    }
    event = {
        "type": "object",
        "description": "CloudEvents 1.0，内容见各事件契约 · its data is the contract of its type",
        "required": ["specversion", "id", "source", "type", "time", "subject", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**text, "minLength": 1, "maxLength": 256},
            "source": {**text, "minLength": 1, "maxLength": 256},
            "type": {**text, "enum": sorted(registered_types())},
            "time": {**text, "format": "date-time"},
            "subject": {**text, "minLength": 1, "maxLength": 256},
            "datacontenttype": {"const": "application/json"},
            "correlationid": text,
            "causationid": text,
            "traceparent": text,
            "data": {"type": "object"},
        },
        "additionalProperties": False,
        "examples": [_example()],
    }
    accepted = {
        "type": "object",
        "required": ["accepted"],
        "properties": {
            "accepted": {"type": "integer", "description": "已由 Kafka 确认 · confirmed by the broker"},
            "events": {"type": "array", "items": {"type": "object", "properties": {"id": text, "topic": text}}},
            "rows": {
                "type": "array",
                "items": {"type": "object", "properties": {"row": {"type": "integer"}, "id": text, "topic": text}},
            },
            "taken": {"type": "object", "description": "文件如何解读 · how the file was read"},
        },
    }
    return {"Event": event, "Accepted": accepted, "Problem": problem, "Fault": fault}


def _example() -> dict[str, Any]:
    """A complete event; its data is a fragment of what the contracts have as examples."""
    return {
        "specversion": "1.0",
        "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "source": "//commerce/manzhouli",
        "type": "referral.withdrawal_submitted.v1",
        "time": "2026-01-05T09:30:00+08:00",
        "subject": "R-2026-000117",
        "data": _first_example("referral.withdrawal_submitted.v1"),
    }


def _first_example(kind: str) -> Any:
    folder = files("schemas") / "examples" / kind
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("valid"))
    return orjson.loads((folder / names[0]).read_bytes())


def _operation(summary: str, description: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": ["publish"],
        "summary": summary,
        "description": description,
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "每个新请求一个新值，重发时沿用 · new for each request, kept when it is sent again",
                "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._~:/+=-]+$"},
                "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
            }
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "202": {
                "description": "全部已由 Kafka 确认 · All of it is confirmed by the broker",
                "headers": {
                    "Idempotency-Replayed": {
                        "description": "存在时为已保存的答复 · there when the answer is the stored one",
                        "schema": {"const": "true"},
                    }
                },
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Accepted"}}},
            }
        },
    }


def _events(state: State) -> dict[str, Any]:
    event = {"$ref": "#/components/schemas/Event"}
    limit = state.settings.gateway_batch_limit
    return _operation(
        "发布事件 · Publish events",
        f"一个 CloudEvent，或一批（最多 {limit} 个）。一批之中有一个有误，则全部不发布，所有错误一并列出。"
        "二进制模式：属性写在 ce-* 请求头，内容即 data。 · "
        f"One CloudEvent, or a batch of up to {limit}. If one is faulty none is published, and every fault of "
        "all of them is told. Binary mode: attributes in ce-* headers, the data as body.",
        {
            "application/cloudevents+json": {"schema": event, "example": _example()},
            "application/cloudevents-batch+json": {
                "schema": {"type": "array", "items": event, "minItems": 1, "maxItems": limit},
                "example": [_example()],
            },
            "application/json": {"schema": {"type": "object"}, "example": _example()["data"]},
        },
    )


def _files(state: State) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    rows = state.settings.gateway_file_rows
    return _operation(
        "发布文件 · Publish a file",
        f"CSV、XLSX 或 JSON Lines，最多 {rows} 行；每行一个事件，逐行答复。有一行有误则全部不发布。 · "
        f"CSV, XLSX or JSON Lines of up to {rows} rows, one event a row, answered row by row. If one row is faulty "
        "nothing is published. The columns mean what their names say, or what the part named mapping says.",
        {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {"schema": binary},
            "application/x-ndjson": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": binary, "mapping": {"type": "string"}},
                }
            },
        },
    )


def _page(document: dict[str, Any]) -> str:
    environment = Environment(loader=PackageLoader("services.gateway"), autoescape=select_autoescape(["html.j2"]))
    environment.filters["json"] = lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return environment.get_template("docs.html.j2").render(document=document)
