"""Batches."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.augment import Augmentation
from training.dataset import LabelledClip
from training.decoding import DecodedClips
from training.feeding import FeatureBatches, TrainingBatches, ValidationBatches, draw_frames

CPU = torch.device("cpu")
LABELS = ["even", "odd"]


@pytest.fixture
def decoded() -> DecodedClips:
    """Five clips of 2 x 3 frames; clip c has brightness 10 c + f in frame f. Row 3 could not be decoded."""
    clips = [LabelledClip(Path(), str(i), LABELS[i % 2], str(i), "train", str(i)) for i in range(5)]
    rows = np.array([0, 1, 2, 4, 5])
    frames = np.zeros((6, 6, 32, 32, 3), np.uint8)
    for clip, row in enumerate(rows):
        frames[row] = 10 * clip + np.arange(6)[:, None, None, None]
    return DecodedClips(clips, rows, frames)


def test_validation_gives_every_clip_once_in_order(decoded: DecodedClips) -> None:
    batches = list(ValidationBatches(decoded, LABELS, 2, CPU).one_pass())
    assert [len(batch.targets) for batch in batches] == [2, 2, 1]
    assert torch.cat([batch.inputs[:, 0, 0, 0, 0] for batch in batches]).tolist() == [0, 10, 20, 30, 40]
    assert torch.cat([batch.targets for batch in batches]).tolist() == [0, 1, 0, 1, 0]


def training(decoded: DecodedClips) -> TrainingBatches:
    plain = Augmentation(32, flip=False, crop_scale_min=1.0, colour=0.0)
    return TrainingBatches(decoded, torch.from_numpy(decoded.targets(LABELS)), 2, 2, plain)


def test_training_gives_every_clip_once_with_its_label(decoded: DecodedClips) -> None:
    batches = list(training(decoded).one_pass([0, 1]))
    clips = torch.cat([batch.inputs[:, 0, 0, 0, 0] // 10 for batch in batches]).int()
    assert sorted(clips.tolist()) == [0, 1, 2, 3, 4]
    assert torch.equal(clips % 2, torch.cat([batch.targets for batch in batches]))


def test_a_pass_is_repeatable_and_passes_differ(decoded: DecodedClips) -> None:
    def flat(epoch: int) -> torch.Tensor:
        return torch.cat([batch.inputs for batch in training(decoded).one_pass([0, epoch])])

    assert torch.equal(flat(1), flat(1))
    assert not torch.equal(flat(1), flat(2))


def test_one_frame_is_drawn_from_each_segment() -> None:
    stored = np.arange(6, dtype=np.uint8).reshape(1, 6, 1, 1, 1)
    random = np.random.default_rng(0)
    drawn = {tuple(draw_frames(stored, 2, random).ravel().tolist()) for _ in range(100)}
    assert drawn == {(first, second) for first in (0, 1, 2) for second in (3, 4, 5)}


def test_stored_features_give_each_clip_once_in_one_of_its_views() -> None:
    views = torch.arange(10.0).reshape(2, 5, 1)
    batches = list(FeatureBatches(views, torch.arange(5), 2).one_pass([0]))
    features = torch.cat([batch.inputs[:, 0] for batch in batches])
    targets = torch.cat([batch.targets for batch in batches])
    assert sorted(targets.tolist()) == [0, 1, 2, 3, 4]
    assert torch.equal(features % 5, targets.float())
