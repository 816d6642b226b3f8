"""torchcodec's ``VideoDecoder`` from bytes, one thread.

Its frames are scaled afterwards by ``interpolate``: its own ``Resize`` costs up to 5% more on 1080p and 20% on 320 x 240 px.
"""

import importlib.metadata

import numpy as np
import torch
from torch.nn.functional import interpolate
from torchcodec._core import get_ffmpeg_library_versions
from torchcodec.decoders import VideoDecoder

from benchmarks.decoding.contestant import Decode, Frames, Prepare
from benchmarks.decoding.wanted import SPEC, Wanted

torch.set_num_threads(1)


def played_at(mode: str) -> Prepare:
    """``get_frames_played_at`` the wanted times; ``mode`` is ``exact`` (scans the file first) or ``approximate``."""

    def prepare(video: Wanted, data: bytes) -> Decode:
        def decode() -> Frames:
            decoder = VideoDecoder(data, stream_index=video.stream_index, num_ffmpeg_threads=1, device="cpu", seek_mode=mode)
            pictures = decoder.get_frames_played_at(list(video.seconds)).data
            scaled = interpolate(pictures, size=(SPEC.height, SPEC.width), mode="bilinear")
            return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).numpy(), np.uint8)

        return decode

    return prepare


CONTESTANTS: dict[str, Prepare] = {f"torchcodec_{mode}": played_at(mode) for mode in ("exact", "approximate")}
VERSIONS = {
    "torchcodec": importlib.metadata.version("torchcodec"),
    "torch": torch.__version__,
    "FFmpeg": get_ffmpeg_library_versions()["ffmpeg_version"],
}
