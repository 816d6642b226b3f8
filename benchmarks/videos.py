"""The videos to measure with: the user's own, or generated ones."""

import csv
import io
from pathlib import Path

import av
import numpy as np


def read_videos(folder: Path | None, count: int) -> list[bytes]:
    """``count`` videos, evenly spread over all files below ``folder``; generated ones where there is no folder."""
    if folder is None:
        return [generated_video(seed) for seed in range(count)]
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in {".avi", ".mp4", ".mkv", ".webm", ".mov"})
    if not files:
        raise SystemExit(f"{folder} holds no videos")
    step = max(1, len(files) // count)
    return [file.read_bytes() for file in files[::step][:count]]


def generated_video(seed: int, seconds: int = 4, width: int = 320, height: int = 240) -> bytes:
    """H.264 in MP4: noise that drifts over a gradient, 25 frames a second."""
    random = np.random.default_rng(seed)
    texture = random.integers(0, 256, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(np.roll(texture, 2 * i, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def validation_rows(clips: Path) -> list[dict[str, str]]:
    """Rows of a CSV file with the columns path,label,group,split: those whose ``split`` says val."""
    with clips.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "val"]
