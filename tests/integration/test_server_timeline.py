"""A longer video, window by window: events come as they are ready, in order, and one bad window fails alone."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from clips import ClipSpec, TimeWindow, load_clips
from tests.colour_model import SPEC, publish
from tests.encodings import with_damaged_frame
from tests.integration.test_server_batch import check_nothing_is_left, problem_of
from tests.live_server import LiveServer, running_server
from tests.raw_connection import RawConnection
from tests.videos import BLUE, GREEN, MPEG4_AVI, RED, Colour, encode, numbered_video, one_frame_video, remuxed, solid_picture

SECOND = 25
"""Frames."""
MAX_WINDOWS = 30
NDJSON, SERVER_SENT_EVENTS = "application/x-ndjson", "text/event-stream"
_RAW = {"Content-Type": "video/mp4"}


def coloured(*seconds: Colour) -> bytes:
    """A video with a second of each colour."""
    return encode([solid_picture(colour) for colour in seconds for _ in range(SECOND)])


SIX_SECONDS = coloured(RED, RED, GREEN, BLUE, BLUE, RED)


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Its model takes a part of a second for each clip, one after the other."""
    folder = tmp_path_factory.mktemp("slow")
    publish(folder / "models", work=60)
    settings = {"intra_op_threads": 1, "max_batch_size": 1, "max_wait_ms": 0, "max_windows": MAX_WINDOWS}
    with running_server(folder / "models", folder / "log", **settings) as live:
        yield live


def send(live: LiveServer, video: bytes, accept: str = NDJSON, **query: Any) -> httpx.Response:
    headers = {"Content-Type": "video/mp4", "Accept": accept}
    return live.client.post("/timeline", content=video, params={"window_seconds": 1} | query, headers=headers)


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(NDJSON)
    return [json.loads(line) for line in answer.text.splitlines()]


def labels(told: list[dict[str, Any]]) -> list[str]:
    """The most probable label, or the code of the problem, of each window."""
    windows = [event for event in told if event["event"] in {"window", "problem"}]
    assert [window["index"] for window in windows] == list(range(len(windows)))
    return [event["predictions"][0]["label"] if event["event"] == "window" else event["problem"]["code"] for event in windows]


def test_every_window_has_its_own_answer_and_neighbours_with_one_label_become_a_segment(server: LiveServer) -> None:
    told = events(send(server, SIX_SECONDS))
    assert [event["event"] for event in told] == ["video", *["window"] * 6, "segments"]
    assert labels(told) == ["red", "red", "green", "blue", "blue", "red"]
    assert [(e["start_seconds"], e["end_seconds"]) for e in told[1:7]] == [(float(s), float(s + 1)) for s in range(6)]
    video = told[0]
    assert (video["model"], video["version"], video["windows"]) == ("colours", 1, 6)
    assert video["video"]["duration_seconds"] == pytest.approx(6.0)
    segments = [(each["label"], each["start_seconds"], each["end_seconds"], each["windows"]) for each in told[-1]["segments"]]
    assert segments == [("red", 0, 2, 2), ("green", 2, 3, 1), ("blue", 3, 5, 2), ("red", 5, 6, 1)]
    assert told[-1]["failed_windows"] == 0


def test_overlapping_windows_meet_in_the_middle_and_the_last_ends_with_the_video(server: LiveServer) -> None:
    told = events(send(server, coloured(RED, RED, BLUE, BLUE, BLUE), window_seconds=2, stride_seconds=1.5))
    windows = [(event["start_seconds"], event["end_seconds"]) for event in told[1:-1]]
    assert windows == [(0, 2), (1.5, 3.5), (3, 5)]
    segments = [(each["label"], each["start_seconds"], each["end_seconds"]) for each in told[-1]["segments"]]
    assert [name for name, _, _ in segments] == ["red", "blue"]
    assert [edge for _, *edge in segments] == [pytest.approx([0, 1.75]), pytest.approx([1.75, 5])]


