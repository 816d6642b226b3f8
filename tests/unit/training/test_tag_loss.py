"""Losses of tags that may be mixed."""

import pytest
import torch
from torch.nn import functional

from training.tag_loss import TagLoss, tag_soft_loss

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]])
TARGETS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])


def test_whole_tags_give_the_binary_cross_entropy_of_torch_for_each_tag() -> None:
    expected = functional.binary_cross_entropy_with_logits(LOGITS, TARGETS) * 3
    torch.testing.assert_close(TagLoss()(LOGITS, TARGETS), expected)


def test_a_tag_pulls_as_hard_as_a_label_would() -> None:
    """So a learning rate is right for both, however many tags there are."""
    slopes = []
    for loss in (TagLoss(), functional.cross_entropy):
        logits = torch.zeros(4, 2, requires_grad=True)
        loss(logits, torch.tensor([[1.0, 0.0]]).repeat(4, 1)).backward()
        assert logits.grad is not None
        slopes.append(logits.grad)
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0])])
def test_a_focal_loss_of_gamma_0_is_cross_entropy(smoothing: float, weights: torch.Tensor | None) -> None:
    mixed = 0.7 * TARGETS + 0.3 * TARGETS.flip(0)
    focal, plain = (TagLoss(name, smoothing, 0.0, weights)(LOGITS, mixed) for name in ("focal", "cross_entropy"))
    torch.testing.assert_close(focal, plain)


def test_the_focal_loss_looks_away_from_what_is_easy() -> None:
    for logit, target in ((5.0, 1.0), (-5.0, 0.0)):
        easy, hard = (
            (
                TagLoss("focal")(torch.tensor([[each]]), torch.tensor([[target]])),
                TagLoss()(torch.tensor([[each]]), torch.tensor([[target]])),
            )
            for each in (logit, 0.0)
        )
        assert easy[0] / easy[1] < 1e-4
        assert (hard[0] / hard[1]).item() == pytest.approx(0.25)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_a_tag_of_which_the_model_is_certain_has_a_slope(gamma: float) -> None:
    logits = torch.tensor([[40.0, -40.0]], requires_grad=True)
    TagLoss("focal", focal_gamma=gamma)(logits, torch.tensor([[1.0, 0.0]])).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_smoothing_moves_yes_and_no_towards_each_other() -> None:
    """The best logits are those of 0.9 and 0.1."""
    best = torch.logit(torch.tensor([[0.9, 0.1]])).requires_grad_()
    TagLoss(label_smoothing=0.2)(best, torch.tensor([[1.0, 0.0]])).backward()
    assert best.grad is not None
    torch.testing.assert_close(best.grad, torch.zeros(1, 2), atol=1e-6, rtol=0)


def test_clips_that_have_a_tag_count_by_its_weight_and_those_without_do_not() -> None:
    heavy = TagLoss(class_weights=torch.tensor([4.0]))
    for target, times in ((1.0, 4.0), (0.0, 1.0)):
        targets, logits = torch.tensor([[target]]), torch.tensor([[0.3]])
        torch.testing.assert_close(heavy(logits, targets), times * TagLoss()(logits, targets))


def test_who_answers_like_the_teacher_has_nothing_to_learn() -> None:
    assert tag_soft_loss(LOGITS, LOGITS).item() == pytest.approx(0, abs=1e-6)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(logits=TARGETS), torch.distributions.Bernoulli(logits=LOGITS)
    )
    torch.testing.assert_close(tag_soft_loss(LOGITS, TARGETS), expected.sum(dim=1).mean())
