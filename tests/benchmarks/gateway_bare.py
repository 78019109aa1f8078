"""What the gateway is measured against: a FastAPI route that parses the JSON of a request, and does nothing else."""

from __future__ import annotations

import os
from typing import Any

import uvicorn
from fastapi import FastAPI, Request


def build() -> FastAPI:
    """The route, and a page that says that it is there."""
    web = FastAPI()

    @web.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @web.post("/events", status_code=202)
    async def parse(request: Request) -> dict[str, Any]:
        content = await request.json()
        return {"accepted": len(content)}

    return web


if __name__ == "__main__":
    uvicorn.run(
        build(), port=int(os.environ["KOUAN_WEB_PORT"]), http="httptools", ws="none", access_log=False, log_config=None
    )
