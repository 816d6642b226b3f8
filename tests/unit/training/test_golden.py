"""The golden clip."""

from pathlib import Path

from clips import ClipSpec, load_clip
from training.golden import write_golden_video


def test_it_is_a_small_video_that_moves(tmp_path: Path) -> None:
    file = write_golden_video(tmp_path)
    clip = load_clip(file, ClipSpec(num_frames=4, height=64, width=64))
    assert (clip.video.width, clip.video.height, clip.video.duration_seconds) == (160, 120, 2.0)
    assert abs(clip.frames[0].astype(int) - clip.frames[-1]).mean() > 10
    assert file.stat().st_size < 100_000
