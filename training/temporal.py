"""What becomes of the features of a clip's frames: (batch, frames, features) -> (batch, out_features).

                sees order   weights       source
average         no           none          temporal segment networks, arXiv:1608.00859
attention       no           small         attention pooling, arXiv:1802.04712
lstm            yes          5 M           beyond short snippets, arXiv:1503.08909
transformer     yes          4 M           class token and encoder, arXiv:1706.03762 and arXiv:2010.11929
shift           yes          none          in the trunk (temporal_shift.py), then averaged; arXiv:1811.08383
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from training.architecture import Architecture

MAX_FRAMES = 64
HEAD_FEATURES = 64
"""Features that one head of attention looks at."""
_ATTENTION_WIDTH = 128
_DROPOUT = 0.1


def temporal_pooling(
    features: int, architecture: Architecture
) -> "AveragePooling | AttentionPooling | LSTMPooling | TransformerPooling":
    """Random start weights, from torch's global random state."""
    match architecture.temporal:
        case "average" | "shift":
            return AveragePooling(features)
        case "attention":
            return AttentionPooling(features)
        case "lstm":
            return LSTMPooling(features, architecture.width, architecture.layers, architecture.bidirectional)
        case "transformer":
            return TransformerPooling(features, architecture.width, architecture.layers)


class AveragePooling(nn.Module):
    """The mean over the frames."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.out_features = features

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, features) -> (batch, features)."""
        return features.mean(dim=1)


class AttentionPooling(nn.Module):
    """A mean whose weights are learnt from the frames themselves, each by itself."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.out_features = features
        self.score = nn.Sequential(nn.Linear(features, _ATTENTION_WIDTH), nn.Tanh(), nn.Linear(_ATTENTION_WIDTH, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, features) -> (batch, features)."""
        weights: Tensor = self.score(features).softmax(dim=1)
        return (weights * features).sum(dim=1)


class LSTMPooling(nn.Module):
    """The last hidden state, or the last one of each direction."""

    def __init__(self, features: int, width: int, layers: int, bidirectional: bool) -> None:
        super().__init__()
        self.directions = 2 if bidirectional else 1
        self.out_features = width * self.directions
        self.lstm = nn.LSTM(features, width, layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, features) -> (batch, out_features)."""
        _, (hidden, _) = self.lstm(features)
        return cast(Tensor, hidden[-self.directions :].transpose(0, 1).flatten(1))


class TransformerPooling(nn.Module):
    """An encoder over the frames and a class token, whose last state speaks for the clip."""

    positions: Tensor

    def __init__(self, features: int, width: int, layers: int) -> None:
        """Raises: ValueError: ``width`` is no multiple of ``HEAD_FEATURES``."""
        super().__init__()
        if width % HEAD_FEATURES:
            raise ValueError(f"the width of a transformer must be a multiple of {HEAD_FEATURES}, not {width}")
        self.out_features = width
        self.project = nn.Linear(features, width)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.register_buffer("positions", sinusoidal_positions(MAX_FRAMES + 1, width), persistent=False)
        layer = nn.TransformerEncoderLayer(
            width, width // HEAD_FEATURES, 4 * width, _DROPOUT, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, features) -> (batch, width)."""
        token = self.class_token.expand(features.shape[0], -1, -1)
        sequence = torch.cat([token, self.project(features)], dim=1)
        encoded: Tensor = self.encoder(sequence + self.positions[: sequence.shape[1]])
        return encoded[:, 0]


def sinusoidal_positions(count: int, width: int) -> Tensor:
    """(count, width): sines of falling frequency in the even columns, cosines in the odd ones.

    Source: arXiv:1706.03762, section 3.5.
    """
    frequency = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angle = torch.arange(count)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)
