"""Random crop, flip, colour and blur: one draw per clip, the same for all of its frames, so that motion stays motion."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

_ASPECT = (3 / 4, 4 / 3)
_BLUR_SIGMA = (0.1, 2.0)
_BLUR_WIDTH = 0.1


@dataclass(frozen=True)
class Augmentation:
    """What may change between two views of one clip."""

    size: int
    """Height and width of what comes out, px."""
    flip: bool
    crop_scale_min: float
    """Smallest area of a crop over the whole; 1 keeps the whole frame."""
    colour: float
    """Brightness, contrast and saturation are scaled by 1 - colour to 1 + colour."""
    rand_augment: int = 0
    """Magnitude of two random operations on shape or colour, 0 to 30; 0 for none."""
    hue: float = 0.0
    """Colours turn by at most this share of the circle, 0 to 0.5."""
    grey: float = 0.0
    """Share of the clips that lose their colours."""
    blur: float = 0.0
    """Share of the clips that lose their sharpness."""

    def __call__(self, clips: Tensor, seeds: Iterable[int]) -> Tensor:
        """(batch, frames, height, width, 3), uint8 -> (batch, frames, size, size, 3), float, 0 to 255.

        ``seeds``: one for each clip, so that it changes in the same way whoever else is in its batch.
        """
        views = (self._one(clip, np.random.default_rng(seed)) for clip, seed in zip(clips, seeds, strict=True))
        return torch.stack(list(views))

    def _one(self, clip: Tensor, random: np.random.Generator) -> Tensor:
        frames = self._crop(clip, random).permute(0, 3, 1, 2).float()
        if frames.shape[-2:] != (self.size, self.size):
            frames = F.interpolate(frames, (self.size, self.size), mode="bilinear", antialias=True)
        if self.rand_augment:
            frames = _rand_augment(frames, self.rand_augment, random)
        if self.flip and random.random() < 0.5:
            frames = frames.flip(-1)
        if self.colour:
            frames = _jitter(frames, random.uniform(1 - self.colour, 1 + self.colour, size=3))
        if self.hue:
            frames = _turned(frames, random.uniform(-self.hue, self.hue))
        if random.random() < self.grey:
            frames = functional.rgb_to_grayscale(frames, num_output_channels=3)
        if random.random() < self.blur:
            frames = _blurred(frames, random)
        return frames.permute(0, 2, 3, 1).contiguous()

    def _crop(self, clip: Tensor, random: np.random.Generator) -> Tensor:
        """A part of the picture with random area, aspect and place.

        Source: Szegedy et al., arXiv:1409.4842 (inception crop).
        """
        if self.crop_scale_min == 1:
            return clip
        rows, columns = clip.shape[1:3]
        area = rows * columns * random.uniform(self.crop_scale_min, 1)
        aspect = np.exp(random.uniform(*np.log(_ASPECT)))
        height, width = min(rows, round(np.sqrt(area / aspect))), min(columns, round(np.sqrt(area * aspect)))
        top, left = random.integers(rows - height + 1), random.integers(columns - width + 1)
        return clip[:, top : top + height, left : left + width]


class _SteadyRandAugment(v2.RandAugment):  # type: ignore[misc]
    """Without the operations that look at each picture first: they would make a clip flicker."""

    _AUGMENTATION_SPACE = {  # noqa: RUF012 as in torchvision
        name: operation
        for name, operation in v2.RandAugment._AUGMENTATION_SPACE.items()
        if name not in {"AutoContrast", "Contrast", "Equalize"}
    }


def _rand_augment(frames: Tensor, magnitude: int, random: np.random.Generator) -> Tensor:
    """The same two operations on all frames; (frames, 3, height, width).

    Source: arXiv:1909.13719.
    """
    torch.manual_seed(int(random.integers(2**62)))  # torchvision draws from the global state
    operations = _SteadyRandAugment(num_ops=2, magnitude=magnitude)
    changed: Tensor = operations(frames.round().clamp(0, 255).to(torch.uint8))
    return changed.float()


def _jitter(frames: Tensor, factors: np.ndarray) -> Tensor:
    """Brightness, contrast about the clip's mean, saturation about each pixel's mean; (frames, 3, height, width)."""
    brightness, contrast, saturation = map(float, factors)
    frames = frames * brightness
    frames = frames.mean() * (1 - contrast) + frames * contrast
    return (frames.mean(dim=1, keepdim=True) * (1 - saturation) + frames * saturation).clamp(0, 255)


def _turned(frames: Tensor, hue: float) -> Tensor:
    """Colours turned by ``hue``, a share of the circle; (frames, 3, height, width)."""
    turned: Tensor = functional.adjust_hue(frames / 255, hue) * 255
    return turned.clamp(0, 255)


def _blurred(frames: Tensor, random: np.random.Generator) -> Tensor:
    """By a Gaussian of random width; (frames, 3, height, width).

    Source: SimCLR, arXiv:2002.05709, appendix A: sigma from 0.1 to 2, a kernel of a tenth of the frame.
    """
    kernel = max(3, round(_BLUR_WIDTH * frames.shape[-1]) // 2 * 2 + 1)
    blurred: Tensor = functional.gaussian_blur(frames, [kernel, kernel], [random.uniform(*_BLUR_SIGMA)])
    return blurred.clamp(0, 255)  # sums of rounded weights
