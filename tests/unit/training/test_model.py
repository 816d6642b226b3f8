"""The network."""

import pytest
import torch

from training.model import IMAGENET_MEAN, IMAGENET_STD, STAGES, VideoClassifier


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


@torch.no_grad()
def test_it_normalises_like_torchvision(model: VideoClassifier) -> None:
    inputs = clips(batch=1, frames=1)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    normalised = (inputs[0, 0].permute(2, 0, 1) / 255 - mean) / std
    torch.testing.assert_close(model(inputs), model.head(model.trunk(normalised[None])), atol=1e-4, rtol=1e-4)


def test_its_stages_cover_every_parameter_once(model: VideoClassifier) -> None:
    parameters = [id(parameter) for stage in STAGES for parameter in model.stage_parameters(stage)]
    assert sorted(parameters) == sorted(id(parameter) for parameter in model.parameters())


def test_frozen_statistics_stay_as_they_are(model: VideoClassifier) -> None:
    before = model.trunk.bn1.running_mean.clone()
    model.train_with_frozen_statistics(frozen=True)
    model(clips())
    assert model.training
    assert torch.equal(model.trunk.bn1.running_mean, before)
    model.train_with_frozen_statistics(frozen=False)
    model(clips())
    assert not torch.equal(model.trunk.bn1.running_mean, before)
