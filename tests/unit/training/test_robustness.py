"""Models on clips that are not as they were trained."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import clipserve
from clips import ClipSpec, load_clip
from tests.colour_model import publish
from tests.videos import encode, grainy_picture, solid_video
from training.dataset import read_dataset
from training.interruption import Interruption
from training.metrics import measure
from training.model_source import TrainedModel
from training.presets import resolve_config
from training.robustness import conditions, robustness, shown_as
from training.task import TASKS
from training.train import train

SPEC = ClipSpec(num_frames=8, height=224, width=224)


def values(spec: ClipSpec, any_shape: bool) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for condition in conditions(spec, any_shape):
        found.setdefault(condition.axis, []).append(condition.value)
    return found


def test_a_checkpoint_is_measured_with_other_frames_and_sizes_and_on_poorer_videos() -> None:
    poorer = {"video_frames": [4, 2], "video_size": [112, 56]}
    assert values(SPEC, any_shape=True) == {"frames": [4, 16], "size": [128, 160, 288]} | poorer
    assert values(SPEC, any_shape=False) == poorer


def test_one_thing_changes_at_a_time_and_the_model_gets_its_own_shape_of_poorer_videos() -> None:
    for condition in conditions(SPEC, any_shape=True):
        changed = {key for key, value in condition.decoded.model_dump().items() if value != getattr(SPEC, key)}
        assert changed == ({"num_frames"} if condition.axis.endswith("frames") else {"height", "width"})
        assert condition.shown == (SPEC if condition.axis.startswith("video") else condition.decoded)


def test_there_is_nothing_smaller_than_one_frame_nor_larger_than_the_longest_clip() -> None:
    assert values(ClipSpec(num_frames=1, height=32, width=32), any_shape=True) == {"frames": [2], "video_size": [16]}
    assert values(ClipSpec(num_frames=64, height=32, width=32), any_shape=True)["frames"] == [32]


def test_fewer_frames_are_repeated_evenly() -> None:
    stored = np.broadcast_to(np.arange(3, dtype=np.uint8)[None, :, None, None, None], (2, 3, 32, 32, 3))
    shown = shown_as(stored, ClipSpec(num_frames=8, height=32, width=32))
    assert shown[1, :, 5, 5, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_a_small_clip_is_enlarged_as_the_decoder_enlarges_a_small_video() -> None:
    """Frames of 32 px, decoded as they are and as the model wants them; the decoder rounds colours on the way."""
    video = encode([grainy_picture(number, 32, 32) for number in range(8)])
    small = load_clip(video, ClipSpec(num_frames=2, height=32, width=32)).frames
    large = ClipSpec(num_frames=2, height=64, width=64)
    difference = shown_as(small[None], large)[0].astype(int) - load_clip(video, large).frames
    assert np.abs(difference).mean() < 1.5
    nearest = small.repeat(2, axis=1).repeat(2, axis=2).astype(int) - load_clip(video, large).frames
    assert np.abs(nearest).mean() > 2 * np.abs(difference).mean()


def test_a_published_model_is_measured_on_poorer_videos(tmp_path: Path, make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    data, model = make_clips({"red": 2, "green": 2, "blue": 2}), publish(tmp_path / "models")
    (data / "red" / "0.mp4").write_bytes(solid_video((0, 200, 0), num_frames=6, width=48))
    files = ["--json", data / "figures.json", "--report", data / "report.html", "--workers", 0]
    assert clipserve.main(["evaluate", *map(str, (model, data, "--robustness", *files))]) == 0
    rows = json.loads((data / "figures.json").read_text())["robustness"]
    assert [(row["axis"], row["value"], row["trained"]) for row in rows] == [
        ("video_frames", 1, False),
        ("video_frames", 2, False),
        ("video_frames", 4, True),
        ("video_size", 16, False),
        ("video_size", 32, True),
    ]
    assert all(row["accuracy"] == pytest.approx(5 / 6) and row["clips"] == 6 for row in rows), "it sees colours alone"
    assert "distinct frames of the video" in capsys.readouterr().out
    page = (data / "report.html").read_text()
    assert "<h2>Robustness</h2>" in page
    assert page.count("<img") == 5, "three plots, the axes, and the one mistake"


def test_a_checkpoint_is_measured_in_other_shapes(make_clips, big_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_clips({"red": 4, "green": 4})
    settings = {"name": "m", "dataset": str(data), "weights": "none", "backbone": "resnet18", "epochs": 0, "head_epochs": 1}
    small = {
        "size": 64,
        "num_frames": 2,
        "frame_choices": 1,
        "head_views": 1,
        "temporal": "lstm",
        "workers": 0,
        "device": "cpu",
    }
    best = train(resolve_config("finetune", settings | small), None, big_files, Interruption()).best
    file = big_files / "figures.json"
    assert clipserve.main(["evaluate", str(best), str(data), "--robustness", "--json", str(file), "--workers", "0"]) == 0
    rows = json.loads(file.read_text())["robustness"]
    assert {(row["axis"], row["value"]) for row in rows} >= {("frames", 1), ("frames", 4), ("size", 32), ("size", 96)}
    assert sum(row["trained"] for row in rows) == 4
    assert "frames that the model looks at" in capsys.readouterr().out


def test_tags_are_measured_at_the_thresholds_of_the_model(
    tmp_path: Path, make_clips, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model looks at colours alone and gives each clip its tag from the thresholds on that nobody else would choose."""
    data, model = make_clips({"red": 2, "green": 2, "blue": 2}), publish(tmp_path / "models", thresholds=[0.999, 0.5, 0.5])
    names = [f"{label}/{number}.mp4,{label}" for label in ("red", "green", "blue") for number in range(2)]
    (data / "clips.csv").write_text("\n".join(["path,label", *names]) + "\n")
    files = ["--json", data / "figures.json", "--report", data / "report.html", "--workers", 0]
    assert clipserve.main(["evaluate", *map(str, (model, data / "clips.csv", "--robustness", *files))]) == 0
    rows = json.loads((data / "figures.json").read_text())["robustness"]
    assert all(row["mean_average_precision"] == 1 and row["macro_f1"] == pytest.approx(2 / 3) for row in rows), rows
    assert not [row for row in rows if "accuracy" in row]
    assert "mAP" in capsys.readouterr().out
    assert "<h2>Robustness</h2>" in (data / "report.html").read_text()


