"""How long a video takes to become a clip, against PyAV decoding every frame from front to back, both on one thread.

The two take turns on each video, so that a noisy machine troubles both alike.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from benchmarks.record import percentiles, write_result
from benchmarks.videos import read_videos
from clips import ClipSpec, load_clip


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decode",
        description=__doc__,
        epilog="example: python -m benchmarks.decode --clips my-clips",
    )
    parser.add_argument("--clips", type=Path, help="folder of videos (default: generated ones)")
    parser.add_argument("--count", type=int, default=60, help="videos (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds over all videos (default: %(default)s)")
    parser.add_argument("--size", type=int, default=224, help="height and width, px (default: %(default)s)")
    args = parser.parse_args()
    spec = ClipSpec(num_frames=8, height=args.size, width=args.size)
    videos = read_videos(args.clips, args.count)
    contestants: dict[str, Callable[[bytes], object]] = {
        "load_clip": lambda video: load_clip(video, spec),
        "every_frame": lambda video: decode_every_frame(video, spec),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(args.repeats):
        for video in videos:
            for name, decode in contestants.items():
                start = time.perf_counter()
                decode(video)
                seconds[name].append(time.perf_counter() - start)
    ratios = [slow / fast for fast, slow in zip(seconds["load_clip"], seconds["every_frame"], strict=True)]
    figures = {
        "spec": spec.model_dump(),
        "videos": len(videos),
        "clips_per_second": {name: round(len(values) / sum(values), 2) for name, values in seconds.items()},
        "milliseconds": {name: percentiles([1000 * v for v in values]) for name, values in seconds.items()},
        "speed_up_geometric_mean": round(float(np.exp(np.mean(np.log(ratios)))), 3),
        "raw_milliseconds": {name: [round(1000 * v, 3) for v in values] for name, values in seconds.items()},
    }
    print({key: figures[key] for key in ("clips_per_second", "milliseconds", "speed_up_geometric_mean")})
    write_result("decode", figures)


def decode_every_frame(video: bytes, spec: ClipSpec) -> np.ndarray:
    """What people write first: decode every frame, then pick some and convert them at the target size."""
    with av.open(io.BytesIO(video)) as container:
        container.streams.video[0].thread_count = 1
        frames = list(container.decode(video=0))
    picks = [frames[int((i + 0.5) * len(frames) / spec.num_frames)] for i in range(spec.num_frames)]
    return np.stack([pick.to_ndarray(format="rgb24", width=spec.width, height=spec.height) for pick in picks])


if __name__ == "__main__":
    main()
