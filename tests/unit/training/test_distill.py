"""Distillation: views, what the student must match, and a run that is interrupted and resumed."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from training.device import choose_device
from training.distill import Distillation, DistillConfig, Phase
from training.student import FeatureLoss, Student
from training.teacher import FEATURE_CHANNELS, STAGE_CHANNELS, EfficientNetLite2
from training.views import Views

CPU = choose_device("cpu")
TINY = DistillConfig(views=8, batch_size=4, warmup_views=4, phases=(Phase(until=1.0, student_px=32, teacher_px=64),))


def pictures(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (48, 64 + i, 3), np.uint8) for i in range(count)]


def test_views_are_repeatable_and_in_range() -> None:
    first, second = (Views([pictures(3), pictures(2)], seed=7).draw(6, 32) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (6, 3, 32, 32)
    assert first.min() >= 0
    assert first.max() <= 1


def test_an_empty_collection_is_never_drawn_from() -> None:
    assert Views([pictures(1), []], seed=0).draw(8, 16).shape == (8, 3, 16, 16)


def test_a_student_that_copies_its_teacher_leaves_nothing_unexplained() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(8, c, 4, 4) for c in (*STAGE_CHANNELS, FEATURE_CHANNELS)]
    loss_of = FeatureLoss([maps])
    normalised = [(m - mean) / deviation for m, mean, deviation in zip(maps, loss_of.means, loss_of.deviations, strict=True)]
    assert loss_of(normalised, maps) == pytest.approx(torch.zeros(6), abs=1e-4)
    assert (loss_of([torch.zeros_like(m) for m in maps], maps) > 0.8).all()


def test_the_learning_rate_rises_stays_and_falls() -> None:
    config = DistillConfig(views=100_000)
    rates = [config.rate(seen) for seen in (0, 1_200, 30_000, 60_000, 80_000, 100_000)]
    assert rates == pytest.approx([0, 5e-4, 1e-3, 1e-3, 5e-4, 1e-5])


def test_the_backbone_has_torchvisions_names_without_the_classifier() -> None:
    weights = Student().backbone()
    assert "conv1.weight" in weights
    assert not any(name.startswith(("fc.", "trunk.")) for name in weights)


class InterruptedViews(Views):
    """Views whose user presses Ctrl-C at the last batch of the run."""

    def draw(self, count: int, size: int) -> torch.Tensor:
        if count == TINY.batch_size and self.drawn == 1:
            raise KeyboardInterrupt
        self.drawn += count == TINY.batch_size
        return super().draw(count, size)

    drawn = 0


def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = Distillation(TINY, Views([pictures(4)], 0), tmp_path / "whole.pt", io.StringIO(), CPU).run(EfficientNetLite2())
    with pytest.raises(KeyboardInterrupt):
        Distillation(
            TINY, InterruptedViews([pictures(4)], 0), tmp_path / "parts.pt", io.StringIO(), CPU, save_every_steps=1
        ).run(EfficientNetLite2())
    resumed = Distillation(TINY, Views([pictures(4)], 0), tmp_path / "parts.pt", io.StringIO(), CPU).run(EfficientNetLite2())
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True))
