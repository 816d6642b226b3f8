"""Videos of 1080p for tier ``own``: six, made once by the ``ffmpeg`` command (half a minute or so for short ones)."""

import shutil
from pathlib import Path

from benchmarks.decoding.generated import CACHE, draw_scene, ffmpeg

COUNT = 6
SECONDS = 2.5
"""Of a video, where nothing else is asked for."""


def full_hd_videos(seconds: float = SECONDS, folder: Path = CACHE) -> list[bytes]:
    """H.264 in MP4, 30 frames a second, 5 Mbit/s; successive stretches of one scene.

    Raises: SystemExit: they are missing and there is no ``ffmpeg`` to make them.
    """
    files = [folder / f"h264_1080p_{seconds}s_{number}.mp4" for number in range(COUNT)]
    if not all(file.exists() for file in files):
        if shutil.which("ffmpeg") is None:
            raise SystemExit(f"{folder} lacks videos; install ffmpeg (Debian: apt install ffmpeg) so that they can be made.")
        _make(files, seconds, folder)
    return [file.read_bytes() for file in files]


def _make(files: list[Path], seconds: float, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scene = draw_scene(folder, COUNT * seconds)
    for number, file in enumerate(files):
        stretch = ["-ss", str(number * seconds), "-i", str(scene), "-t", str(seconds)]
        ffmpeg(
            [*stretch, "-c:v", "libx264", "-preset", "medium", "-threads", "2", "-b:v", "5M", "-movflags", "+faststart"], file
        )
    scene.unlink()
