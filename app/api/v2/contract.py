"""What one model takes and gives in the protocol's words, and how much of it one request may carry."""

from dataclasses import dataclass
from math import prod
from typing import Final

from app.api.dependencies import Service
from app.inference.served import ServedModel
from app.inference.video_file import SPOOL_BYTES

INPUT: Final = "clips"
INPUT_TYPE: Final = "UINT8"
OUTPUT: Final = "probabilities"
OUTPUT_TYPE: Final = "FP32"
PLATFORM: Final = "onnxruntime_onnx"
BACKEND: Final = "onnxruntime"

HEADER_BYTES = 64 * 1024
"""Most bytes of the JSON of a request, its numbers apart; read by the event loop itself, in about a millisecond."""

_JSON_BYTES_PER_VALUE = 6
"""`255, ` and its share of the brackets: one clip can always be sent as JSON."""


@dataclass(frozen=True)
class TensorContract:
    """Bounds and shapes of the requests to one model."""

    clip_shape: tuple[int, int, int, int]
    """(frames, height, width, 3)"""
    labels: list[str]
    max_clips: int
    """In one request."""
    max_body_bytes: int
    """Of one request, JSON and binary data together, inflated."""

    @classmethod
    def of(cls, model: ServedModel, service: Service) -> "TensorContract":
        """As many clips as may wait, and no more than have room in an upload; one always has."""
        shape = model.manifest.clip_spec.shape
        clip_bytes = prod(shape)
        max_clips = max(1, min(service.max_clips_per_request, service.upload_limits.max_bytes // clip_bytes))
        max_data_bytes = max(max_clips, _JSON_BYTES_PER_VALUE) * clip_bytes
        return cls(shape, model.manifest.labels, max_clips, HEADER_BYTES + max_data_bytes)

    @property
    def clip_bytes(self) -> int:
        """Bytes of one clip: a byte for each value."""
        return prod(self.clip_shape)

    @property
    def memory_bytes(self) -> int:
        """Body that stays in memory until it is read: that of one clip is soon there anyway."""
        return max(SPOOL_BYTES, HEADER_BYTES + self.clip_bytes)
