"""PyAV, and what people write first: decode every frame from front to back, convert those that are wanted."""

import io

import av
import numpy as np

from benchmarks.decoding.contestant import Decode, Frames, Prepare
from benchmarks.decoding.wanted import SPEC, Wanted


def front_to_back(video: Wanted, data: bytes) -> Decode:
    """From bytes; the decoder stays on one thread, the last frames are decoded too."""
    places = set(video.indices)

    def decode() -> Frames:
        taken: dict[int, Frames] = {}
        with av.open(io.BytesIO(data), "r") as container:
            container.streams.video[0].thread_count = 1
            for index, frame in enumerate(container.decode(video=0)):
                if index in places:
                    picture = frame.to_ndarray(format="rgb24", width=SPEC.width, height=SPEC.height)
                    taken[index] = picture.view(np.uint8)
        return np.stack([taken[index] for index in video.indices])

    return decode


CONTESTANTS: dict[str, Prepare] = {"pyav_front_to_back": front_to_back}
VERSIONS = {"av": av.__version__, "FFmpeg": av.ffmpeg_version_info}
