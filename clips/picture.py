"""One decoded frame to one RGB picture: colour and size in a single pass of libswscale, then rotation and crop."""

from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from clips.errors import DecodeFailed, DimensionsOutOfRange
from clips.limits import DecodeLimits
from clips.spec import ClipSpec, Size

_SCALERS = {"bilinear": Interpolation.BILINEAR, "bicubic": Interpolation.BICUBIC, "area": Interpolation.AREA}


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
    shown = Size(frame.height, max(1, round(frame.width * pixel_aspect(sample_aspect_ratio))))
    return Size(shown.width, shown.height) if quarter_turns(frame) % 2 else shown


def to_picture(
    frame: VideoFrame,
    spec: ClipSpec,
    sample_aspect_ratio: Fraction | None,
    limits: DecodeLimits,
    scaler: VideoReformatter | None = None,
) -> NDArray[np.uint8]:
    """The frame as ``spec`` wants it: uint8 RGB, shape (height, width, 3).

    One ``scaler`` for all frames of a clip keeps its filter, which takes longer to set up than a small frame to scale.

    Raises: DimensionsOutOfRange: too many pixels, or an extreme aspect. DecodeFailed: libswscale refuses the pixel format.
    """
    shown = display_geometry(frame, sample_aspect_ratio)
    _check_geometry(frame, shown, limits)
    upright = spec.scaled_size(shown.width, shown.height)
    turns = quarter_turns(frame)
    scaled = Size(upright.width, upright.height) if turns % 2 else upright
    try:
        rgb = (scaler or VideoReformatter()).reformat(
            frame, scaled.width, scaled.height, "rgb24", interpolation=_SCALERS[spec.interpolation], threads=1
        )
    except (ValueError, OSError) as problem:
        raise DecodeFailed("The video's pixel format cannot be converted to RGB.") from problem
    picture: NDArray[np.uint8] = np.rot90(rgb.to_ndarray(), turns).view(np.uint8)
    top, left = (upright.height - spec.height) // 2, (upright.width - spec.width) // 2
    return picture[top : top + spec.height, left : left + spec.width]


def _check_geometry(frame: VideoFrame, shown: Size, limits: DecodeLimits) -> None:
    """Every frame is checked: the size may change in the middle of a stream."""
    if frame.width * frame.height > limits.max_pixels:
        raise DimensionsOutOfRange(
            f"A frame has {frame.width} x {frame.height} px; at most {limits.max_pixels} px are accepted."
        )
    if max(shown) > limits.max_aspect_ratio * min(shown):
        raise DimensionsOutOfRange(
            f"A frame is shown at {shown.width} x {shown.height} px; its sides may differ {limits.max_aspect_ratio:g} times."
        )
