"""Random views of pictures for distillation: crops, flips, light and colour, and blends of two pictures."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

Picture = NDArray[np.uint8]


class Views:
    """Draws batches of views from one or more collections of pictures, each collection equally often.

    Every picture is uint8 RGB of shape (height, width, 3); sizes may differ.
    """

    def __init__(self, collections: Sequence[Sequence[Picture]], seed: int, device: torch.device | str = "cpu") -> None:
        """``device`` is where parts are scaled, and where the views are."""
        self.collections = [pictures for pictures in collections if len(pictures)]
        self.random, self._device = np.random.default_rng(seed), device

    def draw(self, count: int, size: int) -> Tensor:
        """``count`` views as float32 (count, 3, size, size) in 0 to 1; half of the batches are blends of two views.

        Source: consistent teaching on blended views, arXiv:2106.05237.
        """
        views = torch.stack([self._crop(self._picture(), size) for _ in range(count)]).float() / 255
        views = _jitter(views, self.random)
        if self.random.random() < 0.5:
            share = _uniform(self.random, count, 0.0, 1.0).to(self._device)
            views = share * views + (1 - share) * views.flip(0)
        return views

    def _picture(self) -> Picture:
        pictures = self.collections[int(self.random.integers(len(self.collections)))]
        return pictures[int(self.random.integers(len(pictures)))]

    def _crop(self, picture: Picture, size: int) -> Tensor:
        """A random part (a quarter to all of the area, 3:4 to 4:3), scaled to ``size`` and flipped half of the time."""
        height, width = picture.shape[:2]
        area = height * width * self.random.uniform(0.25, 1.0)
        aspect = math.exp(self.random.uniform(math.log(3 / 4), math.log(4 / 3)))
        crop_width, crop_height = min(width, round(math.sqrt(area * aspect))), min(height, round(math.sqrt(area / aspect)))
        top, left = self.random.integers(height - crop_height + 1), self.random.integers(width - crop_width + 1)
        part = np.array(picture[top : top + crop_height, left : left + crop_width])
        on_device = torch.from_numpy(part).to(self._device)
        view: Tensor = transforms.resize(on_device.permute(2, 0, 1), [size, size], antialias=True)
        return view.flip(2) if self.random.random() < 0.5 else view


def _jitter(views: Tensor, random: np.random.Generator) -> Tensor:
    """Brightness and contrast by up to 30%, saturation by up to 40%, one draw for each view."""
    brightness, contrast = (_uniform(random, len(views), 0.7, 1.3).to(views.device) for _ in range(2))
    saturation = _uniform(random, len(views), 0.6, 1.4).to(views.device)
    views = views * brightness
    mean = views.mean((1, 2, 3), keepdim=True)
    views = (views - mean) * contrast + mean
    grey = views.mean(1, keepdim=True)
    return ((views - grey) * saturation + grey).clamp(0, 1)


def _uniform(random: np.random.Generator, count: int, low: float, high: float) -> Tensor:
    """One number for each view, shape (count, 1, 1, 1)."""
    return torch.from_numpy(random.uniform(low, high, (count, 1, 1, 1)).astype(np.float32))
