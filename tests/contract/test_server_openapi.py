"""The HTTP contract: answers and headers."""

import pytest

from tests.live_server import LiveServer
from tests.videos import RED, one_frame_video, solid_video


def test_an_answer_has_exactly_the_fields_of_the_contract(server: LiveServer) -> None:
    answer = server.classify(solid_video(RED)).json()
    assert set(answer) == {"model", "version", "predictions", "tags", "video", "times_ms"}
    assert answer["tags"] is None, "the model gives one label"
    assert set(answer["predictions"][0]) == {"label", "probability"}
    assert list(answer["times_ms"]) == ["upload", "decode", "queue", "model"]
    assert set(answer["video"]) == {
        "container",
        "codec",
        "width",
        "height",
        "duration_seconds",
        "frame_count",
        "partial",
        "missing_fraction",
        "decoded_on",
        "frame_times_seconds",
    }


def test_a_model_says_what_runs_and_where(server: LiveServer) -> None:
    listed = server.client.get("/models").json()
    assert listed["default"] == "colours"
    described = server.client.get("/models/colours").json()
    assert described["versions"] == listed["models"]
    (model,) = described["versions"]
    assert (model["precision"], model["execution_provider"]) == ("fp32", "cpu")
    assert model["labels"] == ["red", "green", "blue"]


def test_an_answer_carries_its_stage_times_as_server_timing(server: LiveServer) -> None:
    answer = server.classify(solid_video(RED))
    stages = [entry.split(";dur=") for entry in answer.headers["server-timing"].split(", ")]
    assert {stage: float(ms) for stage, ms in stages} == answer.json()["times_ms"]


def test_a_problem_carries_the_times_of_the_stages_that_ended(server: LiveServer) -> None:
    answer = server.classify(one_frame_video())
    assert answer.json()["code"] == "too_few_frames"
    assert [entry.split(";")[0] for entry in answer.headers["server-timing"].split(", ")] == ["upload", "decode"]
    assert "server-timing" not in server.client.get("/nowhere").headers


@pytest.mark.parametrize("sent", ["abc-1.2_3", "x" * 64])
def test_a_harmless_request_id_is_kept(server: LiveServer, sent: str) -> None:
    assert server.client.get("/healthz", headers={"X-Request-ID": sent}).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", '"><script>', "a/b"])
def test_another_request_id_is_replaced(server: LiveServer, sent: str) -> None:
    given = server.client.get("/healthz", headers={"X-Request-ID": sent}).headers["x-request-id"]
    assert given != sent
    assert len(given) == 16


@pytest.mark.parametrize("path", ["/", "/page.js", "/healthz", "/nowhere"])
def test_nothing_that_is_answered_can_load_code_from_elsewhere(server: LiveServer, path: str) -> None:
    headers = server.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert "server" not in headers


def test_the_reference_page_may_load_its_own_library(server: LiveServer) -> None:
    answer = server.client.get("/docs")
    assert "https://cdn.jsdelivr.net" in answer.text
    assert "https://cdn.jsdelivr.net" in answer.headers["content-security-policy"]


def test_metrics_count_requests_by_route_template(server: LiveServer) -> None:
    line = 'clipserve_requests_total{route="/models/{name}",status="404"}'
    before = server.metric(line)
    server.client.get("/models/nobody")
    assert server.metric(line) == before + 1
    assert "nobody" not in server.client.get("/metrics").text


def test_metrics_have_every_stage(server: LiveServer) -> None:
    server.classify(solid_video(RED))
    text = server.client.get("/metrics").text
    for stage in ("upload", "decode", "queue", "model"):
        assert f'clipserve_stage_seconds_count{{stage="{stage}"}}' in text
    assert 'clipserve_model_info{model="colours",precision="fp32",provider="cpu",version="1"} 1.0' in text
