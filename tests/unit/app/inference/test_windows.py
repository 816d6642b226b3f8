"""Windows that slide over a video: nothing is left out, and each instant belongs to one of them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inference.windows import SlidingWindow, shares
from clips import TimeWindow


@pytest.mark.parametrize(
    ("length", "stride", "duration", "expected"),
    [
        (4.0, 4.0, 12.0, [(0, 4), (4, 8), (8, 12)]),
        (4.0, 3.0, 12.0, [(0, 4), (3, 7), (6, 10), (8, 12)]),
        (4.0, 6.0, 12.0, [(0, 4), (6, 10), (8, 12)]),
        (4.0, 4.0, 12.5, [(0, 4), (4, 8), (8, 12), (8.5, 12.5)]),
        (4.0, 4.0, 3.0, [(0, 3)]),
        (4.0, 1.0, 4.0, [(0, 4)]),
        (60.0, 60.0, 60.00001, [(0, 60.00001)]),
    ],
)
def test_windows_of_a_video(length: float, stride: float, duration: float, expected: list[tuple[float, float]]) -> None:
    sliding = SlidingWindow(length, stride)
    assert sliding.over(duration) == expected
    assert sliding.count(duration) == len(expected)


def test_a_float_that_is_a_little_off_makes_no_window_more() -> None:
    assert SlidingWindow(0.1, 0.1).count(0.30000000000000004) == 3


def length_of(window: TimeWindow) -> float:
    assert window.end_seconds is not None
    return window.end_seconds - window.start_seconds


lengths = st.floats(0.1, 60.0)


@given(lengths, lengths, st.floats(0.05, 600.0))
def test_windows_rise_lie_in_the_video_and_reach_its_end(length: float, stride: float, duration: float) -> None:
    sliding = SlidingWindow(length, stride)
    windows = sliding.over(duration)
    assert len(windows) == sliding.count(duration)
    assert windows[0].start_seconds == 0
    assert windows[-1].end_seconds == duration
    for before, after in pairwise(windows):
        assert before.start_seconds < after.start_seconds <= before.start_seconds + stride + 1e-3
        assert length_of(after) == pytest.approx(length)
        assert after.start_seconds + length_of(after) <= duration + 1e-3


def test_where_windows_overlap_each_speaks_up_to_the_middle() -> None:
    assert shares([TimeWindow(0, 4), TimeWindow(2, 6), TimeWindow(4, 8)]) == [(0, 3), (3, 5), (5, 8)]


def test_windows_that_touch_or_do_not_meet_keep_what_they_have() -> None:
    windows = [TimeWindow(0, 4), TimeWindow(4, 8), TimeWindow(10, 14)]
    assert shares(windows) == windows


@given(st.floats(0.1, 10.0), st.floats(0.1, 10.0), st.floats(0.1, 100.0))
def test_shares_of_windows_that_leave_no_gap_are_the_whole_video(length: float, overlap: float, duration: float) -> None:
    windows = SlidingWindow(length, min(length, overlap)).over(duration)
    parts = shares(windows)
    assert (parts[0].start_seconds, parts[-1].end_seconds) == (0, duration)
    assert all(before.end_seconds == after.start_seconds for before, after in pairwise(parts))
