"""Decoding on the GPU's video engine; runs where there is one."""

import os

import numpy as np
import pytest

from clips import Clip, ClipSpec, load_clip
from clips.acceleration import AcceleratorUnavailable
from tests.videos import VP9_WEBM, Encoding, numbered_video

SPEC = ClipSpec(num_frames=8, height=96, width=128)
ROUNDING = 3
"""NV12 goes to RGB by another path of libswscale than YUV 4:2:0 does."""

VIDEOS = {
    "h264": lambda: numbered_video(width=256, height=192),
    "hevc": lambda: numbered_video(width=256, height=192, encoding=Encoding(codec="libx265")),
    "vp9": lambda: numbered_video(width=256, height=192, encoding=VP9_WEBM),
}


def on_gpu(video: bytes) -> Clip:
    try:
        return load_clip(video, SPEC, accelerator="cuda")
    except AcceleratorUnavailable as problem:
        reason = str(problem)
    return pytest.fail(reason) if os.environ.get("CLIPSERVE_REQUIRE_GPU") == "1" else pytest.skip(reason)


@pytest.mark.parametrize("codec", VIDEOS)
def test_the_gpu_gives_the_frames_that_the_cpu_gives(codec: str) -> None:
    video = VIDEOS[codec]()
    clip, expected = on_gpu(video), load_clip(video, SPEC)
    assert clip.video.decoded_on == "cuda"
    assert clip.frame_times_seconds == expected.frame_times_seconds
    assert np.abs(clip.frames.astype(int) - expected.frames).max() <= ROUNDING
