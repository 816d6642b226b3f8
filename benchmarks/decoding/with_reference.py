"""The truth that frames are compared with: every frame from front to back, those around each wanted one as small pictures."""

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame

from benchmarks.decoding.contestant import Contestant, Frames
from benchmarks.decoding.same_frames import AROUND, shrunk
from benchmarks.decoding.wanted import SPEC, Wanted


@dataclass(frozen=True)
class Truth:
    """What decoding from front to back says about one video."""

    indices: tuple[int, ...]
    """Place of each wanted frame among all that come out."""
    around: Frames
    """Shape (num_frames, 2 * AROUND + 1, small, small, 3): the wanted frames, each among its neighbours."""


def truth(video: Wanted, data: bytes) -> Callable[[], Truth]:
    """By their place in the order of presentation; by their time where some packets give no frame."""

    def decode() -> Truth:
        indices = list(video.packet_indices)
        times, pictures = _pictures(data, indices)
        if len(times) != video.frame_count:
            indices = [max(i for i, time in enumerate(times) if i == 0 or time <= wanted) for wanted in video.times]
            times, pictures = _pictures(data, indices)
        steps, last = range(-AROUND, AROUND + 1), len(times) - 1
        around = np.stack([[pictures[min(max(0, index + step), last)] for step in steps] for index in indices])
        return Truth(tuple(indices), around)

    return decode


def _pictures(data: bytes, places: list[int]) -> tuple[list[int], dict[int, Frames]]:
    """Times of all frames, and small pictures of those near ``places``, upright."""
    near = {place + step for place in places for step in range(-AROUND, AROUND + 1)}
    times: list[int] = []
    pictures: dict[int, Frames] = {}
    with av.open(io.BytesIO(data), "r") as container:
        container.streams.video[0].thread_type = "AUTO"  # nobody is timed meanwhile
        for index, frame in enumerate(_frames(container)):
            times.append((frame.pts if frame.pts is not None else frame.dts) or 0)
            if index in near:
                picture = frame.to_ndarray(format="rgb24", width=SPEC.width, height=SPEC.height)
                pictures[index] = shrunk(np.rot90(picture, round(frame.rotation / 90) % 4))
    return times, pictures


def _frames(container: InputContainer) -> Iterator[VideoFrame]:
    """Damaged packets are left out, as a player does."""
    for packet in container.demux(video=0):
        with suppress(av.error.FFmpegError):
            yield from packet.decode()


REFERENCE = Contestant("reference", "with_reference", is_peer=False)
CONTESTANTS = {"reference": truth}
VERSIONS = {"av": av.__version__}
