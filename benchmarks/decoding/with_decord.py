"""decord's ``VideoReader``, one thread, scaling while it decodes, from a file in memory: bytes it would copy first."""

import importlib.metadata
from pathlib import Path

import decord
import numpy as np

from benchmarks.decoding.contestant import Decode, Frames, Prepare
from benchmarks.decoding.wanted import SPEC, Wanted


def batch(video: Wanted, data: bytes) -> Decode:  # noqa: ARG001 - takes the file
    """``get_batch`` of the wanted places; it seeks by itself, and counts packets rather than frames that come out."""

    def decode() -> Frames:
        reader = decord.VideoReader(str(video.path), ctx=decord.cpu(0), num_threads=1, width=SPEC.width, height=SPEC.height)
        return np.asarray(reader.get_batch(list(video.packet_indices)).asnumpy(), np.uint8)

    return decode


def _ffmpeg() -> str:
    libraries = Path(decord.__file__).parent.parent / "decord.libs"
    return next((f"libavcodec {file.name.split('.so.')[1]}" for file in libraries.glob("libavcodec*")), "unknown")


CONTESTANTS: dict[str, Prepare] = {"decord": batch}
VERSIONS = {"decord": importlib.metadata.version("decord"), "FFmpeg": _ffmpeg()}
