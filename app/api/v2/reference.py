"""What ``/docs`` says about an inference request, which the route reads by itself, and about failures."""

from typing import Any

from pydantic import BaseModel

from app.api.v2.schemas import ErrorBody, InferAnswerBody, InferRequestBody

HEADER_LENGTH = "Inference-Header-Content-Length"
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_LENGTH = {
    "description": "How many bytes are JSON, where binary data follows",
    "schema": {"type": "integer", "minimum": 0},
}


def described_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The failures that an address can answer with."""
    return {status: {"model": ErrorBody} for status in statuses}


def described_infer_request() -> dict[str, Any]:
    """Both bodies, and the header that tells where the JSON ends."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inlined_schema(InferRequestBody)}, **_BINARY},
        },
        "parameters": [{"name": HEADER_LENGTH, "in": "header", "required": False, **_LENGTH}],
    }


def described_infer_answers() -> dict[int | str, dict[str, Any]]:
    """Both forms of the answer, and the failures."""
    success = {
        "description": "Probabilities, as JSON or as JSON and binary data",
        "model": InferAnswerBody,
        "content": _BINARY,
        "headers": {HEADER_LENGTH: _LENGTH},
    }
    return {200: success, **described_errors(400, 401, 404, 408, 413, 415, 429, 500, 503, 504)}


def inlined_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of ``model`` without references: FastAPI collects only those of bodies that it reads itself."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inlined(node: Any) -> Any:
        if isinstance(node, list):
            return [inlined(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return inlined(definitions[node["$ref"].rpartition("/")[2]])
        return {key: inlined(value) for key, value in node.items()}

    result: dict[str, Any] = inlined(schema)
    return result
