"""``exact``: the plan leaves out what it can, and the clip is, bit for bit, the one of a decoder that leaves nothing out.

``nearest_reference``: never far from the target, never dearer, always the same.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from clips import ClipSpec, DecodeLimits, load_clip
from clips.planned_video import open_video
from tests.encodings import ENCODINGS, UNORDERED, grainy, packed_divx, vp8_with_hidden_frames
from tests.front_to_back import front_to_back
from tests.videos import (
    H264_MKV,
    H264_MP4,
    anamorphic_video,
    frame_number,
    grainy_video,
    growing_video,
    numbered_video,
    remuxed,
    rotated,
    trimmed,
    variable_rate_video,
)

TS_PACKET_BYTES = 188
LONG_GROUP = 250


def spec(num_frames: int, sampling: str = "exact") -> ClipSpec:
    return ClipSpec.model_validate({"num_frames": num_frames, "height": 48, "width": 64, "sampling": sampling})


def assert_exact(video: bytes, num_frames: int) -> None:
    clip = load_clip(video, spec(num_frames))
    assert np.array_equal(clip.frames, front_to_back(video, spec(num_frames)))
    assert (clip.video.partial, clip.video.missing_fraction) == (False, 0.0)


MORE_THAN_THERE_ARE = 60


@pytest.mark.parametrize("num_frames", [1, 8, MORE_THAN_THERE_ARE])
@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_a_clip_is_the_one_of_a_decoder_that_leaves_nothing_out(name: str, num_frames: int) -> None:
    assert_exact(grainy(name), num_frames)


@pytest.mark.parametrize("num_frames", [3, 16])
@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_so_it_is_with_short_groups_of_pictures(name: str, num_frames: int) -> None:
    assert_exact(grainy(name, keyframe_interval=3), num_frames)


@pytest.mark.parametrize("name", ["h264-pyramid", "h264-intra-refresh", "hevc-pyramid", "mpeg4-avi", "av1-pyramid", "vp9"])
def test_so_it_is_with_one_keyframe_for_the_whole_video(name: str) -> None:
    assert_exact(grainy(name, keyframe_interval=LONG_GROUP), 3)


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_the_frames_are_those_on_screen_at_the_middles_of_the_segments(name: str) -> None:
    clip = load_clip(grainy(name), spec(4))
    assert [frame_number(picture) for picture in clip.frames] == pytest.approx([5, 15, 25, 35], abs=2)  # lossy
    assert clip.frame_times_seconds == pytest.approx([5 / 25, 15 / 25, 25 / 25, 35 / 25], abs=0.001)


@pytest.mark.parametrize("num_frames", [1, 4, 40])
@pytest.mark.parametrize("keyframe_interval", [3, 12])
@pytest.mark.parametrize("name", sorted(UNORDERED))
def test_the_decoder_gives_the_order_of_frames_where_the_container_stores_none(
    name: str, keyframe_interval: int, num_frames: int
) -> None:
    clip = load_clip(grainy(name, keyframe_interval=keyframe_interval), spec(num_frames))
    wanted = [(2 * segment + 1) * 40 // (2 * num_frames) for segment in range(num_frames)]
    assert [frame_number(picture) for picture in clip.frames] == wanted
    assert clip.frame_times_seconds == pytest.approx([number / 25 for number in wanted], abs=0.001)
    assert (clip.video.partial, clip.video.frame_count) == (False, 40)


def starts_within_a_group(name: str) -> bytes:
    """A transport stream that was recorded from its 30th per cent on."""
    stream = grainy(name)
    packets = len(stream) // TS_PACKET_BYTES
    return stream[packets * 3 // 10 * TS_PACKET_BYTES :]


def without_its_first_frames(name: str) -> bytes:
    """Frames 10 and 11 cannot be decoded; the next keyframe is the first that can."""
    return remuxed(grainy(name), "matroska", lambda packets: [b""] * 10 + packets[10:])


ODD_VIDEOS: dict[str, Callable[[], bytes]] = {
    "variable rate": variable_rate_video,
    "variable rate with pyramid": lambda: numbered_video(
        24, encoding=replace(ENCODINGS["h264-pyramid"], container="matroska"), times=[n * n for n in range(24)]
    ),
    "turned": lambda: rotated(grainy("h264-pyramid"), 1),
    "wide pixels": anamorphic_video,
    "odd size": lambda: grainy_video(30, replace(H264_MP4, pixel_format="yuv444p"), width=61, height=47),
    "two frames": lambda: grainy_video(2),
    "size changes": growing_video,
    "recorded from within a group, H.264": lambda: starts_within_a_group("h264-start-codes"),
    "recorded from within a group, open": lambda: starts_within_a_group("h264-open-gop-ts"),
    "recorded from within a group, HEVC": lambda: starts_within_a_group("hevc-start-codes"),
    "recorded from within a group, MPEG-2": lambda: starts_within_a_group("mpeg2-ts"),
    "without its first keyframe, H.264": lambda: without_its_first_frames("h264-pyramid"),
    "without its first keyframe, AV1": lambda: without_its_first_frames("av1-pyramid"),
    "without its first keyframe, VP9": lambda: without_its_first_frames("vp9"),
    "packed bitstream": packed_divx,
    "hidden frames": lambda: vp8_with_hidden_frames((5, 17)),
    "two frames at one time": lambda: grainy_video(40, replace(H264_MKV, frames_per_second=1500)),
}


@pytest.mark.parametrize("num_frames", [1, 3, 8, 16, MORE_THAN_THERE_ARE])
@pytest.mark.parametrize("name", ODD_VIDEOS)
def test_so_it_is_with_odd_videos(name: str, num_frames: int) -> None:
    video = ODD_VIDEOS[name]()
    assert np.array_equal(load_clip(video, spec(num_frames)).frames, front_to_back(video, spec(num_frames)))


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_a_frame_that_is_cheap_to_reach_is_at_most_half_a_segment_from_its_target(name: str) -> None:
    clip = load_clip(grainy(name), spec(4, "nearest_reference"))
    half_a_segment = clip.video.duration_seconds / 8
    for number, time in enumerate(clip.frame_times_seconds):
        assert abs(time - (2 * number + 1) * half_a_segment) <= half_a_segment + 1e-9


def cost(video: bytes, sampling: str, num_frames: int) -> int:
    with open_video(video, spec(num_frames, sampling), DecodeLimits()) as opened:
        return opened.plan.cost


@pytest.mark.parametrize("num_frames", [1, 4, 16])
@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_what_is_cheap_to_reach_never_costs_more_than_what_is_exact(name: str, num_frames: int) -> None:
    assert cost(grainy(name), "nearest_reference", num_frames) <= cost(grainy(name), "exact", num_frames)


def test_nor_where_the_nearest_reference_lies_behind_the_frame_on_screen() -> None:
    video = grainy("h264-plain", 41, LONG_GROUP)  # the last target is at 35.875: frame 35 is on screen, frame 36 is nearer
    assert cost(video, "nearest_reference", 4) <= cost(video, "exact", 4)


@pytest.mark.parametrize("name", ["h264-pyramid", "hevc-pyramid", "av1-pyramid", "mpeg2-ts"])
def test_short_groups_make_a_cheap_clip_cost_a_keyframe_a_frame(name: str) -> None:
    video = grainy(name, keyframe_interval=3)
    assert cost(video, "nearest_reference", 4) == 4 < cost(video, "exact", 4)


@pytest.mark.parametrize("sampling", ["exact", "nearest_reference"])
@pytest.mark.parametrize("name", ["h264-open-gop", "hevc-pyramid", "mpeg4-avi", "av1-pyramid", "vp9"])
def test_the_same_bytes_and_spec_give_the_same_clip(name: str, sampling: str) -> None:
    first, second = (load_clip(grainy(name), spec(5, sampling)) for _ in range(2))
    assert np.array_equal(first.frames, second.frames)
    assert (first.frame_times_seconds, first.video) == (second.frame_times_seconds, second.video)


def test_a_wanted_frame_costs_what_its_group_makes_it_cost() -> None:
    assert cost(grainy("h264-plain"), "exact", 1) == 9  # frame 20 of groups of 12: from the keyframe at 12
    assert cost(grainy("h264-plain", keyframe_interval=LONG_GROUP), "exact", 1) == 21
    assert cost(grainy("mpeg4-avi"), "exact", 1) < 9  # B-pictures on the way are left out


def test_frames_that_an_edit_list_cuts_off_are_decoded_and_not_shown() -> None:
    video = trimmed(numbered_video(48), frames=5)
    clip = load_clip(video, ClipSpec(num_frames=43, height=48, width=64))
    assert [frame_number(picture) for picture in clip.frames] == list(range(5, 48))
    assert clip.frame_times_seconds[0] == 0
    assert not clip.video.partial