def test_one_window_over_all_of_the_video_says_what_classify_says(server: LiveServer) -> None:
    told = events(send(server, SIX_SECONDS, window_seconds=60, top_k=0))
    alone = server.classify(SIX_SECONDS, top_k=0).json()
    assert told[1]["predictions"] == alone["predictions"]
    assert told[1]["end_seconds"] == alone["video"]["duration_seconds"]


def test_a_window_is_the_clip_of_that_part_whatever_else_was_decoded_with_it(server: LiveServer) -> None:
    """Through the protocol for decoded clips, as the other way to the same model."""
    video = numbered_video(5 * SECOND)
    told = events(send(server, video, window_seconds=0.7, stride_seconds=0.4, top_k=0))[1:-1]
    spec = ClipSpec(**server.client.get("/models/colours").json()["versions"][0]["clip_spec"])
    assert spec == SPEC
    windows = [TimeWindow(event["start_seconds"], event["end_seconds"]) for event in told]
    for event, clip in zip(told, load_clips(video, spec, windows), strict=True):
        answer = server.client.post(
            "/v2/models/colours/infer",
            content=clip.frames.tobytes(),
            headers={"Inference-Header-Content-Length": "0", "Content-Type": "application/octet-stream"},
        )
        probabilities = dict(zip(["red", "green", "blue"], memoryview(answer.content[-12:]).cast("f"), strict=True))
        assert {each["label"]: each["probability"] for each in event["predictions"]} == pytest.approx(probabilities, abs=1e-6)


def test_server_sent_events_carry_the_same(server: LiveServer) -> None:
    answer = send(server, SIX_SECONDS, accept=SERVER_SENT_EVENTS)
    assert answer.headers["content-type"].startswith(SERVER_SENT_EVENTS)
    assert answer.headers["cache-control"] == "no-store"
    blocks = [block.split("\n") for block in answer.text.removesuffix("\n\n").split("\n\n")]
    told = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [name for name, _ in blocks] == [f"event: {event['event']}" for event in told]
    assert told == events(send(server, SIX_SECONDS))


def test_a_form_is_taken_as_well(server: LiveServer) -> None:
    answer = server.client.post("/timeline", files={"file": ("a.mp4", SIX_SECONDS)}, params={"window_seconds": 3})
    assert labels(events(answer)) == ["red", "blue"]


@pytest.mark.parametrize(
    ("video", "status", "code"),
    [
        (b"", 400, "empty_body"),
        (b"hello", 415, "not_a_video"),
        (one_frame_video(), 422, "too_few_frames"),
    ],
)
def test_what_is_no_video_is_a_problem_and_no_stream(server: LiveServer, video: bytes, status: int, code: str) -> None:
    assert problem_of(send(server, video)) == (status, code)
    check_nothing_is_left(server)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"model": "nobody"}, 404, "unknown_model"),
        ({"window_seconds": 0}, 422, "invalid_parameter"),
        ({"stride_seconds": -1}, 422, "invalid_parameter"),
        ({"window_seconds": "nan"}, 422, "invalid_parameter"),
        ({"stride": 1}, 422, "invalid_parameter"),
    ],
)
def test_a_query_that_cannot_be_answered_is_a_problem(
    server: LiveServer, query: dict[str, Any], status: int, code: str
) -> None:
    assert problem_of(send(server, SIX_SECONDS, **query)) == (status, code)


def test_more_windows_than_the_setting_are_refused_and_the_remedy_is_named(slow_server: LiveServer) -> None:
    answer = send(slow_server, SIX_SECONDS, stride_seconds=0.1)
    assert problem_of(answer) == (422, "invalid_parameter")
    assert f"51 windows, and at most {MAX_WINDOWS}" in answer.json()["detail"]
    assert "stride_seconds" in answer.json()["detail"]
    check_nothing_is_left(slow_server)


