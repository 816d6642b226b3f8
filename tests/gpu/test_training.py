"""Training as it runs on a GPU: each precision, resumed runs, pre-training. Skipped where there is none, as the others are."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import clipserve
from tests.stop_after import StopAfter
from tests.videos import BLUE, GREEN, RED, solid_video
from training.device import choose_device
from training.distill_config import DistillConfig
from training.distillation import Distillation
from training.interruption import Interruption
from training.presets import resolve_config
from training.run_folder import RunFolder
from training.teacher import EfficientNetLite2
from training.train import train
from training.views import Views
from training.weights import read_state

TINY = {
    "name": "m", "backbone": "resnet18", "weights": "none", "size": 32, "num_frames": 2, "frame_choices": 1, "batch_size": 4,
    "epochs": 6, "warmup_epochs": 0.0, "patience": 0, "colour": 0.0, "crop_scale_min": 1.0, "workers": 0, "device": "cuda",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _gpu() -> None:
    if torch.cuda.is_available():
        return
    reason = "torch sees no GPU; CLIPSERVE_REQUIRE_GPU=1 makes this a failure"
    pytest.fail(reason) if os.environ.get("CLIPSERVE_REQUIRE_GPU") == "1" else pytest.skip(reason)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for label, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for i in range(4):
            shade = tuple(max(0, value - 9 * i) for value in colour)
            (tmp_path / "clips" / label / f"{i}.mp4").write_bytes(solid_video(shade, num_frames=6, width=48))
    return tmp_path / "clips"


def last_row(run: RunFolder) -> dict[str, str]:
    return list(csv.DictReader(run.results.read_text().splitlines()))[-1]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_learns_colours(precision: str, clips: Path, tmp_path: Path) -> None:
    settings = resolve_config("finetune", TINY | {"dataset": str(clips), "precision": precision, "epochs": 20})
    run = train(settings, None, tmp_path / "runs", Interruption())
    assert float(last_row(run)["train_accuracy"]) > 0.8


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(precision: str, clips: Path, tmp_path: Path) -> None:
    """Not bit for bit: sums on a GPU have no fixed order."""
    settings = resolve_config("finetune", TINY | {"dataset": str(clips), "precision": precision})
    whole = train(settings, None, tmp_path / "runs", Interruption())
    with pytest.raises(KeyboardInterrupt):
        train(settings, None, tmp_path / "runs", StopAfter(7))
    cut, settings = RunFolder.open(tmp_path / "runs" / "m" / "2")
    resumed = train(settings, cut, tmp_path / "runs", Interruption())
    assert float(last_row(resumed)["train_loss"]) == pytest.approx(float(last_row(whole)["train_loss"]), rel=0.05)


def test_pretraining_runs(clips: Path, tmp_path: Path) -> None:
    flags = "--weights none --backbone resnet18 --size 32 --num-frames 2 --stored-frames 4 --batch-size 4 --workers 0"
    command = ["pretrain", str(clips), "--name", "p", "--runs", str(tmp_path), "--probe", str(clips), "--projector-width", "32"]
    assert clipserve.main([*command, *flags.split(), "--epochs", "3", "--warmup-epochs", "1", "--device", "cuda"]) == 0
    assert read_state(tmp_path / "p" / "1")["conv1.weight"].device.type == "cpu"


def test_distillation_runs_and_unexplains_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra `distill` is not installed")
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (6, 8, 3), np.uint8).repeat(16, 0).repeat(16, 1) for _ in range(8)]
    device = choose_device("cuda")
    settings = {"views": 640, "batch_size": 16, "warmup_views": 16, "size": 64, "early_share": 0, "decay_from": 0.9}
    config = DistillConfig(name="d", data="noise", **settings)
    views = Views([pictures], 0, device.torch_device)
    monkeypatch.setattr("training.distillation.STEPS_PER_ROW", 10)
    work = Distillation(config, EfficientNetLite2(), views, "noise", device, RunFolder(tmp_path), Interruption())
    work.fit()
    assert work.rows[-1]["stage_1"] < work.rows[0]["stage_1"]
