"""Temporal pooling: who sees the order of frames, and that nothing else is seen."""

import pytest
import torch
from torch import Tensor

from training.architecture import Architecture, Temporal
from training.model import STAGES, VideoClassifier
from training.temporal import HEAD_FEATURES, MAX_FRAMES, sinusoidal_positions, temporal_pooling
from training.temporal_shift import ShiftedConv2d, shifted

BLIND: tuple[Temporal, ...] = ("average", "attention")
SEEING: tuple[Temporal, ...] = ("shift", "lstm", "transformer")


def clips(batch: int = 2, frames: int = 4, seed: int = 1) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, frames, 32, 32, 3), dtype=torch.uint8, generator=random)


def classifier(temporal: Temporal, **changes: object) -> VideoClassifier:
    torch.manual_seed(0)
    architecture = Architecture.model_validate({"backbone": "resnet18", "temporal": temporal, "width": 64, **changes})
    return VideoClassifier(3, architecture=architecture).eval()


@pytest.mark.parametrize("temporal", BLIND)
@torch.no_grad()
def test_these_are_blind_to_the_order(temporal: Temporal) -> None:
    model, inputs = classifier(temporal), clips()
    torch.testing.assert_close(model(inputs), model(inputs.flip(1)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("temporal", SEEING)
@torch.no_grad()
def test_these_see_the_order(temporal: Temporal) -> None:
    model, inputs = classifier(temporal), clips()
    assert (model(inputs) - model(inputs.flip(1))).abs().max() > 1e-3


@pytest.mark.parametrize("temporal", [*BLIND, *SEEING])
@torch.no_grad()
def test_a_clip_is_seen_alone_whatever_its_batch_holds(temporal: Temporal) -> None:
    """The shift above all must not take frames of the neighbour in the batch."""
    model, first, second = classifier(temporal), clips(1, seed=1), clips(1, seed=2)
    together = model(torch.cat([first, second]))
    torch.testing.assert_close(together, torch.cat([model(first), model(second)]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("temporal", [*BLIND, *SEEING])
def test_its_stages_cover_every_parameter_once(temporal: Temporal) -> None:
    model = classifier(temporal)
    parameters = [id(parameter) for stage in STAGES for parameter in model.stage_parameters(stage)]
    assert sorted(parameters) == sorted(id(parameter) for parameter in model.parameters())


@pytest.mark.parametrize("temporal", [*BLIND, *SEEING])
@pytest.mark.parametrize("frames", [1, 7, MAX_FRAMES])
@torch.no_grad()
def test_it_takes_any_number_of_frames(temporal: Temporal, frames: int) -> None:
    pooling = temporal_pooling(16, Architecture(temporal=temporal, width=HEAD_FEATURES)).eval()
    assert pooling(torch.zeros(2, frames, 16)).shape == (2, pooling.out_features)


def test_frames_move_by_one_in_an_eighth_of_the_channels_each_way() -> None:
    frames = torch.arange(1.0, 5.0).view(1, 4, 1, 1, 1).expand(1, 4, 16, 1, 1)
    moved = shifted(frames)[0, :, :, 0, 0]
    assert moved[:, 0].tolist() == moved[:, 1].tolist() == [0, 1, 2, 3]
    assert moved[:, 2].tolist() == moved[:, 3].tolist() == [2, 3, 4, 0]
    assert all(moved[:, channel].tolist() == [1, 2, 3, 4] for channel in range(4, 16))


@torch.no_grad()
def test_the_shift_keeps_names_and_weights() -> None:
    """The same seed gives the same trunk: the convolutions that are put in have the weights of those that they replace."""
    plain, shifting = classifier("average"), classifier("shift")
    assert plain.state_dict().keys() == shifting.state_dict().keys()
    convolutions = [module for module in shifting.trunk.modules() if isinstance(module, ShiftedConv2d)]
    assert len(convolutions) == 8, "one in each residual block"
    first = shifting.trunk.layer1[0].conv1
    assert torch.equal(first.weight, plain.trunk.layer1[0].conv1.weight)


@torch.no_grad()
def test_attention_weighs_the_frames_and_its_weights_add_up_to_one() -> None:
    pooling = temporal_pooling(8, Architecture(temporal="attention"))
    torch.testing.assert_close(pooling(torch.ones(1, 5, 8)), torch.ones(1, 8))
    torch.nn.init.constant_(pooling.score[0].weight, 1.0)  # type: ignore[union-attr,index]
    torch.nn.init.constant_(pooling.score[2].weight, 10.0)  # type: ignore[union-attr,index]
    frames = torch.stack([torch.full((8,), -1.0), torch.full((8,), 1.0)])[None]
    assert (pooling(frames) > 0.99).all(), "the frame with the higher score counts"


@torch.no_grad()
def test_a_bidirectional_lstm_reads_both_ways() -> None:
    one_way = temporal_pooling(8, Architecture(temporal="lstm", width=64))
    both = temporal_pooling(8, Architecture(temporal="lstm", width=64, bidirectional=True, layers=2))
    assert (one_way.out_features, both.out_features) == (64, 128)
    frames = torch.randn(1, 5, 8)
    changed = frames.clone()
    changed[:, 0] += 1
    assert not torch.allclose(both(frames)[:, 64:], both(changed)[:, 64:]), "its second half ends at the first frame"


def test_positions_are_those_of_the_paper() -> None:
    positions = sinusoidal_positions(10, 64)
    assert positions.shape == (10, 64)
    assert positions[0, 0::2].abs().max() == 0
    assert (positions[0, 1::2] == 1).all()
    assert positions[3, 0] == pytest.approx(torch.sin(torch.tensor(3.0)).item())
    assert positions[3, 5] == pytest.approx(torch.cos(torch.tensor(3 / 10_000 ** (4 / 64))).item())


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        temporal_pooling(16, Architecture(temporal="transformer", width=100))
