"""Reads the fields of a JSON request, within limits of size and time."""

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, Field, RootModel
from starlette.exceptions import HTTPException
from starlette.requests import Request

BODY, SECONDS = 100_000, 60.0  # the largest body in bytes, and the longest time until it has arrived


class Event(BaseModel, strict=True, ser_json_inf_nan="constants"):
    """The fields that Gradio's page sends to start or end an event. No other field reaches Gradio."""

    data: list[Any] = []
    event_data: Any = None
    event_id: str | None = None
    fn_index: int | None = None
    session_hash: Annotated[str, Field(pattern=r"^[\w-]{1,64}$")] | None = None
    trigger_id: int | None = None


class Named(RootModel[dict[str, Any]], ser_json_inf_nan="constants"):
    """The parameters of an event by name, as the cURL calls on Gradio's API page send them."""


async def read(request: Request, shape: type[BaseModel]) -> Any:
    """Reads the JSON body of a request into `shape`. It refuses other content types, because a page of
    another site can send some of them without a preflight request (CORS).

    Raises HTTPException, TimeoutError, ClientDisconnect and ValidationError.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "This request must be application/json.")
    body = bytearray()
    async with asyncio.timeout(SECONDS):
        async for part in request.stream():
            body += part
            if len(body) > BODY:
                raise HTTPException(413, "This request is too large.")
    return shape.model_validate_json(bytes(body))
