"""Errors of the decoder: damage is counted and survived, a lack of memory is nobody's damage, and mending has a bound."""

from collections.abc import Iterator
from typing import Any, cast

import av
import numpy as np
import pytest

from clips import ClipSpec, DecodeFailed, DecodeLimits, load_clip
from clips.picture import to_picture
from clips.pictures import Damage, _decode
from tests.encodings import grainy, with_damaged_frame


class Decoder:
    """Fails as it is told to, at a packet or where it is emptied (None)."""

    def __init__(self, fails_at: object, error: Exception) -> None:
        self._fails_at, self._error = fails_at, error

    def decode(self, packet: object) -> list[Any]:
        if packet is self._fails_at:
            raise self._error
        return []

    def flush_buffers(self) -> None:
        """Nothing is held."""


def decoded(decoder: Decoder, damage: Damage) -> Iterator[Any]:
    return _decode(cast(Any, decoder), cast(Any, ["a", "b"]), damage)


@pytest.mark.parametrize("fails_at", ["b", None])
def test_a_lack_of_memory_is_called_that(fails_at: object) -> None:
    damage = Damage()
    with pytest.raises(MemoryError):
        list(decoded(Decoder(fails_at, MemoryError()), damage))
    assert damage.damaged == 0


@pytest.mark.parametrize(("fails_at", "damaged"), [("b", 1), (None, 0)])
def test_damage_is_counted_where_it_is(fails_at: object, damaged: int) -> None:
    damage = Damage()
    assert list(decoded(Decoder(fails_at, av.error.InvalidDataError(1, "broken")), damage)) == []
    assert (damage.read, damage.damaged) == (2, damaged)


PLANNED = 15
"""A frame that the middle one needs, far from the front."""


def test_a_damaged_video_is_not_decoded_beyond_its_bound() -> None:
    spec = ClipSpec(num_frames=1, height=32, width=32)
    long_enough, too_short = (DecodeLimits(max_decoded_frames=frames) for frames in (40, 12))
    assert load_clip(grainy("mpeg4-mp4"), spec, too_short).video.frame_count == 40
    damaged = with_damaged_frame(PLANNED)
    assert load_clip(damaged, spec, long_enough).video.partial
    with pytest.raises(DecodeFailed, match="too long to be decoded from its front"):
        load_clip(damaged, spec, too_short)


COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (128, 128, 128), (220, 200, 60)]
MATRICES = {"BT.601": (5, 0.299, 0.114), "BT.709": (1, 0.2126, 0.0722), "BT.2020": (9, 0.2627, 0.0593)}
"""Number, K_R and K_B of ITU-T H.273, table 4."""
LIMITED, FULL = 1, 2
FORMATS = {"yuv420p": (8, 2, 2), "yuvj420p": (8, 2, 2), "yuv422p": (8, 2, 1), "yuv444p": (8, 1, 1), "yuv420p10le": (10, 2, 2)}
"""Bits, and pixels to a chroma sample, across and down."""


def solid_frame(colour: tuple[int, int, int], form: str, matrix: str, colour_range: int) -> av.VideoFrame:
    """64 x 48 px of one colour. ITU-T H.273, equations 17 to 31."""
    number, k_red, k_blue = MATRICES[matrix]
    bits, across, down = FORMATS[form]
    red, green, blue = (value / 255 for value in colour)
    luma = k_red * red + (1 - k_red - k_blue) * green + k_blue * blue
    chroma = ((blue - luma) / (2 * (1 - k_blue)), (red - luma) / (2 * (1 - k_red)))
    scale = 1 << bits - 8
    if colour_range == LIMITED:
        values = [scale * (219 * luma + 16), *(scale * (224 * c + 128) for c in chroma)]
    else:
        values = [(256 * scale - 1) * luma, *((256 * scale - 1) * c + 128 * scale for c in chroma)]
    frame = av.VideoFrame(64, 48, form)
    for plane, value, (columns, rows) in zip(frame.planes, values, [(1, 1), (across, down), (across, down)], strict=True):
        dtype = np.dtype("<u2") if bits > 8 else np.dtype("u1")
        filled = np.full((48 // rows, plane.line_size // dtype.itemsize), round(value), dtype)
        assert plane.width == 64 // columns
        plane.update(filled.tobytes())
    frame.color_range, frame.colorspace = colour_range, number  # type: ignore[assignment]
    return frame


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(
    ("form", "colour_range"), [(form, r) for form in FORMATS for r in (LIMITED, FULL) if (form, r) != ("yuvj420p", LIMITED)]
)
def test_colours_are_those_of_the_frame(form: str, matrix: str, colour_range: int) -> None:
    for colour in COLOURS:
        frame = solid_frame(colour, form, matrix, colour_range)
        picture = to_picture(frame, ClipSpec(num_frames=1, height=32, width=32), None, DecodeLimits())
        assert picture.reshape(-1, 3).mean(0) == pytest.approx(colour, abs=4)
