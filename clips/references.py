"""Which coded frames no other frame is predicted from: read from a few bits at the start of each, nothing is decoded.

    H.264       nal_ref_idc = 0 in every slice                        ITU-T H.264, 7.4.1
    HEVC        sub-layer non-reference picture of the top sub-layer  ITU-T H.265, 7.4.2.2
    MPEG-4      B-VOP                                                 ISO/IEC 14496-2, 6.3.5
    MPEG-1, -2  B-picture                                             ITU-T H.262, 6.3.9

VP8 and VP9 frames leave their probabilities to the next one, so none of theirs can be left out. AV1 has a module of its own.
Data that does not follow the rules counts as referred to, which is always safe.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_H264_SLICES = range(1, 6)
_HEVC_SLICES = range(32)
_HEVC_LAST_SUB_LAYER_TYPE = 14

_MPEG4_VOP = b"\0\0\1\xb6"
_MPEG_PICTURE = b"\0\0\1\0"
_START_CODE = b"\0\0\1"
_USUAL_HEADER_BYTES = 64
MOST_UNITS = 500_000
"""In all of a stream: twelve for each of 40,000 frames. A file of empty units would take a minute to look through."""


class TooManyUnits(Exception):
    """A stream of more units than any encoder makes."""


class Budget:
    """How many units may still be looked at."""

    def __init__(self, units: int) -> None:
        self._left = units

    def spend(self) -> None:
        """One more. Raises: TooManyUnits."""
        self._left -= 1
        if self._left < 0:
            raise TooManyUnits


class _PictureType(NamedTuple):
    """Where a picture's type is: so many bytes behind its start code, so many bits from below."""

    start_code: bytes
    offset: int
    shift: int
    mask: int
    b_picture: int


_PICTURE_TYPES = {
    "mpeg4": _PictureType(_MPEG4_VOP, offset=0, shift=6, mask=3, b_picture=2),
    "mpeg1video": _PictureType(_MPEG_PICTURE, offset=1, shift=3, mask=7, b_picture=3),
    "mpeg2video": _PictureType(_MPEG_PICTURE, offset=1, shift=3, mask=7, b_picture=3),
}


def unreferenced(codec: str, extradata: bytes, frames: Sequence[memoryview]) -> list[bool]:
    """For each coded frame of a stream, whether it is certain that no other refers to it.

    ``codec`` is FFmpeg's name of it; ``extradata`` its configuration record, which tells how H.264 and HEVC are packed.
    """
    try:
        return _unreferenced(codec, extradata, frames, Budget(MOST_UNITS))
    except TooManyUnits:
        return [False] * len(frames)


def _unreferenced(codec: str, extradata: bytes, frames: Sequence[memoryview], budget: Budget) -> list[bool]:
    if codec == "h264":
        size = _length_size(extradata, 4)
        return [_all(_h264_disposable(nal) for nal in nal_units(frame, size, budget)) for frame in frames]
    if codec == "hevc":
        size = _length_size(extradata, 21)
        return _hevc_unreferenced([_first_slice(frame, size, budget) for frame in frames])
    if codec in _PICTURE_TYPES:
        return [_is_bidirectional(_PICTURE_TYPES[codec], frame) for frame in frames]
    return [False] * len(frames)


def is_packed(codec: str, frame: memoryview) -> bool:
    """Whether an MPEG-4 packet holds two pictures ("packed bitstream": a B-VOP hides behind another one)."""
    return codec == "mpeg4" and bytes(frame).count(_MPEG4_VOP) > 1


def _is_bidirectional(kind: _PictureType, frame: memoryview) -> bool:
    """Whether the first picture is a B-picture; the second field of a frame is then one too."""
    for looked_at in (_USUAL_HEADER_BYTES, len(frame)):
        data = bytes(frame[:looked_at])
        found = data.find(kind.start_code)
        place = found + len(kind.start_code) + kind.offset
        if found >= 0 and place < len(data):
            return data[place] >> kind.shift & kind.mask == kind.b_picture
    return False


def nal_units(frame: memoryview, length_size: int | None, budget: Budget) -> Iterator[memoryview]:
    """The NAL units of a frame, each from its header on: behind lengths of ``length_size`` bytes, or start codes (None)."""
    if length_size is None:
        for at in _after(_START_CODE, bytes(frame), 2):
            budget.spend()
            yield frame[at : at + 2]
        return
    at = 0
    while at + length_size + 2 <= len(frame):
        budget.spend()
        size = int.from_bytes(frame[at : at + length_size], "big")
        yield frame[at + length_size : at + length_size + 2]
        at += length_size + size


def _length_size(extradata: bytes, at: int) -> int | None:
    """Bytes of a NAL unit's length, from an avcC or hvcC record; None where the stream has start codes instead."""
    return (extradata[at] & 3) + 1 if len(extradata) > at and extradata[0] == 1 else None


def _h264_disposable(nal: memoryview) -> bool | None:
    """None where the NAL unit is no slice."""
    return (nal[0] >> 5) & 3 == 0 if nal[0] & 31 in _H264_SLICES else None


def _first_slice(frame: memoryview, length_size: int | None, budget: Budget) -> tuple[int, int] | None:
    """Type and temporal sub-layer of the first HEVC slice; all slices of a picture agree in both."""
    for nal in nal_units(frame, length_size, budget):
        if (kind := (nal[0] >> 1) & 63) in _HEVC_SLICES:
            return kind, nal[1] & 7
    return None


def _hevc_unreferenced(slices: list[tuple[int, int] | None]) -> list[bool]:
    """A picture that is no reference within its own sub-layer may still be one for a higher sub-layer."""
    top = max((layer for _, layer in filter(None, slices)), default=0)
    return [s is not None and s[0] <= _HEVC_LAST_SUB_LAYER_TYPE and s[0] % 2 == 0 and s[1] == top for s in slices]


def _all(answers: Iterator[bool | None] | Iterator[bool]) -> bool:
    """Whether there is an answer, and every one that is not None is True."""
    known = [answer for answer in answers if answer is not None]
    return bool(known) and all(known)


def _after(code: bytes, data: bytes, room: int) -> Iterator[int]:
    """Places right behind each ``code`` that have ``room`` bytes left."""
    at = data.find(code)
    while 0 <= at <= len(data) - len(code) - room:
        yield at + len(code)
        at = data.find(code, at + len(code))
