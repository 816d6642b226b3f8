"""Several videos in one request: each has its own outcome, in order, and costs what it would cost alone."""

import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.colour_model import publish
from tests.integration.test_server_uploads import until_held
from tests.live_server import LiveServer, running_server
from tests.raw_connection import RawConnection
from tests.videos import BLUE, GREEN, RED, damaged, numbered_video, one_frame_video, solid_video, variable_rate_video

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE}
VIDEOS = {name: solid_video(colour) for name, colour in COLOURS.items()}
MAX_FILES = 6
MAX_BYTES = 50_000
MAX_BATCH_BYTES = 160_000
UPLOAD_SECONDS = 6


@pytest.fixture(scope="module")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Has small limits."""
    folder = tmp_path_factory.mktemp("strict")
    publish(folder / "models")
    limits = {
        "max_batch_files": MAX_FILES,
        "max_upload_bytes": MAX_BYTES,
        "max_batch_bytes": MAX_BATCH_BYTES,
        "upload_timeout_seconds": UPLOAD_SECONDS,
    }
    with running_server(folder / "models", folder / "log", **limits) as live:
        yield live


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Its model takes a part of a second for each clip, one after the other, and few videos find a place."""
    folder = tmp_path_factory.mktemp("slow")
    publish(folder / "models", work=60)
    settings = {"intra_op_threads": 1, "max_batch_size": 1, "max_uploads": 20, "max_wait_ms": 0}
    with running_server(folder / "models", folder / "log", **settings) as live:
        yield live


def send(live: LiveServer, *videos: bytes, **query: Any) -> httpx.Response:
    files = [("files", (f"{index}.mp4", video, "video/mp4")) for index, video in enumerate(videos)]
    return live.client.post("/classify/batch", files=files, params=query)


def outcomes(answer: httpx.Response) -> list[str]:
    """The most probable label, or the code of the problem, of each file."""
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [item["index"] for item in results] == list(range(len(results)))
    return [
        item["result"]["predictions"][0]["label"] if item["outcome"] == "result" else item["problem"]["code"]
        for item in results
    ]


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "times_ms"}


def test_answers_come_in_the_order_of_the_files(server: LiveServer) -> None:
    names = ["red", "blue", "green", "green", "red", "blue", "red", "red", "blue", "green", "blue", "red"]
    assert outcomes(send(server, *(VIDEOS[name] for name in names))) == names


def test_one_video_is_a_batch_too(server: LiveServer) -> None:
    answer = send(server, VIDEOS["green"])
    assert outcomes(answer) == ["green"]
    assert (answer.json()["model"], answer.json()["version"]) == ("colours", 1)


def test_every_result_is_that_of_the_video_alone_bit_for_bit(server: LiveServer) -> None:
    videos = [variable_rate_video(), numbered_video(), *VIDEOS.values()]
    batch = send(server, *videos, top_k=0).json()["results"]
    alone = [server.classify(video, top_k=0).json() for video in videos]
    assert [without_times(item["result"]) for item in batch] == [without_times(answer) for answer in alone]
    assert all(list(item["result"]["times_ms"]) == ["upload", "decode", "queue", "model"] for item in batch)


def test_the_times_of_a_batch_are_those_of_its_form_and_of_the_video_that_took_longest(server: LiveServer) -> None:
    count = 'clipserve_stage_seconds_count{stage="upload"}'
    before = server.metric(count)
    answer = send(server, VIDEOS["red"], one_frame_video(), VIDEOS["blue"])
    line = server.log_line(answer.headers["x-request-id"])
    stages = [entry.split(";dur=") for entry in answer.headers["server-timing"].split(", ")]
    assert {stage: float(ms) for stage, ms in stages} == line["times_ms"]
    assert list(line["times_ms"]) == ["upload", "decode", "queue", "model"]
    of_videos = [item["result"]["times_ms"] for item in answer.json()["results"] if item["outcome"] == "result"]
    after_upload = [{stage: ms for stage, ms in times.items() if stage != "upload"} for times in of_videos]
    assert {stage: ms for stage, ms in line["times_ms"].items() if stage != "upload"} in after_upload
    assert line["times_ms"]["upload"] >= max(times["upload"] for times in of_videos)
    assert server.metric(count) == before + 3


def test_a_bad_video_fails_alone_with_the_problem_that_it_has_alone(strict_server: LiveServer) -> None:
    bad = [b"", b"hello", one_frame_video(), damaged(numbered_video(width=320, height=240)), bytes(MAX_BYTES + 1)]
    answer = send(strict_server, bad[0], VIDEOS["red"], *bad[1:4], VIDEOS["blue"])
    assert outcomes(answer) == ["empty_body", "red", "not_a_video", "too_few_frames", "decode_failed", "blue"]
    assert outcomes(send(strict_server, bad[4], VIDEOS["green"])) == ["upload_too_large", "green"]
    for video, item in zip(bad[1:4], answer.json()["results"][2:5], strict=True):
        alone = strict_server.classify(video).json()
        assert item["problem"] == alone | {"request_id": answer.headers["x-request-id"]}
        assert item["retry_after_seconds"] is None


