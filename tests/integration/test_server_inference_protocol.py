"""The Open Inference Protocol under load, with deadlines, keys and slow senders, and while the server starts or stops."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.colour_model import publish
from tests.live_server import LiveServer, running_server, wait_until_started
from tests.protocol_body import HEADER_LENGTH, binary_request, json_request, solid_clips
from tests.raw_connection import RawConnection
from tests.videos import BLUE, GREEN, RED

INFER = "/v2/models/colours/infer"
KEY = "a-long-and-secret-key"
MAX_BATCH_SIZE = 4
LONG_MS = 10_000
MUCH_WORK = 1200
"""Keeps a server loading for far longer than any test looks."""


@pytest.fixture(scope="module")
def waiting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Runs its model once a batch is full and hardly ever before: what waits, waits for as long as a test looks."""
    folder = tmp_path_factory.mktemp("waiting")
    publish(folder / "models")
    settings = {
        "max_batch_size": MAX_BATCH_SIZE,
        "max_queue_delay_ms": LONG_MS,
        "max_queue_size": 4,
        "upload_timeout_seconds": 2,
    }
    with running_server(folder / "models", folder / "log", **settings) as live:
        yield live


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("guarded")
    publish(folder / "models")
    with running_server(folder / "models", folder / "log", api_keys=KEY, cors_origins="https://clips.example") as live:
        yield live


