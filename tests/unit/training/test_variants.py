"""Which files leave, what is written down of them, and what is said of those that stay."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clips import ClipSpec
from clips.errors import CommandError
from training.architecture import Architecture
from training.dataset import LabelledClip
from training.decoding import DecodedClips
from training.model import VideoClassifier
from training.trial import Trial
from training.variants import make_variants

SPEC = ClipSpec(num_frames=2, height=32, width=32)


def decoded(frames: np.ndarray, labels: np.ndarray) -> DecodedClips:
    clips = [LabelledClip(Path(f"{i}.mp4"), f"{i}.mp4", f"label-{label}", str(i), None, "") for i, label in enumerate(labels)]
    return DecodedClips(clips, np.arange(len(frames)), frames)


@pytest.fixture(scope="module")
def trial() -> Trial:
    """Eight clips of noise of eight brightnesses; torch is right on all of them."""
    torch.manual_seed(0)
    model = VideoClassifier(3, architecture=Architecture(backbone="resnet18")).eval()
    noise = np.random.default_rng(0).integers(0, 32, (8, *SPEC.shape), np.uint8)
    frames = noise + 32 * np.arange(8, dtype=np.uint8).reshape(-1, 1, 1, 1, 1)
    with torch.no_grad():
        model.head.weight *= 1000
        model.head.bias -= model(torch.from_numpy(frames)).mean(dim=0)  # else one label would be that of all
        probabilities = model(torch.from_numpy(frames)).softmax(dim=1).numpy()
    targets = probabilities.argmax(axis=1)
    assert len(set(targets)) > 1
    clips = decoded(frames, targets)
    return Trial(model, SPEC, ["a", "b", "c"], clips, clips, targets, probabilities)


def test_size_and_quantisation_are_written_down(trial: Trial, tmp_path: Path) -> None:
    right_by_chance = replace(trial, targets=(trial.targets + 1) % 3)  # nothing that torch has right can be lost
    for form in ("u8s8", "s8s8"):
        kept = make_variants(replace(right_by_chance, quantisation=form), ("fp32", "fp16", "int8"), tmp_path, strict=True)
        assert [each.variant.quantisation for each in kept] == [None, None, form]
        assert [each.variant.size_bytes for each in kept] == [(tmp_path / each.variant.file).stat().st_size for each in kept]


def test_int8_whose_ranges_fit_nothing_is_left_out_and_says_why(
    trial: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    black = decoded(np.zeros((2, *SPEC.shape), np.uint8), np.zeros(2, np.int64))
    kept = make_variants(replace(trial, calibration=black), ("fp32", "int8"), tmp_path, strict=False)
    assert [each.variant.precision for each in kept] == ["fp32"]
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    out = capsys.readouterr().out
    assert "refused int8: accuracy" in out
    assert "It loses" in out
    assert "more clips than these 2 (--calibration-clips)" in out
    with pytest.raises(CommandError, match=r"not published.*leave it out with --variants fp32"):
        make_variants(replace(trial, calibration=black), ("fp32", "int8"), tmp_path, strict=True)
