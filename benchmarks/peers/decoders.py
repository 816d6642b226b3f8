"""From a video to frames: our decoder, and what the users of other servers write.

Theirs decode from front to back, every frame, and convert the ones in the middles of equal segments; the frame is
stretched to the size. (Converting every frame, as many do, would cost them more.)
"""

import io
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from clips import ClipSpec, load_clip

Frames: TypeAlias = NDArray[np.uint8]
"""Shape (num_frames, height, width, 3), uint8, RGB."""

Decode: TypeAlias = Callable[[bytes, ClipSpec], Frames]


def with_clips(video: bytes, spec: ClipSpec) -> Frames:
    """The decoder that our server runs."""
    return load_clip(video, spec).frames


def with_pyav(video: bytes, spec: ClipSpec) -> Frames:
    """PyAV as its documentation shows it."""
    return _pyav(video, spec, None)


def with_pyav_threads(video: bytes, spec: ClipSpec) -> Frames:
    """PyAV with ``thread_type = "AUTO"``, which its documentation advises for speed."""
    return _pyav(video, spec, "AUTO")


def with_opencv(video: bytes, spec: ClipSpec) -> Frames:
    """OpenCV's ``VideoCapture``, which takes a file: one in memory."""
    import cv2  # noqa: PLC0415 - only the environment of the peers has it

    with tempfile.NamedTemporaryFile(dir="/dev/shm", suffix=".video") as file:
        file.write(video)
        file.flush()
        capture = cv2.VideoCapture(file.name)
        try:
            pictures = _grabbed(capture, spec, cv2)
        finally:
            capture.release()
    return np.stack(pictures)


DECODERS: dict[str, Decode] = {
    "clips": with_clips,
    "pyav": with_pyav,
    "pyav_threads": with_pyav_threads,
    "opencv": with_opencv,
}
THEIRS = ("pyav", "pyav_threads", "opencv")
"""What tier ``own`` chooses from: the fastest on its videos."""


def _pyav(video: bytes, spec: ClipSpec, thread_type: str | None) -> Frames:
    with av.open(io.BytesIO(video), "r") as container:
        stream = container.streams.video[0]
        if thread_type:
            stream.thread_type = thread_type
        count = stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
        container.seek(0)
        places, taken = set(_middles(count, spec.num_frames)), {}
        for index, frame in enumerate(container.decode(stream)):
            if index in places:
                picture = frame.to_ndarray(format="rgb24", width=spec.width, height=spec.height)
                taken[index] = picture.view(np.uint8)
    return _stacked(taken, count, spec)


def _grabbed(capture: Any, spec: ClipSpec, cv2: Any) -> list[Frames]:
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted, index, taken = set(_middles(count, spec.num_frames)), 0, {}
    while capture.grab():
        if index in wanted:
            picture = cv2.resize(capture.retrieve()[1], (spec.width, spec.height), interpolation=cv2.INTER_AREA)
            taken[index] = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        index += 1
    return list(_stacked(taken, count, spec))


def _middles(count: int, num_frames: int) -> list[int]:
    """Indices in the middles of ``num_frames`` equal segments of ``count`` frames."""
    return [int((i + 0.5) * count / num_frames) for i in range(num_frames)]


def _stacked(taken: dict[int, Frames], count: int, spec: ClipSpec) -> Frames:
    """The frames in order; one that the header promised and the file lacks is the one before it."""
    return np.stack([taken[max(i for i in taken if i <= place)] for place in _places(taken, count, spec)])


def _places(taken: dict[int, Frames], count: int, spec: ClipSpec) -> Iterable[int]:
    return (max(place, min(taken)) for place in _middles(count, spec.num_frames))
