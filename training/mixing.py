"""Blends of two clips of a batch, their labels in the same shares: mixup of whole clips, cutmix of a part of the picture."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2


@dataclass(frozen=True)
class Mixing:
    """How batches are mixed, all frames of a clip alike. Where both are on, each batch draws one of them."""

    mixup: float = 0.0
    """Alpha of the beta distribution that shares are drawn from; 0 for none."""
    cutmix: float = 0.0

    @property
    def is_on(self) -> bool:
        """Whether clips change at all."""
        return bool(self.mixup or self.cutmix)

    def __call__(self, clips: Tensor, targets: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """``clips`` float (batch, frames, height, width, 3), ``targets`` (batch, labels), whose sums are mixed too.

        Each clip is mixed with the one in front of it, the first with the last.

        Source: arXiv:1710.09412, arXiv:1905.04899.
        """
        kinds = [kind(alpha=alpha) for kind, alpha in ((v2.MixUp, self.mixup), (v2.CutMix, self.cutmix)) if alpha]
        if not kinds or len(clips) < 2:
            return clips, targets
        torch.manual_seed(int(random.integers(2**62)))  # torchvision draws from the global state
        mix = kinds[int(random.integers(len(kinds)))]
        # all frames of a clip become the channels of one picture, so that they are mixed alike
        pictures = clips.permute(0, 1, 4, 2, 3).flatten(1, 2)
        mixed, shares = mix(pictures, targets)
        return mixed.unflatten(1, (clips.shape[1], 3)).permute(0, 1, 3, 4, 2).contiguous(), shares
