"""The document at /openapi.json is frozen where others rely on it, complete, and true to itself."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from app import errors
from tests.live_server import LiveServer

PROSE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()

# operation id -> route, parameters, statuses. To change a row is to break somebody's program; to add one is not.
PUBLIC = {
    "classify": (
        "POST /classify",
        "X-Request-ID model timeout_ms top_k version",
        "200 400 401 404 408 413 415 422 429 500 503 504",
    ),
    "classify_batch": (
        "POST /classify/batch",
        "X-Request-ID model timeout_ms top_k version",
        "200 400 401 404 408 413 415 422 429 500 503",
    ),
    "timeline": (
        "POST /timeline",
        "X-Request-ID model stride_seconds timeout_ms top_k version window_seconds",
        "200 400 401 404 408 413 415 422 429 500 503 504",
    ),
    "list_models": ("GET /models", "X-Request-ID", "200 400 401 500"),
    "describe_model": ("GET /models/{name}", "X-Request-ID name", "200 400 401 404 422 500"),
    "load_model": ("POST /models/{name}/load", "X-Request-ID name version", "200 400 401 403 404 422 500 503"),
    "unload_model": ("POST /models/{name}/unload", "X-Request-ID name version", "200 400 401 403 404 422 500 503"),
    "choose_default": ("POST /models/{name}/default", "X-Request-ID name version", "200 400 401 403 404 422 500 503"),
    "healthz": ("GET /healthz", "X-Request-ID", "200 500"),
    "readyz": ("GET /readyz", "X-Request-ID", "200 500 503"),
    "server_metadata": ("GET /v2", "X-Request-ID", "200 400 401 500"),
    "server_live": ("GET /v2/health/live", "X-Request-ID", "200 400 500"),
    "server_ready": ("GET /v2/health/ready", "X-Request-ID", "200 400 500 503"),
    "model_metadata": ("GET /v2/models/{name}", "X-Request-ID name", "200 400 401 404 500 503"),
    "model_version_metadata": (
        "GET /v2/models/{name}/versions/{version}",
        "X-Request-ID name version",
        "200 400 401 404 500 503",
    ),
    "model_ready": ("GET /v2/models/{name}/ready", "X-Request-ID name", "200 400 401 404 500 503"),
    "model_version_ready": (
        "GET /v2/models/{name}/versions/{version}/ready",
        "X-Request-ID name version",
        "200 400 401 404 500 503",
    ),
    "model_config": ("GET /v2/models/{name}/config", "X-Request-ID name", "200 400 401 404 500 503"),
    "model_version_config": (
        "GET /v2/models/{name}/versions/{version}/config",
        "X-Request-ID name version",
        "200 400 401 404 500 503",
    ),
    "model_infer": (
        "POST /v2/models/{name}/infer",
        "Inference-Header-Content-Length X-Request-ID name",
        "200 400 401 404 408 413 415 429 500 503 504",
    ),
    "model_version_infer": (
        "POST /v2/models/{name}/versions/{version}/infer",
        "Inference-Header-Content-Length X-Request-ID name version",
        "200 400 401 404 408 413 415 429 500 503 504",
    ),
    "repository_index": ("POST /v2/repository/index", "X-Request-ID", "200 400 401 408 413 500"),
    "read_metrics": ("GET /metrics", "X-Request-ID", "200 401 500"),
}


class Operation(NamedTuple):
    """One route and method."""

    route: str
    told: dict[str, Any]
    """As the document tells it, references resolved."""


@pytest.fixture(scope="module")
def document(server: LiveServer) -> dict[str, Any]:
    told: dict[str, Any] = server.client.get("/openapi.json").json()
    return told


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[Operation]:
    return list(_operations(document))


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield Operation(f"{method.upper()} {path}", _resolved(told, document))


def _resolved(part: Any, document: dict[str, Any]) -> Any:
    """``part`` with what its references point to in their place; none of ours points to itself."""
    if isinstance(part, list):
        return [_resolved(item, document) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        target = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return _resolved(target, document)
    return {key: _resolved(value, document) for key, value in part.items()}


def test_the_public_api_is_what_others_rely_on(operations: list[Operation]) -> None:
    told = {
        operation.told["operationId"]: (
            operation.route,
            " ".join(sorted(parameter["name"] for parameter in operation.told["parameters"])),
            " ".join(sorted(operation.told["responses"])),
        )
        for operation in operations
    }
    assert told == PUBLIC


def test_a_video_is_sent_as_a_form_or_as_it_is(operations: list[Operation]) -> None:
    told = next(told for _, told in operations if told["operationId"] == "classify")
    assert set(told["requestBody"]["content"]) == {"multipart/form-data", "application/octet-stream", "video/*"}


def test_several_videos_are_sent_as_a_form_and_one_field_tells_results_from_problems(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    told = next(told for _, told in operations if told["operationId"] == "classify_batch")
    assert set(told["requestBody"]["content"]) == {"multipart/form-data"}
    items = document["components"]["schemas"]["BatchBody"]["properties"]["results"]["items"]
    assert items["discriminator"]["propertyName"] == "outcome"
    assert set(items["discriminator"]["mapping"]) == {"result", "problem"}


@pytest.mark.parametrize("operation_id", ["model_infer", "model_version_infer"])
def test_clips_are_sent_and_answered_as_json_or_with_binary_data(operations: list[Operation], operation_id: str) -> None:
    told = next(told for _, told in operations if told["operationId"] == operation_id)
    for part in (told["requestBody"], told["responses"]["200"]):
        assert set(part["content"]) == {"application/json", "application/octet-stream"}
    assert "Inference-Header-Content-Length" in told["responses"]["200"]["headers"]


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    jsonschema_rs.validator_for(OPENAPI_31).validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_operation_has_a_name_for_programs_and_words_for_people(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    names = [operation.told["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    for route, told in operations:
        assert told["summary"], route
        assert told["description"], route
        assert set(told["tags"]) <= described, route
        assert all(parameter["description"] for parameter in told["parameters"]), route


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema of an object with named fields within ``schema``."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_every_field_of_an_answer_is_described_and_there_are_no_others(operations: list[Operation]) -> None:
    for route, told in operations:
        for schema in objects([response["content"] for response in told["responses"].values()]):
            assert schema.get("additionalProperties") is False, f"{route}: {schema['title']}"
            for field, meaning in schema["properties"].items():
                assert meaning.get("description"), f"{route}: {schema['title']}.{field}"


def test_every_line_of_the_example_of_a_stream_is_an_event(operations: list[Operation]) -> None:
    content = next(told for _, told in operations if told["operationId"] == "timeline")["responses"]["200"]["content"]
    assert set(content) == {"application/x-ndjson", "text/event-stream"}
    for media in content.values():
        lines = [line.removeprefix("data: ") for line in media["example"].splitlines() if line]
        assert [json.loads(line)["event"] for line in lines] == ["video", "window", "window", "problem", "segments"]
        for line in lines:
            jsonschema_rs.validator_for(media["x-itemSchema"]).validate(json.loads(line))


def test_every_answer_has_an_example_that_fits_its_schema(operations: list[Operation]) -> None:
    for route, told in operations:
        for status, response in told["responses"].items():
            for media in response["content"].values():
                examples = [example["value"] for example in media.get("examples", {}).values()]
                for example in examples or [media["example"]]:
                    error = next(jsonschema_rs.validator_for(media["schema"]).iter_errors(example), None)
                    assert error is None, f"{route} {status}: {error}"


def test_every_answer_carries_the_id_of_its_request(operations: list[Operation]) -> None:
    for route, told in operations:
        for status, response in told["responses"].items():
            assert response["headers"]["X-Request-ID"]["required"], f"{route} {status}"


def test_every_failure_is_a_problem_except_where_a_protocol_has_its_own(operations: list[Operation]) -> None:
    for route, told in operations:
        wanted = "application/json" if " /v2" in route else "application/problem+json"
        for status, response in told["responses"].items():
            assert status < "400" or set(response["content"]) == {wanted}, f"{route} {status}"


def test_who_is_sent_away_learns_how_to_come_again(operations: list[Operation]) -> None:
    for route, told in operations:
        assert "500" in told["responses"], route
        for status, header in {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}.items():
            assert header in told["responses"].get(status, {"headers": [header]})["headers"], f"{route} {status}"


def test_keys_are_declared_where_they_are_asked_for_and_nowhere_else(
    keyed_server: LiveServer, operations: list[Operation]
) -> None:
    assert all("security" not in told for _, told in operations)
    keyed = keyed_server.client.get("/openapi.json").json()
    assert keyed["components"]["securitySchemes"] == {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "Bearer": {"type": "http", "scheme": "bearer"},
    }
    for route, told in _operations(keyed):
        assert ("401" in told["responses"]) == (told.get("security") == [{"ApiKey": []}, {"Bearer": []}]), route
        answer = keyed_server.client.request(*route.split(), headers={"X-API-Key": "wrong"})
        assert (answer.status_code == 401) == ("security" in told), route


def codes(operations: list[Operation]) -> set[str]:
    """What the examples of all failures are called by: under /v2 the body does not name the code."""
    failures = [response for _, told in operations for status, response in told["responses"].items() if status >= "400"]
    return {code for failure in failures for media in failure["content"].values() for code in media["examples"]}


def test_every_code_is_told_of_some_route(operations: list[Operation]) -> None:
    kinds = [errors.Problem]
    for kind in kinds:
        kinds += kind.__subclasses__()
    existing = {problem.code for kind in kinds for problem in kind.examples()}
    assert codes(operations) == existing - {errors.MethodNotAllowed.code}  # which no operation answers


def test_the_prose_names_every_route_and_every_code(operations: list[Operation]) -> None:
    assert [route for route, _ in operations if f"`{route}`" not in PROSE] == []
    assert [code for code in codes(operations) if f"`{code}`" not in PROSE] == []
