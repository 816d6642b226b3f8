"""What a route can answer, for the reference: ``responses=answer(EXAMPLE) | problems(EmptyBody, QueueFull)``.

Nothing is typed twice: status, code, title, detail and headers come from the classes of ``app.errors``, an example of a body is
an instance of its model. 405 belongs to no operation (it answers methods that have none), so it is not listed.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from app.api import problems as rfc9457
from app.api.event_stream import NDJSON, SERVER_SENT_EVENTS
from app.errors import (
    DeadlineExceeded,
    Draining,
    EmptyBody,
    InferenceFailed,
    InternalError,
    InvalidParameter,
    MalformedUpload,
    NotReady,
    Problem,
    QueueFull,
    RefusedVideo,
    StorageFull,
    Unauthorized,
    UnknownModel,
    UnsupportedMediaType,
    UntrustedHost,
    UploadTimeout,
    UploadTooLarge,
)

Responses = dict[int | str, dict[str, Any]]
"""As FastAPI's ``responses`` wants them."""

UPLOAD = (EmptyBody, MalformedUpload, UploadTimeout, UploadTooLarge, UnsupportedMediaType, StorageFull, QueueFull)
"""What a route that receives videos can answer before it has them."""
VIDEO = (RefusedVideo, InferenceFailed, NotReady, Draining, UnknownModel, DeadlineExceeded)
"""What a route that classifies a video can answer besides."""
ASKED = (Unauthorized, InvalidParameter)
"""What a route with an API key and parameters can answer besides."""
ANYWHERE = (InternalError, UntrustedHost)
"""What every route can answer; ``problems`` adds it."""
SCRAPED = (InternalError,)
"""The same where the name in the Host header does not matter: probes and Prometheus call a server by its number."""

_REQUEST_ID = "3f0c9a8e5d1b7a42"


def answer(example: BaseModel | Sequence[BaseModel] | str, *headers: str, media_type: str = "application/json") -> Responses:
    """What is answered when nothing is wrong: an example of the body, and names of headers besides ``X-Request-ID``."""
    return {200: {"content": {media_type: {"example": to_jsonable_python(example)}}, "headers": _references(*headers)}}


def stream(event: type[BaseModel], examples: Sequence[BaseModel]) -> Responses:
    """What is answered as one ``event`` after the other, with an example of a whole answer in each of the two forms."""
    lines = [example.model_dump_json() for example in examples]
    return {
        200: {
            "model": event,
            "description": "Events, each as soon as it is ready",
            "content": {
                NDJSON: {"example": "".join(f"{line}\n" for line in lines)},
                SERVER_SENT_EVENTS: {"example": "".join(f"data: {line}\n\n" for line in lines)},
            },
            "headers": _references("Server-Timing"),
        }
    }


def problems(
    *kinds: type[Problem],
    anywhere: tuple[type[Problem], ...] = ANYWHERE,
    body: Callable[[Problem, str], BaseModel] = rfc9457.problem_body,
    media_type: str = rfc9457.MEDIA_TYPE,
) -> Responses:
    """One response for each status of ``kinds`` and ``anywhere``, with an example of each code.

    ``body`` and ``media_type`` are for a protocol that tells problems in its own way.
    """
    by_status: defaultdict[int, list[Problem]] = defaultdict(list)
    each_once: dict[type[Problem], None] = dict.fromkeys((*kinds, *anywhere))
    for kind in each_once:
        for example in kind.examples():
            by_status[example.http_status].append(example)
    return {status: _response(of_status, body, media_type) for status, of_status in sorted(by_status.items())}


def _response(of_status: list[Problem], body: Callable[[Problem, str], BaseModel], media_type: str) -> dict[str, Any]:
    bodies = {problem.code: body(problem, _REQUEST_ID) for problem in of_status}
    examples = {problem.code: {"value": bodies[problem.code].model_dump()} for problem in of_status}
    headers = [] if any(problem.retry_after_seconds is None for problem in of_status) else ["Retry-After"]
    if of_status[0].http_status == HTTPStatus.UNAUTHORIZED:
        headers.append("WWW-Authenticate")
    return {
        "description": ", ".join(f"`{code}`" for code in bodies),
        "model": type(next(iter(bodies.values()))),
        "content": {media_type: {"examples": examples}},
        "headers": _references(*headers),
    }


def _references(*headers: str) -> dict[str, dict[str, str]]:
    """References to the headers that ``app.api.reference`` describes."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *headers)}
