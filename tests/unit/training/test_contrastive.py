"""The loss of pre-training: what it asks of two clips of one video, and of different videos."""

import math

import pytest
import torch

from training.contrastive import Projector, contrast


def test_pairs_in_directions_of_their_own_are_all_found() -> None:
    """Each clip has its other half at similarity 1 and the four clips of other videos at 0."""
    a = torch.eye(3)
    told = contrast(a, 5 * a, temperature=0.5)  # length says nothing
    assert told.found == 1
    assert told.loss.item() == pytest.approx(math.log(1 + 4 * math.exp(-2)))


def test_one_point_for_all_videos_is_a_guess() -> None:
    same = torch.ones(4, 3)
    assert contrast(same, same, temperature=0.1).loss.item() == pytest.approx(math.log(7))


def test_clips_that_are_nearer_to_other_videos_are_not_found() -> None:
    a, b = torch.eye(2), torch.eye(2).flip(0)
    told = contrast(a, b, temperature=0.1)
    assert told.found == 0
    assert told.loss.item() == pytest.approx(10, abs=0.01)


def test_it_does_not_matter_which_clip_comes_first() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    assert contrast(a, b, 0.2).loss.item() == pytest.approx(contrast(b, a, 0.2).loss.item())


def test_the_gradient_brings_clips_of_one_video_together() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3)
    before = contrast(a, b, 0.2).loss
    (step,) = torch.autograd.grad(before, a)
    assert contrast(a - 0.1 * step, b, 0.2).loss < before


def test_the_projector_widens() -> None:
    assert Projector(6, 32)(torch.randn(4, 6)).shape == (4, 32)
