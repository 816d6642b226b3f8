"""Windows that say the same become one segment."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inference.classify import Prediction
from app.inference.segments import Segment, labels_of, merged
from app.inference.windows import SlidingWindow
from clips import Manifest, TimeWindow

SECONDS = [TimeWindow(second, second + 1) for second in range(6)]


def drawn(segments: list[Segment]) -> str:
    """``A0-3 B3-4``."""
    return " ".join(f"{each.label}{each.start_seconds:g}-{each.end_seconds:g}" for each in segments)


def of_letters(letters: str, windows: list[TimeWindow] = SECONDS) -> list[Segment]:
    """One letter for each window; ``-`` for none, and ``2`` for both of A and B."""
    labels = {"-": {}, "2": {"A": 0.5, "B": 0.5}}
    return merged(windows[: len(letters)], [labels.get(letter, {letter: 1.0}) for letter in letters])


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("AAAB-B", "A0-3 B3-4 B5-6"),
        ("ABABAB", "A0-1 B1-2 A2-3 B3-4 A4-5 B5-6"),
        ("------", ""),
        ("A", "A0-1"),
        ("A22B", "A0-3 B1-4"),
        ("2-2", "A0-1 B0-1 A2-3 B2-3"),
    ],
)
def test_neighbours_with_a_label_become_one_segment(letters: str, expected: str) -> None:
    assert drawn(of_letters(letters)) == expected


def test_windows_that_do_not_touch_are_never_one_segment() -> None:
    assert drawn(of_letters("AA", [TimeWindow(0, 1), TimeWindow(5, 6)])) == "A0-1 A5-6"


def test_segments_of_windows_that_overlap_meet_in_the_middle() -> None:
    assert drawn(of_letters("AB", [TimeWindow(0, 4), TimeWindow(2, 6)])) == "A0-3 B3-6"


def test_the_probability_of_a_segment_is_the_mean_over_its_windows() -> None:
    (segment,) = merged(SECONDS[:3], [{"A": 0.9}, {"A": 0.6}, {"A": 0.3}])
    assert segment.probability == pytest.approx(0.6)
    assert segment.windows == 3


THRESHOLDS = {"A": 0.4, "B": 0.6, "C": 0.1}


def manifest(thresholds: list[float] | None) -> Manifest:
    return Manifest.model_construct(labels=list(THRESHOLDS), thresholds=thresholds)


def test_a_window_of_a_single_label_model_has_its_most_probable_label() -> None:
    predictions = [Prediction("B", 0.5), Prediction("A", 0.3), Prediction("C", 0.2)]
    assert labels_of(manifest(None), predictions) == {"B": 0.5}


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        ({"A": 0.4, "B": 0.59, "C": 0.05}, {"A"}),
        ({"A": 0.9, "B": 0.9, "C": 0.9}, {"A", "B", "C"}),
        ({"A": 0.1, "B": 0.1, "C": 0.05}, set()),
    ],
)
def test_a_window_of_a_multi_label_model_has_all_labels_that_reach_their_thresholds(
    probabilities: dict[str, float], labels: set[str]
) -> None:
    predictions = sorted((Prediction(*pair) for pair in probabilities.items()), key=lambda each: -each.probability)
    found = labels_of(manifest(list(THRESHOLDS.values())), predictions)
    assert found == {label: probabilities[label] for label in labels}


@given(st.text("ABC", min_size=1, max_size=40), st.floats(0.3, 3.0), st.floats(0.1, 3.0))
def test_with_one_label_a_window_segments_are_the_whole_video_and_neighbours_differ(
    letters: str, length: float, stride: float
) -> None:
    stride = min(length, stride)
    duration = length + stride * (len(letters) - 1)
    windows = SlidingWindow(length, stride).over(duration)
    segments = of_letters(letters[: len(windows)].ljust(len(windows), "A"), windows)
    assert (segments[0].start_seconds, segments[-1].end_seconds) == (0, duration)
    assert sum(segment.windows for segment in segments) == len(windows)
    for before, after in pairwise(segments):
        assert before.end_seconds == after.start_seconds
        assert before.label != after.label