def test_a_window_that_cannot_be_decoded_fails_alone(server: LiveServer) -> None:
    """The fourth second of six is noise."""
    whole = encode([solid_picture(GREEN) for _ in range(6 * SECOND)], MPEG4_AVI)
    broken = remuxed(
        whole,
        "avi",
        lambda packets: [
            b"\xff" * len(packet) if 3 * SECOND <= at < 4 * SECOND else packet for at, packet in enumerate(packets)
        ],
    )
    before = server.metric('clipserve_problems_total{code="decode_failed"}')
    told = events(send(server, broken))
    assert labels(told)[:3] + labels(told)[5:] == ["green"] * 4
    assert labels(told)[3] == "decode_failed"
    failed = labels(told).count("decode_failed")
    assert told[-1]["failed_windows"] == failed
    assert told[4]["problem"]["request_id"]
    assert server.metric('clipserve_problems_total{code="decode_failed"}') == before + failed
    segments = told[-1]["segments"]
    assert all(each["end_seconds"] <= 3 or each["start_seconds"] >= 4 for each in segments)


def test_damage_is_told_of_the_window_that_has_it(server: LiveServer) -> None:
    """One coded frame of the third second; the others are as they were sent."""
    told = events(send(server, with_damaged_frame(60, num_frames=6 * SECOND)))
    partial = [event["partial"] for event in told[1:-1]]
    assert partial[2]
    assert sum(partial) < len(partial) / 2


def test_a_first_window_that_is_not_ready_in_time_is_a_problem_and_no_stream(slow_server: LiveServer) -> None:
    answer = send(slow_server, SIX_SECONDS, timeout_ms=1)
    assert problem_of(answer) == (504, "deadline_exceeded")
    check_nothing_is_left(slow_server)


def test_events_come_while_later_windows_are_computed(slow_server: LiveServer) -> None:
    """Who leaves after the first window stops the others."""
    before = slow_server.metric("clipserve_batch_size_sum")
    video = coloured(*[RED] * MAX_WINDOWS)
    with slow_server.client.stream("POST", "/timeline", content=video, params={"window_seconds": 1}, headers=_RAW) as answer:
        lines = answer.iter_lines()
        assert [json.loads(next(lines))["event"] for _ in range(2)] == ["video", "window"]
    check_nothing_is_left(slow_server)
    computed = slow_server.metric("clipserve_batch_size_sum") - before
    assert 1 <= computed < MAX_WINDOWS, "windows were computed for nobody"


def test_single_videos_are_answered_while_timelines_run(slow_server: LiveServer) -> None:
    video = coloured(*[BLUE] * MAX_WINDOWS)
    with ThreadPoolExecutor(2) as pool:
        before = slow_server.metric("clipserve_batch_size_sum")
        timelines = [pool.submit(send, slow_server, video) for _ in range(2)]
        slow_server.until(lambda: slow_server.metric("clipserve_batch_size_sum") > before + 4)
        singles = [slow_server.classify(SIX_SECONDS) for _ in range(3)]
        assert not any(timeline.done() for timeline in timelines), "they had to wait for all of it"
        assert [single.status_code for single in singles] == [200] * 3
        for timeline in timelines:
            assert labels(events(timeline.result())) == ["blue"] * MAX_WINDOWS
    check_nothing_is_left(slow_server)


def test_many_timelines_at_once_are_each_their_own(slow_server: LiveServer) -> None:
    orders = [[RED, GREEN, BLUE], [BLUE, RED, GREEN], [GREEN, GREEN, RED]] * 4
    names = {RED: "red", GREEN: "green", BLUE: "blue"}
    with ThreadPoolExecutor(len(orders)) as pool:
        answers = list(pool.map(lambda order: send(slow_server, coloured(*order)), orders))
    assert [labels(events(answer)) for answer in answers] == [[names[colour] for colour in order] for order in orders]
    check_nothing_is_left(slow_server)


