"""Runs on clips with tags: resumed, taught, compared, exported; what belongs to one label does not slip in."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import clipserve
from clips import ClipSpec
from clips.errors import CommandError
from tests.tagged_clips import TAGS, write_tagged_clips
from tests.unit.training.test_fit import EVERYTHING, NARROW, StopAfter, assert_same
from training.architecture import Architecture
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.device import choose_device
from training.export import export_fp32
from training.interruption import Interruption
from training.model import VideoClassifier
from training.onnx_runtime import OnnxClassifier, halve, quantise
from training.presets import resolve_config
from training.run_folder import RunFolder
from training.task import TASKS
from training.train import train
from training.trained_teacher import Teacher

TINY = {
    "name": "m",
    "task": "multi_label",
    "size": 32,
    "num_frames": 1,
    "frame_choices": 2,
    "batch_size": 4,
    "workers": 0,
    "device": "cpu",
    "weights": "none",
    "precision": "fp32",
    "epochs": 2,
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_tagged_clips(tmp_path, repeats=2)


def config(data: Path, **changes: object) -> TrainingConfig:
    return resolve_config("finetune", {**TINY, **NARROW, "dataset": str(data), **changes})


def test_a_run_leaves_figures_of_tags_and_their_thresholds(
    data: Path, big_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(config(data), None, big_files, Interruption())
    out = capsys.readouterr().out
    assert "16 clips, 3 tags" in out
    assert "result: mAP" in out
    assert "accuracy" not in out
    best = Checkpoint.load(run.best)
    assert best.labels == list(TAGS)
    assert best.thresholds is not None
    assert len(best.thresholds) == 3
    assert Checkpoint.load(run.last).thresholds is None
    header = run.results.read_text().splitlines()[0].split(",")
    assert {"train_tags_right", "val_mean_average_precision"} <= set(header)
    assert not [name for name in header if "accuracy" in name]
    summary = json.loads(run.summary.read_text())
    assert summary["mean_average_precision"] == best.metrics["mean_average_precision"]
    assert (run.path / "tags.png").exists()
    assert "path,label,group,split,sha256" in run.split.read_text()
    assert "0.mp4,,person 0-0," in run.split.read_text(), "a clip without tags"


@pytest.mark.parametrize("stops", [[1], [8], [3, 9]], ids=str)
def test_a_resumed_run_equals_one_that_was_not_interrupted(data: Path, big_files: Path, stops: list[int]) -> None:
    """Bit for bit, with everything on that tags can have."""
    able = {key: value for key, value in EVERYTHING.items() if key != "balanced_sampling"}
    settings = config(data, **able, temporal="lstm", num_frames=2, ema_decay=0.5, epochs=2)
    whole = train(settings, None, big_files, Interruption())
    cut = None
    for steps in stops:
        with pytest.raises(KeyboardInterrupt):
            train(settings, cut, big_files, StopAfter(steps))
        cut, settings = RunFolder.open(big_files / "m" / "2")
    train(settings, cut, big_files, Interruption())
    first, second = (Checkpoint.load(folder / "last.pt") for folder in (whole.path, big_files / "m" / "2"))
    assert_same([first.model, first.training], [second.model, second.training])


def test_a_teacher_of_tags_teaches_tags_and_no_other_does(data: Path, big_files: Path, make_clips) -> None:
    taught = train(config(data, name="teacher", epochs=1), None, big_files, Interruption()).best
    train(config(data, teacher=str(taught), epochs=1), None, big_files, Interruption())
    of_labels = make_clips({"blue": 2, "green": 2, "red": 2}, folder="labelled")
    other = {"task": "single_label", "name": "other", "dataset": str(of_labels), "epochs": 1}
    wrong = train(resolve_config("finetune", TINY | NARROW | other), None, big_files, Interruption()).best
    with pytest.raises(CommandError, match="is a single_label model and the run is multi_label"):
        Teacher.load(config(data, teacher=str(wrong)), list(TAGS), choose_device("cpu", "fp32"))


def test_what_a_teacher_makes_small_brings_each_tag_nearer(data: Path, big_files: Path) -> None:
    taught = train(config(data, name="teacher", epochs=1), None, big_files, Interruption()).best
    found = Teacher.load(config(data, teacher=str(taught), teacher_weight=1.0), list(TAGS), choose_device("cpu", "fp32"))
    assert found
    clips = torch.randint(0, 256, (4, 2, 32, 32, 3), generator=torch.Generator().manual_seed(0)).float()
    logits = torch.zeros(4, 3, requires_grad=True)
    optimiser = torch.optim.SGD([logits], lr=1.0)
    for _ in range(200):
        optimiser.zero_grad()
        found.loss(torch.tensor(0.0), logits, torch.eye(4), clips).backward()
        optimiser.step()
    torch.testing.assert_close(logits.detach().sigmoid(), found.answers(clips)[0].sigmoid(), atol=0.01, rtol=0)


def test_runs_of_tags_are_compared_by_map_and_not_with_others(
    data: Path, big_files: Path, make_clips, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [train(config(data, seed=seed, epochs=1), None, big_files, Interruption()).path for seed in (0, 1)]
    capsys.readouterr()
    assert clipserve.main(["compare", *map(str, runs), "--report", str(big_files / "runs.html")]) == 0
    header, line = capsys.readouterr().out.splitlines()[:2]
    assert header.split("  ")[0] == "run"
    assert "mAP" in header
    assert "accuracy" not in header
    assert line.split()[:2] == ["m", "2"]
    of_labels = make_clips({"red": 2, "green": 2}, folder="labelled")
    other = {"task": "single_label", "dataset": str(of_labels), "epochs": 1}
    third = train(resolve_config("finetune", TINY | NARROW | other), None, big_files, Interruption()).path
    assert clipserve.main(["compare", str(runs[0]), str(third)]) == 1
    assert "some runs give one label and others give tags" in capsys.readouterr().err


SPEC = ClipSpec(num_frames=2, height=64, width=64)


def test_the_exported_graph_has_the_sigmoid_in_every_precision(big_files: Path) -> None:
    torch.manual_seed(0)
    model = VideoClassifier(4, architecture=Architecture(backbone="resnet18")).eval()
    clips = np.random.default_rng(0).integers(0, 256, (3, *SPEC.shape), np.uint8)
    with torch.no_grad():
        model.head.weight *= 10
        expected = (model(torch.from_numpy(clips)) / 2).sigmoid().numpy()
    file = big_files / "model.onnx"
    export_fp32(model, SPEC, file, temperature=2.0, probabilities=TASKS["multi_label"].probabilities)
    quantise(file, big_files / "int8.onnx", clips)
    halve(file, big_files / "fp16.onnx")
    for name, tolerance in (("model.onnx", 1e-4), ("fp16.onnx", 0.01), ("int8.onnx", 0.15)):
        assert np.abs(OnnxClassifier(big_files / name)(clips) - expected).max() < tolerance, name
        made_by = {out: node.op_type for node in onnx.load(big_files / name).graph.node for out in node.output}
        assert made_by["probabilities"] == "Sigmoid", name
