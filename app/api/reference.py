"""The OpenAPI document, served at ``/openapi.json`` and ``/docs``: what FastAPI knows, and what it cannot know."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.api.event_stream import NDJSON, SERVER_SENT_EVENTS
from app.api.problems import MEDIA_TYPE

_TAGS = [
    {"name": "classify", "description": "Videos in, probabilities out."},
    {"name": "models", "description": "What is served, which variant runs, and where."},
    {"name": "open inference protocol", "description": "Clips that are already decoded, for clients of KServe and Triton."},
    {"name": "health", "description": "For Kubernetes, load balancers and Prometheus."},
]
_HEADERS = {
    "X-Request-ID": {
        "description": "That of the request, where it is 1 to 64 of the characters A-Z a-z 0-9 . _ -; else a new one",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "example": "3f0c9a8e5d1b7a42",
    },
    "Server-Timing": {
        "description": "Time of each stage, ms",
        "required": True,
        "schema": {"type": "string"},
        "example": "upload;dur=1.52, decode;dur=31.207, queue;dur=0.118, model;dur=92.4",
    },
    "Cache-Status": {
        "description": "Where the response cache is on: whether the answer was known from an earlier request (RFC 9211); "
        "its `times_ms` but for `upload` are 0 then",
        "schema": {"type": "string", "enum": ["ClipServe; hit", "ClipServe; fwd=miss"]},
        "example": "ClipServe; hit",
    },
    "Retry-After": {
        "description": "Send the request again after so many seconds",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
    "Inference-Header-Content-Length": {
        "description": "How many bytes are JSON, where binary data follows",
        "schema": {"type": "integer", "minimum": 1},
        "example": 169,
    },
    "WWW-Authenticate": {
        "description": "The scheme of the Authorization header that carries a key",
        "required": True,
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}
_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Comes back with the answer and stands in the server's log, where it is 1 to 64 of A-Z a-z 0-9 . _ -",
    "schema": {"type": "string"},
    "example": "3f0c9a8e5d1b7a42",
}
_DEFAULT_422 = ("HTTPValidationError", "ValidationError")
"""Schemas of FastAPI that no answer of ours has."""
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


def operation_id(route: APIRoute) -> str:
    """Name of the route's function: it becomes the name of a method in generated clients."""
    return route.name


class DocumentedAPI(FastAPI):
    """A FastAPI whose document also names headers, the media type of problems, and whether keys are asked for."""

    def __init__(self, *, asks_for_keys: bool, **options: Any) -> None:
        super().__init__(generate_unique_id_function=operation_id, openapi_tags=_TAGS, **options)
        self._asks_for_keys = asks_for_keys
        self._completed: dict[str, Any] | None = None

    def openapi(self) -> dict[str, Any]:
        """The document, made anew only where routes were added since."""
        document = super().openapi()
        if document is not self._completed:
            self._complete(document)
            self._completed = document
        return document

    def _complete(self, document: dict[str, Any]) -> None:
        document.setdefault("components", {}).update(headers=_HEADERS, parameters={"X-Request-ID": _REQUEST_ID})
        for name in _DEFAULT_422:
            document["components"].get("schemas", {}).pop(name, None)
        for path in document["paths"].values():
            for operation in (path[method] for method in _METHODS if method in path):
                operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/X-Request-ID"})
                _drop_default_422(operation["responses"])
                for response in operation["responses"].values():
                    _tell_media_type(response)
                    _tell_items(response)
                if not self._asks_for_keys:
                    operation.pop("security", None)  # 401 stays: a client that is generated here may be used elsewhere


def _drop_default_422(responses: dict[str, Any]) -> None:
    """FastAPI writes one for every route with a parameter, whatever it accepts; where there is one, the route names ours."""
    if _DEFAULT_422[0] in str(responses.get("422")):
        del responses["422"]


def _tell_media_type(response: dict[str, Any]) -> None:
    """FastAPI writes the schema of every problem under the media type of the route's success."""
    content = response.get("content", {})
    if MEDIA_TYPE in content and "schema" not in content[MEDIA_TYPE]:
        schema = next(media["schema"] for media in content.values() if "schema" in media)
        response["content"] = {MEDIA_TYPE: {"schema": schema, **content[MEDIA_TYPE]}}


def _tell_items(response: dict[str, Any]) -> None:
    """A stream as a whole is text to OpenAPI 3.1, which has no name for the schema of its items (3.2: ``itemSchema``)."""
    content = response.get("content", {})
    if NDJSON in content and "schema" in content[NDJSON]:
        item = {"$ref": content[NDJSON]["schema"]["$ref"]}
        for media_type in (NDJSON, SERVER_SENT_EVENTS):
            content[media_type] |= {"schema": {"type": "string"}, "x-itemSchema": item}
