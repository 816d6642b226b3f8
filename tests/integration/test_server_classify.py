"""One video through the real server."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from clips import load_clip
from tests.colour_model import SPEC, golden_probabilities, publish
from tests.live_server import ROOT, LiveServer, command, running_server
from tests.videos import BLUE, GOOD_VIDEOS, GREEN, RED, numbered_video, one_frame_video, solid_video, variable_rate_video


@pytest.mark.parametrize("kind", GOOD_VIDEOS)
@pytest.mark.parametrize("form", ["raw", "multipart"])
def test_a_red_video_of_any_kind_is_red(server: LiveServer, kind: str, form: str) -> None:
    video = GOOD_VIDEOS[kind]()
    answer = server.classify(video) if form == "raw" else server.upload(video)
    assert answer.status_code == 200, answer.text
    top = answer.json()["predictions"][0]
    assert top["label"] == "red"
    assert top["probability"] > 0.99


@pytest.mark.parametrize("content_type", ["video/mp4", "VIDEO/WebM", "application/octet-stream", "video/mp4; codecs=avc1"])
def test_a_raw_body_may_have_any_video_type(server: LiveServer, content_type: str) -> None:
    """Only the bytes decide: this is a red MP4 under whatever name."""
    answer = server.client.post("/classify", content=solid_video(RED), headers={"Content-Type": content_type})
    assert answer.json()["predictions"][0]["label"] == "red"


def test_the_answer_is_that_of_training_on_the_same_bytes(server: LiveServer) -> None:
    video = variable_rate_video()
    answer = server.classify(video, top_k=0).json()
    served = {p["label"]: p["probability"] for p in answer["predictions"]}
    expected = dict(zip(["red", "green", "blue"], golden_probabilities(video), strict=True))
    assert served == pytest.approx(expected, abs=1e-5)
    assert answer["video"]["frame_times_seconds"] == list(load_clip(video, SPEC).frame_times_seconds)


@pytest.mark.parametrize(("top_k", "count"), [(None, 3), (0, 3), (1, 1), (2, 2), (100, 3)])
def test_top_k_limits_the_labels(server: LiveServer, top_k: int | None, count: int) -> None:
    query = {} if top_k is None else {"top_k": top_k}
    predictions = server.classify(solid_video(BLUE), **query).json()["predictions"]
    assert len(predictions) == count
    probabilities = [p["probability"] for p in predictions]
    assert probabilities == sorted(probabilities, reverse=True)


def test_many_at_once_keep_their_own_answers(server: LiveServer) -> None:
    colours = {"red": RED, "green": GREEN, "blue": BLUE}
    names = [list(colours)[i] for i in np.random.default_rng(0).integers(0, 3, 60)]
    videos = {name: solid_video(colour) for name, colour in colours.items()}
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda name: server.classify(videos[name]).json(), names))
    assert [answer["predictions"][0]["label"] for answer in answers] == names


def test_versions_and_models_are_chosen_by_name(tmp_path: Path) -> None:
    for name, version in (("first", 1), ("first", 2), ("second", 1)):
        publish(tmp_path, name, version)
    settings = {"model_versions": "all", "default_model": "second"}
    with running_server(tmp_path, tmp_path / "log", **settings) as live:
        video = solid_video(RED)

        def served_by(**query: object) -> tuple[str, int]:
            answer = live.classify(video, **query).json()
            return answer["model"], answer["version"]

        assert served_by() == ("second", 1)
        assert served_by(model="first") == ("first", 2)
        assert served_by(model="first", version=1) == ("first", 1)
        assert [m["version"] for m in live.client.get("/models/first").json()["versions"]] == [2, 1]


def test_the_log_has_one_line_for_a_request_and_nothing_that_the_client_wrote(server: LiveServer) -> None:
    mark = {"X-Request-ID": "the-one-to-find"}
    hostile = "evil\u202e\nname"
    server.client.post("/classify", files={"file": (hostile, solid_video(RED))}, headers=mark | {"User-Agent": "evil"})
    server.client.get("/evil", params={"evil": "evil"})
    log = server.log.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "the-one-to-find"]
    assert (line["event"], line["route"], line["status"]) == ("request", "/classify", 200)
    assert set(line["times_ms"]) == {"upload", "decode", "queue", "model"}
    assert "evil" not in log


def classify_command(server: LiveServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command("classify", *arguments, "--url", server.url), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_command_prints_a_table(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "green.mp4").write_bytes(solid_video(GREEN))
    result = classify_command(server, str(tmp_path / "green.mp4"), "--top-k", "2")
    assert result.returncode == 0, result.stderr
    first, second = result.stdout.splitlines()[:2]
    assert first.split()[:2] == ["green", "100.0%"]
    assert "█" in first
    assert "0.0%" in second
    assert "colours/1: upload" in result.stdout


def test_the_command_shows_a_problem_in_one_line(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "still.mp4").write_bytes(one_frame_video())
    result = classify_command(server, str(tmp_path / "still.mp4"))
    assert result.returncode == 1
    assert result.stderr == "clipserve classify: The video has 1 frame(s); at least 2 are needed. (too_few_frames)\n"


def test_the_command_says_which_file_it_cannot_read(server: LiveServer) -> None:
    result = classify_command(server, "nowhere.mp4")
    assert result.returncode == 2
    assert result.stderr == "clipserve classify: nowhere.mp4 cannot be read: No such file or directory\n"


def test_the_command_says_when_no_server_answers(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(numbered_video())
    arguments = command("classify", str(tmp_path / "a.mp4"), "--url", "http://127.0.0.1:9")
    result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 1
    assert "no answer from 127.0.0.1:9" in result.stderr
    assert len(result.stderr.splitlines()) == 1
