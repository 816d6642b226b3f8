"""Losses over labels that may be mixed."""

import pytest
import torch
from torch.nn import functional

from training.losses import Loss

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]])
INDICES = torch.tensor([0, 2])
TARGETS = functional.one_hot(INDICES, 3).float()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_whole_labels_give_the_cross_entropy_of_torch(smoothing: float) -> None:
    expected = functional.cross_entropy(LOGITS, INDICES, label_smoothing=smoothing)
    torch.testing.assert_close(Loss(label_smoothing=smoothing)(LOGITS, TARGETS), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0])])
def test_a_focal_loss_of_gamma_0_is_cross_entropy(smoothing: float, weights: torch.Tensor | None) -> None:
    mixed = 0.7 * TARGETS + 0.3 * TARGETS.flip(0)
    focal, plain = (Loss(name, smoothing, 0.0, weights)(LOGITS, mixed) for name in ("focal", "cross_entropy"))
    torch.testing.assert_close(focal, plain)


def test_the_focal_loss_looks_away_from_what_is_easy() -> None:
    easy, hard = torch.tensor([[5.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    target = torch.tensor([[1.0, 0.0]])
    shares = [Loss("focal", focal_gamma=2.0)(logits, target) / Loss()(logits, target) for logits in (easy, hard)]
    assert shares[0] < 1e-4
    assert shares[1].item() == pytest.approx(0.25)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_a_clip_of_which_the_model_is_certain_has_a_slope(gamma: float) -> None:
    logits = torch.tensor([[40.0, 0.0]], requires_grad=True)
    Loss("focal", focal_gamma=gamma)(logits, torch.tensor([[1.0, 0.0]])).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_labels_that_weigh_more_count_more() -> None:
    heavy, light = (
        Loss(class_weights=torch.tensor(weights))(LOGITS[:1], TARGETS[:1]) for weights in ([4.0, 1, 1], [1.0, 1, 1])
    )
    torch.testing.assert_close(heavy, 4 * light)
