"""Batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.augment import Augmentation
from training.dataset import LabelledClip
from training.decoding import DecodedClips
from training.feature_batches import FeatureBatches
from training.feeding import Batch, TrainingBatches, ValidationBatches, Variety, drawn_frames, take_frames
from training.mixing import Mixing
from training.targets import label_targets

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
    assert labels(batches) == [0, 1, 0, 1, 0]
    assert all((batch.targets.sum(dim=1) == 1).all() for batch in batches)


def training(decoded: DecodedClips, **variety: Any) -> TrainingBatches:
    plain = Augmentation(32, flip=False, crop_scale_min=1.0, colour=0.0)
    return TrainingBatches(decoded, label_targets(decoded, LABELS), 2, 2, Variety(plain, **{"mixing": Mixing(), **variety}))


def labels(batches: list[Batch]) -> list[int]:
    return torch.cat([batch.targets.argmax(dim=1) for batch in batches]).tolist()


def test_training_gives_every_clip_once_with_its_label(decoded: DecodedClips) -> None:
    batches = list(training(decoded).one_pass([0, 1]))
    clips = torch.cat([batch.inputs[:, 0, 0, 0, 0] // 10 for batch in batches]).int()
    assert sorted(clips.tolist()) == [0, 1, 2, 3, 4]
    assert (clips % 2).tolist() == labels(batches)


def test_a_pass_is_repeatable_and_passes_differ(decoded: DecodedClips) -> None:
    def flat(epoch: int) -> torch.Tensor:
        return torch.cat([batch.inputs for batch in training(decoded).one_pass([0, epoch])])

    assert torch.equal(flat(1), flat(1))
    assert not torch.equal(flat(1), flat(2))


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_a_pass_that_begins_later_goes_on_as_the_whole_one_does(decoded: DecodedClips, start: int) -> None:
    """Mixed clips and drawn frames included, whatever else drew random numbers meanwhile."""
    batches = training(decoded, mixing=Mixing(mixup=0.4, cutmix=0.4))
    whole = list(batches.one_pass([0, 1]))
    torch.rand(3)
    rest = list(batches.one_pass([0, 1], start=start))
    assert len(rest) == max(0, 3 - start)
    for expected, batch in zip(whole[start:], rest, strict=True):
        assert torch.equal(expected.inputs, batch.inputs)
        assert torch.equal(expected.targets, batch.targets)


def test_a_teacher_gets_every_frame_of_the_same_view(decoded: DecodedClips) -> None:
    seeing = Augmentation(24, flip=True, crop_scale_min=0.5, colour=0.3)
    targets = label_targets(decoded, LABELS)
    batches = TrainingBatches(decoded, targets, 2, 2, Variety(seeing, Mixing(mixup=0.5), for_teacher=True))
    for batch in batches.one_pass([0, 1]):
        assert batch.all_frames is not None
        assert batch.all_frames.shape[1] == 6
        for clip, frames in zip(batch.all_frames, batch.inputs, strict=True):
            assert all(any(torch.equal(frame, stored) for stored in clip) for frame in frames)


def test_labels_are_drawn_equally_often_where_they_are_to_be_balanced() -> None:
    rare = DecodedClips(
        [LabelledClip(Path(), str(i), LABELS[i == 0], str(i), "train", str(i)) for i in range(20)],
        np.arange(20),
        np.zeros((20, 4, 32, 32, 3), np.uint8),
    )
    drawn = [label for epoch in range(20) for label in labels(list(training(rare, balanced_sampling=True).one_pass([epoch])))]
    assert len(drawn) == 400
    assert 160 < sum(drawn) < 240, "one clip of twenty would be 20"


def test_one_frame_is_drawn_from_each_segment() -> None:
    stored = torch.arange(6).reshape(1, 6, 1, 1, 1)
    random = np.random.default_rng(0)
    drawn = {tuple(take_frames(stored, drawn_frames(1, 6, 2, random)).ravel().tolist()) for _ in range(100)}
    assert drawn == {(first, second) for first in (0, 1, 2) for second in (3, 4, 5)}


def test_stored_features_give_each_clip_once_in_one_of_its_views() -> None:
    views = torch.arange(10.0).reshape(2, 5, 1)
    batches = list(FeatureBatches(views, torch.eye(5), 2, shuffled=True).one_pass([0]))
    features = torch.cat([batch.inputs[:, 0] for batch in batches])
    assert sorted(labels(batches)) == [0, 1, 2, 3, 4]
    assert (features % 5).int().tolist() == labels(batches)
