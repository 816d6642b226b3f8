"""The network: ResNet-50 on every frame, features averaged over the frames, one linear layer.

    clips (batch, frames, height, width, 3) -> frames folded into the batch -> trunk -> (batch, frames, 2048)
        -> mean over frames -> dropout -> linear -> logits (batch, labels)

Averaging features and averaging scores are the same thing under a linear head.
Source: temporal segment networks, arXiv:1608.00859; He et al., arXiv:1512.03385.
"""

import torch
import torchvision
from torch import Tensor, nn

FEATURES = 2048
STAGES = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class VideoClassifier(nn.Module):
    """Clips to logits; takes uint8 RGB and normalises by itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, num_labels: int, dropout: float = 0.0) -> None:
        """Random start weights, from torch's global random state."""
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.trunk = torchvision.models.resnet50(weights=None)
        self.trunk.fc = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(FEATURES, num_labels)
        self.to(memory_format=torch.channels_last)

    def features(self, clips: Tensor) -> Tensor:
        """(batch, frames, height, width, 3), uint8 or float 0 to 255 -> (batch, 2048)."""
        # height, width, channel in memory is what torch calls channels_last: the permute costs nothing
        frames = clips.flatten(0, 1).permute(0, 3, 1, 2).float()
        per_frame: Tensor = self.trunk((frames - self.mean) / self.std)
        return per_frame.reshape(-1, clips.shape[1], FEATURES).mean(dim=1)

    def classify(self, features: Tensor) -> Tensor:
        """(batch, 2048) -> logits (batch, labels)."""
        logits: Tensor = self.head(self.dropout(features))
        return logits

    def forward(self, clips: Tensor) -> Tensor:
        """(batch, frames, height, width, 3) -> logits (batch, labels)."""
        return self.classify(self.features(clips))

    def stage_parameters(self, stage: str) -> list[nn.Parameter]:
        """Parameters of one of ``STAGES``."""
        if stage == "stem":
            return [*self.trunk.conv1.parameters(), *self.trunk.bn1.parameters()]
        module = self.head if stage == "head" else getattr(self.trunk, stage)
        return list(module.parameters())

    def train_with_frozen_statistics(self, frozen: bool) -> None:
        """Training mode; batch norm keeps its running statistics where ``frozen``."""
        self.train()
        for module in self.trunk.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train(not frozen)
