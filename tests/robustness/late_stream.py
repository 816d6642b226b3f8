"""A transport stream in which another stream turns up halfway, as recordings of broadcasts have it."""

import io
from fractions import Fraction

import av

from tests.videos import MPEG2_TS, numbered_picture, numbered_video

_RATE = 25


def late_stream() -> bytes:
    """One video; then two for a second; then the one again, long enough that nobody who looks at both ends sees the other."""
    alone = numbered_video(800, encoding=MPEG2_TS)
    return alone + _two_streams() + alone


def _two_streams() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        streams = [container.add_stream(MPEG2_TS.codec, rate=_RATE) for _ in range(2)]
        for stream in streams:
            stream.height, stream.width = numbered_picture(0).shape[:2]
            stream.pix_fmt = MPEG2_TS.pixel_format
        for time in range(_RATE):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(numbered_picture(time), format="rgb24")
                frame.pts, frame.time_base = time, Fraction(1, _RATE)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return file.getvalue()
