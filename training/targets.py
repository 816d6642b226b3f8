"""What a model should answer to clips."""

import torch
from torch import Tensor

from training.reading import ClipFrames


def label_targets(decoded: ClipFrames, labels: list[str]) -> Tensor:
    """(clips, labels), float32: 1 for the label of each clip, or for each of its tags."""
    positions = {label: column for column, label in enumerate(labels)}
    targets = torch.zeros(len(decoded), len(labels))
    for row, clip in enumerate(decoded.clips):
        targets[row, [positions[label] for label in clip.labels]] = 1.0
    return targets
