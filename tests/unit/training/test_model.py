"""The network."""

import pytest
import torch

from training.model import IMAGENET_MEAN, IMAGENET_STD, STAGES, BatchNorm, VideoClassifier


@pytest.fixture(scope="module")
def model() -> VideoClassifier:
    torch.manual_seed(0)
    return VideoClassifier(3, dropout=0.5).eval()


def clips(batch: int = 2, frames: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (batch, frames, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_it_averages_over_the_frames(model: VideoClassifier) -> None:
    inputs = clips()
    frame_by_frame = torch.stack([model(inputs[:, i : i + 1]) for i in range(3)])
    torch.testing.assert_close(model(inputs), frame_by_frame.mean(dim=0), atol=1e-4, rtol=1e-4)


def test_statistics_of_frozen_stages_stay_whatever_is_asked_for() -> None:
    model = VideoClassifier(3)
    before = model.trunk.layer1[0].bn1.running_mean.clone(), model.trunk.layer2[0].bn1.running_mean.clone()
    model.train_mode("trained", frozen_stages=2)
    model(clips())
    assert torch.equal(model.trunk.layer1[0].bn1.running_mean, before[0])
    assert not torch.equal(model.trunk.layer2[0].bn1.running_mean, before[1])


@torch.no_grad()
def test_it_normalises_like_torchvision(model: VideoClassifier) -> None:
    inputs = clips(batch=1, frames=1)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    normalised = (inputs[0, 0].permute(2, 0, 1) / 255 - mean) / std
    torch.testing.assert_close(model(inputs), model.head(model.trunk(normalised[None])), atol=1e-4, rtol=1e-4)


def test_its_stages_cover_every_parameter_once(model: VideoClassifier) -> None:
    parameters = [id(parameter) for stage in STAGES for parameter in model.stage_parameters(stage)]
    assert sorted(parameters) == sorted(id(parameter) for parameter in model.parameters())


@pytest.mark.parametrize(("batch_norm", "first", "others"), [("frozen", 0, 0), ("partial", 1, 0), ("trained", 1, 52)])
def test_statistics_of_batch_norm_change_where_they_are_meant_to(batch_norm: BatchNorm, first: int, others: int) -> None:
    model = VideoClassifier(3)
    layers = [module for module in model.trunk.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    before = [layer.running_mean.clone() for layer in layers if layer.running_mean is not None]
    model.train_mode(batch_norm)
    model(clips())
    assert model.training
    changed = [not torch.equal(mean, layer.running_mean) for mean, layer in zip(before, layers, strict=True)]  # type: ignore[arg-type]
    assert (sum(changed[:1]), sum(changed[1:])) == (first, others)
