"""Mixed clips: labels in the shares of what is seen, all frames alike."""

import numpy as np
import pytest
import torch

from training.mixing import Mixing

CLIPS = torch.stack([torch.full((3, 16, 16, 3), 100.0 * clip) for clip in range(3)])
TARGETS = torch.eye(3)


@pytest.mark.parametrize("mixing", [Mixing(mixup=1.0), Mixing(cutmix=1.0), Mixing(mixup=1.0, cutmix=1.0)])
def test_labels_are_mixed_as_the_pixels_are(mixing: Mixing) -> None:
    for seed in range(20):
        clips, targets = mixing(CLIPS, TARGETS, np.random.default_rng(seed))
        assert clips.shape == CLIPS.shape
        assert clips.is_contiguous()
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(3))
        torch.testing.assert_close(clips.mean(dim=(1, 2, 3, 4)), targets @ torch.tensor([0.0, 100.0, 200.0]))
        assert torch.equal(clips[:, 0], clips[:, 1])
        assert torch.equal(clips[:, 0], clips[:, 2])


def test_mixup_blends_and_cutmix_cuts() -> None:
    blended, _ = Mixing(mixup=1.0)(CLIPS, TARGETS, np.random.default_rng(0))
    cut, _ = Mixing(cutmix=1.0)(CLIPS, TARGETS, np.random.default_rng(0))
    assert all(len(clip.unique()) == 1 for clip in blended)
    assert set(cut.unique().tolist()) <= {0.0, 100.0, 200.0}


def test_without_mixing_and_with_one_clip_nothing_changes() -> None:
    for mixing, count in ((Mixing(), 3), (Mixing(mixup=1.0), 1)):
        clips, targets = mixing(CLIPS[:count], TARGETS[:count], np.random.default_rng(0))
        assert torch.equal(clips, CLIPS[:count])
        assert torch.equal(targets, TARGETS[:count])
