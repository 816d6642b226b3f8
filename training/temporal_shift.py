"""Temporal shift: a part of the channels of each frame comes from the frame before it, another from the one after.

    frame    0  1  2  3
    1/8      .  0  1  2     from the frame before
    1/8      1  2  3  .     from the frame after
    6/8      0  1  2  3     its own

In front of the first convolution of each residual block, on its residual path, so that a frame's own features still pass.
Written with slices and concatenation, because a copy in place exports for one shape alone.
Source: temporal shift module, arXiv:1811.08383.
"""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

SHIFTED_SHARE = 8
"""One channel of so many goes forward, and as many go back."""


class ShiftedConv2d(nn.Conv2d):
    """A convolution that sees its neighbours in time. Its weights have the names of an ordinary one."""

    num_frames = 1

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 the name that torch gives it
        """(batch x frames, channels, height, width)."""
        clips = input.reshape(-1, self.num_frames, *input.shape[1:])
        return super().forward(shifted(clips).flatten(0, 1))


def shifted(clips: Tensor) -> Tensor:
    """(batch, frames, channels, height, width), with zeros where there is no neighbour."""
    share = clips.shape[2] // SHIFTED_SHARE
    forward, back, own = clips[:, :, :share], clips[:, :, share : 2 * share], clips[:, :, 2 * share :]
    nothing = torch.zeros_like(forward[:, :1])
    return torch.cat([torch.cat([nothing, forward[:, :-1]], 1), torch.cat([back[:, 1:], nothing], 1), own], dim=2)


def add_temporal_shift(trunk: ResNet) -> None:
    """Put a ``ShiftedConv2d`` in the place of the first convolution of every residual block, with its weights."""
    for block in _blocks(trunk):
        plain = block.conv1
        conv = ShiftedConv2d(
            plain.in_channels,
            plain.out_channels,
            plain.kernel_size,
            plain.stride,
            plain.padding,
            bias=False,
        )
        conv.load_state_dict(plain.state_dict())
        block.conv1 = conv


def tell_frames(trunk: nn.Module, num_frames: int) -> None:
    """How many frames of one clip follow each other in the batch."""
    for module in trunk.modules():
        if isinstance(module, ShiftedConv2d):
            module.num_frames = num_frames


def _blocks(trunk: ResNet) -> list[BasicBlock | Bottleneck]:
    return [module for module in trunk.modules() if isinstance(module, BasicBlock | Bottleneck)]
