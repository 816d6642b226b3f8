"""Every failure is a problem (RFC 9457) with a stable code, and tells nothing about the inside."""

from typing import Any

import httpx
import pytest

from tests.live_server import LiveServer
from tests.videos import RED, audio_only, damaged, large_video, numbered_video, one_frame_video, solid_video

VIDEO = solid_video(RED)


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert problem["type"] == f"urn:clipserve:problem:{code}"
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["detail"].strip()
    assert "Traceback" not in answer.text
    return problem


@pytest.mark.parametrize(
    ("video", "status", "code"),
    [
        (b"", 400, "empty_body"),
        (b"hello", 415, "not_a_video"),
        (b"GIF89a" + bytes(100), 415, "not_a_video"),
        (audio_only(), 422, "no_video_stream"),
        (one_frame_video(), 422, "too_few_frames"),
        (large_video(), 422, "dimensions_out_of_range"),
        (damaged(numbered_video(width=320, height=240)), 422, "decode_failed"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),
)
@pytest.mark.parametrize("form", ["raw", "multipart"])
def test_a_video_that_cannot_be_classified(server: LiveServer, form: str, video: bytes, status: int, code: str) -> None:
    answer = server.classify(video) if form == "raw" else server.upload(video)
    check_problem(answer, status, code)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"model": "nobody"}, 404, "unknown_model"),
        ({"version": 99}, 404, "unknown_model"),
        ({"top_k": -1}, 422, "invalid_parameter"),
        ({"top_k": "many"}, 422, "invalid_parameter"),
        ({"timeout_ms": 0}, 422, "invalid_parameter"),
        ({"topk": 1}, 422, "invalid_parameter"),
    ],
)
def test_a_query_that_cannot_be_answered(server: LiveServer, query: dict[str, Any], status: int, code: str) -> None:
    problem = check_problem(server.classify(VIDEO, **query), status, code)
    if code == "invalid_parameter":
        assert next(iter(query)) in problem["detail"]


QUADRATIC = 'multipart/form-data; x="' + 20_000 * ";"
"""A parser of such parameters would hold up everybody else."""


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/json", "application/x-www-form-urlencoded", "", QUADRATIC],
    ids=lambda value: value[:30],
)
def test_a_content_type_that_carries_no_video(server: LiveServer, content_type: str) -> None:
    answer = server.client.post("/classify", content=VIDEO, headers={"Content-Type": content_type})
    check_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "form",
    [
        {"files": {"video": ("a.mp4", VIDEO)}},
        {"files": [("file", ("a.mp4", VIDEO)), ("file", ("b.mp4", VIDEO))]},
        {"files": {"other": ("a.mp4", VIDEO)}, "data": {"file": "text"}},
        {"content": VIDEO, "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"--x\r\nbroken", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
        {"files": {"file": ("a.mp4", VIDEO)}, "data": {f"field{i}": "x" for i in range(100)}},
    ],
    ids=["wrong-field", "two-files", "text-field", "no-boundary", "broken", "many-fields"],
)
def test_a_form_that_breaks_the_rules(server: LiveServer, form: dict[str, Any]) -> None:
    check_problem(server.client.post("/classify", **form), 400, "malformed_upload")


def test_an_unknown_address(server: LiveServer) -> None:
    check_problem(server.client.get("/classify/../../etc/passwd"), 404, "not_found")


def test_a_wrong_method_names_the_right_one(server: LiveServer) -> None:
    answer = server.client.get("/classify")
    check_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_problems_are_counted_by_code(server: LiveServer) -> None:
    before = server.metric('clipserve_problems_total{code="too_few_frames"}')
    server.classify(one_frame_video())
    assert server.metric('clipserve_problems_total{code="too_few_frames"}') == before + 1
