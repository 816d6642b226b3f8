"""One line for each request: what an operator needs, and nothing that a client wrote."""

import pytest

from tests.live_server import LiveServer
from tests.videos import RED, one_frame_video, solid_video

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ALWAYS = {"time", "level", "event", "request_id", "method", "route", "status", "received_bytes", "total_ms"}


def test_a_video_that_was_classified(server: LiveServer) -> None:
    video = solid_video(RED)
    answer = server.classify(video)
    line = server.log_line(answer.headers["x-request-id"])
    assert set(line) == ALWAYS | {"model", "times_ms"}
    assert (line["method"], line["route"], line["status"], line["model"]) == ("POST", "/classify", 200, "colours/1")
    assert line["received_bytes"] == len(video)
    assert line["times_ms"] == answer.json()["times_ms"]


def test_a_video_that_was_refused(server: LiveServer) -> None:
    line = server.log_line(server.classify(one_frame_video()).headers["x-request-id"])
    assert set(line) == ALWAYS | {"model", "times_ms", "problem_code"}
    assert (line["status"], line["problem_code"]) == (422, "too_few_frames")
    assert list(line["times_ms"]) == ["upload", "decode"]


def test_the_trace_of_the_caller_is_named_where_no_trace_is_made(server: LiveServer) -> None:
    answer = server.client.get("/models", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    assert server.log_line(answer.headers["x-request-id"])["trace_id"] == TRACE


@pytest.mark.parametrize(
    "sent", ["", "x", f"00-{TRACE}", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE[:-1]}\u00e9-00f067aa0ba902b7-01"]
)
def test_another_traceparent_is_not(server: LiveServer, sent: str) -> None:
    answer = server.client.get("/models", headers=[(b"traceparent", sent.encode("latin-1"))])
    assert "trace_id" not in server.log_line(answer.headers["x-request-id"])


def test_nothing_that_a_client_wrote_is_logged(server: LiveServer) -> None:
    secret = "secret-of-a-client"
    headers = dict.fromkeys(("X-API-Key", "User-Agent", "Host", "Cookie", "X-Forwarded-For", "tracestate"), secret)
    for path in (f"/{secret}", f"/models/{secret}", f"/classify?model={secret}&{secret}={secret}"):
        server.client.post(path, headers=headers, content=secret)
        server.client.get(path, headers=headers)
    server.upload(b"", name=secret)
    assert secret not in server.log.read_text()
