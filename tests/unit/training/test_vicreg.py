"""The loss of pre-training: what it asks of two clips of one video, and of different videos."""

import pytest
import torch

from training.vicreg import Expander, spread, vicreg_terms


def test_features_that_do_what_is_asked_cost_nothing() -> None:
    """Two numbers that differ from video to video and say different things, the same for both clips."""
    a = 2 * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert [term.item() for term in vicreg_terms(a, a)] == pytest.approx([0, 0, 0])
    assert spread(a).item() == pytest.approx(2 * (4 / 3) ** 0.5, rel=1e-3)


def test_one_point_for_all_videos_costs_variance_and_has_no_spread() -> None:
    a = torch.ones(8, 4)
    terms = vicreg_terms(a, a)
    assert terms.similarity == 0
    assert terms.variance.item() == pytest.approx(1 - 1e-2)
    assert spread(a) < 0.02


def test_clips_that_differ_cost_similarity_alone() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    assert vicreg_terms(a, b).similarity.item() == pytest.approx((a - b).pow(2).mean().item())
    assert vicreg_terms(a, b).variance == vicreg_terms(b, a).variance


def test_two_numbers_that_say_the_same_cost_covariance() -> None:
    column = torch.tensor([[2.0], [-2.0], [2.0], [-2.0]])
    same = torch.cat([column, column], dim=1)
    # variance 16 / 3 off the diagonal, twice, over two numbers, for each of both clips
    assert vicreg_terms(same, same).covariance.item() == pytest.approx(2 * 2 * (16 / 3) ** 2 / 2)


def test_the_expander_widens() -> None:
    assert Expander(6, 32)(torch.randn(4, 6)).shape == (4, 32)
