"""How a video becomes the input of a model: fixed before the first epoch, copied into checkpoint and manifest."""

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Size(NamedTuple):
    """Height and width in px."""

    height: int
    width: int


class ClipSpec(BaseModel):
    """Number, size and look of the frames of one clip.

    ``fit="crop"`` scales the frame until it covers ``height`` x ``width`` and keeps the centre; ``fit="stretch"`` scales
    both sides to the target and keeps every pixel's content at the price of the aspect ratio.

        crop                     stretch
        +--+--------+--+         +--------------+
        |  |  kept  |  |         |     kept     |
        +--+--------+--+         +--------------+
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    num_frames: int = Field(default=8, ge=1, le=512)
    """Frames per clip, one from the middle of each of as many equal segments of the video."""
    height: int = Field(default=224, ge=16, le=2048)
    """Rows of a frame, px."""
    width: int = Field(default=224, ge=16, le=2048)
    """Columns of a frame, px."""
    fit: Literal["crop", "stretch"] = "crop"
    """``crop`` keeps the aspect ratio and cuts the sides; ``stretch`` keeps all content."""
    interpolation: Literal["bilinear", "bicubic", "area"] = "area"
    """The scaler of libswscale; each one filters before it shrinks. ``area`` takes the mean of what a pixel covers, in about
    half of the time that ``bilinear`` takes; where it enlarges, the two are the same."""
    sampling: Literal["exact", "nearest_reference"] = "exact"
    """``exact``: the frame that is on screen at each target time. ``nearest_reference``: at most half a segment from it, the
    nearest frame that is cheap to decode (a keyframe, else one that others refer to)."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of a clip: (frames, height, width, 3)."""
        return (self.num_frames, self.height, self.width, 3)

    def scaled_size(self, display_width: float, display_height: float) -> Size:
        """Size to which a frame shown at ``display_width`` x ``display_height`` px is scaled before the centre crop.

        The side that is cut is rounded to an even number: libswscale converts colour in pairs of pixels and takes twice as long
        for an odd width.

        240 x 320 into 224 x 224:   crop -> Size(224, 298)   stretch -> Size(224, 224)
        """
        if self.fit == "stretch":
            return Size(self.height, self.width)
        scale = max(self.height / display_height, self.width / display_width)
        return Size(max(self.height, _even(display_height * scale)), max(self.width, _even(display_width * scale)))


def _even(length: float) -> int:
    return 2 * round(length / 2)