def test_several_views_beside_it_are_wrong_usage(tmp_path: Path, make_clips, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (publish(tmp_path / "models"), make_clips({"red": 1}), "--robustness", "--crops", 3)
    assert clipserve.main(["evaluate", *map(str, arguments)]) == 2
    assert "leave out --clips and --crops" in capsys.readouterr().err


def test_what_is_shown_reaches_the_model(make_clips, tmp_path: Path) -> None:
    """Height, width and number of distinct frames, as a model sees them."""
    seen: list[tuple[int, ...]] = []

    def classify(clips: np.ndarray) -> np.ndarray:
        seen.append((*clips.shape[1:4], len(np.unique(clips[0], axis=0))))
        return torch.eye(2)[: len(clips)].numpy()

    for label in ("a", "b"):
        (tmp_path / "moving" / label).mkdir(parents=True)
        (tmp_path / "moving" / label / "0.mp4").write_bytes(encode([grainy_picture(number) for number in range(16)]))
    clips = list(read_dataset(tmp_path / "moving").clips)
    spec = ClipSpec(num_frames=4, height=32, width=32)
    model = TrainedModel("t", ["a", "b"], spec, "", 0, 0.2, classify, TASKS["single_label"], None)
    trained = measure(np.eye(2, dtype=np.float32), np.array([0, 1]), ["a", "b"])
    rows = robustness(model, clips, trained, 0)
    assert seen == [(4, 32, 32, 2), (4, 32, 32, 1), (4, 32, 32, 4)]
    assert [row.figures["accuracy"] for row in rows] == [1.0] * 5
