"""The network: a ResNet on every frame, what becomes of the frames' features over time, one linear layer.

    clips (batch, frames, height, width, 3) -> frames folded into the batch -> trunk -> (batch, frames, features)
        -> temporal pooling -> dropout -> linear -> logits (batch, labels)

Under a linear head, averaging features and averaging scores are the same thing.
Source: temporal segment networks, arXiv:1608.00859; He et al., arXiv:1512.03385.
"""

from typing import Literal

import torch
import torchvision
from torch import Tensor, nn

from training.architecture import Architecture
from training.temporal import temporal_pooling
from training.temporal_shift import add_temporal_shift, tell_frames

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
BatchNorm = Literal["frozen", "partial", "trained"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class VideoClassifier(nn.Module):
    """Clips to logits; takes uint8 RGB and normalises by itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, num_labels: int, dropout: float = 0.0, architecture: Architecture | None = None) -> None:
        """Random start weights, from torch's global random state. ResNet-50 and the mean over frames, if not told otherwise."""
        super().__init__()
        architecture = architecture or Architecture()
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.trunk = getattr(torchvision.models, architecture.backbone)(weights=None)
        features: int = self.trunk.fc.in_features
        self.trunk.fc = nn.Identity()
        if architecture.temporal == "shift":
            add_temporal_shift(self.trunk)
        pooling = temporal_pooling(features, architecture)
        self.temporal = pooling
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(pooling.out_features, num_labels)
        self.to(memory_format=torch.channels_last)

    def features(self, clips: Tensor) -> Tensor:
        """(batch, frames, height, width, 3), uint8 or float 0 to 255 -> (batch, frames, features)."""
        # height, width, channel in memory is what torch calls channels_last: the permute costs nothing
        frames = clips.flatten(0, 1).permute(0, 3, 1, 2).float()
        tell_frames(self.trunk, clips.shape[1])
        per_frame: Tensor = self.trunk((frames - self.mean) / self.std)
        return per_frame.reshape(-1, clips.shape[1], per_frame.shape[1])

    def embedding(self, features: Tensor) -> Tensor:
        """(batch, frames, features) -> what the head sees of a clip, (batch, features)."""
        embedded: Tensor = self.temporal(features)
        return embedded

    def classify(self, features: Tensor) -> Tensor:
        """(batch, frames, features) -> logits (batch, labels)."""
        logits: Tensor = self.head(self.dropout(self.embedding(features)))
        return logits

    def forward(self, clips: Tensor) -> Tensor:
        """(batch, frames, height, width, 3) -> logits (batch, labels)."""
        return self.classify(self.features(clips))

    def stage_parameters(self, stage: str) -> list[nn.Parameter]:
        """Parameters of one of ``STAGES``; the temporal pooling belongs to the head."""
        if stage == "stem":
            return [*self.trunk.conv1.parameters(), *self.trunk.bn1.parameters()]
        if stage == "head":
            return [*self.temporal.parameters(), *self.head.parameters()]
        return list(getattr(self.trunk, stage).parameters())

    def train_mode(self, batch_norm: BatchNorm, frozen_stages: int = 0) -> None:
        """Training mode. Batch norm keeps its running statistics in stages that are frozen, and as ``batch_norm`` says.

        ``partial``: only the first layer of all learns them. Source: temporal segment networks, arXiv:1608.00859, section 3.3.
        """
        self.train()
        frozen = {id(layer) for stage in STAGES[:frozen_stages] for layer in self._batch_norms(stage)}
        for number, layer in enumerate(layer for stage in STAGES[:-1] for layer in self._batch_norms(stage)):
            wanted = batch_norm == "trained" or (batch_norm == "partial" and number == 0)
            layer.train(wanted and id(layer) not in frozen)

    def learned_statistics(self) -> list[Tensor]:
        """Running means and variances of the batch norm that learns them."""
        learning = [layer for stage in STAGES[:-1] for layer in self._batch_norms(stage) if layer.training]
        found = [statistic for layer in learning for statistic in (layer.running_mean, layer.running_var)]
        return [statistic for statistic in found if statistic is not None]

    def _batch_norms(self, stage: str) -> list[nn.BatchNorm2d]:
        if stage == "stem":
            return [self.trunk.bn1]
        return [module for module in getattr(self.trunk, stage).modules() if isinstance(module, nn.BatchNorm2d)]
