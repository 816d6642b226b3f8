"""A model that gives tags, as it is served: by request, by window, in batches, from the cache, at the terminal."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import clipserve
from tests.colour_model import publish, tag_probabilities
from tests.live_server import LiveServer, running_server
from tests.videos import BLUE, GREEN, RED, Colour, encode, solid_picture, solid_video

YELLOW: Colour = (255, 255, 0)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
YELLOW_LINES = {"tags: red, green", "tags: green, red"}  # about as probable


@pytest.fixture(scope="module")
def tagging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("tags")
    publish(folder / "models", thresholds=[0.5, 0.5, 0.9])
    with running_server(folder / "models", folder / "log.jsonl", response_cache_entries=8) as live:
        yield live


@pytest.mark.parametrize(
    ("colour", "tags"), [(YELLOW, {"red", "green"}), (RED, {"red"}), (BLACK, set()), (WHITE, {"red", "green", "blue"})]
)
def test_a_video_has_the_tags_that_reach_their_thresholds(tagging: LiveServer, colour: Colour, tags: set[str]) -> None:
    video = solid_video(colour)
    answer = tagging.classify(video).json()
    assert set(answer["tags"]) == tags
    told = {each["label"]: each["probability"] for each in answer["predictions"]}
    assert [told[label] for label in ("red", "green", "blue")] == pytest.approx(tag_probabilities(video), abs=1e-3)
    assert list(told.values()) == sorted(told.values(), reverse=True)
    assert answer["tags"] == list(told)[: len(tags)], "the most probable first"


def test_each_label_has_a_threshold_of_its_own(tagging: LiveServer) -> None:
    """Grey in which each label has a probability of about 0.7."""
    assert set(tagging.classify(solid_video((150, 150, 150))).json()["tags"]) == {"red", "green"}


def test_tags_are_complete_whatever_top_k_is(tagging: LiveServer) -> None:
    answer = tagging.classify(solid_video(YELLOW), top_k=1).json()
    assert len(answer["predictions"]) == 1
    assert set(answer["tags"]) == {"red", "green"}


def test_a_known_answer_has_the_same_tags(tagging: LiveServer) -> None:
    video = solid_video(YELLOW, num_frames=20)
    first, second = tagging.classify(video), tagging.classify(video)
    assert [answer.headers["cache-status"] for answer in (first, second)] == ["ClipServe; fwd=miss", "ClipServe; hit"]
    assert first.json()["tags"] == second.json()["tags"]


def test_each_video_of_a_batch_has_its_tags(tagging: LiveServer) -> None:
    files = [("files", ("a", solid_video(colour))) for colour in (YELLOW, BLACK)]
    results = tagging.client.post("/classify/batch", files=files).json()["results"]
    assert [set(item["result"]["tags"]) for item in results] == [{"red", "green"}, set()]


def test_each_window_has_its_tags_and_each_tag_its_segments(tagging: LiveServer) -> None:
    """A second each of red, yellow, green and black."""
    video = encode([solid_picture(colour) for colour in (RED, YELLOW, GREEN, BLACK) for _ in range(25)])
    answer = tagging.client.post("/timeline", params={"window_seconds": 1}, files={"file": ("a", video)})
    _, *windows, last = map(json.loads, answer.text.splitlines())
    assert [set(event["tags"]) for event in windows] == [{"red"}, {"red", "green"}, {"green"}, set()]
    spans = {each["label"]: (each["start_seconds"], each["end_seconds"]) for each in last["segments"]}
    assert spans == {"red": (0.0, 2.0), "green": (1.0, 3.0)}


def test_the_model_tells_its_task_and_thresholds(tagging: LiveServer) -> None:
    (model,) = tagging.client.get("/models").json()["models"]
    assert (model["task"], model["thresholds"]) == ("multi_label", [0.5, 0.5, 0.9])


@pytest.mark.parametrize(("colour", "lines"), [(YELLOW, YELLOW_LINES), (BLACK, {"tags: none"}), (BLUE, {"tags: blue"})])
def test_the_terminal_shows_them(
    tagging: LiveServer, colour: Colour, lines: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_bytes(solid_video(colour))
    assert clipserve.main(["classify", str(tmp_path / "a.mp4"), "--url", tagging.url]) == 0
    assert capsys.readouterr().out.splitlines()[0] in lines


def test_clips_that_are_decoded_elsewhere_get_the_same_probabilities(tagging: LiveServer) -> None:
    spec = tagging.client.get("/models").json()["models"][0]["clip_spec"]
    clip = np.full((1, spec["num_frames"], spec["height"], spec["width"], 3), 255, np.uint8)
    body = {"inputs": [{"name": "clips", "shape": list(clip.shape), "datatype": "UINT8", "data": clip.ravel().tolist()}]}
    answer = tagging.client.post("/v2/models/colours/infer", json=body).json()
    assert answer["outputs"][0]["data"] == pytest.approx([1 / (1 + np.exp(-5))] * 3, abs=1e-4)