@contextmanager
def leaving_request(live: LiveServer, body: bytes, *headers: str) -> Iterator[None]:
    """A caller that sends its clips and hangs up without waiting for the answer."""
    head = [f"POST {INFER} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers, "", ""]
    with RawConnection(live) as connection:
        connection.write("\r\n".join(head).encode() + body)
        yield


def infer(live: LiveServer, *colours: tuple[int, int, int], **parameters: object) -> httpx.Response:
    return live.client.post(INFER, content=json_request(solid_clips(*colours), parameters=parameters))


def error(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    message: str = answer.json()["error"]
    return message


def test_clips_of_requests_and_videos_share_a_run(waiting_server: LiveServer) -> None:
    runs = waiting_server.metric("clipserve_batch_size_count")
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(infer, waiting_server, *colours) for colours in ([RED, BLUE, GREEN], [GREEN])]
        shapes = [answer.result().json()["outputs"][0]["shape"] for answer in answers]
    assert shapes == [[3, 3], [1, 3]]
    assert waiting_server.metric("clipserve_batch_size_count") == runs + 1


def test_a_timeout_in_microseconds_is_a_deadline(waiting_server: LiveServer) -> None:
    assert "deadline" in error(infer(waiting_server, RED, timeout=1000), 504)
    assert waiting_server.metric("clipserve_queue_length") == 0


def test_the_client_sees_a_deadline_as_an_exception(waiting_server: LiveServer) -> None:
    tensor = triton.InferInput("clips", [1, 4, 32, 32, 3], "UINT8").set_data_from_numpy(solid_clips(RED))
    with (
        triton.InferenceServerClient(waiting_server.url.removeprefix("http://")) as client,
        pytest.raises(InferenceServerException) as caught,
    ):
        client.infer("colours", [tensor], timeout=1000)
    assert caught.value.status() == "504"


def test_a_caller_that_leaves_takes_its_clips_out_of_the_queue(waiting_server: LiveServer) -> None:
    clips = waiting_server.metric("clipserve_batch_size_sum")
    body, headers = binary_request(solid_clips(RED, BLUE))
    with leaving_request(waiting_server, body, f"{HEADER_LENGTH}: {headers[HEADER_LENGTH]}"):
        waiting_server.until(lambda: waiting_server.metric("clipserve_queue_length") == 2)
    waiting_server.until(lambda: waiting_server.metric("clipserve_admitted ") == 0)
    assert waiting_server.metric("clipserve_queue_length") == 0
    assert waiting_server.metric("clipserve_batch_size_sum") == clips


def test_one_request_too_many_is_refused_and_told_when_to_return(waiting_server: LiveServer) -> None:
    body = json_request(solid_clips(RED))
    with (
        leaving_request(waiting_server, body),
        leaving_request(waiting_server, body),
        leaving_request(waiting_server, body),
    ):
        waiting_server.until(lambda: waiting_server.metric("clipserve_admitted ") == 3)
        refused = infer(waiting_server, RED, BLUE)
    error(refused, 429)
    assert int(refused.headers["retry-after"]) > 0
    waiting_server.until(lambda: waiting_server.metric("clipserve_admitted ") == 0)


def test_a_request_may_hold_as_many_clips_as_may_wait(waiting_server: LiveServer) -> None:
    body, headers = binary_request(solid_clips(*[RED] * 5))
    assert "1 to 4 clips" in error(waiting_server.client.post(INFER, content=body, headers=headers), 400)


def test_a_body_that_does_not_arrive_is_answered(waiting_server: LiveServer) -> None:
    with RawConnection(waiting_server) as connection:
        connection.write(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode())
        head, _, body = connection.read_to_the_end().partition(b"\r\n\r\n")
    assert head.split()[1] == b"408"
    assert list(json.loads(body)) == ["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2"),
        ("GET", "/v2/models/colours"),
        ("GET", "/v2/models/nobody"),
        ("GET", "/v2/models/colours/versions/1"),
        ("GET", "/v2/models/colours/ready"),
        ("GET", "/v2/models/colours/config"),
        ("POST", "/v2/repository/index"),
        ("POST", INFER),
        ("POST", "/v2/models/colours/versions/1/infer"),
    ],
)
def test_everything_but_health_needs_a_key(guarded: LiveServer, method: str, path: str) -> None:
    refused = guarded.client.request(method, path)
    assert "key" in error(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"
    assert guarded.client.request(method, path, headers={"X-API-Key": KEY}).status_code != 401


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_probes_need_no_key(guarded: LiveServer, path: str) -> None:
    assert guarded.client.get(path).status_code == 200


def test_the_client_sends_a_key_as_a_header(guarded: LiveServer) -> None:
    with triton.InferenceServerClient(guarded.url.removeprefix("http://")) as client:
        assert client.get_server_metadata(headers={"X-API-Key": KEY})["name"] == "clipserve"
        with pytest.raises(InferenceServerException, match="key"):
            client.get_server_metadata()


def test_a_page_may_send_and_read_binary_data(guarded: LiveServer) -> None:
    asked = {
        "Origin": "https://clips.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": HEADER_LENGTH.lower(),
    }
    assert guarded.client.options(INFER, headers=asked).status_code == 200
    answer = guarded.client.get("/v2/health/live", headers={"Origin": asked["Origin"]})
    assert HEADER_LENGTH in answer.headers["access-control-expose-headers"]


def test_a_server_that_loads_is_alive_and_not_ready(tmp_path: Path) -> None:
    publish(tmp_path, work=MUCH_WORK)
    with running_server(tmp_path, tmp_path / "log", wait=False, intra_op_threads=1) as live:
        for path in ("/v2/health/ready", "/v2/models/colours", "/v2/models/colours/ready", "/v2/models/colours/config"):
            assert "loading" in error(live.client.get(path), 503)
        refused = infer(live, RED)
        assert "loading" in error(refused, 503)
        assert int(refused.headers["retry-after"]) > 0
        assert live.client.get("/v2/health/live").status_code == 200
        assert live.client.post("/v2/repository/index").json() == []


def test_a_model_that_fails_its_golden_clip_is_unavailable(tmp_path: Path) -> None:
    folder = publish(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["golden"]["probabilities"]["fp32"] = [0.0, 1.0, 0.0]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with running_server(tmp_path, tmp_path / "log", wait=False) as live:
        wait_until_started(live)
        for answer in (live.client.get("/v2/health/ready"), live.client.get("/v2/models/colours/ready"), infer(live, RED)):
            assert "golden clip" in error(answer, 503)
        (entry,) = live.client.post("/v2/repository/index").json()
        assert (entry["state"], "golden clip" in entry["reason"]) == ("UNAVAILABLE", True)
        assert live.client.post("/v2/repository/index", content=b'{"ready": true}').json() == []


def test_a_stopping_server_answers_what_it_admitted_and_refuses_the_rest(tmp_path: Path) -> None:
    publish(tmp_path)
    with (
        running_server(tmp_path, tmp_path / "log", max_batch_size=16, max_queue_delay_ms=LONG_MS) as live,
        ThreadPoolExecutor(1) as pool,
    ):
        admitted = pool.submit(infer, live, RED, GREEN)
        live.until(lambda: live.metric("clipserve_queue_length") == 2)
        live.process.terminate()
        live.until(lambda: live.client.get("/v2/health/ready").status_code == 503)
        assert live.client.get("/v2/health/live").status_code == 200
        assert "stopping" in error(infer(live, RED), 503)
        assert admitted.result().json()["outputs"][0]["shape"] == [2, 3]
        assert live.process.wait(60) == 0
