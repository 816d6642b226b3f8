"""What nearest neighbours say of features."""

from pathlib import Path

import numpy as np
import torch

from training.architecture import Architecture
from training.dataset import LabelledClip
from training.decoding import DecodedClips
from training.device import choose_device
from training.knn_probe import KnnProbe
from training.model import VideoClassifier

COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}


def clips_of(labels: list[str], colours: list[str]) -> DecodedClips:
    """One frame each, all of one colour."""
    frames = np.stack([np.broadcast_to(np.array(COLOURS[colour], np.uint8), (1, 32, 32, 3)) for colour in colours])
    clips = [LabelledClip(Path(label), label, label, label, None, "") for label in labels]
    return DecodedClips(clips, np.arange(len(clips)), frames)


def test_each_clip_gets_the_label_of_those_that_look_like_it() -> None:
    torch.manual_seed(0)
    model = VideoClassifier(2, architecture=Architecture(backbone="resnet18"))
    known = ["red", "green", "blue"] * 5
    val = clips_of(["red", "green", "blue", "red"], ["red", "green", "blue", "green"])
    probe = KnnProbe(clips_of(known, known), val, sorted(COLOURS), choose_device("cpu", "fp32"))
    model.train()
    assert probe.accuracy(model) == 0.75, "the last one looks like what it is not"
    assert model.training
