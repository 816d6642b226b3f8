"""From a decoded frame to an RGB picture, one frame on one thread: libswscale in one step, and in two as ``clips`` takes them.

    one step    size and colour at once, to the exact width (which may be odd) or to an even one
    two steps   size in the frame's own colours (4:2:0), then colour

The error is the mean difference, in levels of 255, from the same frame scaled and converted in floating point.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from benchmarks.record import write_result
from clips.picture import Scaler
from clips.spec import Size

FRAMES = {"320 x 240": (320, 240, 298), "1920 x 1080": (1920, 1080, 398)}
"""Width and height, px, and the even width that goes with a height of 224 px."""
HEIGHT = 224
_KR, _KB = 0.299, 0.114  # ITU-T H.273, matrix 6


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.picture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m benchmarks.picture --rounds 20",
    )
    parser.add_argument("--rounds", type=int, default=20, help="rounds over all ways (default: %(default)s)")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    figures = {name: _measure(*shape, rounds) for name, shape in FRAMES.items()}
    for name, ways in figures.items():
        for way, figure in ways.items():
            print(f"{name:12} {way:16} {figure['microseconds']:7.1f} us   error of R, G, B {figure['error']}")
    write_result("picture", {"height": HEIGHT, "frames": figures})


def _measure(width: int, height: int, even: int, rounds: int) -> dict[str, dict[str, object]]:
    frame = _smooth_frame(width, height)
    one, scaler = VideoReformatter(), Scaler()

    def one_step(columns: int) -> Callable[[], VideoFrame]:
        return lambda: one.reformat(frame, columns, HEIGHT, "rgb24", interpolation=Interpolation.AREA, threads=1)

    ways = {
        "one step, odd": one_step(even + 1),
        "one step, even": one_step(even),
        "two steps": lambda: scaler.to_rgb(frame, Size(HEIGHT, even), Interpolation.AREA),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    errors = {way: _error(frame, make()) for way, make in ways.items()}
    for _ in range(rounds):
        for way, make in ways.items():
            make()  # its filter is ready
            start = time.perf_counter()
            for _ in range(20):
                make()
            seconds[way].append((time.perf_counter() - start) / 20)
    return {way: {"microseconds": round(1e6 * median(s), 1), "error": errors[way]} for way, s in seconds.items()}


def _smooth_frame(width: int, height: int) -> VideoFrame:
    """Waves of brightness and colour, several pixels long, as a camera gives them."""
    rows, columns = np.mgrid[:height, :width] * (2 * np.pi / 48)
    luma = 126 + 70 * np.sin(rows + 0.7 * columns)
    blue, red = (128 + 50 * wave[::2, ::2] for wave in (np.sin(0.3 * rows), np.cos(0.4 * columns)))
    planes = np.concatenate([plane.round().astype(np.uint8).ravel() for plane in (luma, blue, red)])
    return VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), format="yuv420p")


def _error(frame: VideoFrame, picture: VideoFrame) -> list[float]:
    exact = _in_floating_point(frame, picture.width)
    difference = (picture.to_ndarray() - exact).mean((0, 1))
    return [round(float(level), 2) for level in difference]


def _in_floating_point(frame: VideoFrame, width: int) -> NDArray[np.float64]:
    planes = frame.to_ndarray().ravel()
    pixels = frame.width * frame.height
    shapes = [(frame.height, frame.width), *[(frame.height // 2, frame.width // 2)] * 2]
    starts = np.cumsum([0, pixels, pixels // 4])
    luma, blue, red = (_scaled(planes[at : at + h * w].reshape(h, w), width) for at, (h, w) in zip(starts, shapes, strict=True))
    y, u, v = (luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224
    r, b = y + 2 * (1 - _KR) * v, y + 2 * (1 - _KB) * u
    g = (y - _KR * r - _KB * b) / (1 - _KR - _KB)
    return 255 * np.stack([r, g, b], -1).clip(0, 1)


def _scaled(plane: NDArray[np.uint8], width: int) -> NDArray[np.float64]:
    scaled = interpolate(torch.from_numpy(plane).double()[None, None], size=(HEIGHT, width), mode="bilinear", antialias=True)
    return scaled[0, 0].numpy()


if __name__ == "__main__":
    main()
