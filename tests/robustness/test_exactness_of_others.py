"""The odd files of other projects: a clip is, bit for bit, the one of a decoder that leaves nothing out."""

from pathlib import Path

import numpy as np

from clips import Clip, ClipError, ClipSpec, load_clip
from tests.front_to_back import front_to_back

SPEC = ClipSpec(num_frames=8, height=64, width=64)
NOT_VIDEOS = {"LICENSE"}
DECODABLE = 100
"""At least so many of them become a clip; the others hold sound alone, are encrypted or broken."""


def clip_of(path: Path) -> Clip | None:
    try:
        return load_clip(path, SPEC)
    except ClipError:
        return None


def test_every_decodable_file_gives_the_exact_clip(shared_data: Path) -> None:
    files = sorted(p for p in (shared_data / "containers").rglob("*") if p.is_file() and p.name not in NOT_VIDEOS)
    clips = {path: clip for path in files if (clip := clip_of(path)) is not None}
    assert len(clips) >= DECODABLE
    different = [path for path, clip in clips.items() if not np.array_equal(clip.frames, front_to_back(path, SPEC))]
    assert different == []
