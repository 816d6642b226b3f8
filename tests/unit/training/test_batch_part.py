"""Parts of a batch: together they are the batch, however many processes share it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.augment import Augmentation
from training.batch_part import BatchPart
from training.dataset import LabelledClip
from training.decoding import DecodedClips
from training.feeding import Batch, TrainingBatches, ValidationBatches, Variety
from training.mixing import Mixing
from training.processes import Processes
from training.targets import label_targets

LABELS = ["even", "odd"]
SIZES = pytest.mark.parametrize("size", [2, 3, 5])


@pytest.fixture(scope="module")
def decoded() -> DecodedClips:
    """Seven grainy clips: in batches of three the last one has a single clip."""
    clips = [LabelledClip(Path(), str(i), LABELS[i % 2], str(i), "train", str(i)) for i in range(7)]
    frames = np.random.default_rng(0).integers(0, 256, (7, 4, 32, 32, 3), np.uint8)
    return DecodedClips(clips, np.arange(7), frames)


def everybody(size: int) -> list[Processes]:
    return [Processes(rank, size, rank) for rank in range(size)]


@SIZES
@pytest.mark.parametrize("for_teacher", [False, True])
@pytest.mark.parametrize("mixing", [Mixing(), Mixing(mixup=0.4, cutmix=0.4)], ids=str)
def test_what_processes_train_on_together_is_the_batch_of_one(
    decoded: DecodedClips, size: int, for_teacher: bool, mixing: Mixing
) -> None:
    """Bit for bit, with crops, colour, drawn frames and clips that are mixed across the border of two parts."""
    lively = Augmentation(32, flip=True, crop_scale_min=0.5, colour=0.3, rand_augment=5)
    variety = Variety(lively, mixing, for_teacher=for_teacher)
    alone = TrainingBatches(decoded, label_targets(decoded, LABELS), 3, 2, variety)
    for epoch in range(3):
        passes = [list(alone.shared_by(processes).one_pass([0, epoch], start=1)) for processes in everybody(size)]
        for number, whole in enumerate(alone.one_pass([0, epoch], start=1)):
            parts = [one_pass[number] for one_pass in passes if one_pass[number].counts]
            assert torch.equal(whole.inputs, torch.cat([part.inputs for part in parts]))
            assert torch.equal(whole.targets, torch.cat([part.targets for part in parts]))
            if whole.all_frames is not None:
                frames = [part.all_frames for part in parts if part.all_frames is not None]
                assert torch.equal(whole.all_frames, torch.cat(frames))


@SIZES
def test_what_is_measured_is_there_once_in_order(decoded: DecodedClips, size: int) -> None:
    """Whole batches, so that each is computed as one process would compute it; some processes have none."""
    cpu = torch.device("cpu")
    whole, *passes = (
        list(ValidationBatches(decoded, LABELS, 2, cpu, processes).one_pass()) for processes in (Processes(), *everybody(size))
    )
    shared = [batch for one_pass in passes for batch in one_pass]
    assert len(whole) == 4
    assert [batch.inputs.tolist() for batch in whole] == [batch.inputs.tolist() for batch in shared]
    assert [batch.targets.tolist() for batch in whole] == [batch.targets.tolist() for batch in shared]


def test_who_has_no_clip_of_a_batch_computes_one_that_does_not_count() -> None:
    parts = [BatchPart.of(1, processes, mixed=True) for processes in everybody(3)]
    assert [part.counts for part in parts] == [False, False, True]
    assert all(part.positions.tolist() == [0] and part.lead == 0 for part in parts)


def test_a_part_brings_the_clip_in_front_where_clips_are_mixed() -> None:
    first, second = (BatchPart.of(5, processes, mixed=True) for processes in everybody(2))
    assert (first.positions.tolist(), first.lead) == ([4, 0, 1], 1)
    assert (second.positions.tolist(), second.lead) == ([1, 2, 3, 4], 1)
    assert BatchPart.of(5, Processes(), mixed=True).lead == 0


def test_batches_know_the_whole_pass(decoded: DecodedClips) -> None:
    variety = Variety(Augmentation(32, flip=False, crop_scale_min=1.0, colour=0.0), Mixing())
    shared = TrainingBatches(decoded, label_targets(decoded, LABELS), 3, 2, variety).shared_by(Processes(1, 2))
    assert (len(shared), shared.clips(), shared.batch_size) == (3, 7, 3)
    own: list[Batch] = list(shared.one_pass([0]))
    assert [len(batch.targets) for batch in own] == [2, 2, 1]
