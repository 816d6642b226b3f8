"""More videos than the model takes: batches form, the queue has an end, deadlines hold, and who leaves costs nothing."""

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx
import pytest

from tests.colour_model import publish
from tests.live_server import LiveServer, running_server
from tests.videos import BLUE, GREEN, RED, solid_video

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE}
VIDEOS = {name: solid_video(colour) for name, colour in COLOURS.items()}
MAX_BATCH_SIZE = 4
MAX_QUEUE_SIZE = 6
LONG_MS = 10_000


@pytest.fixture(scope="module")
def waiting_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Runs its model once a batch is full and hardly ever before: what waits, waits for as long as a test looks."""
    folder = tmp_path_factory.mktemp("waiting")
    publish(folder / "models")
    settings = {"lanes": 1, "max_batch_size": MAX_BATCH_SIZE, "max_queue_delay_ms": LONG_MS}
    with running_server(folder / "models", folder / "log", **settings) as live:
        yield live


@pytest.fixture(scope="module")
def full_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Has room for fewer videos than it waits for."""
    folder = tmp_path_factory.mktemp("full")
    publish(folder / "models")
    settings = {"max_batch_size": MAX_BATCH_SIZE, "max_queue_size": 2, "max_queue_delay_ms": LONG_MS}
    with running_server(folder / "models", folder / "log", **settings) as live:
        yield live


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A run of its model takes a good part of a second, for one clip as for four."""
    folder = tmp_path_factory.mktemp("slow")
    publish(folder / "models", work=180)
    settings = {"lanes": 1, "intra_op_threads": 1, "max_batch_size": MAX_BATCH_SIZE, "max_queue_size": MAX_QUEUE_SIZE}
    with running_server(folder / "models", folder / "log", **settings) as live:
        yield live


@contextmanager
def asked(live: LiveServer, names: list[str], **query: object) -> Iterator[list["Future[httpx.Response]"]]:
    """All at once."""
    with ThreadPoolExecutor(len(names)) as pool:
        yield [pool.submit(live.classify, VIDEOS[name], **query) for name in names]


def test_videos_that_arrive_together_share_a_run_and_keep_their_own_answers(waiting_server: LiveServer) -> None:
    names = ["red", "green", "blue", "green", "red", "blue", "blue", "red"]
    runs, clips = (waiting_server.metric(f"clipserve_batch_size_{kind}") for kind in ("count", "sum"))
    with asked(waiting_server, names) as futures:
        answers = [future.result() for future in futures]
    assert [answer.json()["predictions"][0]["label"] for answer in answers] == names
    assert waiting_server.metric("clipserve_batch_size_sum") - clips == len(names)
    assert waiting_server.metric("clipserve_batch_size_count") - runs == len(names) / MAX_BATCH_SIZE


def test_one_video_too_many_is_refused_at_once_and_told_when_to_return(full_server: LiveServer) -> None:
    with leaving_request(full_server, VIDEOS["red"]), leaving_request(full_server, VIDEOS["blue"]):
        full_server.until(lambda: full_server.metric("clipserve_admitted ") == 2)
        refused = full_server.classify(VIDEOS["red"])
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) > 0
    full_server.until(lambda: full_server.metric("clipserve_admitted ") == 0)


def test_as_many_as_there_is_room_for_are_all_answered(slow_server: LiveServer) -> None:
    with asked(slow_server, ["red"] * MAX_QUEUE_SIZE) as futures:
        assert Counter(future.result().status_code for future in futures) == {200: MAX_QUEUE_SIZE}


@pytest.mark.parametrize("timeout_ms", [1, 20])
def test_a_deadline_that_passes_is_answered_as_such(slow_server: LiveServer, timeout_ms: int) -> None:
    answer = slow_server.classify(VIDEOS["red"], timeout_ms=timeout_ms)
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    slow_server.until(lambda: slow_server.metric("clipserve_admitted ") == 0)


def test_a_deadline_that_passes_in_the_queue_tells_how_long_it_was_there(waiting_server: LiveServer) -> None:
    count = 'clipserve_stage_seconds_count{stage="queue"}'
    before = waiting_server.metric(count)
    answer = waiting_server.classify(VIDEOS["red"], timeout_ms=500)
    assert answer.status_code == 504
    assert [entry.split(";")[0] for entry in answer.headers["server-timing"].split(", ")] == ["upload", "decode", "queue"]
    times_ms = waiting_server.log_line(answer.headers["x-request-id"])["times_ms"]
    assert times_ms["decode"] + times_ms["queue"] >= 400
    assert waiting_server.metric(count) == before + 1


def test_a_caller_that_leaves_the_queue_is_never_computed(waiting_server: LiveServer) -> None:
    clips = waiting_server.metric("clipserve_batch_size_sum")
    left = 'clipserve_requests_total{route="/classify",status="499"}'
    gone = waiting_server.metric(left)
    with leaving_request(waiting_server, VIDEOS["blue"]):
        waiting_server.until(lambda: waiting_server.metric("clipserve_queue_length") == 1)
    waiting_server.until(lambda: waiting_server.metric(left) == gone + 1)
    assert waiting_server.metric("clipserve_queue_length") == 0
    with asked(waiting_server, ["red"] * MAX_BATCH_SIZE) as futures:
        assert all(future.result().status_code == 200 for future in futures)
    assert waiting_server.metric("clipserve_batch_size_sum") == clips + MAX_BATCH_SIZE


@contextmanager
def leaving_request(live: LiveServer, video: bytes) -> Iterator[None]:
    """A caller that sends its video and hangs up without waiting for the answer."""
    head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\nContent-Length: {len(video)}\r\n\r\n"
    with socket.create_connection((live.client.base_url.host, live.client.base_url.port or 80)) as connection:
        connection.sendall(head.encode() + video)
        yield


def test_many_callers_that_leave_at_any_moment_harm_nobody(slow_server: LiveServer) -> None:
    with asked(slow_server, ["green", "blue"]) as futures:
        for _ in range(20):
            with leaving_request(slow_server, VIDEOS["red"]):
                pass
        answers = [future.result() for future in futures]
    assert {answer.status_code for answer in answers} <= {200, 429}
    slow_server.until(lambda: slow_server.metric("clipserve_admitted ") == 0)
    assert slow_server.metric("clipserve_queue_length") == 0
    assert slow_server.classify(VIDEOS["red"]).status_code == 200


def test_liveness_stays_quick_under_load(slow_server: LiveServer) -> None:
    looks = []
    with asked(slow_server, ["red"] * MAX_QUEUE_SIZE) as futures:
        while not all(future.done() for future in futures):
            looks.append(slow_server.client.get("/healthz").elapsed.total_seconds())
    assert {future.result().status_code for future in futures} == {200}
    model_seconds = min(future.result().json()["times_ms"]["model"] for future in futures) / 1000
    assert median(looks) < model_seconds / 2, "it waits for the model"


def test_standing_load_is_refused_though_the_queue_has_room_and_bursts_are_welcome_again(tmp_path: Path) -> None:
    publish(tmp_path / "models", work=60)
    settings = {"lanes": 1, "intra_op_threads": 1, "max_batch_size": 1, "max_queue_size": 1000, "max_wait_ms": 50}
    with running_server(tmp_path / "models", tmp_path / "log", **settings) as live:
        refused: list[httpx.Response] = []

        def keep_asking() -> None:
            while not refused:
                answer = live.classify(VIDEOS["red"])
                refused.extend([answer] if answer.status_code == 429 else [])

        with ThreadPoolExecutor(16) as pool:
            for asking in [pool.submit(keep_asking) for _ in range(16)]:
                asking.result(timeout=120)
        assert refused[0].json()["code"] == "queue_full"
        assert int(refused[0].headers["retry-after"]) >= 1
        live.until(lambda: live.metric("clipserve_admitted ") == 0)
        assert live.metric("clipserve_expected_wait_seconds") == 0
        assert live.classify(VIDEOS["red"]).status_code == 200
