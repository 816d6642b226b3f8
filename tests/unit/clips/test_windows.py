"""Clips of windows: parts of a video, each as if there were no others."""

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips import WHOLE_VIDEO, Clip, ClipError, ClipSpec, DecodeFailed, TimeWindow, load_clip, load_clips
from clips.sampling import Window
from tests.encodings import ENCODINGS, UNORDERED, grainy, with_damaged_frame
from tests.front_to_back import front_to_back
from tests.videos import damaged, frame_number, numbered_video

SPEC = ClipSpec(num_frames=4, height=48, width=64)
NEAREST = SPEC.model_copy(update={"sampling": "nearest_reference"})
OVERLAPPING = [TimeWindow(0.2, 0.8), TimeWindow(0.0, 0.6), TimeWindow(0.9, 1.6), TimeWindow(1.2, None)]
"""Of 1.6 s, and not in order."""

ten_seconds = Window(Fraction(100), Fraction(1100))
hundredths = Fraction(1, 100)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (WHOLE_VIDEO, (100, 1100)),
        (TimeWindow(4.0, 6.0), (500, 700)),
        (TimeWindow(8.0, 12.0), (900, 1100)),
        (TimeWindow(9.0), (1000, 1100)),
        (TimeWindow(-1.0, 1.0), (100, 200)),
    ],
)
def test_a_window_in_seconds_covers_this_part_of_ten_seconds(window: TimeWindow, expected: tuple[int, int]) -> None:
    assert window.within(ten_seconds, hundredths) == expected


@pytest.mark.parametrize("window", [TimeWindow(10.0), TimeWindow(11.0, 12.0), TimeWindow(3.0, 3.0), TimeWindow(-2.0, 0.0)])
def test_a_window_without_a_frame_is_refused(window: TimeWindow) -> None:
    with pytest.raises(ValueError, match="no frame of the video is on screen"):
        window.within(ten_seconds, hundredths)


def test_no_window_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no window"):
        load_clips(numbered_video(), SPEC, [])


def test_frames_are_taken_from_the_middles_of_the_segments_of_the_window() -> None:
    """48 frames at 25 a second: the middles of 0.64 s to 1.28 s are those of the frames 16 to 31."""
    clips = load_clips(numbered_video(48), SPEC, [TimeWindow(0.64, 1.28), WHOLE_VIDEO])
    assert [[frame_number(picture) for picture in clip.frames] for clip in clips] == [[18, 22, 26, 30], [6, 18, 30, 42]]
    assert clips[0].frame_times_seconds == (0.72, 0.88, 1.04, 1.2)
    assert clips[0].video == clips[1].video == load_clip(numbered_video(48), SPEC).video


@pytest.mark.parametrize("spec", [SPEC, NEAREST], ids=["exact", "nearest_reference"])
@pytest.mark.parametrize("name", sorted(ENCODINGS | UNORDERED))
def test_a_clip_does_not_depend_on_the_other_windows(name: str, spec: ClipSpec) -> None:
    video = grainy(name)
    together = load_clips(video, spec, OVERLAPPING)
    for window, clip in zip(OVERLAPPING, together, strict=True):
        (alone,) = load_clips(video, spec, [window])
        assert np.array_equal(clip.frames, alone.frames)
        assert clip.frame_times_seconds == alone.frame_times_seconds


@pytest.mark.parametrize("name", ["h264-pyramid", "hevc-pyramid", "av1-pyramid", "vp9", "mpeg2-ts", "h264-avi"])
def test_frames_are_those_of_a_decoder_that_leaves_nothing_out(name: str) -> None:
    for window, clip in zip(OVERLAPPING, load_clips(grainy(name), SPEC, OVERLAPPING), strict=True):
        assert np.array_equal(clip.frames, front_to_back(grainy(name), SPEC, window))


@given(st.floats(0, 1.5), st.floats(0.04, 1.6))
def test_every_frame_is_on_screen_within_its_window(start: float, length: float) -> None:
    (clip,) = load_clips(numbered_video(40), SPEC, [TimeWindow(start, start + length)])
    interval = 1 / 25
    assert all(start - interval <= time <= start + length for time in clip.frame_times_seconds)
    assert list(clip.frame_times_seconds) == sorted(clip.frame_times_seconds)


def test_damage_in_one_window_mends_it_from_its_neighbours_and_is_told() -> None:
    video = with_damaged_frame(30)
    before, with_damage = [load_clips(video, SPEC, [window])[0] for window in (TimeWindow(0.0, 0.4), TimeWindow(1.1, 1.4))]
    assert (before.video.partial, with_damage.video.partial) == (False, True)
    assert frame_number(before.frames[0]) == 1


@pytest.mark.parametrize("spec", [SPEC, NEAREST], ids=["exact", "nearest_reference"])
@pytest.mark.parametrize("number", [0, 1, 20, 30, 39])
def test_nor_does_it_where_a_frame_is_damaged(spec: ClipSpec, number: int) -> None:
    video = with_damaged_frame(number)
    windows = [TimeWindow(start / 10, start / 10 + 0.4) for start in range(0, 12, 3)]
    alone: list[Clip | str] = []
    for window in windows:
        try:
            alone += load_clips(video, spec, [window])
        except ClipError as problem:
            alone.append(str(problem))
    if problems := [clip for clip in alone if isinstance(clip, str)]:
        with pytest.raises(ClipError, match=re.escape(problems[0])):
            load_clips(video, spec, windows)
        return
    for clip, expected in zip(load_clips(video, spec, windows), alone, strict=True):
        assert isinstance(expected, Clip)
        assert np.array_equal(clip.frames, expected.frames)
        assert (clip.frame_times_seconds, clip.video) == (expected.frame_times_seconds, expected.video)


@pytest.mark.parametrize("damaged_frame", [0, 1, 2, 20])
def test_nor_do_windows_of_one_frame(damaged_frame: int) -> None:
    """Alone, such a window decodes others too, to tell whether there is a video at all."""
    video, windows = with_damaged_frame(damaged_frame), [TimeWindow(start / 10, start / 10 + 0.04) for start in range(0, 9, 4)]
    spec = NEAREST.model_copy(update={"num_frames": 1})

    def outcome(asked: list[TimeWindow]) -> list[object]:
        try:
            return [(clip.frames.tobytes(), clip.video) for clip in load_clips(video, spec, asked)]
        except ClipError as problem:
            return [str(problem)]

    alone = [outcome([window])[0] for window in windows]
    problems = [each for each in alone if isinstance(each, str)]
    assert outcome(windows) == (problems[:1] or alone)


def test_a_video_that_is_refused_whole_is_refused_by_window() -> None:
    with pytest.raises(DecodeFailed):
        load_clips(damaged(numbered_video(width=320, height=240)), SPEC, [TimeWindow(0.0, 0.5), TimeWindow(0.5, 1.0)])


def test_memory_of_the_caller_receives_the_frames_of_all_windows() -> None:
    out = np.zeros((len(OVERLAPPING), *SPEC.shape), np.uint8)
    clips = load_clips(numbered_video(40), SPEC, OVERLAPPING, out=out)
    assert all(np.shares_memory(clip.frames, out) for clip in clips)
    assert np.array_equal(out, np.stack([clip.frames for clip in load_clips(numbered_video(40), SPEC, OVERLAPPING)]))
