"""Decoding on the video engine of an NVIDIA GPU (NVDEC), through FFmpeg's ``cuda`` acceleration.

PyAV's wheels have it built in; the driver's libraries are loaded when it is first used. Frames come back to main memory and go
the same way as others. What the GPU cannot decode (a codec, a size, AV1 as long as FFmpeg prefers dav1d) is decoded on the
CPU, and the facts of the video say so.
"""

from functools import cache
from typing import Literal

from av.codec.context import CodecContext
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext

from clips.errors import CommandError

Accelerator = Literal["none", "cuda"]
AcceleratorChoice = Literal["none", "auto", "cuda"]
"""``auto``: ``cuda`` where it works, else ``none``, with the reason."""

# the process's one CUDA context, shared by all decoders, instead of a new one for each video
_OPTIONS: dict[str, object] = {"primary_ctx": "1"}


class AcceleratorUnavailable(CommandError):
    """There is no GPU, no driver, or no decoder for it in this build of FFmpeg."""


def hardware(accelerator: Accelerator) -> HWAccel | None:
    """What ``av.open`` takes; None for the CPU. Raises: AcceleratorUnavailable."""
    if accelerator == "none":
        return None
    _hold_device()
    return HWAccel("cuda", allow_software_fallback=True, options=_OPTIONS)


def decoded_on(context: VideoCodecContext) -> Literal["cpu", "cuda"]:
    """Where a decoder works; certain once it has given a frame."""
    return "cuda" if context.is_hwaccel else "cpu"


@cache
def _hold_device() -> CodecContext:
    """One decoder, never used and never closed: as long as it lives the CUDA context stays, which takes long to make.

    Raises: AcceleratorUnavailable.
    """
    try:
        return CodecContext.create("h264", "r", hwaccel=HWAccel("cuda", allow_software_fallback=False, options=_OPTIONS))
    except (OSError, NotImplementedError, RuntimeError) as problem:
        raise AcceleratorUnavailable(
            "videos cannot be decoded on a GPU here: no NVIDIA driver, no free GPU, or no cuda support in PyAV's FFmpeg; "
            "nvidia-smi tells which GPUs there are"
        ) from problem
