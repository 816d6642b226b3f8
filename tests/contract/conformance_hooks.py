"""What Schemathesis is told about videos, clips and models. Loaded by its command line, through ``schemathesis.toml``."""

import json
from http import HTTPStatus
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, HookContext, Response

from app.api.batch_upload import FILES_FIELD
from app.api.event_stream import SERVER_SENT_EVENTS
from app.api.form import ONE_FILE
from app.api.timeline_events import TimelineEvent
from app.settings import Settings
from tests.contract.conformance import KEPT_VERSION, MODEL, SPARE_VERSION
from tests.protocol_body import HEADER_LENGTH, json_request, solid_clips
from tests.videos import BLUE, RED, damaged, numbered_video, solid_video

VIDEOS = [solid_video(RED), solid_video(BLUE), numbered_video()]
_BROKEN = [damaged(video) for video in VIDEOS]

_BYTES = st.one_of(st.sampled_from(VIDEOS), st.sampled_from(_BROKEN), st.binary())

schemathesis.openapi.format("binary", _BYTES)
schemathesis.openapi.media_type("video/*", _BYTES)

_CLIP = solid_clips((255, 0, 0))
_JSON = {"body": json.loads(json_request(_CLIP)), "media_type": "application/json"}
_BINARY = {"body": _CLIP.tobytes(), "media_type": "application/octet-stream", "headers": {HEADER_LENGTH: "0"}}
_GOOD: dict[str, list[dict[str, Any]]] = {
    "model_infer": [_JSON, _BINARY],
    "model_version_infer": [_JSON, _BINARY],
    "load_model": [{"query": {"version": SPARE_VERSION}}],
    "unload_model": [{"query": {"version": SPARE_VERSION}}],
}
"""What is answered 200 if the path names the model: by chance hardly any request is."""


@schemathesis.hook
def before_add_examples(context: HookContext, examples: list[Case]) -> None:
    """A good request for each operation that names a model in its path. What is among the examples passes no filter."""
    operation = context.operation
    assert operation
    named = {"name": MODEL, "version": str(KEPT_VERSION)}
    path = {name: value for name, value in named.items() if f"{{{name}}}" in operation.path}
    if path:
        good = _GOOD.get(operation.definition.raw["operationId"], [{}])
        examples += [operation.Case(path_parameters=path, **request) for request in good]
    examples[:] = filter(_leaves_the_model, examples)


@schemathesis.hook
def filter_case(context: HookContext, case: Case) -> bool:
    """Leave out what would unload the model, and what would not reach the server as it is meant."""
    return _leaves_the_model(case) and not _loses_parts(case) and not _breaks_http(case)


def _loses_parts(case: Case) -> bool:
    """Whether a form has a property that is an empty array: it is sent as no part, so too many properties can become few."""
    return case.media_type == "multipart/form-data" and isinstance(case.body, dict) and [] in case.body.values()


def _breaks_http(case: Case) -> bool:
    """Whether a header of random name is one of those that say where a message ends: the parser answers, and no route does
    (tests/robustness/test_smuggling.py)."""
    return not {"content-length", "transfer-encoding"}.isdisjoint(name.lower() for name in case.headers or {})


def _leaves_the_model(case: Case) -> bool:
    """Whether the version that everything else needs stays loaded."""
    unloads = case.path.endswith("/unload") and MODEL in (case.path_parameters or {}).values()
    return not unloads or (case.query or {}).get("version") == SPARE_VERSION


@schemathesis.check
def a_video_is_classified(ctx: CheckContext, response: Response, case: Case) -> None:
    """A whole video with parameters as documented is answered, unless the model is unknown or there is no time for it."""
    body = response.request.body
    if not (case.meta and case.meta.generation.mode.is_positive and isinstance(body, bytes) and any(v in body for v in VIDEOS)):
        return
    if case.path.startswith(("/classify", "/timeline")) and not _has_too_many_parts(case.path, body):
        assert response.status_code in {200, 404, 429, 504}, response.text


@schemathesis.check
def a_stream_is_whole(ctx: CheckContext, response: Response, case: Case) -> None:
    """Every line is an event of the document, and the last one ends the stream."""
    if case.path != "/timeline" or response.status_code != HTTPStatus.OK:
        return
    is_sse = response.headers["content-type"][0].startswith(SERVER_SENT_EVENTS)
    lines = [line for line in response.text.splitlines() if line and not (is_sse and line.startswith("event: "))]
    events = [TimelineEvent.model_validate_json(line.removeprefix("data: ")).root for line in lines]
    assert events[0].event == "video"
    assert events[-1].event == "segments"


def _has_too_many_parts(path: str, body: bytes) -> bool:
    """A property that is an array is sent as several parts, and no schema can say how many parts there may be."""
    if path != "/classify/batch":
        return body.count(b"Content-Disposition: form-data") > ONE_FILE.max_parts
    return body.count(f'name="{FILES_FIELD}"'.encode()) > Settings.model_fields["max_batch_files"].default


@schemathesis.check
def a_problem_has_a_code_of_the_document(ctx: CheckContext, response: Response, case: Case) -> None:
    """The schema says that a code is a text; the examples of the status are all that there are."""
    told = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("content", {})
    if "application/problem+json" in told:
        assert response.json()["code"] in told["application/problem+json"]["examples"], response.text
