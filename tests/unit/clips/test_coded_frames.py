"""When each coded frame is shown, and what it is predicted from: on real encodings of every kind."""

import numpy as np
import pytest

from clips.plan import plan_decoding
from tests.encodings import ENCODINGS, grainy, packed_divx, vp8_with_hidden_frames
from tests.front_to_back import decoded_frames, presentation_times
from tests.unit.clips.coded_video import coded_video
from tests.videos import VP9_WEBM, numbered_video, remuxed

REFRESHED = ("h264-intra-refresh", "h264-intra-refresh-ts")
"""Their keyframes are none: the decoder shows nothing until a wave of intra blocks has passed over the picture."""


@pytest.mark.parametrize("keyframe_interval", [3, 12])
@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_each_frame_alone_is_decoded_from_what_it_needs_to_the_same_picture(name: str, keyframe_interval: int) -> None:
    with coded_video(grainy(name, 40, keyframe_interval)) as video:
        all_pictures = video.decode()
        for number in range(len(video.frames)):
            (stretch,) = plan_decoding(video.frames, [number]).stretches
            alone = video.decode(stretch).get(number)
            assert alone is not None or name in REFRESHED, f"frame {number} did not come out"
            assert alone is None or np.array_equal(alone, all_pictures[number]), f"frame {number}"


@pytest.mark.parametrize("name", sorted(ENCODINGS.keys() - {"mpeg2-ps", "mpeg1-ps"}))
def test_frames_are_shown_at_the_times_of_display(name: str) -> None:
    with coded_video(grainy(name)) as video:
        times = {number: frame.time for number, frame in enumerate(video.frames)}
        pictures = video.decode()
    expected = [(time, frame.to_ndarray()) for time, frame in decoded_frames(grainy(name))]
    shown = sorted(pictures, key=lambda number: times[number] or 0)
    start = min(time for time in times.values() if time is not None) - expected[0][0]
    assert [times[number] for number in shown] == [time + start for time, _ in expected]
    for number, (_, picture) in zip(shown, expected, strict=True):
        assert np.array_equal(pictures[number], picture), times[number]


@pytest.mark.parametrize(
    ("name", "ranks"),
    [
        ("mpeg4-avi", [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]),
        ("mpeg2-avi", [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]),
        ("mpeg4-no-b", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ("mjpeg-avi", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ],
)
def test_avi_stores_no_times_of_display_so_they_follow_from_the_types_of_picture(name: str, ranks: list[int]) -> None:
    with coded_video(grainy(name)) as video:
        times = [frame.time for frame in video.frames]
    assert all(time is not None for time in times)
    in_order = sorted(time for time in times if time is not None)
    assert [in_order.index(time) for time in times[:13] if time is not None] == ranks


def test_a_packed_bitstream_is_unpacked_into_one_picture_for_each_packet() -> None:
    with coded_video(packed_divx()) as video:
        assert video.drawing()[:12] == "KPbPbPbPbPbK"
        assert len(video.decode()) == len(video.frames) == 40


def test_a_hidden_frame_of_vp8_has_no_time_and_is_decoded_for_those_that_follow() -> None:
    with coded_video(vp8_with_hidden_frames(hidden=(5, 17))) as video:
        assert [number for number, frame in enumerate(video.frames) if frame.time is None] == [5, 17]
        assert plan_decoding(video.frames, [8]).drawing()[:12] == "++++++++*..."
        assert sorted(video.decode()) == [n for n in range(40) if n not in (5, 17)]


def test_frames_before_the_first_keyframe_need_those_before_them() -> None:
    headless = remuxed(grainy("h264-plain"), "matroska", lambda packets: [b""] * 8 + packets[8:])
    with coded_video(headless) as video:
        assert plan_decoding(video.frames, [3]).drawing()[:8] == "+++*...."
        assert video.drawing()[:8] == "KPPPKPPP"


def test_equal_files_give_equal_frames() -> None:
    first, second = (numbered_video(30, encoding=VP9_WEBM) for _ in range(2))
    with coded_video(first) as one, coded_video(second) as other:
        assert one.frames == other.frames
    assert [frame.time for frame in one.frames] == presentation_times(first)[0]
