"""OpenCV's ``VideoCapture`` over FFmpeg, one thread, from a file in memory: OpenCV 5.0 crashes on a stream of bytes."""

import re

import cv2
import numpy as np

from benchmarks.decoding.contestant import Decode, Frames, Prepare
from benchmarks.decoding.wanted import SPEC, Wanted

cv2.setNumThreads(1)


def grab(video: Wanted, data: bytes) -> Decode:  # noqa: ARG001 - takes the file
    """Forward through the video with ``grab`` alone, ``retrieve`` where a frame is wanted; stops behind the last one."""

    def decode() -> Frames:
        capture, index, pictures = _opened(video), -1, []
        for place in video.indices:
            while index < place:
                if not capture.grab():
                    raise ValueError(f"frame {index + 1} cannot be read")
                index += 1
            pictures.append(_picture(*capture.retrieve()))
        capture.release()
        return np.stack(pictures)

    return decode


def seek(video: Wanted, data: bytes) -> Decode:  # noqa: ARG001 - takes the file
    """``CAP_PROP_POS_FRAMES`` to each wanted frame."""

    def decode() -> Frames:
        capture, pictures = _opened(video), []
        for place in video.indices:
            capture.set(cv2.CAP_PROP_POS_FRAMES, place)
            pictures.append(_picture(*capture.read()))
        capture.release()
        return np.stack(pictures)

    return decode


def _opened(video: Wanted) -> "cv2.VideoCapture":
    capture = cv2.VideoCapture(str(video.path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    if not capture.isOpened():
        raise ValueError("the file cannot be opened")
    return capture


def _picture(is_there: bool, frame: Frames) -> Frames:
    if not is_there:
        raise ValueError("a frame cannot be read")
    return np.asarray(cv2.cvtColor(cv2.resize(frame, (SPEC.width, SPEC.height)), cv2.COLOR_BGR2RGB), np.uint8)


def _ffmpeg() -> str:
    """Only the version of libavcodec is told."""
    found = re.search(r"avcodec:\s+YES \(([\d.]+)\)", cv2.getBuildInformation())
    return f"libavcodec {found[1]}" if found else "unknown"


CONTESTANTS: dict[str, Prepare] = {"opencv_grab": grab, "opencv_seek": seek}
VERSIONS = {"opencv-python-headless": cv2.__version__, "FFmpeg": _ffmpeg()}