def test_only_bad_videos_are_an_answer_too(server: LiveServer) -> None:
    assert outcomes(send(server, b"", b"x", b"")) == ["empty_body", "not_a_video", "empty_body"]


def test_problems_of_videos_are_counted_and_the_log_says_how_many(server: LiveServer) -> None:
    line = 'clipserve_problems_total{code="too_few_frames"}'
    before = server.metric(line)
    send(server, one_frame_video(), VIDEOS["red"], one_frame_video())
    assert server.metric(line) == before + 2
    lines = [line for line in server.log.read_text().splitlines() if '"/classify/batch"' in line]
    assert '"videos": 3, "failed_videos": 2' in lines[-1]


@pytest.mark.parametrize(("size", "outcome"), [(MAX_BYTES, "red"), (MAX_BYTES + 1, "upload_too_large")])
def test_each_video_may_have_exactly_the_bytes_of_the_setting(strict_server: LiveServer, size: int, outcome: str) -> None:
    assert outcomes(send(strict_server, padded(size), VIDEOS["blue"])) == [outcome, "blue"]


def padded(size: int) -> bytes:
    """A red video with a box of nothing behind it, ``size`` bytes in all."""
    room = size - len(VIDEOS["red"])
    return VIDEOS["red"] + room.to_bytes(4, "big") + b"free" + bytes(room - 8)


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def test_one_file_too_many_refuses_the_request_and_names_the_limit(strict_server: LiveServer) -> None:
    assert outcomes(send(strict_server, *[VIDEOS["red"]] * MAX_FILES)) == ["red"] * MAX_FILES
    for count in (MAX_FILES + 1, 40):
        answer = send(strict_server, *[VIDEOS["red"]] * count)
        assert problem_of(answer) == (400, "malformed_upload")
        assert f"one to {MAX_FILES} videos" in answer.json()["detail"]


def test_all_videos_together_may_have_exactly_the_bytes_of_the_setting(strict_server: LiveServer) -> None:
    last = MAX_BATCH_BYTES - 3 * MAX_BYTES
    assert outcomes(send(strict_server, *[padded(MAX_BYTES)] * 3, padded(last))) == ["red"] * 4
    answer = send(strict_server, *[padded(MAX_BYTES)] * 3, padded(last + 1))
    assert problem_of(answer) == (413, "upload_too_large")
    assert str(MAX_BATCH_BYTES) in answer.json()["detail"]


def test_what_was_refused_counts_among_all_bytes(strict_server: LiveServer) -> None:
    """Else a body could go on for ever."""
    assert problem_of(send(strict_server, bytes(MAX_BATCH_BYTES + 1))) == (413, "upload_too_large")


FORM_TYPE = "Content-Type: multipart/form-data; boundary=edge"
FILE_HEAD = b'--edge\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'


def test_an_honest_length_is_refused_before_the_body_is_sent(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        connection.post(FORM_TYPE, f"Content-Length: {10**12}", path="/classify/batch")
        assert connection.answer() == (413, "upload_too_large")


def test_a_body_that_never_arrives_is_answered_in_time(strict_server: LiveServer) -> None:
    with RawConnection(strict_server) as connection:
        body = FILE_HEAD + VIDEOS["red"] + b"\r\n" + FILE_HEAD + b"half"
        connection.post(FORM_TYPE, f"Content-Length: {len(body) + 1}", path="/classify/batch", body=body)
        assert connection.answer() == (408, "upload_timeout")
    check_nothing_is_left(strict_server)


@pytest.mark.parametrize(
    "form",
    [
        {"files": {"file": ("a.mp4", VIDEOS["red"])}},
        {"files": [("files", ("a.mp4", VIDEOS["red"])), ("file", ("b.mp4", VIDEOS["red"]))]},
        {"files": {"other": ("", b"")}},
        {"content": VIDEOS["red"], "headers": {"Content-Type": "multipart/form-data"}},
        {"content": FILE_HEAD + VIDEOS["red"], "headers": {"Content-Type": "multipart/form-data; boundary=edge"}},
        {"files": {"files": ("a.mp4", VIDEOS["red"])}, "data": {f"field{i}": "x" for i in range(100)}},
    ],
    ids=["the field of one", "both fields", "no file", "no boundary", "cut", "many fields"],
)
def test_a_form_that_breaks_the_rules_is_refused_as_a_whole(strict_server: LiveServer, form: dict[str, Any]) -> None:
    assert problem_of(strict_server.client.post("/classify/batch", **form)) == (400, "malformed_upload")
    check_nothing_is_left(strict_server)


@pytest.mark.parametrize("content_type", ["video/mp4", "application/json", ""])
def test_several_videos_come_as_a_form_only(server: LiveServer, content_type: str) -> None:
    answer = server.client.post("/classify/batch", content=VIDEOS["red"], headers={"Content-Type": content_type})
    assert problem_of(answer) == (415, "unsupported_media_type")
    assert "`files`" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"model": "nobody"}, 404, "unknown_model"),
        ({"top_k": -1}, 422, "invalid_parameter"),
        ({"topk": 1}, 422, "invalid_parameter"),
    ],
)
def test_a_query_that_cannot_be_answered_refuses_the_request(
    server: LiveServer, query: dict[str, Any], status: int, code: str
) -> None:
    assert problem_of(send(server, VIDEOS["red"], **query)) == (status, code)


