"""The golden clip: a small drawn video, free of anybody's rights, whose probabilities every server must reproduce."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from clips import ClipSpec, GoldenClip, load_clip
from clips.manifest import Precision
from training.onnx_runtime import OnnxClassifier

GOLDEN_FILE = "golden.mp4"
# fp32 differs by the order of sums, fp16 by what it rounds. INT8 kernels of other CPUs round activations differently by
# one step here and there; a wrong colour order, a wrong size or a saturating kernel moves probabilities further than this.
TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 0.01, "int8": 0.05}

_WIDTH, _HEIGHT, _FRAMES, _FRAMES_PER_SECOND = 160, 120, 50, 25


def golden_clip(folder: Path, spec: ClipSpec, files: Mapping[Precision, Path]) -> GoldenClip:
    """The video, written into ``folder``, and what each file answers to it."""
    video = write_golden_video(folder)
    clip = load_clip(video, spec).frames[None]
    return GoldenClip(
        file=video.name,
        sha256=hashlib.sha256(video.read_bytes()).hexdigest(),
        probabilities={precision: OnnxClassifier(file)(clip)[0].tolist() for precision, file in files.items()},
        tolerance={precision: TOLERANCE[precision] for precision in files},
    )


def write_golden_video(folder: Path) -> Path:
    """Two seconds of moving colours, 160 x 120 px, H.264 in MP4."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_FRAMES_PER_SECOND, options={"crf": "20", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        for number in range(_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_picture(number), format="rgb24")))
        container.mux(stream.encode(None))
    file = folder / GOLDEN_FILE
    file.write_bytes(buffer.getvalue())
    return file


def _picture(number: int) -> NDArray[np.uint8]:
    """A turning gradient, a disc that crosses the picture and a bar that falls: (height, width, 3), uint8 RGB."""
    rows, columns = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    phase = 2 * np.pi * number / _FRAMES
    wave = np.stack(
        [np.sin(columns / 25 + phase), np.sin(rows / 20 - phase), np.sin((rows + columns) / 30 + 2 * phase)], axis=-1
    )
    picture = (127 + 90 * wave).astype(np.uint8)
    x, y = 20 + 120 * number / _FRAMES, 60 + 30 * np.sin(2 * phase)
    picture[(columns - x) ** 2 + (rows - y) ** 2 < 18**2] = (250, 220, 40)
    top = int(100 * number / _FRAMES)
    picture[top : top + 12, 100:150] = (20, 40, 200)
    return picture
