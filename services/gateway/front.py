"""All that is answered over HTTP: the routes that publish, and behind them what FastAPI serves."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

from services.gateway import docs, events, files, problems
from services.gateway.outcomes import Outcomes
from services.gateway.problems import Problem
from services.gateway.state import State


class Front:
    """The ASGI app.

    Publishing goes past FastAPI, which would solve dependencies, of which these routes have none, for longer than it
    takes to check an event.
    """

    def __init__(self, state: State, outcomes: Outcomes) -> None:
        self._web = build_web(state, outcomes)
        self._direct = {"/events": events.handler(state), "/files": files.handler(state)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._direct.get(scope["path"]) if scope["type"] == "http" else None
        if handler is None:
            await self._web(scope, receive, send)
            return
        scope["app"] = self._web
        request = Request(scope, receive)
        response: Response
        try:
            if scope["method"] != "POST":
                raise problems.method_not_allowed("POST")
            response = await handler(request)
        except Problem as problem:
            response = problem.response()
        except Exception as error:
            response = await problems.unexpected(request, error)
        await response(scope, receive, send)


def build_web(state: State, outcomes: Outcomes) -> FastAPI:
    """Everything that FastAPI serves, the description of the whole included."""
    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    web.state.keys = state.keys
    problems.add_handlers(web)
    web.include_router(outcomes.router())
    web.include_router(docs.router(web, state))
    return web