def test_a_deadline_is_one_for_all_videos(slow_server: LiveServer) -> None:
    assert outcomes(send(slow_server, *[VIDEOS["red"]] * 12, timeout_ms=1)) == ["deadline_exceeded"] * 12
    check_nothing_is_left(slow_server)


def check_nothing_is_left(live: LiveServer) -> None:
    live.until(lambda: live.metric("clipserve_uploads ") == live.metric("clipserve_admitted ") == 0)
    assert live.metric("clipserve_queue_length") == 0
    until_held(live, lambda held: not held)


@contextmanager
def half_a_batch(live: LiveServer, num_videos: int) -> Iterator[RawConnection]:
    """A caller that has sent so many videos and not the end of its form."""
    body = b"".join(FILE_HEAD + VIDEOS["red"] + b"\r\n" for _ in range(num_videos))
    before = live.metric("clipserve_uploads ")
    with RawConnection(live) as connection:
        end = b"--edge--\r\n"
        connection.post(FORM_TYPE, f"Content-Length: {len(body) + len(end)}", path="/classify/batch", body=body)
        live.until(lambda: live.metric("clipserve_uploads ") == before + num_videos)
        yield connection


def test_every_video_of_a_batch_takes_a_place_and_one_that_finds_none_is_told_when_to_return(slow_server: LiveServer) -> None:
    with half_a_batch(slow_server, 16), half_a_batch(slow_server, 2):
        answer = send(slow_server, *VIDEOS.values(), VIDEOS["red"])
        assert outcomes(answer) == ["red", "green", "queue_full", "queue_full"]
        refused = answer.json()["results"][2]
        assert refused["problem"]["status"] == 429
        assert refused["retry_after_seconds"] > 0
    check_nothing_is_left(slow_server)


def test_a_batch_that_finds_no_place_at_all_is_refused(slow_server: LiveServer) -> None:
    with half_a_batch(slow_server, 16), half_a_batch(slow_server, 4):
        answer = send(slow_server, *VIDEOS.values())
        assert problem_of(answer) == (429, "queue_full")
        assert int(answer.headers["retry-after"]) > 0
    check_nothing_is_left(slow_server)


def test_a_video_for_which_the_disk_has_no_room_fails_alone(slow_server: LiveServer) -> None:
    pid, large = slow_server.process.pid, padded(3 * 2**20)
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (2 * 2**20, resource.RLIM_INFINITY))
    try:
        answer = send(slow_server, VIDEOS["blue"], large, VIDEOS["green"])
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    assert outcomes(answer) == ["blue", "storage_full", "green"]
    assert answer.json()["results"][1]["retry_after_seconds"] > 0
    assert outcomes(send(slow_server, large)) == ["red"]
    check_nothing_is_left(slow_server)


def test_a_sender_that_leaves_in_the_middle_leaves_nothing(slow_server: LiveServer) -> None:
    with half_a_batch(slow_server, 5):
        until_held(slow_server, lambda held: len(held) == 5)
    check_nothing_is_left(slow_server)


def test_a_caller_that_leaves_while_its_videos_wait_stops_them_all(slow_server: LiveServer) -> None:
    clips = slow_server.metric("clipserve_batch_size_sum")
    with half_a_batch(slow_server, 16) as connection:
        connection.write(b"--edge--\r\n")
        slow_server.until(lambda: slow_server.metric("clipserve_admitted ") == 16)
    check_nothing_is_left(slow_server)
    assert slow_server.metric("clipserve_batch_size_sum") < clips + 16, "its videos were computed all the same"


def test_single_videos_are_answered_while_a_large_batch_runs(slow_server: LiveServer) -> None:
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(send, slow_server, *[VIDEOS["blue"]] * 16)
        slow_server.until(lambda: slow_server.metric("clipserve_admitted ") > 0)
        singles = [slow_server.classify(VIDEOS["red"]) for _ in range(3)]
        assert not batch.done(), "they had to wait for all of it"
        assert [single.status_code for single in singles] == [200] * 3
        assert outcomes(batch.result()) == ["blue"] * 16


def test_a_batch_is_refused_like_a_single_video_where_a_key_is_missing(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log", api_keys="a-key") as live:
        assert problem_of(send(live, VIDEOS["red"])) == (401, "unauthorized")
        live.client.headers["X-API-Key"] = "a-key"
        assert outcomes(send(live, VIDEOS["red"])) == ["red"]
