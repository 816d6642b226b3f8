"""What ``/docs`` says about failures in the protocol's words, and about inference requests, which the route reads by itself."""

from functools import partial
from typing import Any

from pydantic import BaseModel

from app.api.documented import Responses, answer, problems
from app.api.v2.examples import BINARY_INFERRED, INFERRED
from app.api.v2.protocol import error_body
from app.api.v2.schemas import InferAnswerBody, InferRequestBody

HEADER_LENGTH = "Inference-Header-Content-Length"
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_LENGTH = {
    "description": "How many bytes are JSON, where binary data follows",
    "schema": {"type": "integer", "minimum": 0},
}

failures = partial(problems, body=error_body, media_type="application/json")
"""``problems`` in the protocol's words."""


def described_infer_request() -> dict[str, Any]:
    """Both bodies, and the header that tells where the JSON ends."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": inlined_schema(InferRequestBody)}, **_BINARY},
        },
        "parameters": [{"name": HEADER_LENGTH, "in": "header", "required": False, **_LENGTH}],
    }


def described_infer_answer() -> Responses:
    """Both forms of the answer."""
    told = answer(INFERRED, "Server-Timing", HEADER_LENGTH)
    told[200]["model"] = InferAnswerBody
    told[200]["description"] = "Probabilities, as JSON or as JSON and binary data"
    told[200]["content"]["application/octet-stream"] = _BINARY["application/octet-stream"] | {"example": BINARY_INFERRED}
    return told


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
