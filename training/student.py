"""A ResNet as a student: its four stages, read out linearly as a teacher's maps, and what it is asked to match."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model

from training.architecture import Backbone
from training.model import IMAGENET_MEAN, IMAGENET_STD
from training.teacher import FEATURE_CHANNELS, STAGE_CHANNELS

_TAUGHT_CHANNELS = (*STAGE_CHANNELS, FEATURE_CHANNELS)


class Student(nn.Module):
    """A ResNet with random weights, with one linear read-out for each of the teacher's maps."""

    def __init__(self, backbone: Backbone = "resnet50") -> None:
        super().__init__()
        self.trunk = get_model(backbone, weights=None, zero_init_residual=True)
        last = self.trunk.fc.in_features
        pairs = zip((last // 8, last // 4, last // 2, last, last), _TAUGHT_CHANNELS, strict=True)
        self.readouts = nn.ModuleList(nn.Conv2d(own, taught, kernel_size=1) for own, taught in pairs)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, views: Tensor) -> list[Tensor]:
        """Maps with the teacher's channels at the student's resolution, for ``views`` (batch, 3, height, width) in 0 to 1."""
        trunk = self.trunk
        x = ((views - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        x = trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(x))))
        stages: list[Tensor] = []
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            x = stage(x)
            stages.append(x)
        return [readout(stage) for readout, stage in zip(self.readouts, [*stages, x], strict=True)]

    def backbone(self) -> dict[str, Tensor]:
        """Weights under torchvision's names, without the classifier, for ``clipserve train --weights``."""
        return {name: value for name, value in self.trunk.state_dict().items() if not name.startswith("fc.")}


class FeatureLoss(nn.Module):
    """Share of the teacher's variance that the student leaves unexplained, map by map, and for the pooled feature.

    Raises: ValueError: no samples to take mean and deviation of each channel from.
    Source: hints at intermediate layers, arXiv:1412.6550, here at every stage and position.
    """

    def __init__(self, samples: Sequence[list[Tensor]]) -> None:
        super().__init__()
        if not samples:
            raise ValueError("the loss needs samples of the teacher's maps")
        maps = [torch.cat(parts) for parts in zip(*samples, strict=True)]
        self.means = [m.mean((0, 2, 3), keepdim=True) for m in maps]
        self.deviations = [m.std((0, 2, 3), keepdim=True) + 1e-4 for m in maps]
        pooled = maps[-1].mean((2, 3))
        self.pooled_mean, self.pooled_deviation = pooled.mean(0), pooled.std(0) + 1e-3

    def forward(self, student: list[Tensor], teacher: list[Tensor]) -> Tensor:
        """Losses of the four stages, the final map and the pooled feature, shape (6,)."""
        losses = [self._map_loss(i, *pair) for i, pair in enumerate(zip(student, teacher, strict=True))]
        return torch.stack([*losses, self._pooled_loss(student[-1], teacher[-1])])

    def _map_loss(self, index: int, student: Tensor, teacher: Tensor) -> Tensor:
        target = (teacher - self.means[index]) / self.deviations[index]
        target = F.adaptive_avg_pool2d(target, (student.shape[2], student.shape[3]))
        return F.mse_loss(student.float(), target) / (target.var() + 1e-6)

    def _pooled_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        features = student.float().mean((2, 3)) * self.deviations[-1].flatten() + self.means[-1].flatten()
        return F.mse_loss(
            (features - self.pooled_mean) / self.pooled_deviation,
            (teacher.mean((2, 3)) - self.pooled_mean) / self.pooled_deviation,
        )