MOST_TIMELINES = 6


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Takes few timelines; single videos are to wait as by default."""
    folder = tmp_path_factory.mktemp("small")
    publish(folder / "models")
    with running_server(folder / "models", folder / "log", max_timelines=MOST_TIMELINES, max_wait_ms=700) as live:
        yield live


def test_one_timeline_too_many_is_told_to_come_back_and_single_videos_are_not(small_server: LiveServer) -> None:
    """The others are uploads that have stopped half way."""
    with ExitStack() as stack:
        for _ in range(MOST_TIMELINES):
            connection = stack.enter_context(RawConnection(small_server))
            connection.post("Content-Length: 1000", body=b"half", path="/timeline")
        small_server.until(lambda: small_server.metric("clipserve_uploads ") == MOST_TIMELINES)
        answer = send(small_server, SIX_SECONDS)
        assert problem_of(answer) == (429, "queue_full")
        assert int(answer.headers["retry-after"]) > 0
        assert small_server.classify(SIX_SECONDS).status_code == 200
    check_nothing_is_left(small_server)
    assert send(small_server, SIX_SECONDS).status_code == 200


def test_timelines_that_are_read_keep_nobody_out(small_server: LiveServer) -> None:
    video = coloured(*[BLUE] * 20)
    with ThreadPoolExecutor(MOST_TIMELINES) as pool:
        timelines = [pool.submit(send, small_server, video, stride_seconds=0.1) for _ in range(MOST_TIMELINES)]
        singles = [small_server.classify(SIX_SECONDS).status_code for _ in range(20)]
        assert singles == [200] * 20
        assert all(len(events(timeline.result())) == 193 for timeline in timelines)


def test_a_server_that_stops_says_so_in_the_last_event(tmp_path: Path) -> None:
    publish(tmp_path / "models", work=60)
    settings = {"intra_op_threads": 1, "max_batch_size": 1, "drain_seconds": 1}
    video = coloured(*[RED] * 60)
    with (
        running_server(tmp_path / "models", tmp_path / "log", **settings) as live,
        live.client.stream("POST", "/timeline", content=video, params={"window_seconds": 0.1}, headers=_RAW) as answer,
    ):
        lines = answer.iter_lines()
        assert [json.loads(next(lines))["event"] for _ in range(2)] == ["video", "window"]
        live.process.terminate()
        last = [json.loads(line) for line in lines][-1]
        assert (last["event"], last["problem"]["code"]) == ("failed", "draining")
        assert last["retry_after_seconds"] > 0
        assert live.process.wait(60) == 0
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert '"problem_code": "draining"' in log


def test_a_model_that_is_unloaded_for_good_ends_the_stream(tmp_path: Path) -> None:
    publish(tmp_path / "models", work=60)
    settings = {"intra_op_threads": 1, "max_batch_size": 1, "drain_seconds": 1, "model_management": "on", "api_keys": "a-key"}
    video = coloured(*[RED] * 60)
    with running_server(tmp_path / "models", tmp_path / "log", **settings) as live:
        live.client.headers["X-API-Key"] = "a-key"
        with live.client.stream("POST", "/timeline", content=video, params={"window_seconds": 0.1}, headers=_RAW) as answer:
            lines = answer.iter_lines()
            assert [json.loads(next(lines))["event"] for _ in range(2)] == ["video", "window"]
            assert live.client.post("/models/colours/unload").status_code == 200
            last = [json.loads(line) for line in lines][-1]
        assert (last["event"], last["problem"]["code"]) == ("failed", "model_unloaded")
        check_nothing_is_left(live)


def test_the_log_says_how_many_windows_there_were(server: LiveServer) -> None:
    answer = send(server, SIX_SECONDS)
    line = server.log_line(answer.headers["x-request-id"])
    assert (line["route"], line["status"], line["windows"], line["failed_windows"]) == ("/timeline", 200, 6, 0)


def test_windows_cover_a_video_of_any_length(server: LiveServer) -> None:
    for frames in (10, 25, 26, 49, 51, 74):
        told = events(send(server, numbered_video(frames)))[1:-1]
        edges = [(event["start_seconds"], event["end_seconds"]) for event in told]
        assert edges[0][0] == 0
        assert edges[-1][1] == pytest.approx(frames / SECOND)
        assert all(after[0] <= before[1] for before, after in pairwise(edges))


def test_a_key_is_asked_for(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    with running_server(tmp_path / "models", tmp_path / "log", api_keys="a-key") as live:
        assert problem_of(send(live, SIX_SECONDS)) == (401, "unauthorized")
        live.client.headers["X-API-Key"] = "a-key"
        assert labels(events(send(live, SIX_SECONDS)))[0] == "red"
