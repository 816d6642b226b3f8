"""Which frames are taken, as pure functions of time."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips.sampling import Window, frames_on_screen, segment_centres, stream_window

rising_timestamps = st.lists(st.integers(-(10**9), 10**12), min_size=1, max_size=50, unique=True).map(sorted)


def test_centres_are_the_middles_of_equal_segments() -> None:
    assert segment_centres(Window(Fraction(0), Fraction(6)), 3) == [1, 3, 5]


@pytest.mark.parametrize("num_frames", [0, -1])
def test_no_segments_are_refused(num_frames: int) -> None:
    with pytest.raises(ValueError, match="num_frames"):
        segment_centres(Window(Fraction(0), Fraction(6)), num_frames)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        segment_centres(Window(Fraction(2), Fraction(2)), 1)


def test_the_last_frame_stays_for_its_own_duration() -> None:
    assert stream_window([0, 10, 20], last_duration=5) == Window(Fraction(0), Fraction(25))


def test_without_a_duration_the_last_frame_stays_for_the_median_interval() -> None:
    assert stream_window([0, 10, 20, 1000], last_duration=None).end == 1010


def test_a_stream_without_timestamps_has_no_window() -> None:
    with pytest.raises(ValueError, match="without timestamps"):
        stream_window([], None)


def test_the_frame_on_screen_is_the_latest_that_has_begun() -> None:
    times = [Fraction(t) for t in (5, 25, 39, 40)]
    assert frames_on_screen([0, 10, 20, 40], times) == [0, 20, 20, 40]


def test_a_time_before_the_first_frame_gets_the_first_frame() -> None:
    assert frames_on_screen([10, 20], [Fraction(3)]) == [10]


@given(rising_timestamps, st.integers(1, 64), st.one_of(st.none(), st.integers(-5, 1000)))
def test_every_target_gets_a_frame_of_the_stream_in_order(timestamps: list[int], num_frames: int, duration: int | None) -> None:
    targets = segment_centres(stream_window(timestamps, duration), num_frames)
    taken = frames_on_screen(timestamps, targets)
    assert len(taken) == num_frames
    assert taken == sorted(taken)
    assert set(taken) <= set(timestamps)


@given(st.integers(1, 64), st.integers(1, 100))
def test_a_constant_frame_rate_gives_evenly_spread_frames(num_frames: int, repeats: int) -> None:
    timestamps = list(range(num_frames * repeats))
    taken = frames_on_screen(timestamps, segment_centres(stream_window(timestamps, 1), num_frames))
    assert {b - a for a, b in pairwise(taken)} <= {repeats}
