"""One decoded frame to one RGB picture by libswscale: size, colour, then rotation and crop."""

from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from clips.errors import DecodeFailed, DimensionsOutOfRange
from clips.limits import DecodeLimits
from clips.spec import ClipSpec, Size

_SCALERS = {"bilinear": Interpolation.BILINEAR, "bicubic": Interpolation.BICUBIC, "area": Interpolation.AREA}

# one chroma sample for four pixels (4:2:0): what nearly all videos are
_FORMATS_420 = ("yuv420p", "yuvj420p", "yuv420p10le", "nv12", "p010le")


class Scaler:
    """Frames to RGB of another size. One for all frames of a clip keeps its filters, which take longer to set up than a small
    frame to scale.

    Frames of 4:2:0 are scaled as they are and change colour afterwards, with as many pixels as are left: libswscale has
    faster code for each of the two than for both at once, and loses less to rounding.
    """

    def __init__(self) -> None:
        self._size, self._colour = VideoReformatter(), VideoReformatter()

    def to_rgb(self, frame: VideoFrame, size: Size, interpolation: Interpolation) -> VideoFrame:
        """Raises: ValueError, OSError: libswscale refuses the pixel format."""
        if frame.format.name in _FORMATS_420:
            frame = self._size.reformat(frame, size.width, size.height, "yuv420p", interpolation=interpolation, threads=1)
        return self._colour.reformat(frame, size.width, size.height, "rgb24", interpolation=interpolation, threads=1)


def quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise quarter turns (0 to 3) that bring the frame upright; other angles round to the nearest."""
    return round(frame.rotation / 90) % 4


def pixel_aspect(sample_aspect_ratio: Fraction | None) -> float:
    """Width of a pixel over its height; 1.0 where the container gives none or nonsense."""
    ratio = float(sample_aspect_ratio or 1)
    return ratio if 1 / 16 <= ratio <= 16 else 1.0


def display_geometry(frame: VideoFrame, sample_aspect_ratio: Fraction | None) -> Size:
    """Height and width at which a player shows the frame, px: pixel aspect first, then rotation.

    720 x 576 coded, pixel aspect 16:15, rotated by 90 degrees  ->  Size(height=768, width=576)
    """
    return _shown(_Coded(frame.width, frame.height, quarter_turns(frame), pixel_aspect(sample_aspect_ratio)))


def to_picture(
    frame: VideoFrame,
    spec: ClipSpec,
    sample_aspect_ratio: Fraction | None,
    limits: DecodeLimits,
    scaler: Scaler | None = None,
) -> NDArray[np.uint8]:
    """The frame as ``spec`` wants it: uint8 RGB, shape (height, width, 3).

    Raises: DimensionsOutOfRange: too many pixels, or an extreme aspect. DecodeFailed: libswscale refuses the pixel format.
    """
    turns = quarter_turns(frame)
    scaled, top, left = _layout(_Coded(frame.width, frame.height, turns, pixel_aspect(sample_aspect_ratio)), spec, limits)
    try:
        rgb = (scaler or Scaler()).to_rgb(frame, scaled, _SCALERS[spec.interpolation])
    except (ValueError, OSError) as problem:
        raise DecodeFailed("The video's pixel format cannot be converted to RGB.") from problem
    picture: NDArray[np.uint8] = rgb.to_ndarray().view(np.uint8)
    if turns:
        picture = np.rot90(picture, turns)
    return picture[top : top + spec.height, left : left + spec.width]


class _Coded(NamedTuple):
    """What decides how a frame is shown."""

    width: int
    height: int
    turns: int
    pixel_aspect: float


def _shown(coded: _Coded) -> Size:
    shown = Size(coded.height, max(1, round(coded.width * coded.pixel_aspect)))
    return Size(shown.width, shown.height) if coded.turns % 2 else shown


@lru_cache(maxsize=16)  # the frames of a video are all alike, or nearly
def _layout(coded: _Coded, spec: ClipSpec, limits: DecodeLimits) -> tuple[Size, int, int]:
    """Size to scale a frame to before it is turned; top and left of the part that is kept, after. Every frame is checked: the
    size may change in the middle of a stream.

    Raises: DimensionsOutOfRange.
    """
    width, height, turns, _ = coded
    shown = _shown(coded)
    if width * height > limits.max_pixels:
        raise DimensionsOutOfRange(f"A frame has {width} x {height} px; at most {limits.max_pixels} px are accepted.")
    if max(shown) > limits.max_aspect_ratio * min(shown):
        raise DimensionsOutOfRange(
            f"A frame is shown at {shown.width} x {shown.height} px; its sides may differ {limits.max_aspect_ratio:g} times."
        )
    upright = spec.scaled_size(shown.width, shown.height)
    scaled = Size(upright.width, upright.height) if turns % 2 else upright
    return scaled, (upright.height - spec.height) // 2, (upright.width - spec.width) // 2
